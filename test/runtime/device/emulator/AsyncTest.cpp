// SPDX-License-Identifier: Apache-2.0
// cp.async, bulk and tensor copies, mbarriers and clusters, under both schedules; and that what lacks a wait,
// a fence or a barrier is found.
#include "test/runtime/device/emulator/PtxRunner.h"

#include <numeric>

namespace sinter::emulator {
namespace {

bool reports(const PtxRunner &runner, const std::string &part) {
  for (const std::string &each : runner.hazards)
    if (each.find(part) != std::string::npos)
      return true;
  return false;
}
std::string listed(const PtxRunner &runner) {
  std::string text;
  for (const std::string &each : runner.hazards)
    text += each + "\n";
  return text;
}

std::vector<uint32_t> counting(size_t count, uint32_t from = 0) {
  std::vector<uint32_t> values(count);
  std::iota(values.begin(), values.end(), from);
  return values;
}

class EmulatorAsync : public testing::TestWithParam<Schedule> {
protected:
  void prepare(PtxRunner &runner) {
    runner.options.schedule = GetParam();
    runner.options.races = true;
  }
};

std::string copyThroughShared(const std::string &wait) {
  return threadPointers(2) + R"(
    .shared .align 16 .b8 tile[128];
    mov.u32 %r1, tile; shl.b32 %r2, %r50, 2; add.u32 %r1, %r1, %r2;
    cp.async.ca.shared.global [%r1], [%d1], 4;
    cp.async.commit_group;
    )" + wait +
         R"(
    xor.b32 %r2, %r2, 124; mov.u32 %r3, tile; add.u32 %r3, %r3, %r2; ld.shared.u32 %r4, [%r3];
    st.global.u32 [%d2], %r4;)";
}

TEST_P(EmulatorAsync, CopiesArriveAtTheirWait) {
  PtxRunner runner;
  prepare(runner);
  runner.buffer(counting(32, 5));
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(copyThroughShared("cp.async.wait_group 0; bar.sync 0;")), "");
  EXPECT_TRUE(runner.hazards.empty()) << listed(runner);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(runner.read<uint32_t>(out, 32)[i], 5 + 31 - i);
}

TEST_P(EmulatorAsync, AMissingWaitForCopiesIsFound) {
  PtxRunner runner;
  prepare(runner);
  runner.buffer(counting(32, 5));
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(copyThroughShared("bar.sync 0;")), "");
  EXPECT_TRUE(reports(runner, "warp 0 without waiting for its copy reads shared memory")) << listed(runner);
  if (GetParam() == Schedule::latest)
    EXPECT_EQ(runner.read<uint32_t>(out, 1)[0], 0xffffffffu);
}

TEST_P(EmulatorAsync, SmallSourcesAreFilledWithZeros) {
  PtxRunner runner;
  prepare(runner);
  runner.buffer(std::vector<uint32_t>(4, 0x01010101));
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(R"(
    .shared .align 16 .b8 tile[16];
    mov.u32 %r9, %tid.x; setp.ne.u32 %p1, %r9, 0; @%p1 ret;
    ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; mov.u32 %r1, tile; mov.u32 %r2, 6;
    cp.async.cg.shared.global.L2::128B [%r1], [%d1], 16, %r2; cp.async.wait_all;
    ld.shared.v4.u32 {%r3, %r4, %r5, %r6}, [%r1]; st.global.v4.u32 [%d2], {%r3, %r4, %r5, %r6};)"),
            "");
  EXPECT_EQ(runner.read<uint32_t>(out, 4), (std::vector<uint32_t>{0x01010101, 0x0101, 0, 0}));
}

const char *const barrierStart = R"(
    .shared .align 128 .b8 tile[1024];
    .shared .align 8 .b8 bar[8];
    mov.u32 %r1, bar; mov.u32 %r2, tile; mov.u32 %r3, %tid.x; setp.eq.u32 %p1, %r3, 0;
    @%p1 mbarrier.init.shared.b64 [%r1], 1;
    @%p1 fence.mbarrier_init.release.cluster;
    bar.sync 0;
)";

