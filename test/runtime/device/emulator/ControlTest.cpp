// SPDX-License-Identifier: Apache-2.0
// Divergence and reconvergence, exchange between lanes, barriers, deadlocks, atomics between blocks.
#include "test/runtime/device/emulator/PtxRunner.h"

namespace sinter::emulator {
namespace {

testing::AssertionResult contains(const std::string &text, const std::string &part) {
  if (text.find(part) != std::string::npos)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "expected '" << part << "' in '" << text << "'";
}

TEST(EmulatorControl, LanesLeaveALoopOneByOne) {
  PtxRunner runner;
  runner.block = {100, 1, 1}; // the last warp has 4 lanes
  const uint64_t out = runner.buffer(std::vector<uint32_t>(100));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    mov.u32 %r1, 0; mov.u32 %r2, 0;
    loop: setp.ge.u32 %p1, %r1, %r50; @%p1 bra done;
    and.b32 %r3, %r1, 1; setp.eq.u32 %p2, %r3, 0; @%p2 bra even;
    add.u32 %r2, %r2, 10; bra next;
    even: add.u32 %r2, %r2, %r1;
    next: add.u32 %r1, %r1, 1; bra loop;
    done: st.global.u32 [%d1], %r2;)"),
            "");
  const auto found = runner.read<uint32_t>(out, 100);
  for (uint32_t i = 0; i < 100; ++i) {
    uint32_t sum = 0;
    for (uint32_t k = 0; k < i; ++k)
      sum += k % 2 ? 10 : k;
    ASSERT_EQ(found[i], sum) << i;
  }
}

TEST(EmulatorControl, BranchesThroughATable) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    rem.u32 %r1, %r50, 3;
    table: .branchtargets zero, one, two;
    brx.idx %r1, table;
    zero: mov.u32 %r2, 100; bra done;
    one: mov.u32 %r2, 200; bra done;
    two: mov.u32 %r2, 300;
    done: bar.warp.sync -1; st.global.u32 [%d1], %r2;)"),
            "");
  const auto found = runner.read<uint32_t>(out, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(found[i], 100 * (i % 3 + 1));
}

TEST(EmulatorControl, ShufflesVotesAndReductions) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32 * 8));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    shfl.sync.bfly.b32 %r1, %r50, 1, 31, -1; st.global.u32 [%d1], %r1;
    shfl.sync.up.b32 %r1|%p1, %r50, 4, 0, -1; selp.u32 %r1, %r1, 99, %p1; st.global.u32 [%d1+128], %r1;
    shfl.sync.down.b32 %r1, %r50, 2, 0x181f, -1; st.global.u32 [%d1+256], %r1;
    shfl.sync.idx.b32 %r1, %r50, 3, 31, -1; st.global.u32 [%d1+384], %r1;
    setp.lt.u32 %p2, %r50, 5; vote.sync.ballot.b32 %r1, %p2, -1; st.global.u32 [%d1+512], %r1;
    redux.sync.add.s32 %r1, %r50, -1; st.global.u32 [%d1+640], %r1;
    shr.u32 %r2, %r50, 4; match.any.sync.b32 %r1, %r2, -1; st.global.u32 [%d1+768], %r1;
    elect.sync _|%p3, -1; selp.u32 %r1, 1, 0, %p3; st.global.u32 [%d1+896], %r1;)"),
            "");
  const auto found = runner.read<uint32_t>(out, 256);
  for (uint32_t i = 0; i < 32; ++i) {
    EXPECT_EQ(found[i], i ^ 1);
    EXPECT_EQ(found[32 + i], i < 4 ? 99 : i - 4);
    EXPECT_EQ(found[64 + i], i % 8 < 6 ? i + 2 : i); // segments of 8
    EXPECT_EQ(found[96 + i], 3u);
    EXPECT_EQ(found[128 + i], 31u);
    EXPECT_EQ(found[160 + i], 496u);
    EXPECT_EQ(found[192 + i], i < 16 ? 0xffffu : 0xffff0000u);
    EXPECT_EQ(found[224 + i], i == 0 ? 1u : 0u);
  }
}

