// SPDX-License-Identifier: Apache-2.0
// ldmatrix, stmatrix, mma.sync and wgmma against plain products. The layouts are written down here once more,
// from the PTX ISA: fragments from 9.7.14.5 and 9.7.15.5.2, canonical layouts of shared memory
// from 9.7.15.5.1.
#include "runtime/device/emulator/Floats.h"
#include "test/runtime/device/emulator/PtxRunner.h"

#include <cmath>
#include <random>

namespace sinter::emulator {
namespace {

struct ElementKind {
  const char *name;
  int bytes;
  bool integer;
  uint32_t (*encode)(int); // a small whole number
};
constexpr ElementKind bf16{"bf16", 2, false, [](int v) { return uint32_t(floatToBfloat(v)); }};
constexpr ElementKind f16{"f16", 2, false, [](int v) { return uint32_t(floatToHalf(v)); }};
constexpr ElementKind tf32{"tf32", 4, false, [](int v) { return std::bit_cast<uint32_t>(float(v)); }};
constexpr ElementKind e4m3{"e4m3", 1, false, [](int v) { return uint32_t(floatToE4m3(v)); }};
constexpr ElementKind e5m2{"e5m2", 1, false, [](int v) { return uint32_t(floatToE5m2(v)); }};
constexpr ElementKind s8{"s8", 1, true, [](int v) { return uint32_t(uint8_t(v)); }};

/// Whole numbers from -4 to 4: every format holds them and all sums exactly, so results must be equal.
std::vector<int> smallNumbers(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int> values(count);
  for (int &each : values)
    each = static_cast<int>(random() % 9) - 4;
  return values;
}

std::string registers(const char *prefix, int count, int from = 0) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += (i ? ", " : "") + std::string(prefix) + std::to_string(from + i);
  return text + "}";
}

/// `unsignedB`: the bytes of B are u8, from 0 to 255.
void checkMma(const ElementKind &type, int m, int k, bool halfResult = false, bool unsignedB = false) {
  const int per = 4 / type.bytes, registersB = k / (4 * per), registersA = registersB * m / 8,
            results = m * 8 / 32 / (halfResult ? 2 : 1);
  const std::vector<int> a = smallNumbers(static_cast<size_t>(m * k), 1),
                         c = smallNumbers(static_cast<size_t>(m * 8), 3);
  std::vector<int> b = smallNumbers(static_cast<size_t>(k * 8), 2);
  if (unsignedB)
    for (int &each : b)
      each &= 0xff;
  std::vector<uint32_t> fragments(static_cast<size_t>(32 * (registersA + registersB + results)));
  const auto pack = [&](int at, int lane, int e, int bits, uint32_t value) {
    fragments[static_cast<size_t>(at * 32 + lane)] |= value << e * bits;
  };
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int r = 0; r < registersA; ++r)
      for (int e = 0; e < per; ++e)
        pack(r, lane, e, 8 * type.bytes,
             type.encode(a[static_cast<size_t>((g + (m == 16 ? 8 * (r % 2) : 0)) * k + t * per + e +
                                               4 * per * (m == 16 ? r / 2 : r))]));
    for (int r = 0; r < registersB; ++r)
      for (int e = 0; e < per; ++e)
        pack(registersA + r, lane, e, 8 * type.bytes,
             type.encode(b[static_cast<size_t>((t * per + e + 4 * per * r) * 8 + g)]));
    for (int i = 0; i < m * 8 / 32; ++i) {
      const int value = c[static_cast<size_t>((g + 8 * (i / 2)) * 8 + 2 * t + i % 2)];
      if (halfResult)
        pack(registersA + registersB + i / 2, lane, i % 2, 16, floatToHalf(value));
      else
        pack(registersA + registersB + i, lane, 0, 32,
             type.integer ? uint32_t(value) : std::bit_cast<uint32_t>(float(value)));
    }
  }
  PtxRunner runner;
  runner.buffer(fragments);
  const uint64_t out = runner.buffer(std::vector<uint32_t>(static_cast<size_t>(32 * results)));
  std::string body = threadPointers(2);
  for (int r = 0; r < registersA + registersB + results; ++r)
    body += "ld.global.b32 %r" + std::to_string(r) + ", [%d1+" + std::to_string(128 * r) + "];\n";
  const std::string accumulator = halfResult ? "f16" : type.integer ? "s32" : "f32";
  const std::string instruction = "mma.sync.aligned.m" + std::to_string(m) + "n8k" + std::to_string(k) +
                                  ".row.col." + accumulator + "." + type.name + "." +
                                  (unsignedB ? "u8" : type.name) + "." + accumulator;
  body += instruction + " " + registers("%r", results, 40) + ", " + registers("%r", registersA) + ", " +
          registers("%r", registersB, registersA) + ", " + registers("%r", results, registersA + registersB) +
          ";\n";
  for (int r = 0; r < results; ++r)
    body += "st.global.b32 [%d2+" + std::to_string(128 * r) + "], %r" + std::to_string(40 + r) + ";\n";
  ASSERT_EQ(runner.runBody(body), "") << instruction;
  const auto found = runner.read<uint32_t>(out, static_cast<size_t>(32 * results));
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < m * 8 / 32; ++i) {
      const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
      int sum = c[static_cast<size_t>(row * 8 + column)];
      for (int x = 0; x < k; ++x)
        sum += a[static_cast<size_t>(row * k + x)] * b[static_cast<size_t>(x * 8 + column)];
      const uint32_t bits = found[static_cast<size_t>((halfResult ? i / 2 : i) * 32 + lane)];
      const float value = halfResult     ? halfToFloat(uint16_t(bits >> 16 * (i % 2)))
                          : type.integer ? float(int32_t(bits))
                                         : std::bit_cast<float>(bits);
      ASSERT_EQ(value, float(sum)) << instruction << " row " << row << " column " << column;
    }
  EXPECT_EQ(runner.counters.tensorFlops, 2u * static_cast<unsigned>(m * 8 * k));
}

