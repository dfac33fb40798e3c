// SPDX-License-Identifier: Apache-2.0
// Instructions that few kernels have: wmma, mma with saturation, 128-bit registers, reductions into shared
// memory of another block, tensor maps that kernels make, malloc. Each in PTX, against plain C++.
#include "runtime/device/emulator/Floats.h"
#include "test/runtime/device/emulator/PtxRunner.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace sinter::emulator {
namespace {

std::vector<int> smallNumbers(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int> values(count);
  for (int &each : values)
    each = static_cast<int>(random() % 9) - 4;
  return values;
}

std::string listed(const PtxRunner &runner) {
  std::string text;
  for (const std::string &each : runner.hazards)
    text += each + "\n";
  return text;
}

std::string registers(const std::string &prefix, int count, int from) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += (i ? ", " : "") + prefix + std::to_string(from + i);
  return text + "}";
}

struct WmmaCase {
  const char *type, *shape;
  int m, n, k, bits, registersA, registersB;
  bool integer;
  uint64_t (*encode)(int);
};

/// `bits` bits of element `index` in bytes.
void put(std::vector<uint8_t> &bytes, size_t index, int bits, uint64_t value) {
  for (int i = 0; i < bits; ++i) {
    const size_t at = index * static_cast<size_t>(bits) + static_cast<size_t>(i);
    bytes[at / 8] = static_cast<uint8_t>((bytes[at / 8] & ~(1u << at % 8)) | (value >> i & 1) << at % 8);
  }
}

TEST(EmulatorWmma, MultipliesMatricesOfEveryTypeShapeAndLayout) {
  const auto half = [](int v) -> uint64_t { return floatToHalf(v); };
  const auto bfloat = [](int v) -> uint64_t { return floatToBfloat(v); };
  const auto single = [](int v) -> uint64_t { return std::bit_cast<uint32_t>(float(v)); };
  const auto byte = [](int v) -> uint64_t { return uint8_t(v); };
  const auto nibble = [](int v) -> uint64_t { return uint64_t(v) & 15; };
  const WmmaCase cases[] = {
      {"f16", "m16n16k16", 16, 16, 16, 16, 8, 8, false, half},
      {"f16", "m32n8k16", 32, 8, 16, 16, 8, 8, false, half},
      {"f16", "m8n32k16", 8, 32, 16, 16, 8, 8, false, half},
      {"bf16", "m16n16k16", 16, 16, 16, 16, 4, 4, false, bfloat},
      {"bf16", "m32n8k16", 32, 8, 16, 16, 8, 2, false, bfloat},
      {"tf32", "m16n16k8", 16, 16, 8, 32, 4, 4, false, single},
      {"s8", "m16n16k16", 16, 16, 16, 8, 2, 2, true, byte},
      {"u8", "m8n32k16", 8, 32, 16, 8, 1, 4, true, byte},
      {"s4", "m8n8k32", 8, 8, 32, 4, 1, 1, true, nibble},
  };
  for (const WmmaCase &each : cases)
    for (const bool rowA : {true, false})
      for (const bool rowB : {true, false}) {
        if (each.bits == 4 && (!rowA || rowB)) // the only layouts of parts of bytes
          continue;
        const std::vector<int> a = smallNumbers(size_t(each.m * each.k), 1),
                               b = smallNumbers(size_t(each.k * each.n), 2),
                               c = smallNumbers(size_t(each.m * each.n), 3);
        const bool isUnsigned = each.type[0] == 'u';
        std::vector<uint8_t> bytesA(size_t(each.m * each.k * each.bits / 8)),
            bytesB(size_t(each.k * each.n * each.bits / 8));
        for (int row = 0; row < each.m; ++row)
          for (int k = 0; k < each.k; ++k)
            put(bytesA, size_t(rowA ? row * each.k + k : k * each.m + row), each.bits,
                each.encode(a[size_t(row * each.k + k)]));
        for (int k = 0; k < each.k; ++k)
          for (int column = 0; column < each.n; ++column)
            put(bytesB, size_t(rowB ? k * each.n + column : column * each.k + k), each.bits,
                each.encode(b[size_t(k * each.n + column)]));
        std::vector<uint32_t> start(size_t(each.m * each.n)), zeros(start.size());
        for (size_t i = 0; i < start.size(); ++i)
          start[i] = each.integer ? uint32_t(c[i]) : std::bit_cast<uint32_t>(float(c[i]));
        PtxRunner runner;
        runner.buffer(bytesA), runner.buffer(bytesB), runner.buffer(start);
        const uint64_t out = runner.buffer(zeros);
        const std::string shape = each.shape, type = each.type, la = rowA ? "row" : "col",
                          lb = rowB ? "row" : "col", sum = each.integer ? "s32" : "f32";
        const int results = each.m * each.n / 32;
        const std::string ra = registers("%r", each.registersA, 0), rb = registers("%r", each.registersB, 8),
                          rc = registers("%r", results, 16), rd = registers("%r", results, 24);
        const std::string types =
            type == "f16" ? ".f32.f32" : "." + sum + "." + type + "." + type + "." + sum;
        const auto text = [&](int value) { return std::to_string(value); };
        ASSERT_EQ(runner.runBody(
                      "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; ld.param.u64 %d3, [p2]; ld.param.u64 "
                      "%d4, [p3];\n"
                      "mov.u32 %r40, " +
                      text(rowA ? each.k : each.m) + "; mov.u32 %r41, " + text(rowB ? each.n : each.k) +
                      ";\n"
                      "wmma.load.a.sync.aligned." +
                      la + "." + shape + ".global." + type + " " + ra +
                      ", [%d1], %r40;\n"
                      "wmma.load.b.sync.aligned." +
                      lb + "." + shape + ".global." + type + " " + rb +
                      ", [%d2], %r41;\n"
                      "wmma.load.c.sync.aligned.row." +
                      shape + ".global." + sum + " " + rc + ", [%d3], " + text(each.n) +
                      ";\n"
                      "wmma.mma.sync.aligned." +
                      la + "." + lb + "." + shape + types + " " + rd + ", " + ra + ", " + rb + ", " + rc +
                      ";\n"
                      "wmma.store.d.sync.aligned.row." +
                      shape + ".global." + sum + " [%d4], " + rd + ", " + text(each.n) + ";\n"),
                  "")
            << type << " " << shape;
        const std::vector<uint32_t> found = runner.read<uint32_t>(out, zeros.size());
        for (int row = 0; row < each.m; ++row)
          for (int column = 0; column < each.n; ++column) {
            int expected = c[size_t(row * each.n + column)];
            for (int k = 0; k < each.k; ++k) {
              const int x = a[size_t(row * each.k + k)], y = b[size_t(k * each.n + column)];
              expected += isUnsigned ? (x & 255) * (y & 255) : x * y;
            }
            const uint32_t bits = found[size_t(row * each.n + column)];
            ASSERT_EQ(each.integer ? float(int32_t(bits)) : std::bit_cast<float>(bits), float(expected))
                << type << " " << shape << " row " << row << " column " << column;
          }
      }
}