TEST(EmulatorControl, ABlockSumsThroughSharedMemory) {
  PtxRunner runner;
  runner.block = {16, 8, 1};
  runner.grid = {3, 1, 1};
  const uint64_t out = runner.buffer(std::vector<uint32_t>(3));
  ASSERT_EQ(runner.runBody(R"(
    .shared .align 4 .b8 sums[512];
    mov.u32 %r1, %tid.y; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r1, %r1, %r2, %r3;
    mov.u32 %r4, sums; shl.b32 %r5, %r1, 2; add.u32 %r5, %r5, %r4;
    st.shared.u32 [%r5], %r1;
    bar.sync 0;
    mov.u32 %r6, 64;
    loop: setp.ge.u32 %p1, %r1, %r6; @%p1 bra skip;
    shl.b32 %r7, %r6, 2; add.u32 %r7, %r7, %r5; ld.shared.u32 %r8, [%r7]; ld.shared.u32 %r9, [%r5]; add.u32 %r9, %r9, %r8; st.shared.u32 [%r5], %r9;
    skip: bar.sync 0;
    shr.u32 %r6, %r6, 1; setp.ne.u32 %p2, %r6, 0; @%p2 bra loop;
    setp.ne.u32 %p3, %r1, 0; @%p3 bra done;
    ld.shared.u32 %r9, [sums]; ld.param.u64 %d1, [p0]; mov.u32 %r10, %ctaid.x; mul.wide.u32 %d2, %r10, 4; add.s64 %d1, %d1, %d2;
    st.global.u32 [%d1], %r9;
    done:)"),
            "");
  for (const uint32_t sum : runner.read<uint32_t>(out, 3))
    EXPECT_EQ(sum, 127u * 64);
}

TEST(EmulatorControl, NamedBarriersPassDataFromProducersToConsumers) {
  PtxRunner runner;
  runner.block = {64, 1, 1};
  runner.options.races = true;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(R"(
    .shared .align 4 .b8 box[128];
    mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 31; shl.b32 %r2, %r2, 2; mov.u32 %r3, box; add.u32 %r3, %r3, %r2;
    setp.lt.u32 %p1, %r1, 32; @%p1 bra consume;
    st.shared.u32 [%r3], %r1; bar.arrive 1, 64; ret;
    consume: bar.sync 1, 64; ld.shared.u32 %r4, [%r3];
    ld.param.u64 %d1, [p0]; cvt.u64.u32 %d2, %r2; add.s64 %d1, %d1, %d2; st.global.u32 [%d1], %r4;)"),
            "");
  EXPECT_TRUE(runner.hazards.empty()) << runner.hazards.front();
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(runner.read<uint32_t>(out, 32)[i], i + 32);
}

TEST(EmulatorControl, CallsShareRegistersWithEachOtherButNotWithTheirCallers) {
  // The loop's own registers are first named behind calls, and live on through those of its next turn.
  constexpr const char *functions = R"(
.func (.param .b32 r) twice(.param .b32 x) {
  .reg .b32 %r<4>; .reg .pred %p<3>;
  ld.param.u32 %r1, [x]; setp.gt.u32 %p1, %r1, 7; add.u32 %r2, %r1, %r1; selp.u32 %r3, %r2, 1, %p1; st.param.b32 [r], %r3; ret; }
.func (.param .b32 r) plusTwice(.param .b32 x) {
  .reg .b32 %r<8>;
  ld.param.u32 %r1, [x];
  { .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; call.uni (b), twice, (a); ld.param.b32 %r2, [b]; }
  add.u32 %r3, %r1, %r2;
  { .param .b32 a; .param .b32 b; st.param.b32 [a], %r3; call.uni (b), twice, (a); ld.param.b32 %r4, [b]; }
  add.u32 %r5, %r3, %r4; st.param.b32 [r], %r5; ret; }
)";
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    mov.u32 %r1, 0; mov.u32 %r2, %r50; mov.u32 %r9, 0;
    again:
    { .param .b32 a; .param .b32 b; st.param.b32 [a], %r2; call.uni (b), twice, (a); ld.param.b32 %r3, [b]; }
    { .param .b32 a; .param .b32 b; st.param.b32 [a], %r3; call.uni (b), plusTwice, (a); ld.param.b32 %r4, [b]; }
    setp.eq.u32 %p4, %r1, 0; @%p4 mov.u32 %r5, %r4; add.u32 %r9, %r9, %r5; add.u32 %r2, %r2, 1;
    add.u32 %r1, %r1, 1; setp.lt.u32 %p5, %r1, 3; @%p5 bra again;
    st.global.u32 [%d1], %r9;)",
                           "", functions),
            "");
  const auto twice = [](uint32_t x) { return x > 7 ? 2 * x : 1; };
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t x = twice(i), y = x + twice(x), first = y + twice(y);
    EXPECT_EQ(runner.read<uint32_t>(out, 32)[i], 3 * first) << i; // what the first turn found, thrice
  }
}