TEST(EmulatorMatrix, MmaOfAllShapes) {
  checkMma(bf16, 16, 16);
  checkMma(bf16, 16, 8);
  checkMma(f16, 16, 16);
  checkMma(f16, 16, 16, true);
  checkMma(tf32, 16, 8);
  checkMma(tf32, 16, 4);
  checkMma(s8, 16, 32);
  checkMma(s8, 16, 32, false, true);
  checkMma(s8, 16, 16);
  checkMma(s8, 16, 16, false, true);
  checkMma(s8, 8, 16);
  checkMma(e4m3, 16, 32);
  checkMma(e5m2, 16, 32);
}

/// Runs `instruction` on registers of A, B and C in turn, 32 lanes each, and gives those of D.
template <typename T>
std::vector<T> runMma(const std::string &instruction, int registersA, int registersB, int results,
                      const std::vector<T> &fragments) {
  PtxRunner runner;
  runner.buffer(fragments);
  const uint64_t out = runner.buffer(std::vector<T>(static_cast<size_t>(32 * results)));
  const std::string prefix = sizeof(T) == 8 ? "%x" : "%r", type = sizeof(T) == 8 ? ".f64 " : ".b32 ";
  std::string body = ".reg .f64 %x<40>;\n" + threadPointers(2, sizeof(T));
  const int all = registersA + registersB + results;
  for (int r = 0; r < all; ++r)
    body += "ld.global" + type + prefix + std::to_string(r) + ", [%d1+" + std::to_string(32 * sizeof(T) * r) +
            "];\n";
  body += instruction + " " + registers(prefix.c_str(), results, all) + ", " +
          registers(prefix.c_str(), registersA) + ", " + registers(prefix.c_str(), registersB, registersA) +
          ", " + registers(prefix.c_str(), results, registersA + registersB) + ";\n";
  for (int r = 0; r < results; ++r)
    body += "st.global" + type + "[%d2+" + std::to_string(32 * sizeof(T) * r) + "], " + prefix +
            std::to_string(all + r) + ";\n";
  EXPECT_EQ(runner.runBody(body), "") << instruction;
  return runner.read<T>(out, static_cast<size_t>(32 * results));
}

