// SPDX-License-Identifier: Apache-2.0
// XXH3 of the pieces of an image.
#include "runtime/device/WeightHashes.h"
#include <algorithm>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace sinter::device {

uint64_t hashOf(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t hashOfPiece(std::span<const std::byte> image, uint64_t number) {
  const uint64_t begin = number * hashedPieceBytes;
  return hashOf(image.subspan(begin, std::min<uint64_t>(hashedPieceBytes, image.size() - begin)));
}

std::vector<uint64_t> hashTable(std::span<const std::byte> image) {
  std::vector<uint64_t> table(hashedPieces(image.size()));
  for (uint64_t i = 0; i < table.size(); ++i)
    table[i] = hashOfPiece(image, i);
  return table;
}

} // namespace sinter::device