TEST(EmulatorWmma, TooFewRegistersAreAnError) {
  PtxRunner runner;
  runner.buffer(std::vector<uint32_t>(256));
  const std::string found = runner.runBody(
      "ld.param.u64 %d1, [p0];\nwmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r0, %r1}, [%d1];");
  EXPECT_NE(found.find("expected registers for 8 elements of type .f16, found 2"), std::string::npos)
      << found;
}

TEST(EmulatorRare, MmaOfIntegersSaturates) {
  // Every sum is 127 * 127 * 32 and more than what is left below the greatest number.
  for (const bool saturates : {true, false}) {
    PtxRunner runner;
    const uint64_t out = runner.buffer(std::vector<int32_t>(32));
    ASSERT_EQ(
        runner.runBody(
            threadPointers(1) +
            "mov.b32 %r1, 0x7f7f7f7f; mov.b32 %r2, 0x7fffffff;\n"
            "mma.sync.aligned.m16n8k32.row.col" +
            (saturates ? ".satfinite" : "") +
            ".s32.s8.s8.s32 {%r3, %r4, %r5, %r6}, {%r1, %r1, %r1, %r1}, {%r1, %r1}, {%r2, %r2, %r2, %r2};\n"
            "st.global.u32 [%d1], %r3;"),
        "");
    EXPECT_EQ(runner.read<int32_t>(out, 32)[5],
              saturates ? INT32_MAX : int32_t(0x7fffffffu + 127u * 127 * 32));
  }
}