/// PTX ISA 9.7.14.5: "Matrix Fragments for mma.m8n8k4 / m16n8k4 / m16n8k8 / m16n8k16 with .f64".
void checkMmaOfDoubles(int m, int k) {
  const int registersB = k / 4, registersA = registersB * m / 8, results = m / 4;
  const std::vector<int> a = smallNumbers(static_cast<size_t>(m * k), 1),
                         b = smallNumbers(static_cast<size_t>(k * 8), 2),
                         c = smallNumbers(static_cast<size_t>(m * 8), 3);
  std::vector<double> fragments;
  for (int i = 0; i < registersA; ++i)
    for (int lane = 0; lane < 32; ++lane) {
      const int row = lane / 4 + (m == 16 && i % 2 ? 8 : 0),
                column = m == 8 ? lane % 4 : (i % 2 ? 2 * i - 2 : 2 * i) + lane % 4;
      fragments.push_back(a[static_cast<size_t>(row * k + column)] / 3.0);
    }
  for (int i = 0; i < registersB; ++i)
    for (int lane = 0; lane < 32; ++lane)
      fragments.push_back(b[static_cast<size_t>((lane % 4 + 4 * i) * 8 + lane / 4)] / 7.0);
  for (int i = 0; i < results; ++i)
    for (int lane = 0; lane < 32; ++lane)
      fragments.push_back(c[static_cast<size_t>((lane / 4 + (i < 2 ? 0 : 8)) * 8 + lane % 4 * 2 + (i & 1))]);
  const auto found = runMma("mma.sync.aligned.m" + std::to_string(m) + "n8k" + std::to_string(k) +
                                ".row.col.f64.f64.f64.f64",
                            registersA, registersB, results, fragments);
  for (int i = 0; i < results; ++i)
    for (int lane = 0; lane < 32; ++lane) {
      const int row = lane / 4 + (i < 2 ? 0 : 8), column = lane % 4 * 2 + (i & 1);
      double sum = c[static_cast<size_t>(row * 8 + column)];
      for (int x = 0; x < k; ++x)
        sum = std::fma(a[static_cast<size_t>(row * k + x)] / 3.0,
                       b[static_cast<size_t>(x * 8 + column)] / 7.0, sum);
      ASSERT_EQ(found[static_cast<size_t>(i * 32 + lane)], sum)
          << m << " " << k << " row " << row << " column " << column;
    }
}
TEST(EmulatorMatrix, MmaOfDoublesInAllShapes) {
  checkMmaOfDoubles(8, 4);
  for (const int k : {4, 8, 16})
    checkMmaOfDoubles(16, k);
}