TEST(EmulatorControl, ABarrierReducesPredicates) {
  PtxRunner runner;
  runner.block = {96, 1, 1};
  const uint64_t out = runner.buffer(std::vector<uint32_t>(96));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    setp.lt.u32 %p1, %r50, 40;
    bar.red.popc.u32 %r1, 0, %p1;
    bar.red.or.pred %p2, 0, %p1; bar.red.and.pred %p3, 0, !%p1;
    selp.u32 %r2, 1000, 0, %p2; add.u32 %r1, %r1, %r2; selp.u32 %r2, 5000, 0, %p3; add.u32 %r1, %r1, %r2;
    st.global.u32 [%d1], %r1;)"),
            "");
  for (const uint32_t each : runner.read<uint32_t>(out, 96))
    EXPECT_EQ(each, 1040u);
}

TEST(EmulatorControl, DeadlocksAreExplained) {
  PtxRunner runner;
  runner.block = {64, 1, 1};
  const std::string error = runner.runBody(R"(
    mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 32; @%p1 bra other;
    bar.sync 1, 64; ret;
    other: bar.sync 2, 64;)");
  EXPECT_TRUE(contains(error, "kernel 'k': deadlock: every warp waits")) << error;
  EXPECT_TRUE(contains(error, "block (0,0,0), warp 0, lanes 0xffffffff, line 16: waits at barrier 2, where "
                              "32 of 64 threads have arrived"))
      << error;
  EXPECT_TRUE(contains(error, "warp 1")) << error;
}

TEST(EmulatorControl, AnMbarrierThatNobodyCompletesIsADeadlock) {
  PtxRunner runner;
  const std::string error = runner.runBody(R"(
    .shared .align 8 .b8 bar[8];
    mov.u32 %r1, bar; mov.u32 %r2, %tid.x; setp.ne.u32 %p1, %r2, 0;
    @!%p1 mbarrier.init.shared.b64 [%r1], 2;
    bar.sync 0;
    @!%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 64;
    wait: mbarrier.try_wait.parity.shared.b64 %p2, [%r1], 0; @!%p2 bra wait;)");
  EXPECT_TRUE(contains(
      error, "the phase of parity 0 of the mbarrier at 0x400: 1 of 2 arrivals and 64 bytes are missing"))
      << error;
}

TEST(EmulatorControl, BlocksThatWaitForEachOtherBothRun) {
  for (const unsigned threads : {1u, 2u}) {
    PtxRunner runner;
    runner.grid = {4, 1, 1};
    runner.options.threads = threads;
    const uint64_t count = runner.buffer(std::vector<uint32_t>(1));
    ASSERT_EQ(runner.runBody(R"(
      ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; setp.ne.u32 %p1, %r1, 0; @%p1 bra done;
      atom.add.release.gpu.global.u32 %r2, [%d1], 1;
      spin: ld.acquire.gpu.global.u32 %r3, [%d1]; setp.lt.u32 %p2, %r3, 4; @%p2 bra spin;
      done:)"),
              "");
    EXPECT_EQ(runner.read<uint32_t>(count, 1)[0], 4u);
  }
}

TEST(EmulatorControl, AtomicsOfAllKinds) {
  PtxRunner runner;
  runner.block = {64, 1, 1};
  runner.grid = {2, 1, 1};
  runner.options.threads = 2;
  const uint64_t ints = runner.buffer(std::vector<uint32_t>{0, 1000, 0, 0, 0, 0});
  const uint64_t floats = runner.buffer(std::vector<float>(4));
  ASSERT_EQ(runner.runBody(R"(
    ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; mov.u32 %r1, %tid.x;
    red.global.add.u32 [%d1], %r1;
    atom.global.min.u32 %r2, [%d1+4], %r1;
    atom.global.max.s32 %r2, [%d1+8], %r1;
    atom.global.inc.u32 %r2, [%d1+12], 9;
    red.global.or.b32 [%d1+16], %r1;
    red.global.add.f32 [%d2], 0f3F000000;
    mov.b32 %r3, 0x3f803f80; red.global.add.noftz.bf16x2 [%d2+4], %r3;)"),
            "");
  const auto found = runner.read<uint32_t>(ints, 6);
  EXPECT_EQ(found[0], 2u * 63 * 32);
  EXPECT_EQ(found[1], 0u);
  EXPECT_EQ(found[2], 63u);
  EXPECT_EQ(found[3], 128u % 10);
  EXPECT_EQ(found[4], 63u);
  EXPECT_EQ(runner.read<float>(floats, 1)[0], 64.0f);
  EXPECT_EQ(runner.read<uint32_t>(floats, 2)[1], 0x43004300u); // 128 and 128
}

