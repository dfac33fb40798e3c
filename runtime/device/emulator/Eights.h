// SPDX-License-Identifier: Apache-2.0
// Numbers of 8 neighbouring lanes at once, for instructions that move or compute many of them.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_EIGHTS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_EIGHTS_H

#include "runtime/device/emulator/Machine.h"
#include <algorithm>
#if defined(__AVX2__) && defined(__FMA__)
#define SINTER_EIGHTS_ARE_REGISTERS
#include <immintrin.h>
#endif

namespace sinter::emulator {

inline constexpr int eightBytes = 8 * sizeof(float), eights = lanesOfWarp / 8;

/// 8 lanes of f32, or of any 32 bits. Registers are aligned for them; memory need not be.
#ifdef SINTER_EIGHTS_ARE_REGISTERS
using Eight = __m256;
inline Eight load(const uint8_t *from) { return _mm256_loadu_ps(reinterpret_cast<const float *>(from)); }
inline void store(uint8_t *to, Eight value) { _mm256_storeu_ps(reinterpret_cast<float *>(to), value); }
inline Eight multiplyAdd(Eight a, Eight b, Eight c) { return _mm256_fmadd_ps(a, b, c); }
inline Eight broadcast(const uint8_t *from) {
  return _mm256_broadcast_ss(reinterpret_cast<const float *>(from));
}
#else
struct Eight {
  float lanes[8];
};
inline Eight load(const uint8_t *from) {
  Eight result;
  std::copy_n(reinterpret_cast<const float *>(from), 8, result.lanes);
  return result;
}
inline void store(uint8_t *to, Eight value) { std::copy_n(value.lanes, 8, reinterpret_cast<float *>(to)); }
inline Eight multiplyAdd(Eight a, Eight b, Eight c) {
  for (int lane = 0; lane < 8; ++lane)
    c.lanes[lane] = __builtin_fmaf(a.lanes[lane], b.lanes[lane], c.lanes[lane]);
  return c;
}
inline Eight broadcast(const uint8_t *from) {
  Eight result;
  std::fill_n(result.lanes, 8, *reinterpret_cast<const float *>(from));
  return result;
}
#endif

/// Two quads as one, and apart again.
inline Eight loadHalves(const float *low, const float *high) {
#ifdef SINTER_EIGHTS_ARE_REGISTERS
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
#else
  Eight result;
  std::copy_n(low, 4, result.lanes);
  std::copy_n(high, 4, result.lanes + 4);
  return result;
#endif
}
inline void storeHalves(Eight value, float *low, float *high) {
#ifdef SINTER_EIGHTS_ARE_REGISTERS
  _mm_storeu_ps(low, _mm256_castps256_ps128(value));
  _mm_storeu_ps(high, _mm256_extractf128_ps(value, 1));
#else
  std::copy_n(value.lanes, 4, low);
  std::copy_n(value.lanes + 4, 4, high);
#endif
}

/// The quads at 8 places, turned: number `part` of each. `place(i)` is aligned to 16 bytes.
template <typename Place> inline std::array<Eight, 4> loadTurned(Place place) {
  std::array<Eight, 4> result;
#ifdef SINTER_EIGHTS_ARE_REGISTERS
  const auto quad = [&](int i) { return _mm_load_ps(reinterpret_cast<const float *>(place(i))); };
  __m256 rows[4]; // of lanes i and i + 4
  for (int i = 0; i < 4; ++i)
    rows[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(quad(i)), quad(i + 4), 1);
  const __m256 low0 = _mm256_unpacklo_ps(rows[0], rows[1]), high0 = _mm256_unpackhi_ps(rows[0], rows[1]),
               low1 = _mm256_unpacklo_ps(rows[2], rows[3]), high1 = _mm256_unpackhi_ps(rows[2], rows[3]);
  result[0] = _mm256_shuffle_ps(low0, low1, 0x44);
  result[1] = _mm256_shuffle_ps(low0, low1, 0xee);
  result[2] = _mm256_shuffle_ps(high0, high1, 0x44);
  result[3] = _mm256_shuffle_ps(high0, high1, 0xee);
#else
  for (int i = 0; i < 8; ++i) {
    const auto *quad = reinterpret_cast<const float *>(place(i));
    for (int part = 0; part < 4; ++part)
      result[part].lanes[i] = quad[part];
  }
#endif
  return result;
}

/// The other way round. Places may overlap: the last one counts.
template <typename Place> inline void storeTurned(const std::array<Eight, 4> &parts, Place place) {
#ifdef SINTER_EIGHTS_ARE_REGISTERS
  const __m256 low0 = _mm256_unpacklo_ps(parts[0], parts[1]), high0 = _mm256_unpackhi_ps(parts[0], parts[1]),
               low1 = _mm256_unpacklo_ps(parts[2], parts[3]), high1 = _mm256_unpackhi_ps(parts[2], parts[3]);
  const __m256 rows[4] = {_mm256_shuffle_ps(low0, low1, 0x44), _mm256_shuffle_ps(low0, low1, 0xee),
                          _mm256_shuffle_ps(high0, high1, 0x44), _mm256_shuffle_ps(high0, high1, 0xee)};
  const auto put = [&](int i, __m128 quad) { _mm_store_ps(reinterpret_cast<float *>(place(i)), quad); };
  for (int i = 0; i < 4; ++i)
    put(i, _mm256_castps256_ps128(rows[i]));
  for (int i = 0; i < 4; ++i)
    put(i + 4, _mm256_extractf128_ps(rows[i], 1));
#else
  for (int i = 0; i < 8; ++i)
    for (int part = 0; part < 4; ++part)
      reinterpret_cast<float *>(place(i))[part] = parts[part].lanes[i];
#endif
}

/// Whether each 8 lanes access 8 neighbouring words.
template <typename A> inline bool areNeighbours(const A (&addresses)[lanesOfWarp]) {
  if (addresses[1] - addresses[0] != 4) // mostly enough to know
    return false;
  A wrong = 0;
  for (int eight = 0; eight < lanesOfWarp; eight += 8) {
    const A first = addresses[eight];
    for (int i = 0; i < 8; ++i)
      wrong |= (addresses[eight + i] - first) ^ static_cast<A>(4 * i);
  }
  return !wrong;
}
template <typename A> inline bool areEqual(const A (&addresses)[lanesOfWarp]) {
  if (addresses[1] != addresses[0] || addresses[lanesOfWarp - 1] != addresses[0])
    return false;
  A wrong = 0;
  for (int lane = 0; lane < lanesOfWarp; ++lane)
    wrong |= addresses[lane] ^ addresses[0];
  return !wrong;
}

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_EIGHTS_H