/// "Matrix Fragments for mma.m8n8k128 / m16n8k128 / m16n8k256": bit e of register i is one element.
void checkMmaOfBits(int m, int k, bool conjunction) {
  const int registersB = k / 128, registersA = registersB * m / 8, results = m / 4;
  std::mt19937 random(9);
  std::vector<bool> a(static_cast<size_t>(m * k)), b(static_cast<size_t>(k * 8));
  for (auto *each : {&a, &b})
    for (size_t i = 0; i < each->size(); ++i)
      (*each)[i] = random() & 1;
  std::vector<uint32_t> fragments;
  for (int i = 0; i < registersA; ++i)
    for (int lane = 0; lane < 32; ++lane) {
      const int row = lane / 4 + (m == 16 && i % 2 ? 8 : 0), first = lane % 4 * 32 + (i < 2 ? 0 : 128);
      uint32_t bits = 0;
      for (int e = 0; e < 32; ++e)
        bits |= uint32_t(a[static_cast<size_t>(row * k + first + e)]) << e;
      fragments.push_back(bits);
    }
  for (int i = 0; i < registersB; ++i)
    for (int lane = 0; lane < 32; ++lane) {
      uint32_t bits = 0;
      for (int e = 0; e < 32; ++e)
        bits |= uint32_t(b[static_cast<size_t>((lane % 4 * 32 + e + 128 * i) * 8 + lane / 4)]) << e;
      fragments.push_back(bits);
    }
  for (int i = 0; i < results * 32; ++i)
    fragments.push_back(uint32_t(i * 3 - 50));
  const std::string instruction = "mma.sync.aligned.m" + std::to_string(m) + "n8k" + std::to_string(k) +
                                  ".row.col.s32.b1.b1.s32." + (conjunction ? "and" : "xor") + ".popc";
  const auto found = runMma(instruction, registersA, registersB, results, fragments);
  for (int i = 0; i < results; ++i)
    for (int lane = 0; lane < 32; ++lane) {
      const int row = lane / 4 + (i < 2 ? 0 : 8), column = lane % 4 * 2 + (i & 1);
      uint32_t sum = uint32_t((i * 32 + lane) * 3 - 50);
      for (int x = 0; x < k; ++x) {
        const bool left = a[static_cast<size_t>(row * k + x)], right = b[static_cast<size_t>(x * 8 + column)];
        sum += conjunction ? left && right : left != right;
      }
      ASSERT_EQ(found[static_cast<size_t>(i * 32 + lane)], sum)
          << instruction << " row " << row << " column " << column;
    }
}
TEST(EmulatorMatrix, MmaOfBitsInAllShapes) {
  for (const bool conjunction : {false, true}) {
    checkMmaOfBits(8, 128, conjunction);
    checkMmaOfBits(16, 128, conjunction);
    checkMmaOfBits(16, 256, conjunction);
  }
}

TEST(EmulatorMatrix, LdmatrixAndStmatrixRearrangeRows) {
  for (const bool transposed : {false, true}) {
    PtxRunner runner;
    runner.options.races = true;
    std::vector<uint16_t> in(256);
    for (size_t i = 0; i < in.size(); ++i)
      in[i] = static_cast<uint16_t>(i);
    runner.buffer(in);
    const uint64_t out = runner.buffer(std::vector<uint32_t>(128)),
                   back = runner.buffer(std::vector<uint16_t>(256));
    ASSERT_EQ(runner.runBody(threadPointers(2, 16) + R"(
      .shared .align 16 .b8 s[1024];
      mov.u32 %r1, s; shl.b32 %r2, %r50, 4; add.u32 %r1, %r1, %r2;
      ld.global.v4.b32 {%r3, %r4, %r5, %r6}, [%d1]; st.shared.v4.b32 [%r1], {%r3, %r4, %r5, %r6}; bar.warp.sync -1;
      ldmatrix.sync.aligned.m8n8.x4)" +
                             std::string(transposed ? ".trans" : "") +
                             R"(.shared.b16 {%r7, %r8, %r9, %r10}, [%r1];
      st.global.v4.b32 [%d2], {%r7, %r8, %r9, %r10};
      stmatrix.sync.aligned.)" +
                             (transposed ? "m8n8.x4.trans" : "x4.m8n8") +
                             R"(.shared.b16 [%r1+512], {%r7, %r8, %r9, %r10}; bar.warp.sync -1;
      ld.shared.v4.b32 {%r3, %r4, %r5, %r6}, [%r1+512]; ld.param.u64 %d3, [p2]; add.s64 %d3, %d3, %d50; st.global.v4.b32 [%d3], {%r3, %r4, %r5, %r6};)"),
              "");
    EXPECT_TRUE(runner.hazards.empty()) << runner.hazards.front();
    const auto found = runner.read<uint32_t>(out, 128);
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t matrix = 0; matrix < 4; ++matrix)
        for (uint32_t e = 0; e < 2; ++e) {
          const uint32_t row = transposed ? 2 * (lane % 4) + e : lane / 4,
                         column = transposed ? lane / 4 : 2 * (lane % 4) + e;
          EXPECT_EQ(found[lane * 4 + matrix] >> 16 * e & 0xffff, matrix * 64 + row * 8 + column);
        }
    EXPECT_EQ(runner.read<uint16_t>(back, 256), in); // stmatrix undoes ldmatrix
  }
}

