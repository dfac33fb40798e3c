// SPDX-License-Identifier: Apache-2.0
// Maps the file of weights and checks that it is the model's.
#include "runtime/device/WeightsMapping.h"
#include <cstring>

namespace sinter::device {

Result<WeightsMapping> WeightsMapping::open(const sinter_model &model, const std::string &path) {
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
  Result<Mapping> image = Mapping::file(path, SINTER_WEIGHTS_OFFSET, model.weights.size);
  if (!image)
    return tl::unexpected(image.error());
  const std::byte *data = image->data();
  return WeightsMapping{data, std::move(*image)};
}

} // namespace sinter::device
