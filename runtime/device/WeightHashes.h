// SPDX-License-Identifier: Apache-2.0
// What tells a damaged file of weights from a whole one: a hash for each piece of the image, in a table
// behind it, and the hash of the table, which header and model hold (sinter_weights_header of runtime/abi.h).
//
// So a look at the table and some pieces is enough for a start, a look at all of them says where the damage
// is.
#ifndef SINTER_RUNTIME_DEVICE_WEIGHTHASHES_H
#define SINTER_RUNTIME_DEVICE_WEIGHTHASHES_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sinter::device {

/// Bytes of a piece; the last of an image may be shorter.
constexpr uint64_t hashedPieceBytes = 256 << 10;

constexpr uint64_t hashedPieces(uint64_t imageBytes) {
  return (imageBytes + hashedPieceBytes - 1) / hashedPieceBytes;
}

/// Where the table begins, counted from the image's first byte: behind the image, at a multiple of 8.
constexpr uint64_t hashTableOffset(uint64_t imageBytes) { return (imageBytes + 7) / 8 * 8; }

/// XXH3, 64 bits, seed 0.
uint64_t hashOf(std::span<const std::byte> bytes);

/// The hash of piece `number` of the image.
uint64_t hashOfPiece(std::span<const std::byte> image, uint64_t number);

/// The table of an image: the hashes of its pieces, in order.
std::vector<uint64_t> hashTable(std::span<const std::byte> image);

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_WEIGHTHASHES_H