TEST(EmulatorControl, LaunchesThatCannotRunSayWhy) {
  PtxRunner runner;
  runner.block = {2048, 1, 1};
  EXPECT_EQ(runner.runBody(""), "block (2048,1,1): expected 1 to 1024 threads along axis 0");
  runner.block = {64, 1, 1};
  EXPECT_EQ(runner.runBody("", ".reqntid 128, 1, 1"),
            "kernel 'k' requires blocks of (128,1,1) threads, found (64,1,1)");
  runner.grid = {3, 1, 1}, runner.cluster = {2, 1, 1};
  EXPECT_EQ(runner.runBody(""), "grid (3,1,1): expected a multiple of the cluster (2,1,1)");
  runner.grid = {2, 1, 1}, runner.shared = 1 << 20;
  EXPECT_EQ(runner.runBody(""), "kernel 'k' needs 1048576 bytes of shared memory; a block has 232448");
}

TEST(EmulatorControl, MemoryFaultsNameTheThreadAndTheAllocation) {
  PtxRunner runner;
  runner.buffer(std::vector<uint32_t>(16), "weights");
  EXPECT_TRUE(
      contains(runner.runBody(threadPointers(1) + "ld.global.u32 %r1, [%d1];"),
               "kernel 'k', line 18: block (0,0,0), thread (16,0,0) reads 4 bytes of global memory at 0x"));
  EXPECT_TRUE(contains(runner.runBody(threadPointers(1) + "ld.global.u32 %r1, [%d1];"),
                       "0 bytes past the end of 'weights' (64 bytes)"));
  EXPECT_TRUE(contains(runner.runBody("ld.param.u64 %d1, [p0]; ld.global.u32 %r1, [%d1+2];"),
                       "which is misaligned: expected a multiple of 4"));
  EXPECT_TRUE(contains(runner.runBody("mov.u64 %d1, 0; st.global.u32 [%d1], 1;"), "a null pointer"));
  EXPECT_TRUE(contains(runner.runBody(".shared .b32 x; mov.u32 %r1, x; st.shared.u32 [%r1+4], 1;"),
                       "4 bytes of shared memory at 0x404: 0 bytes past the end of shared memory (4 bytes)"));
  EXPECT_TRUE(contains(runner.runBody("trap;"), "line 13: the kernel executed trap"));
}

TEST(EmulatorControl, CountersAreExact) {
  PtxRunner runner;
  runner.buffer(std::vector<uint32_t>(32 * 32));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    .shared .align 4 .b8 s[4096];
    ld.global.u32 %r1, [%d1];
    mul.wide.u32 %d2, %r50, 124; add.s64 %d2, %d1, %d2; ld.global.u32 %r2, [%d2];
    mov.u32 %r3, s; shl.b32 %r4, %r50, 2; add.u32 %r5, %r3, %r4; st.shared.u32 [%r5], %r1;
    shl.b32 %r4, %r50, 7; add.u32 %r5, %r3, %r4; st.shared.u32 [%r5], %r1;
    st.global.u32 [%d1], %r2;)"),
            "");
  const KernelCounters &c = runner.counters;
  EXPECT_EQ(c.globalLoadRequests, 2u);
  EXPECT_EQ(c.globalLoadSectors, 4u + 32u);
  EXPECT_EQ(c.globalLoadBytes, 256u);
  EXPECT_EQ(c.globalStoreSectors, 4u);
  EXPECT_EQ(c.sharedStoreRequests, 2u);
  EXPECT_EQ(c.sharedStoreWavefronts, 33u);
  EXPECT_EQ(c.sharedConflicts, 31u);
}

} // namespace
} // namespace sinter::emulator
