// SPDX-License-Identifier: Apache-2.0
// Random numbers that depend on where they are used and on nothing else: draw `index` of stream `stream` of
// seed `seed` is always the same number, whoever asks first.
#ifndef SINTER_RUNTIME_GENERATE_RANDOM_H
#define SINTER_RUNTIME_GENERATE_RANDOM_H

#include <array>
#include <cstdint>

namespace sinter {

/// Philox4x32-10: ten rounds over a 128-bit counter with a 64-bit key (J. K. Salmon et al., "Parallel random
/// numbers: as easy as 1, 2, 3", SC 2011).
constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(0xD2511F53u) * counter[0], b = uint64_t(0xCD9E8D57u) * counter[2];
    counter = {uint32_t(b >> 32) ^ counter[1] ^ key[0], uint32_t(b), uint32_t(a >> 32) ^ counter[3] ^ key[1],
               uint32_t(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// 64 random bits.
constexpr uint64_t randomBits(uint64_t seed, uint64_t stream, uint64_t index) {
  const std::array<uint32_t, 4> bits =
      philox({uint32_t(index), uint32_t(index >> 32), uint32_t(stream), uint32_t(stream >> 32)},
             {uint32_t(seed), uint32_t(seed >> 32)});
  return uint64_t(bits[0]) << 32 | bits[1];
}

/// A number in [0, 1), a multiple of 2^-53.
constexpr double uniform(uint64_t seed, uint64_t stream, uint64_t index) {
  return double(randomBits(seed, stream, index) >> 11) * 0x1p-53;
}

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_RANDOM_H