struct WgmmaCase {
  ElementKind type;
  int n;
  uint32_t swizzle; // 0 none, 1 128 bytes, 2 64, 3 32: as in the descriptor
  bool transposeA = false, transposeB = false, registersA = false;
};

/// Where element (row, k) of an operand of `rows` rows lies, in the canonical layout with blocks packed one
/// after the other.
uint32_t placeOf(const WgmmaCase &test, bool transposed, int rows, int row, int k, uint32_t &leading,
                 uint32_t &stride) {
  const int bytes = test.type.bytes, span = test.swizzle == 0 ? 16 : 256 >> test.swizzle;
  const int along = (transposed ? row : k) * bytes, across = transposed ? k : row;
  const int kBytes = 32, alongBytes = transposed ? rows * bytes : kBytes;
  uint32_t offset = 0;
  int chunk = along % span / 16;
  const int line = across % 8;
  if (test.swizzle == 0) { // core matrices of 8 x 16 bytes, first along K (K-major) or along M, N
    const int blocksAlong = alongBytes / 16;
    const uint32_t alongStep = 128, acrossStep = static_cast<uint32_t>(128 * blocksAlong);
    leading = transposed ? acrossStep : alongStep, stride = transposed ? alongStep : acrossStep;
    offset = static_cast<uint32_t>(along / 16) * alongStep + static_cast<uint32_t>(across / 8) * acrossStep +
             static_cast<uint32_t>(line * 16);
    return offset + static_cast<uint32_t>(along % 16);
  }
  // Eight lines of a span each; chunks of a line are permuted by the line of 128 bytes they are in.
  const int line128 = line * span / 128;
  if (span == 128)
    chunk ^= line128;
  else if (span == 64)
    chunk ^= line128 & 3;
  else
    chunk ^= line128 & 1;
  const int acrossBlocks = transposed ? 32 / bytes / 8 : rows / 8;
  stride = static_cast<uint32_t>(8 * span);
  leading = static_cast<uint32_t>(8 * span * acrossBlocks);
  offset = static_cast<uint32_t>(across / 8) * stride + static_cast<uint32_t>(along / span) * leading +
           static_cast<uint32_t>(line * span + chunk * 16);
  return offset + static_cast<uint32_t>(along % 16);
}