TEST(EmulatorRare, RegistersOf128BitsAreLoadedStoredSplitAndExchanged) {
  PtxRunner runner;
  std::vector<uint64_t> from(64);
  std::iota(from.begin(), from.end(), 100);
  runner.buffer(from);
  const uint64_t to = runner.buffer(std::vector<uint64_t>(64)),
                 swapped = runner.buffer(std::vector<uint64_t>{1, 2, 0, 0, 5, 6});
  ASSERT_EQ(runner.runBody(R"(
    .reg .b128 %q<6>; mov.u32 %r1, %tid.x; ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; ld.param.u64 %d3, [p2];
    mad.wide.u32 %d1, %r1, 16, %d1; mad.wide.u32 %d2, %r1, 16, %d2;
    ld.global.b128 %q0, [%d1]; mov.b128 {%d4, %d5}, %q0; mov.b128 %q1, {%d5, %d4}; st.global.b128 [%d2], %q1;
    setp.ne.u32 %p1, %r1, 0; @%p1 ret;
    mov.u64 %d6, 1; mov.u64 %d7, 2; mov.u64 %d8, 9; mov.b128 %q2, {%d6, %d7}; mov.b128 %q3, {%d8, %d8};
    atom.global.cas.b128 %q4, [%d3], %q2, %q3;
    atom.global.cas.b128 %q4, [%d3], %q2, %q2; mov.b128 {%d9, %d10}, %q4; st.global.v2.u64 [%d3+16], {%d9, %d10};
    atom.global.exch.b128 %q5, [%d3+32], %q4;)"),
            "");
  const auto found = runner.read<uint64_t>(to, 64);
  for (size_t i = 0; i < 64; ++i)
    EXPECT_EQ(found[i], 100 + (i ^ 1));
  EXPECT_EQ(runner.read<uint64_t>(swapped, 6), (std::vector<uint64_t>{9, 9, 9, 9, 9, 9}));
}

class EmulatorRareAsync : public testing::TestWithParam<Schedule> {};

TEST_P(EmulatorRareAsync, BulkAndSingleReductionsReachAnotherBlock) {
  PtxRunner runner;
  runner.options.schedule = GetParam();
  runner.options.races = true;
  runner.grid = runner.cluster = {2, 1, 1};
  const uint64_t out = runner.buffer(std::vector<uint32_t>(64));
  ASSERT_EQ(runner.runBody(R"(
    .shared .align 16 .b8 sums[128]; .shared .align 16 .b8 mine[128]; .shared .align 8 .b8 bar[8];
    mov.u32 %r1, bar; mov.u32 %r2, sums; mov.u32 %r3, %tid.x; mov.u32 %r4, mine; mov.u32 %r5, %cluster_ctarank;
    setp.eq.u32 %p1, %r3, 0; shl.b32 %r6, %r3, 2; add.u32 %r7, %r2, %r6; add.u32 %r8, %r4, %r6;
    mov.u32 %r9, 7; st.shared.u32 [%r7], %r9; mad.lo.u32 %r10, %r5, 1000, %r3; st.shared.u32 [%r8], %r10;
    @%p1 mbarrier.init.shared.b64 [%r1], 1; fence.proxy.async.shared::cta;
    @%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 256;
    barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;
    xor.b32 %r11, %r5, 1; mapa.shared::cluster.u32 %r12, %r2, %r11; mapa.shared::cluster.u32 %r13, %r1, %r11;
    @%p1 cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 [%r12], [%r4], 128, [%r13];
    add.u32 %r14, %r12, %r6;
    red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r14], 50, [%r13];
    wait: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p2, [%r1], 0; @!%p2 bra wait;
    ld.shared.u32 %r15, [%r7]; ld.param.u64 %d1, [p0]; mad.lo.u32 %r16, %r5, 32, %r3;
    mul.wide.u32 %d2, %r16, 4; add.s64 %d1, %d1, %d2; st.global.u32 [%d1], %r15;
    barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;)"),
            "");
  EXPECT_TRUE(runner.hazards.empty()) << listed(runner);
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(runner.read<uint32_t>(out, 64)[i], 7 + 50 + (i / 32 ^ 1) * 1000 + i % 32);
}
INSTANTIATE_TEST_SUITE_P(Schedules, EmulatorRareAsync, testing::Values(Schedule::earliest, Schedule::latest),
                         [](const auto &info) {
                           return info.param == Schedule::earliest ? "earliest" : "latest";
                         });