TEST_P(EmulatorAsync, ABulkCopyCompletesOnItsMbarrier) {
  PtxRunner runner;
  prepare(runner);
  runner.buffer(counting(64, 7));
  const uint64_t out = runner.buffer(std::vector<uint32_t>(64));
  ASSERT_EQ(runner.runBody(barrierStart + threadPointers(2) + R"(
    @%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 256;
    ld.param.u64 %d3, [p0];
    @%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d3], 256, [%r1];
    wait: mbarrier.try_wait.parity.shared.b64 %p2, [%r1], 0; @!%p2 bra wait;
    shl.b32 %r4, %r3, 2; add.u32 %r4, %r2, %r4; ld.shared.u32 %r5, [%r4]; ld.shared.u32 %r6, [%r4+128];
    st.global.u32 [%d2], %r5; st.global.u32 [%d2+128], %r6;)"),
            "");
  EXPECT_TRUE(runner.hazards.empty()) << listed(runner);
  EXPECT_EQ(runner.read<uint32_t>(out, 64), counting(64, 7));
}

TEST_P(EmulatorAsync, DataReadBeforeItsMbarrierIsFound) {
  PtxRunner runner;
  prepare(runner);
  runner.buffer(counting(64, 7));
  ASSERT_EQ(runner.runBody(std::string(barrierStart) + R"(
    ld.param.u64 %d3, [p0];
    @%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 256;
    @%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d3], 256, [%r1];
    ld.shared.u32 %r5, [%r2];)"),
            "");
  EXPECT_TRUE(reports(runner, "without waiting for its copy reads shared memory")) << listed(runner);
}

TEST_P(EmulatorAsync, ABulkStoreNeedsAProxyFence) {
  for (const bool fenced : {true, false}) {
    PtxRunner runner;
    prepare(runner);
    const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
    ASSERT_EQ(runner.runBody(std::string(barrierStart) + R"(
      ld.param.u64 %d3, [p0]; shl.b32 %r4, %r3, 2; add.u32 %r4, %r2, %r4; st.shared.u32 [%r4], %r3;
      )" + (fenced ? "fence.proxy.async.shared::cta;" : "") +
                             R"(
      bar.sync 0;
      @%p1 cp.async.bulk.global.shared::cta.bulk_group [%d3], [%r2], 128;
      @%p1 cp.async.bulk.commit_group; @%p1 cp.async.bulk.wait_group 0;)"),
              "");
    EXPECT_EQ(reports(runner, "without fence.proxy.async"), !fenced) << listed(runner);
    EXPECT_EQ(runner.read<uint32_t>(out, 32), counting(32));
  }
}

TEST_P(EmulatorAsync, OverwritingTheSourceOfAStoreIsFound) {
  PtxRunner runner;
  prepare(runner);
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(std::string(barrierStart) + R"(
    ld.param.u64 %d3, [p0]; shl.b32 %r4, %r3, 2; add.u32 %r4, %r2, %r4; st.shared.u32 [%r4], %r3;
    fence.proxy.async.shared::cta; bar.sync 0;
    @%p1 cp.async.bulk.global.shared::cta.bulk_group [%d3], [%r2], 128;
    @%p1 cp.async.bulk.commit_group;
    bar.sync 0; st.shared.u32 [%r4], 9;
    @%p1 cp.async.bulk.wait_group 0;)"),
            "");
  EXPECT_TRUE(reports(runner, "without synchronisation overwrites shared memory")) << listed(runner);
  if (GetParam() == Schedule::latest)
    EXPECT_EQ(runner.read<uint32_t>(out, 1)[0], 9u);
}