void checkWgmma(const WgmmaCase &test, Schedule schedule, bool waits = true) {
  const int k = 32 / test.type.bytes, n = test.n;
  const std::vector<int> a = smallNumbers(static_cast<size_t>(64 * k), 5),
                         b = smallNumbers(static_cast<size_t>(n * k), 6);
  std::vector<uint8_t> image(49152);
  uint32_t leading[2] = {}, stride[2] = {};
  constexpr uint32_t startB = 16384;
  const auto place = [&](bool isB, int row, int x, int value) {
    const uint32_t at = placeOf(test, isB ? test.transposeB : test.transposeA, isB ? n : 64, row, x,
                                leading[isB], stride[isB]) +
                        (isB ? startB : 0);
    const uint32_t bits = test.type.encode(value);
    std::memcpy(image.data() + at, &bits, static_cast<size_t>(test.type.bytes));
  };
  for (int x = 0; x < k; ++x) {
    for (int row = 0; row < 64; ++row)
      place(false, row, x, a[static_cast<size_t>(row * k + x)]);
    for (int row = 0; row < n; ++row)
      place(true, row, x, b[static_cast<size_t>(row * k + x)]);
  }
  const auto descriptor = [&](int which) {
    return static_cast<uint64_t>(leading[which] >> 4 & 0x3fff) << 16 |
           static_cast<uint64_t>(stride[which] >> 4 & 0x3fff) << 32 |
           static_cast<uint64_t>(test.swizzle) << 62;
  };
  PtxRunner runner;
  runner.block = {128, 1, 1};
  runner.options.schedule = schedule;
  runner.options.races = true;
  runner.buffer(image);
  const int results = n / 2;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(static_cast<size_t>(128 * results)));
  std::vector<uint32_t> fragments(512);
  const int per = 4 / test.type.bytes;
  for (int thread = 0; thread < 128; ++thread)
    for (int r = 0; r < 4; ++r)
      for (int e = 0; e < per; ++e) // 9.7.15.5.2: as A of mma.m16n8k16, 16 rows a warp
        fragments[static_cast<size_t>(thread * 4 + r)] |=
            test.type.encode(a[static_cast<size_t>((thread / 32 * 16 + thread % 32 / 4 + 8 * (r % 2)) * k +
                                                   thread % 4 * per + e + 4 * per * (r / 2))])
            << e * 8 * test.type.bytes;
  runner.buffer(fragments);
  runner.arguments.push_back(descriptor(0));
  runner.arguments.push_back(descriptor(1));
  std::string body = ".reg .b32 %acc<128>;\n" + threadPointers(3, 16) + R"(
    .shared .align 1024 .b8 s[49152];
    mov.u32 %r1, s; shl.b32 %r2, %r50, 4; add.u32 %r3, %r1, %r2; mov.u32 %r4, 0;
    copy: ld.global.v4.b32 {%r5, %r6, %r7, %r8}, [%d1]; st.shared.v4.b32 [%r3], {%r5, %r6, %r7, %r8};
    add.s64 %d1, %d1, 2048; add.u32 %r3, %r3, 2048; add.u32 %r4, %r4, 2048; setp.lt.u32 %p1, %r4, 49152; @%p1 bra copy;
    fence.proxy.async; bar.sync 0;
    ld.global.v4.b32 {%r5, %r6, %r7, %r8}, [%d3];
    ld.param.u64 %d4, [p3]; ld.param.u64 %d5, [p4];
    shr.u32 %r9, %r1, 4; cvt.u64.u32 %d6, %r9; add.s64 %d4, %d4, %d6; add.s64 %d5, %d5, %d6; add.s64 %d5, %d5, 1024; // 16 KiB further
    )";
  const std::string accumulators = registers("%acc", results),
                    shape = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(n) + "k" +
                            std::to_string(k) + (test.type.integer ? ".s32." : ".f32.") + test.type.name +
                            "." + test.type.name;
  const std::string flags =
      test.type.integer
          ? ""
          : std::string(", 1, 1") + (test.type.bytes == 2 ? (test.registersA   ? ""
                                                             : test.transposeA ? ", 1"
                                                                               : ", 0") +
                                                                std::string(test.transposeB ? ", 1" : ", 0")
                                                          : "");
  const std::string operandA = test.registersA ? "{%r5, %r6, %r7, %r8}" : "%d4";
  // The first product starts from nothing, the second is added to it: twice the product.
  body += "wgmma.fence.sync.aligned;\n" + shape + " " + accumulators + ", " + operandA + ", %d5, 0" + flags +
          ";\n";
  body += "setp.eq.u32 %p2, %r1, %r1;\n" + shape + " " + accumulators + ", " + operandA + ", %d5, %p2" +
          flags + ";\n";
  body +=
      "wgmma.commit_group.sync.aligned;\n" + std::string(waits ? "wgmma.wait_group.sync.aligned 0;\n" : "");
  body += "ld.param.u64 %d7, [p1]; mul.wide.u32 %d8, %r50, 4; add.s64 %d7, %d7, %d8;\n";
  for (int r = 0; r < results; ++r)
    body += "st.global.b32 [%d7+" + std::to_string(512 * r) + "], %acc" + std::to_string(r) + ";\n";
  ASSERT_EQ(runner.runBody(body), "") << shape;
  if (!waits) {
    ASSERT_FALSE(runner.hazards.empty());
    EXPECT_NE(runner.hazards.front().find("before wgmma.wait_group"), std::string::npos)
        << runner.hazards.front();
    if (schedule == Schedule::latest)
      EXPECT_EQ(runner.read<uint32_t>(out, 1)[0], 0xffffffffu);
    return;
  }
  EXPECT_TRUE(runner.hazards.empty()) << shape << " " << runner.hazards.front();
  const auto found = runner.read<uint32_t>(out, static_cast<size_t>(128 * results));
  for (int thread = 0; thread < 128; ++thread)
    for (int r = 0; r < results; ++r) {
      const int row = thread / 32 * 16 + 8 * (r % 4 / 2) + thread % 32 / 4,
                column = 8 * (r / 4) + 2 * (thread % 4) + r % 2;
      int sum = 0;
      for (int x = 0; x < k; ++x)
        sum += 2 * a[static_cast<size_t>(row * k + x)] * b[static_cast<size_t>(column * k + x)];
      const uint32_t bits = found[static_cast<size_t>(r * 128 + thread)];
      ASSERT_EQ(test.type.integer ? float(int32_t(bits)) : std::bit_cast<float>(bits), float(sum))
          << shape << " swizzle " << test.swizzle << " transposed " << test.transposeA << test.transposeB
          << " row " << row << " column " << column;
    }
  EXPECT_EQ(runner.counters.tensorFlops, 4ull * 64 * static_cast<unsigned>(n * k));
}