/// A kernel that fills a tensor map of 32 x 64 numbers of 32 bits, boxes of 8 x 8, and loads the box at (8,
/// 5) with it.
std::string makesMap(const std::string &elementStride) {
  std::string fields;
  for (const char *each :
       {"global_address.shared::cta.b1024.b64 [%r4], %d1", "rank.shared::cta.b1024.b32 [%r4], 1",
        "box_dim.shared::cta.b1024.b32 [%r4], 0, %r10", "box_dim.shared::cta.b1024.b32 [%r4], 1, %r10",
        "global_dim.shared::cta.b1024.b32 [%r4], 0, %r11", "global_dim.shared::cta.b1024.b32 [%r4], 1, %r12",
        "global_stride.shared::cta.b1024.b64 [%r4], 0, %d4",
        "element_stride.shared::cta.b1024.b32 [%r4], 0, %r13", "elemtype.shared::cta.b1024.b32 [%r4], 2",
        "swizzle_mode.shared::cta.b1024.b32 [%r4], 0"})
    fields += "@%p1 tensormap.replace.tile." + std::string(each) + ";\n";
  return R"(
    .shared .align 128 .b8 tile[256]; .shared .align 128 .b8 map[128]; .shared .align 8 .b8 bar[8];
    mov.u32 %r1, bar; mov.u32 %r2, tile; mov.u32 %r3, %tid.x; mov.u32 %r4, map; setp.eq.u32 %p1, %r3, 0;
    ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; ld.param.u64 %d3, [p2]; mov.u64 %d4, 128; mov.u32 %r10, 8; mov.u32 %r11, 32;
    mov.u32 %r12, 64; mov.u32 %r13, 1; shl.b32 %r5, %r3, 2; add.u32 %r6, %r4, %r5; mov.u32 %r7, 0; st.shared.u32 [%r6], %r7;
    @%p1 mbarrier.init.shared.b64 [%r1], 1; bar.sync 0;
)" + fields +
         elementStride + R"(
    bar.warp.sync -1;
    tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%d3], [%r4], 128;
    fence.proxy.tensormap::generic.acquire.gpu [%d3], 128; prefetch.tensormap [%d3];
    @%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 256; mov.u32 %r8, 8; mov.u32 %r9, 5;
    @%p1 cp.async.bulk.tensor.2d.shared::cta.global.mbarrier::complete_tx::bytes [%r2], [%d3, {%r8, %r9}], [%r1];
    wait: mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r1], 0; @!%p2 bra wait;
    mad.lo.u32 %r14, %r3, 8, %r2; ld.shared.v2.u32 {%r15, %r16}, [%r14]; mad.wide.u32 %d2, %r3, 8, %d2;
    st.global.v2.u32 [%d2], {%r15, %r16};)";
}

TEST(EmulatorRare, KernelsMakeTensorMaps) {
  PtxRunner runner;
  std::vector<uint32_t> tensor(32 * 64);
  std::iota(tensor.begin(), tensor.end(), 0);
  runner.buffer(tensor, "tensor");
  const uint64_t out = runner.buffer(std::vector<uint32_t>(64), "out");
  runner.buffer(std::vector<uint32_t>(32), "map");
  ASSERT_EQ(runner.runBody(
                makesMap("@%p1 tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [%r4], 1, %r13;")),
            "");
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(runner.read<uint32_t>(out, 64)[i], (5 + i / 8) * 32 + 8 + i % 8);
}

TEST(EmulatorRare, AMapWithoutAllItsFieldsIsAnErrorWhenItIsUsed) {
  PtxRunner runner;
  runner.buffer(std::vector<uint32_t>(32 * 64), "tensor");
  runner.buffer(std::vector<uint32_t>(64), "out");
  runner.buffer(std::vector<uint32_t>(32), "map");
  const std::string found = runner.runBody(makesMap(""));
  EXPECT_NE(found.find("tensor map: expected element strides from 1 to 8, found 0 in dimension 1"),
            std::string::npos)
      << found;
}

TEST(EmulatorRare, AddressesOfParametersFitInto32Bits) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  runner.arguments.push_back(0x1122334455667788);
  ASSERT_EQ(runner.runBody(threadPointers(1) + "mov.b32 %r1, p1; cvt.u64.u32 %d2, %r1; cvta.param.u64 %d2, "
                                               "%d2; ld.u32 %r2, [%d2+4]; st.global.u32 [%d1], %r2;"),
            "");
  EXPECT_EQ(runner.read<uint32_t>(out, 32)[7], 0x11223344u);
}

TEST(EmulatorRare, MallocGivesMemoryThatFreeTakes) {
  const std::string declared = ".extern .func (.param .b64 result) malloc(.param .b64 bytes);\n.extern .func "
                               "free(.param .b64 address);\n";
  const auto body = [](const std::string &freed) {
    return threadPointers(1) + R"(
    { .param .b64 a; .param .b64 b; st.param.b64 [a], 64; call.uni (b), malloc, (a); ld.param.b64 %d3, [b]; }
    st.u32 [%d3+60], %r50; ld.u32 %r1, [%d3+60]; st.global.u32 [%d1], %r1;
    { .param .b64 a; st.param.b64 [a], )" +
           freed + "; call.uni free, (a); }";
  };
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(body("%d3"), "", declared), "");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(runner.read<uint32_t>(out, 32)[i], i);
  PtxRunner wrong;
  wrong.buffer(std::vector<uint32_t>(32));
  const std::string found = wrong.runBody(body("4096"), "", declared);
  EXPECT_NE(found.find("free: expected what malloc gave, found 0x1000"), std::string::npos) << found;
}

} // namespace
} // namespace sinter::emulator
