// SPDX-License-Identifier: Apache-2.0
// Spellings of opcodes with what they mean in plain C++, run on edges and random bits: every lane of eight
// warps, without and with a guard. The seed is fixed; SINTER_FUZZ_SECONDS=N goes on with other seeds for N
// seconds a test.
#ifndef SINTER_TEST_RUNTIME_DEVICE_EMULATOR_OPCODEFUZZ_H
#define SINTER_TEST_RUNTIME_DEVICE_EMULATOR_OPCODEFUZZ_H

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sinter::emulator {

using u32 = uint32_t;
using u64 = uint64_t;
using s64 = int64_t;
using Whole = __int128;

/// What operands hold, and how results are compared: bit for bit, but any NaN for a NaN.
enum class Content {
  none,
  i8,
  i16,
  i32,
  i64,
  shift,
  byteIndex,
  f16,
  bf16,
  f32,
  f64,
  f16x2,
  bf16x2,
  e4m3x2,
  e5m2x2,
  tf32
};
int bitsOf(Content content);

struct OpcodeCase {
  std::string text; // of registers %x (result) and %a, %b, %c, %e
  Content result;
  std::vector<Content> operands;
  std::function<u64(const std::array<u64, 4> &)> meaning;
  double relative = 0; // error that an approximation may have
};

/// A list of cases, and one test that runs them.
class OpcodeTable {
public:
  void add(std::string text, Content result, std::vector<Content> operands,
           std::function<u64(const std::array<u64, 4> &)> meaning, double relative = 0) {
    cases.push_back({std::move(text), result, std::move(operands), std::move(meaning), relative});
  }
  void run() const;
  size_t size() const { return cases.size(); }

private:
  std::vector<OpcodeCase> cases;
};

/// The number that the low `bits` are.
inline Whole whole(u64 value, int bits, bool isSigned) {
  if (bits < 64)
    value &= (u64(1) << bits) - 1;
  if (isSigned && value >> (bits - 1) & 1)
    return Whole(value) - (Whole(1) << bits);
  return Whole(value);
}
inline u64 cut(Whole value, int bits) {
  return bits == 64 ? u64(value) : u64(value) & ((u64(1) << bits) - 1);
}

/// The integer types of PTX.
struct IntegerType {
  const char *name;
  int bits;
  bool isSigned;
  Content content() const { return bits == 16 ? Content::i16 : bits == 32 ? Content::i32 : Content::i64; }
  Whole of(u64 value) const { return whole(value, bits, isSigned); }
};
inline constexpr IntegerType integerTypes[] = {{"u16", 16, false}, {"s16", 16, true},  {"u32", 32, false},
                                               {"s32", 32, true},  {"u64", 64, false}, {"s64", 64, true}};

inline float asFloat(u64 bits) { return std::bit_cast<float>(u32(bits)); }
inline double asDouble(u64 bits) { return std::bit_cast<double>(bits); }
inline u64 bitsOf(float value) { return std::bit_cast<u32>(value); }
inline u64 bitsOf(double value) { return std::bit_cast<u64>(value); }

/// A floating-point format of at most 19 bits by the list of its numbers: written apart from the emulator's
/// rounding.
class NarrowFormat {
public:
  NarrowFormat(int exponentBits, int mantissaBits, bool hasInfinity);
  enum class To { nearest, zero, down, up, away };
  /// The bits of the number of this format that `value` + an arbitrarily small number of `lost`'s sign rounds
  /// to.
  u32 round(__float128 value, To to = To::nearest, bool saturates = false, double lost = 0) const;
  double value(u64 bits) const; // exact
  u32 nan() const { return nanBits; }
  int bits() const { return exponent + mantissa + 1; }

private:
  int exponent, mantissa;
  bool hasInfinity;
  u32 nanBits, largest;        // bits of the largest number
  std::vector<double> numbers; // from 0 up: the bits are the index
};
const NarrowFormat &halfFormat();
const NarrowFormat &bfloatFormat();
const NarrowFormat &e4m3Format();
const NarrowFormat &e5m2Format();
const NarrowFormat &tf32Format();

/// `one` on both halves of packed operands.
std::function<u64(const std::array<u64, 4> &)> packed(std::function<u64(const std::array<u64, 4> &)> one);

} // namespace sinter::emulator

#endif // SINTER_TEST_RUNTIME_DEVICE_EMULATOR_OPCODEFUZZ_H