TEST(EmulatorMatrix, WgmmaReadsEverySwizzle) {
  for (const Schedule schedule : {Schedule::earliest, Schedule::latest})
    for (const uint32_t swizzle : {0u, 1u, 2u, 3u})
      checkWgmma({bf16, 64, swizzle}, schedule);
}
TEST(EmulatorMatrix, WgmmaReadsTransposedOperands) {
  for (const uint32_t swizzle : {0u, 1u, 2u, 3u}) {
    checkWgmma({bf16, 128, swizzle, false, true}, Schedule::latest);
    checkWgmma({f16, 64, swizzle, true, true}, Schedule::earliest);
  }
}
TEST(EmulatorMatrix, WgmmaOfAllTypes) {
  checkWgmma({f16, 8, 1}, Schedule::latest);
  checkWgmma({tf32, 16, 1}, Schedule::latest);
  checkWgmma({e4m3, 128, 1}, Schedule::latest);
  checkWgmma({e5m2, 32, 2}, Schedule::latest);
  for (const uint32_t swizzle : {0u, 1u, 2u, 3u}) { // without one: core matrices of 8 rows x 16 bytes
    checkWgmma({e4m3, 64, swizzle}, Schedule::earliest);
    checkWgmma({e5m2, 128, swizzle}, Schedule::latest);
  }
  checkWgmma({s8, 64, 1}, Schedule::latest);
}
TEST(EmulatorMatrix, WgmmaTakesAFromRegisters) {
  checkWgmma({bf16, 64, 1, false, false, true}, Schedule::latest);
  checkWgmma({bf16, 64, 1, false, true, true}, Schedule::earliest);
  checkWgmma({e4m3, 64, 1, false, false, true}, Schedule::latest);
}
/// Sums that leave 32 bits: at the limit with .satfinite, around it without.
TEST(EmulatorMatrix, WgmmaOfIntegersSaturatesWhereItIsAsked) {
  for (const bool saturates : {false, true})
    for (const bool up : {false, true}) {
      PtxRunner runner;
      runner.block = {128, 1, 1};
      const uint64_t out = runner.buffer(std::vector<int32_t>(128 * 4));
      ASSERT_EQ(runner.runBody(threadPointers(1, 16) + R"(
        .shared .align 1024 .b8 b[2048]; .reg .b32 %acc<4>;
        mov.u32 %r1, b; add.u32 %r2, %r1, %r50; mov.u32 %r3, 0x02020202; shl.b32 %r4, %r50, 4; add.u32 %r4, %r1, %r4;
        st.shared.v4.b32 [%r4], {%r3, %r3, %r3, %r3}; fence.proxy.async; bar.sync 0; setp.eq.u32 %p1, %r1, %r1;
        shr.u32 %r5, %r1, 4; cvt.u64.u32 %d5, %r5; mov.b64 %d6, 0x800080000; or.b64 %d5, %d5, %d6;
        mov.b32 %r6, )" + std::string(up ? "0x01010101" : "0xffffffff") +
                               "; mov.b32 %acc0, " + (up ? "0x7ffffff0" : "0x80000010") +
                               "; mov.b32 %acc1, 5; mov.b32 %acc2, %acc0; mov.b32 %acc3, %acc1;\n"
                               "wgmma.fence.sync.aligned;\nwgmma.mma_async.sync.aligned.m64n8k32" +
                               (saturates ? ".satfinite" : "") +
                               ".s32.s8.s8 {%acc0, %acc1, %acc2, %acc3}, {%r6, %r6, %r6, %r6}, %d5, %p1;\n"
                               "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\n"
                               "st.global.v4.b32 [%d1], {%acc0, %acc1, %acc2, %acc3};"),
                "");
      const auto found = runner.read<int32_t>(out, 128 * 4); // each sum grows by 64 or -64
      for (size_t i = 0; i < found.size(); i += 2) {
        const uint32_t wrapped = up ? 0x7ffffff0u + 64 : 0x80000010u - 64;
        ASSERT_EQ(found[i], saturates ? (up ? INT32_MAX : INT32_MIN) : static_cast<int32_t>(wrapped)) << i;
        ASSERT_EQ(found[i + 1], up ? 69 : -59) << i;
      }
    }
}