/// 32 threads store boxes of 4 rows of 128 bytes, one after another through the same shared memory; the last
/// one reaches 2 rows behind the tensor.
TEST_P(EmulatorAsync, BoxesAreStoredBehindAFenceAndTheirSourceIsFreeAfterAWait) {
  const std::string fence = "fence.proxy.async.shared::cta;", wait = "@%p1 cp.async.bulk.wait_group.read 0;";
  struct Case {
    std::string fence, wait, hazard;
  };
  for (const Case &each : {Case{fence, wait, ""}, Case{"", wait, "without fence.proxy.async"},
                           Case{fence, "", "without synchronisation overwrites shared memory"}}) {
    constexpr uint32_t rows = 10, words = 32;
    PtxRunner runner;
    prepare(runner);
    const uint64_t data = runner.memory.allocate(12 * words * 4, "tensor");
    std::memset(reinterpret_cast<void *>(data), 0xee, 12 * words * 4);
    const uint64_t sizes[] = {2 * words, rows}, strides[] = {4 * words};
    const uint32_t box[] = {2 * words, 4}, ones[] = {1, 1};
    const auto map = encodeTiled(6, 2, data, sizes, strides, box, ones, 0, 0, false);
    ASSERT_TRUE(map) << map.error().message;
    runner.map(*map);
    ASSERT_EQ(
        runner.run(
            ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .align 64 .b8 "
            "map[128]) "
            "{\n"
            ".reg .pred %p<9>; .reg .b32 %r<20>; .reg .b64 %d<9>; .shared .align 128 .b8 tile[512];\n"
            "mov.u32 %r2, tile; mov.u32 %r3, %tid.x; setp.eq.u32 %p1, %r3, 0; mov.b64 %d1, map; "
            "cvta.param.u64 %d1, %d1;\n"
            "shl.b32 %r4, %r3, 4; add.u32 %r4, %r2, %r4; mov.u32 %r5, 0; mov.u32 %r6, 0;\n"
            "loop: mad.lo.u32 %r7, %r5, 1000, %r3; st.shared.v4.u32 [%r4], {%r7, %r7, %r7, %r7};\n" +
            each.fence +
            "bar.sync 0;\n"
            "@%p1 cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%d1, {%r6, %r5}], [%r2];\n"
            "@%p1 cp.async.bulk.commit_group;\n" +
            each.wait +
            "bar.sync 0; add.u32 %r5, %r5, 4; setp.lt.u32 %p2, %r5, 12; @%p2 bra loop;\n"
            "@%p1 cp.async.bulk.wait_group 0; ret; }"),
        "");
    EXPECT_EQ(each.hazard.empty(), runner.hazards.empty()) << listed(runner);
    EXPECT_TRUE(each.hazard.empty() || reports(runner, each.hazard)) << listed(runner);
    const auto found = runner.read<uint32_t>(data, 12 * words);
    bool isRight = true;
    for (uint32_t i = 0; i < found.size(); ++i) {
      const uint32_t row = i / words, box = row / 4 * 4, thread = (i - box * words) / 4;
      isRight &= found[i] == (row < rows ? box * 1000 + thread : 0xeeeeeeeeu);
    }
    EXPECT_EQ(isRight, !each.wait.empty() || GetParam() == Schedule::earliest);
  }
}

