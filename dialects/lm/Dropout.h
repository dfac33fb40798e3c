// SPDX-License-Identifier: Apache-2.0
// Which activations dropout drops: a generator without a state, whose numbers depend on what they are of
// alone (seed, site, row and column), so that backward passes, threads and resumed runs find the same ones.
#ifndef SINTER_DIALECTS_LM_DROPOUT_H
#define SINTER_DIALECTS_LM_DROPOUT_H

#include <cmath>
#include <cstdint>

namespace sinter::lm {

/// Steps of the generator, which kernels repeat in vectors: SplitMix64 (Steele, Lea and Flood 2014) makes a
/// key of 64 bits for a row; a 32-bit mixer (the shifts and factors of Wellons' lowbias32) with the key's
/// halves in it makes the bits of a column.
struct DropoutSteps {
  static constexpr uint64_t increment = 0x9E3779B97F4A7C15u;
  static constexpr uint64_t factors[] = {0xBF58476D1CE4E5B9u, 0x94D049BB133111EBu};
  static constexpr int64_t shifts[] = {30, 27, 31};
  static constexpr uint32_t columnFactors[] = {0x9E3779B9u, 0x7FEB352Du, 0x846CA68Bu};
  static constexpr int64_t columnShifts[] = {16, 15, 16};
};

/// The key of what follows key `before` (a seed, a site's key) under `number`.
constexpr uint64_t dropoutKey(uint64_t before, uint64_t number) {
  using S = DropoutSteps;
  uint64_t x = before + S::increment * (number + 1);
  x = (x ^ x >> S::shifts[0]) * S::factors[0];
  x = (x ^ x >> S::shifts[1]) * S::factors[1];
  return x ^ x >> S::shifts[2];
}

/// 32 bits for a column of the row with this key.
constexpr uint32_t dropoutBits(uint64_t key, uint32_t column) {
  using S = DropoutSteps;
  uint32_t x = column * S::columnFactors[0] + static_cast<uint32_t>(key);
  x = (x ^ x >> S::columnShifts[0]) * S::columnFactors[1];
  x = ((x ^ x >> S::columnShifts[1]) + static_cast<uint32_t>(key >> 32)) * S::columnFactors[2];
  return x ^ x >> S::columnShifts[2];
}

/// A column is dropped when its bits are below this.
inline uint32_t dropoutThreshold(double rate) { return static_cast<uint32_t>(std::floor(rate * 0x1p32)); }

/// What an activation is multiplied by: 0, or 1 / (1 - rate). `row` of attention is row * heads + head, its
/// `column` how far back the key is.
inline double dropoutFactor(uint64_t seed, uint64_t site, uint64_t row, uint32_t column, double rate) {
  const uint64_t key = dropoutKey(dropoutKey(seed, site), row);
  return dropoutBits(key, column) < dropoutThreshold(rate) ? 0 : 1 / (1 - rate);
}

} // namespace sinter::lm

#endif // SINTER_DIALECTS_LM_DROPOUT_H