TEST(EmulatorMatrix, AccumulatorsReadBeforeTheWaitAreFound) {
  checkWgmma({bf16, 64, 1}, Schedule::earliest, false);
  checkWgmma({bf16, 64, 1}, Schedule::latest, false);
}

TEST(EmulatorMatrix, MoreRegistersThanThereAreIsAnError) {
  PtxRunner runner;
  runner.block = {384, 1, 1};
  EXPECT_EQ(
      runner.runBody("setmaxnreg.dec.sync.aligned.u32 40;\nsetmaxnreg.inc.sync.aligned.u32 232;\nbar.sync 0;")
          .find("kernel 'k', line 14: the warps of the block ask for"),
      0u);
  EXPECT_EQ(runner.runBody(
                "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 128; @%p1 bra "
                "low;\nsetmaxnreg.inc.sync.aligned.u32 232; ret; low: setmaxnreg.dec.sync.aligned.u32 40;"),
            "");
}

/// PTX ISA 9.7.17.5. At the entry 384 threads of one block a multiprocessor have 168 registers each.
TEST(EmulatorMatrix, SetmaxnregThatGoesTheOtherWayIsAnError) {
  PtxRunner runner;
  runner.block = {384, 1, 1};
  const auto said = [&](const std::string &directives, const std::string &body) {
    return runner.runBody(body, directives);
  };
  const std::string entry = ".reqntid 384, 1, 1 .minnctapersm 1", dec = "setmaxnreg.dec.sync.aligned.u32 ",
                    inc = "setmaxnreg.inc.sync.aligned.u32 ";
  EXPECT_NE(said(entry, inc + "160;")
                .find("setmaxnreg.inc to 160 registers where a thread has 168: expected no fewer"),
            std::string::npos);
  EXPECT_NE(said(entry, dec + "176;")
                .find("setmaxnreg.dec to 176 registers where a thread has 168: expected no more"),
            std::string::npos);
  EXPECT_NE(said(".maxnreg 128", inc + "120;").find("where a thread has 128"), std::string::npos);
  EXPECT_NE(said("", dec + "40;\n" + dec + "48;").find("where a thread has 40: expected no more"),
            std::string::npos);
  EXPECT_NE(said("", dec + "40;\n" + inc + "32;").find("where a thread has 40: expected no fewer"),
            std::string::npos);
  EXPECT_EQ(said(entry, dec + "168;\n" + inc + "168;\n" + dec + "40;\n" + inc + "40;\n" + inc + "96;"), "");
  EXPECT_EQ(said("", dec + "176;"), ""); // nobody knows what it has
}

} // namespace
} // namespace sinter::emulator