/// A 2-d tensor of 16-bit elements, loaded as a box at (x, y), read back in the order of addresses.
TEST_P(EmulatorAsync, TensorBoxesAreSwizzledAndClippedAtTheEdge) {
  for (const uint32_t swizzle : {0u, 1u, 2u, 3u}) {
    const uint32_t width = swizzle == 0 ? 64 : 8u << swizzle, rows = 8, columns = 100;
    PtxRunner runner;
    prepare(runner);
    std::vector<uint16_t> tensor(columns * 20);
    std::iota(tensor.begin(), tensor.end(), uint16_t(1));
    const uint64_t data = runner.memory.allocate(tensor.size() * 2 + 160, "tensor");
    const uint64_t stride = 208; // 100 elements and padding
    for (uint32_t y = 0; y < 20 && (y + 1) * stride <= tensor.size() * 2 + 160; ++y)
      std::memcpy(reinterpret_cast<void *>(data + y * stride), tensor.data() + y * columns, columns * 2);
    const uint64_t sizes[] = {columns, 20}, strides[] = {stride};
    const uint32_t box[] = {width, rows}, ones[] = {1, 1};
    const auto map = encodeTiled(6, 2, data, sizes, strides, box, ones, 0, swizzle, false);
    ASSERT_TRUE(map) << map.error().message;
    runner.map(*map);
    const uint64_t out = runner.buffer(std::vector<uint16_t>(width * rows));
    const std::string bytes = std::to_string(width * rows * 2);
    ASSERT_EQ(
        runner.run(".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .align 64 .b8 "
                   "map[128], .param .u64 out) {\n"
                   ".reg .pred %p<9>; .reg .b32 %r<20>; .reg .b64 %d<9>; .shared .align 1024 .b8 tile[1024]; "
                   ".shared .align 8 .b8 bar[8];\n"
                   "mov.u32 %r1, bar; mov.u32 %r2, tile; mov.u32 %r3, %tid.x; setp.eq.u32 %p1, %r3, 0; "
                   "mov.b64 %d1, map; cvta.param.u64 %d1, %d1;\n"
                   "@%p1 mbarrier.init.shared.b64 [%r1], 1; bar.sync 0; mov.u32 %r5, 70; mov.u32 %r6, -3;\n"
                   "@%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], " +
                   bytes +
                   ";\n"
                   "@%p1 cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                   "[%r2], [%d1, {%r5, %r6}], [%r1];\n"
                   "wait: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r1], 0; @!%p2 bra wait;\n"
                   "ld.param.u64 %d2, [out]; shl.b32 %r7, %r3, 2; cvt.u64.u32 %d3, %r7; add.s64 %d2, %d2, "
                   "%d3; add.u32 %r2, %r2, %r7;\n"
                   "loop: ld.shared.u32 %r8, [%r2]; st.global.u32 [%d2], %r8; add.u32 %r2, %r2, 128; add.s64 "
                   "%d2, %d2, 128; add.u32 %r7, %r7, 128;\n"
                   "setp.lt.u32 %p3, %r7, " +
                   bytes + "; @%p3 bra loop; ret; }"),
        "")
        << swizzle;
    EXPECT_TRUE(runner.hazards.empty()) << listed(runner);
    const auto found = runner.read<uint16_t>(out, width * rows);
    for (uint32_t y = 0; y < rows; ++y)
      for (uint32_t x = 0; x < width; ++x) {
        // PTX ISA 5.5.6: in units of 16 bytes, the chunk of a row is XORed with the row's number.
        const uint32_t byte = (y * width + x) * 2, chunk = byte / 16;
        const uint32_t line = byte / 128; // of the 128 bytes that all banks hold
        const uint32_t place = chunk ^ (swizzle == 3   ? line % 8
                                        : swizzle == 2 ? line % 4
                                        : swizzle == 1 ? line % 2
                                                       : 0);
        const int sourceX = 70 + static_cast<int>(x), sourceY = -3 + static_cast<int>(y);
        const uint16_t expected =
            sourceX < 100 && sourceY >= 0 ? tensor[static_cast<size_t>(sourceY * 100 + sourceX)] : 0;
        ASSERT_EQ(found[place * 8 + x % 8], expected) << "swizzle " << swizzle << " x " << x << " y " << y;
      }
  }
}

