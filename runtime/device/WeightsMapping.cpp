// SPDX-License-Identifier: Apache-2.0
// Maps the file of weights and checks that it is the model's.
#include "runtime/device/WeightsMapping.h"
#include "runtime/device/WeightHashes.h"
#include <algorithm>
#include <cstring>

namespace sinter::device {

namespace {

/// Compares the image with the table behind it, and the table with the model.
Result<void> checkImage(const std::byte *data, const sinter_model &model, const std::string &path,
                        WeightsCheck check) {
  const std::span<const std::byte> image(data, model.weights.size);
  const uint64_t pieces = hashedPieces(image.size());
  const std::span<const std::byte> table(data + hashTableOffset(image.size()), pieces * sizeof(uint64_t));
  const auto damaged = [&](uint64_t offset, uint64_t expected, uint64_t found) {
    return fail("{}: expected bytes of hash {:016x} (byte offset {}), found {:016x}: damaged since it was "
                "compiled",
                path, expected, SINTER_WEIGHTS_OFFSET + offset, found);
  };
  if (const uint64_t found = hashOf(table); found != model.weights_hash)
    return damaged(hashTableOffset(image.size()), model.weights_hash, found);
  const uint64_t looks = check == WeightsCheck::All ? pieces : std::min<uint64_t>(pieces, 8);
  for (uint64_t i = 0; i < looks; ++i) {
    const uint64_t piece = looks > 1 ? i * (pieces - 1) / (looks - 1) : 0;
    uint64_t expected;
    std::memcpy(&expected, table.data() + piece * sizeof expected, sizeof expected);
    if (const uint64_t found = hashOfPiece(image, piece); found != expected)
      return damaged(piece * hashedPieceBytes, expected, found);
  }
  return {};
}

} // namespace

Result<WeightsMapping> WeightsMapping::open(const sinter_model &model, const std::string &path,
                                            WeightsCheck check) {
  if (model.weights.data || !model.weights.size)
    return WeightsMapping{static_cast<const std::byte *>(model.weights.data), {}};
  if (path.empty())
    return fail("the weights lie outside of this program: give their file with --weights-file");
  Result<Mapping> page = Mapping::file(path, 0, sizeof(sinter_weights_header));
  if (!page)
    return tl::unexpected(page.error());
  sinter_weights_header header;
  std::memcpy(&header, page->data(), sizeof header);
  if (std::memcmp(header.magic, SINTER_WEIGHTS_MAGIC, sizeof header.magic) != 0)
    return fail("{}: expected a file of weights ('{}' at byte 0), found other bytes", path,
                SINTER_WEIGHTS_MAGIC);
  if (header.image_bytes != model.weights.size)
    return fail("{}: expected {} bytes of weights (byte offset 8), found {}", path, model.weights.size,
                header.image_bytes);
  if (header.hash != model.weights_hash)
    return fail("{}: expected the weights of hash {:016x} (byte offset 16), found {:016x}: another model's",
                path, model.weights_hash, header.hash);
  const uint64_t tableBytes = hashedPieces(model.weights.size) * sizeof(uint64_t);
  Result<Mapping> image =
      Mapping::file(path, SINTER_WEIGHTS_OFFSET, hashTableOffset(model.weights.size) + tableBytes);
  if (!image)
    return tl::unexpected(image.error());
  const std::byte *data = image->data();
  if (Result<void> whole = checkImage(data, model, path, check); !whole)
    return tl::unexpected(whole.error());
  return WeightsMapping{data, std::move(*image)};
}

} // namespace sinter::device
