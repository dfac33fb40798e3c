// SPDX-License-Identifier: Apache-2.0
// XXH3, compiled into each place that calls: of functions that are compiled once to be fast and once to be
// small, the linker may keep the small one.
#ifndef SINTER_RUNTIME_DATA_HASH_H
#define SINTER_RUNTIME_DATA_HASH_H

#define XXH_INLINE_ALL
#include <cstdint>
#include <string_view>
#include <xxhash.h>

namespace sinter::data {

struct Hash128 {
  uint64_t low, high;
  bool operator==(const Hash128 &) const = default;
};

[[gnu::always_inline]] inline uint64_t hash64(std::string_view bytes, uint64_t seed = 0) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}
/// hash64 of bytes that come in pieces.
class PiecewiseHash64 {
public:
  explicit PiecewiseHash64(uint64_t seed = 0) { XXH3_64bits_reset_withSeed(&state, seed); }
  void add(std::string_view bytes) { XXH3_64bits_update(&state, bytes.data(), bytes.size()); }
  uint64_t value() const { return XXH3_64bits_digest(&state); }

private:
  XXH3_state_t state = {}; // a reset compares with the seed that is there
};
[[gnu::always_inline]] inline Hash128 hash128(std::string_view bytes) {
  XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}
/// Spreads the bits of a number over all 64 (the finaliser of MurmurHash3).
[[gnu::always_inline]] inline uint64_t mix64(uint64_t x) {
  x = (x ^ x >> 33) * 0xFF51AFD7ED558CCDull;
  x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53ull;
  return x ^ x >> 33;
}

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_HASH_H
