// SPDX-License-Identifier: Apache-2.0
// mma.sync (PTX ISA 9.7.14.5): m16n8k... and m8n8k... of f16, bf16, tf32, e4m3, e5m2, 8- and 4-bit integers,
// bits and f64. Products are exact; sums are in f32 (or int32, f64), in the order of k, which is one of the
// orders hardware may use.
#include "runtime/device/emulator/Eights.h"
#include "runtime/device/emulator/Fragments.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/Warps.h"

#include <algorithm>
#include <bit>
#include <cstdio>

namespace sinter::emulator {

namespace {

struct Mma {
  int m = 16, n = 8, k = 16;
  Type a, b, c, d;
  bool saturates = false;
  int registersA = 0, registersB = 0, registersC = 0, registersD = 0;
};

/// The list holds the registers of A, B, C, D.
template <typename T, typename Sum = T> void multiply(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Mma *>(in.detail);
  if (!converged(warp, in, allLanes))
    return;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  const int elements = elementsOfRegister(how.a), block = 4 * elements;
  alignas(32) T a[16][64], b[64][8];
  alignas(32) Sum c[16][8];
  const int rowBlocks = how.m / 8; // A alternates between the two halves of its rows
  for (int r = 0; r < how.registersA; ++r) {
    const uint32_t *reg = warp.reg<uint32_t>(slots[r]);
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      for (int e = 0; e < elements; ++e)
        a[lane / 4 + 8 * (r % rowBlocks)][lane % 4 * elements + e + block * (r / rowBlocks)] =
            element<T>(reg[lane], e, how.a);
  }
  slots += how.registersA;
  for (int r = 0; r < how.registersB; ++r) {
    const uint32_t *reg = warp.reg<uint32_t>(slots[r]);
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      for (int e = 0; e < elements; ++e)
        b[lane % 4 * elements + e + block * r][lane / 4] = element<T>(reg[lane], e, how.b);
  }
  slots += how.registersB;
  const auto eachResult = [&](Type type, int registers, auto body) { // f16 results are pairs of columns
    const int per = type == Type::f16 ? 2 : 1;
    for (int r = 0; r < registers; ++r)
      for (int lane = 0; lane < lanesOfWarp; ++lane)
        for (int e = 0; e < per; ++e) {
          const int i = r * per + e;
          body(r, lane, e, lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2);
        }
  };
  eachResult(how.c, how.registersC, [&](int r, int lane, int e, int row, int column) {
    const uint32_t bits = warp.reg<uint32_t>(slots[r])[lane];
    c[row][column] = how.c == Type::f16 ? static_cast<Sum>(halfToFloat(static_cast<uint16_t>(bits >> 16 * e)))
                                        : static_cast<Sum>(std::bit_cast<T>(bits));
  });
  slots += how.registersC;
  for (int row = 0; row < how.m; ++row)
    for (int k = 0; k < how.k; ++k)
      for (int column = 0; column < 8; ++column) {
        if constexpr (std::is_same_v<T, float>)
          c[row][column] = __builtin_fmaf(a[row][k], b[k][column], c[row][column]);
        else if constexpr (std::is_same_v<Sum, int64_t>)
          c[row][column] += static_cast<int64_t>(a[row][k]) * b[k][column];
        else
          c[row][column] = static_cast<int32_t>(static_cast<uint32_t>(c[row][column]) +
                                                static_cast<uint32_t>(a[row][k] * b[k][column]));
      }
  eachResult(how.d, how.registersD, [&](int r, int lane, int e, int row, int column) {
    uint32_t &bits = warp.reg<uint32_t>(slots[r])[lane];
    if (how.d == Type::f16) {
      const uint32_t half = nearestHalf(static_cast<float>(c[row][column]));
      bits = e ? (bits & 0xffff) | half << 16 : half;
    } else {
      if constexpr (std::is_same_v<Sum, int64_t>) // .satfinite
        bits = static_cast<uint32_t>(std::clamp<int64_t>(c[row][column], INT32_MIN, INT32_MAX));
      else
        bits = std::bit_cast<uint32_t>(c[row][column]);
    }
  });
  if (KernelCounters *counters = warp.block->cluster->counters)
    counters->addTensor(2ull * static_cast<uint64_t>(how.m * how.n * how.k), how.a);
}

// --- the shapes that kernels use most, m16n8k16 of f16 and bf16 and m16n8k32 of bytes: the same sums
// in the same order

/// C or D of m16n8: register r of a lane is row lane / 4 (+ 8), column 2 (lane % 4) (+ 1).
template <typename T, typename F> void eachSum(T (&sums)[16][8], F body) {
  for (int r = 0; r < 4; ++r)
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      body(r, lane, sums[lane / 4 + 8 * (r / 2)][2 * (lane % 4) + r % 2]);
}

template <typename T> void loadSums(const Warp &warp, const uint32_t *slots, T (&sums)[16][8]) {
  eachSum(sums, [&](int r, int lane, T &sum) { sum = warp.reg<T>(slots[r])[lane]; });
}
template <typename T> void storeSums(Warp &warp, const uint32_t *slots, T (&sums)[16][8]) {
  eachSum(sums, [&](int r, int lane, T &sum) { warp.reg<T>(slots[r])[lane] = sum; });
  if (KernelCounters *counters = warp.block->cluster->counters)
    counters->addTensor(2ull * 16 * 8 * 32, Type::s8);
}

/// The two numbers of each lane's register.
template <Type type> void widen(const uint32_t *reg, float (&low)[32], float (&high)[32]) {
  SINTER_EACH_LANE {
    if constexpr (type == Type::bf16) {
      low[lane] = std::bit_cast<float>(reg[lane] << 16);
      high[lane] = std::bit_cast<float>(reg[lane] & 0xffff0000u);
    } else {
      low[lane] = halfToFloat(static_cast<uint16_t>(reg[lane]));
      high[lane] = halfToFloat(static_cast<uint16_t>(reg[lane] >> 16));
    }
  }
}

/// A row of sums is 8 lanes of the processor, columns in the order in which registers hold them: 0, 2, 4, 6
/// are four lanes of one register, 1, 3, 5, 7 of the next.
template <Type type> void multiplyHalves(Warp &warp, const Instruction &in) {
  if (!converged(warp, in, allLanes))
    return;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  // Of A, the even and odd columns of each register: row lane / 4, column 2 (lane % 4) (+ 1).
  alignas(32) float a[4][2][32], low[32], high[32];
  for (int r = 0; r < 4; ++r)
    widen<type>(warp.reg<uint32_t>(slots[r]), a[r][0], a[r][1]);
  Eight b[16]; // rows
  for (int r = 0; r < 2; ++r) {
    widen<type>(warp.reg<uint32_t>(slots[4 + r]), low, high);
    for (int odd = 0; odd < 2; ++odd) {
      const float *const from = odd ? high : low;
      const std::array<Eight, 4> rows = loadTurned(
          [&](int i) { return reinterpret_cast<const uint8_t *>(from + 4 * (i % 4 * 2 + i / 4)); });
      for (int t = 0; t < 4; ++t)
        b[8 * r + 2 * t + odd] = rows[t];
    }
  }
  const float *const before[4] = {warp.reg<float>(slots[6]), warp.reg<float>(slots[7]),
                                  warp.reg<float>(slots[8]), warp.reg<float>(slots[9])};
  float *const after[4] = {warp.reg<float>(slots[10]), warp.reg<float>(slots[11]), warp.reg<float>(slots[12]),
                           warp.reg<float>(slots[13])};
  Eight results[16];
  for (int half = 0; half < 2; ++half) { // rows 0 to 7, then 8 to 15
    Eight sums[8];
    for (int row = 0; row < 8; ++row)
      sums[row] = loadHalves(before[2 * half] + 4 * row, before[2 * half + 1] + 4 * row);
    for (int k = 0; k < 16; ++k) {
      const float *const factors = a[half + 2 * (k / 8)][k % 2] + k % 8 / 2;
      for (int row = 0; row < 8; ++row)
        sums[row] =
            multiplyAdd(broadcast(reinterpret_cast<const uint8_t *>(factors + 4 * row)), b[k], sums[row]);
    }
    std::copy_n(sums, 8, results + 8 * half);
  }
  for (int row = 0; row < 16; ++row) // all are read before one is written
    storeHalves(results[row], after[row / 8 * 2] + row % 8 * 4, after[row / 8 * 2 + 1] + row % 8 * 4);
  if (KernelCounters *counters = warp.block->cluster->counters)
    counters->addTensor(2ull * 16 * 8 * 16, type);
}

/// Bytes 0 and 1 of a word as two 16-bit integers in a word, and bytes 2 and 3.
template <bool isSigned> uint32_t lowBytes(uint32_t word) {
  if constexpr (!isSigned)
    return (word & 0xff) | (word & 0xff00) << 8;
  return (static_cast<uint32_t>(static_cast<int32_t>(word << 24) >> 24) & 0xffff) |
         (static_cast<uint32_t>(static_cast<int32_t>(word << 16) >> 24) << 16);
}
template <bool isSigned> uint32_t highBytes(uint32_t word) { return lowBytes<isSigned>(word >> 16); }

/// sums[i] += the product of the two integers in `a` with those in b[i].
inline void addPairs(int32_t (&sums)[8], uint32_t a, const uint32_t (&b)[8]) {
#ifdef __AVX2__
  auto *place = reinterpret_cast<__m256i *>(sums);
  const __m256i products = _mm256_madd_epi16(_mm256_set1_epi32(static_cast<int>(a)),
                                             _mm256_load_si256(reinterpret_cast<const __m256i *>(b)));
  _mm256_store_si256(place, _mm256_add_epi32(_mm256_load_si256(place), products));
#else
  for (int i = 0; i < 8; ++i)
    sums[i] += static_cast<int16_t>(a) * static_cast<int16_t>(b[i]) +
               static_cast<int16_t>(a >> 16) * static_cast<int16_t>(b[i] >> 16);
#endif
}

template <bool signedA, bool signedB> void multiplyBytes(Warp &warp, const Instruction &in) {
  if (!converged(warp, in, allLanes))
    return;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  // A word is 4 neighbours along k: word lane % 4 (+ 4) of row or column lane / 4 (+ 8).
  alignas(32) uint32_t a[16][8], low[8][8], high[8][8];
  alignas(32) int32_t c[16][8];
  for (int r = 0; r < 4; ++r)
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      a[lane / 4 + 8 * (r % 2)][lane % 4 + 4 * (r / 2)] = warp.reg<uint32_t>(slots[r])[lane];
  for (int r = 0; r < 2; ++r)
    for (int lane = 0; lane < lanesOfWarp; ++lane) {
      const uint32_t word = warp.reg<uint32_t>(slots[4 + r])[lane];
      low[lane % 4 + 4 * r][lane / 4] = lowBytes<signedB>(word);
      high[lane % 4 + 4 * r][lane / 4] = highBytes<signedB>(word);
    }
  loadSums(warp, slots + 6, c);
  for (int row = 0; row < 16; ++row)
    for (int word = 0; word < 8; ++word) {
      addPairs(c[row], lowBytes<signedA>(a[row][word]), low[word]);
      addPairs(c[row], highBytes<signedA>(a[row][word]), high[word]);
    }
  storeSums(warp, slots + 10, c);
}

/// The loop made for this shape and these types, or null.
Handler frequent(const Mma &how) {
  if (how.m != 16)
    return nullptr;
  if (how.k == 16 && how.a == how.b && how.c == Type::f32 && how.d == Type::f32)
    return how.a == Type::bf16  ? &multiplyHalves<Type::bf16>
           : how.a == Type::f16 ? &multiplyHalves<Type::f16>
                                : nullptr;
  if (how.k == 32 && how.d == Type::s32)
    return how.a == Type::s8 && how.b == Type::s8   ? &multiplyBytes<true, true>
           : how.a == Type::s8 && how.b == Type::u8 ? &multiplyBytes<true, false>
                                                    : nullptr;
  return nullptr;
}

/// f64: m8n8k4, m16n8k4, m16n8k8, m16n8k16; fragments as of other types, an element a register.
void multiplyDouble(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Mma *>(in.detail);
  if (!converged(warp, in, allLanes))
    return;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  double a[16][16], b[16][8], c[16][8];
  const int rowBlocks = how.m / 8;
  for (int r = 0; r < how.registersA; ++r, ++slots)
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      a[lane / 4 + 8 * (r % rowBlocks)][lane % 4 + 4 * (r / rowBlocks)] = warp.reg<double>(*slots)[lane];
  for (int r = 0; r < how.registersB; ++r, ++slots)
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      b[lane % 4 + 4 * r][lane / 4] = warp.reg<double>(*slots)[lane];
  const auto eachSumOf = [&](auto body) {
    for (int r = 0; r < how.registersC; ++r, ++slots)
      for (int lane = 0; lane < lanesOfWarp; ++lane)
        body(warp.reg<double>(*slots)[lane], c[lane / 4 + 8 * (r / 2)][2 * (lane % 4) + r % 2]);
  };
  eachSumOf([](const double &value, double &sum) { sum = value; });
  for (int row = 0; row < how.m; ++row)
    for (int k = 0; k < how.k; ++k)
      for (int column = 0; column < 8; ++column)
        c[row][column] = __builtin_fma(a[row][k], b[k][column], c[row][column]);
  eachSumOf([](double &value, const double &sum) { value = sum; });
  if (KernelCounters *counters = warp.block->cluster->counters)
    counters->addTensor(2ull * static_cast<uint64_t>(how.m * how.n * how.k), Type::f64);
}

/// Bits: a sum counts the ones of (row xor column) or (row and column). 32 neighbours along k are a register.
template <bool conjunction> void multiplyBits(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Mma *>(in.detail);
  if (!converged(warp, in, allLanes))
    return;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  uint32_t a[16][8], b[8][8], c[16][8];
  const int rowBlocks = how.m / 8, words = how.k / 32;
  for (int r = 0; r < how.registersA; ++r, ++slots)
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      a[lane / 4 + 8 * (r % rowBlocks)][lane % 4 + 4 * (r / rowBlocks)] = warp.reg<uint32_t>(*slots)[lane];
  for (int r = 0; r < how.registersB; ++r, ++slots)
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      b[lane % 4 + 4 * r][lane / 4] = warp.reg<uint32_t>(*slots)[lane];
  const auto eachSumOf = [&](auto body) {
    for (int r = 0; r < how.registersC; ++r, ++slots)
      for (int lane = 0; lane < lanesOfWarp; ++lane)
        body(warp.reg<uint32_t>(*slots)[lane], c[lane / 4 + 8 * (r / 2)][2 * (lane % 4) + r % 2]);
  };
  eachSumOf([](const uint32_t &value, uint32_t &sum) { sum = value; });
  for (int row = 0; row < how.m; ++row)
    for (int word = 0; word < words; ++word)
      for (int column = 0; column < 8; ++column)
        c[row][column] += static_cast<uint32_t>(__builtin_popcount(
            conjunction ? a[row][word] & b[word][column] : a[row][word] ^ b[word][column]));
  eachSumOf([](uint32_t &value, const uint32_t &sum) { value = sum; });
  if (KernelCounters *counters = warp.block->cluster->counters)
    counters->addTensor(2ull * static_cast<uint64_t>(how.m * how.n * how.k), Type::b1);
}

bool takeShape(Translator &t, Mma &mma) {
  for (const std::string_view each : t.modifiers()) {
    int m = 0, n = 0, k = 0, used = 0;
    if (std::sscanf(std::string(each).c_str(), "m%dn%dk%d%n", &m, &n, &k, &used) == 3 &&
        used == static_cast<int>(each.size())) {
      mma.m = m, mma.n = n, mma.k = k;
      return t.take(std::string_view(each));
    }
  }
  t.fail("expected a shape such as .m16n8k16");
  return false;
}

/// The registers of A, B, C, D; false if they are not as many as they should be.
bool takeRegisters(Translator &t, const Mma &how, Type type, std::vector<uint32_t> &slots) {
  const int counts[] = {how.registersD, how.registersA, how.registersB, how.registersC};
  for (size_t i = 0; i < 4; ++i)
    if (t.operand(i).parts.size() != static_cast<size_t>(counts[i])) {
      t.fail("expected {} registers in operand {}, found {}", counts[i], i, t.operand(i).parts.size());
      return false;
    }
  for (size_t i : {1, 2, 3})
    for (const Operand &each : t.operand(i).parts)
      slots.push_back(t.source(each, type));
  for (const Operand &each : t.operand(0).parts)
    slots.push_back(t.target(each, type));
  return true;
}

void mma(Translator &t) {
  Mma how;
  t.take("sync");
  t.take("aligned");
  if (!takeShape(t, how))
    return;
  if (!t.take("row") || !t.take("col"))
    return t.fail("expected layouts .row.col");
  how.saturates = t.take("satfinite");
  how.d = t.needType(), how.a = t.needType(), how.b = t.needType(), how.c = t.needType();
  t.take("kind::f8f6f4");
  std::vector<uint32_t> slots;
  if (how.a == Type::f64 || how.a == Type::b1) {
    const bool bits = how.a == Type::b1;
    const int bitOperation = bits ? t.takeOneOf({"xor", "and"}) : 0;
    if (bits && (bitOperation < 0 || !t.take("popc")))
      return t.fail("expected .xor.popc or .and.popc");
    const Type sums = bits ? Type::s32 : Type::f64;
    const int unit = bits ? 128 : 4, most = bits ? 2 : 4; // of k
    if (how.saturates || how.n != 8 || (how.m != 8 && how.m != 16) || how.k % unit || how.k < unit ||
        (how.m == 8 ? how.k != unit
                    : how.k > most * unit || !std::has_single_bit(static_cast<unsigned>(how.k))) ||
        how.b != how.a || how.c != sums || how.d != sums)
      return t.fail("this shape is not supported for these types");
    how.registersB = how.k / unit;
    how.registersA = how.registersB * how.m / 8;
    how.registersC = how.registersD = how.m / 4;
    if (!takeRegisters(t, how, bits ? Type::b32 : Type::f64, slots))
      return;
    Instruction &in = t.emit(!bits               ? &multiplyDouble
                             : bitOperation == 1 ? &multiplyBits<true>
                                                 : &multiplyBits<false>,
                             InstructionClass::tensor);
    t.list(in, slots);
    in.detail = t.keep(how);
    return;
  }
  const int elements = elementsOfRegister(how.a);
  const bool integers = how.d == Type::s32;
  const bool same = elements == elementsOfRegister(how.b) && elements > 0;
  if (!same || (how.m != 16 && how.m != 8) || how.n != 8 || how.k > 64 || how.k % (4 * elements) ||
      (integers ? how.c != Type::s32 || isFloat(how.a)
                : !isFloat(how.a) || (how.d != Type::f32 && how.d != Type::f16) ||
                      (how.c != Type::f32 && how.c != Type::f16)))
    return t.fail("this shape is not supported for these types");
  if (how.saturates && !integers)
    return t.fail("expected no .satfinite with floating-point types");
  how.registersB = how.k / (4 * elements);
  how.registersA = how.registersB * how.m / 8;
  how.registersC = how.m * 8 / 32 / (how.c == Type::f16 ? 2 : 1);
  how.registersD = how.m * 8 / 32 / (how.d == Type::f16 ? 2 : 1);
  if (!takeRegisters(t, how, Type::b32, slots))
    return;
  const Handler quick = how.saturates ? nullptr : frequent(how);
  Instruction &in = t.emit(quick           ? quick
                           : how.saturates ? &multiply<int32_t, int64_t>
                           : integers      ? &multiply<int32_t>
                                           : &multiply<float>,
                           InstructionClass::tensor);
  t.list(in, slots);
  in.detail = t.keep(how);
}

} // namespace

std::span<const Opcode> mmaOpcodes() {
  static constexpr Opcode table[] = {{"mma", mma}};
  return table;
}

} // namespace sinter::emulator