TEST_P(EmulatorAsync, BlocksOfAClusterSignalAndReadEachOther) {
  PtxRunner runner;
  prepare(runner);
  runner.grid = {4, 1, 1}, runner.cluster = {2, 1, 1};
  const uint64_t out = runner.buffer(std::vector<uint32_t>(128));
  ASSERT_EQ(runner.runBody(R"(
    .shared .align 8 .b8 bar[8]; .shared .align 4 .b8 box[128];
    mov.u32 %r1, bar; mov.u32 %r2, box; mov.u32 %r3, %tid.x; setp.eq.u32 %p1, %r3, 0;
    @%p1 mbarrier.init.shared.b64 [%r1], 32;
    barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;
    mov.u32 %r4, %cluster_ctarank; xor.b32 %r5, %r4, 1;
    mapa.shared::cluster.u32 %r6, %r2, %r5; mapa.shared::cluster.u32 %r7, %r1, %r5;
    shl.b32 %r8, %r3, 2; add.u32 %r9, %r6, %r8; mov.u32 %r10, %ctaid.x; mad.lo.u32 %r11, %r10, 100, %r3;
    st.shared::cluster.u32 [%r9], %r11;
    mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r7];
    wait: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p2, [%r1], 0; @!%p2 bra wait;
    add.u32 %r9, %r2, %r8; ld.shared.u32 %r12, [%r9];
    ld.param.u64 %d1, [p0]; mad.lo.u32 %r13, %r10, 32, %r3; mul.wide.u32 %d2, %r13, 4; add.s64 %d1, %d1, %d2; st.global.u32 [%d1], %r12;
    barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;)"),
            "");
  EXPECT_TRUE(runner.hazards.empty()) << listed(runner);
  const auto found = runner.read<uint32_t>(out, 128);
  for (uint32_t i = 0; i < 128; ++i)
    EXPECT_EQ(found[i], (i / 32 ^ 1) * 100 + i % 32);
}

TEST_P(EmulatorAsync, MulticastReachesEveryBlockOfItsMask) {
  PtxRunner runner;
  prepare(runner);
  runner.grid = {2, 1, 1}, runner.cluster = {2, 1, 1};
  runner.buffer(counting(32, 3));
  const uint64_t out = runner.buffer(std::vector<uint32_t>(64));
  ASSERT_EQ(runner.runBody(std::string(barrierStart) + R"(
    @%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 128;
    barrier.cluster.arrive; barrier.cluster.wait;
    mov.u32 %r4, %cluster_ctarank; setp.eq.and.u32 %p3, %r4, 0, %p1; ld.param.u64 %d1, [p0]; mov.b16 %h1, 3;
    @%p3 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r2], [%d1], 128, [%r1], %h1;
    wait: mbarrier.try_wait.parity.shared.b64 %p2, [%r1], 0; @!%p2 bra wait;
    shl.b32 %r5, %r3, 2; add.u32 %r6, %r2, %r5; ld.shared.u32 %r7, [%r6];
    ld.param.u64 %d2, [p1]; mad.lo.u32 %r8, %r4, 32, %r3; mul.wide.u32 %d3, %r8, 4; add.s64 %d2, %d2, %d3; st.global.u32 [%d2], %r7;)"),
            "");
  EXPECT_TRUE(runner.hazards.empty()) << listed(runner);
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(runner.read<uint32_t>(out, 64)[i], 3 + i % 32);
  EXPECT_EQ(runner.counters.multicastBytes, 128u);
}

INSTANTIATE_TEST_SUITE_P(Schedules, EmulatorAsync, testing::Values(Schedule::earliest, Schedule::latest),
                         [](const auto &info) {
                           return info.param == Schedule::latest ? "latest" : "earliest";
                         });

TEST(EmulatorRaces, AMissingBarrierIsARace) {
  for (const bool barrier : {true, false}) {
    PtxRunner runner;
    runner.block = {64, 1, 1};
    runner.options.races = true;
    ASSERT_EQ(runner.runBody(std::string(R"(
      .shared .align 4 .b8 s[256];
      mov.u32 %r1, %tid.x; mov.u32 %r2, s; shl.b32 %r3, %r1, 2; add.u32 %r4, %r2, %r3; st.shared.u32 [%r4], %r1;
      )") + (barrier ? "bar.sync 0;" : "") +
                             R"(
      xor.b32 %r3, %r3, 128; add.u32 %r4, %r2, %r3; ld.shared.u32 %r5, [%r4];)"),
              "");
    EXPECT_EQ(reports(runner, "without synchronisation reads shared memory") ||
                  reports(runner, "reads uninitialised"),
              !barrier)
        << listed(runner);
  }
}

TEST(EmulatorRaces, LanesOfAWarpNeedBarWarpSync) {
  for (const bool barrier : {true, false}) {
    PtxRunner runner;
    runner.options.races = true;
    ASSERT_EQ(runner.runBody(std::string(R"(
      .shared .align 4 .b8 s[128];
      mov.u32 %r1, %tid.x; mov.u32 %r2, s; shl.b32 %r3, %r1, 2; add.u32 %r4, %r2, %r3; st.shared.u32 [%r4], %r1;
      )") + (barrier ? "bar.warp.sync -1;" : "") +
                             R"(
      xor.b32 %r3, %r3, 4; add.u32 %r4, %r2, %r3; ld.shared.u32 %r5, [%r4];)"),
              "");
    EXPECT_EQ(reports(runner, "without bar.warp.sync reads shared memory"), !barrier) << listed(runner);
  }
}

TEST(EmulatorRaces, ReusingABufferTooEarlyIsARace) {
  PtxRunner runner;
  runner.block = {64, 1, 1};
  runner.options.races = true;
  ASSERT_EQ(runner.runBody(R"(
    .shared .align 4 .b8 s[256];
    mov.u32 %r1, %tid.x; mov.u32 %r2, s; shl.b32 %r3, %r1, 2; add.u32 %r4, %r2, %r3; st.shared.u32 [%r4], %r1;
    bar.sync 0;
    xor.b32 %r5, %r3, 128; add.u32 %r5, %r2, %r5; ld.shared.u32 %r6, [%r5];
    st.shared.u32 [%r4], %r6;)"),
            "");
  EXPECT_TRUE(reports(runner, "without synchronisation overwrites shared memory")) << listed(runner);
}

TEST(EmulatorRaces, UninitialisedSharedMemoryIsFound) {
  PtxRunner runner;
  runner.options.races = true;
  ASSERT_EQ(runner.runBody(".shared .align 4 .b8 s[128]; ld.shared.u32 %r1, [s+4];"), "");
  EXPECT_TRUE(reports(runner, "line 13: block (0,0,0), warp 0 reads uninitialised shared memory at 0x404"))
      << listed(runner);
}

TEST(EmulatorTensorMap, WhatTheDriverRefusesIsRefused) {
  const auto refused = [](uint64_t address, uint64_t stride, uint32_t box, uint32_t swizzle) {
    const uint64_t sizes[] = {64, 64}, strides[] = {stride};
    const uint32_t boxes[] = {box, 8}, ones[] = {1, 1};
    const auto map = encodeTiled(9, 2, address, sizes, strides, boxes, ones, 0, swizzle, false);
    return map ? std::string() : map.error().message;
  };
  EXPECT_EQ(refused(4096, 128, 64, 3), "");
  EXPECT_EQ(refused(4104, 128, 64, 3),
            "tensor map: expected a global address that is a multiple of 16, found 0x1008");
  EXPECT_EQ(refused(4096, 120, 64, 3),
            "tensor map: expected strides below 2^40 that are multiples of 16, found 120 in dimension 1");
  EXPECT_EQ(refused(4096, 128, 128, 3),
            "tensor map: expected an innermost box of at most 128 bytes for this swizzle, found 256");
  EXPECT_EQ(refused(4096, 128, 300, 0), "tensor map: expected boxes from 1 to 256, found 300 in dimension 0");
}

} // namespace
} // namespace sinter::emulator
