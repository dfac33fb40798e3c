// SPDX-License-Identifier: Apache-2.0
// The weight image of a model, wherever it lies.
#ifndef SINTER_RUNTIME_DEVICE_WEIGHTSMAPPING_H
#define SINTER_RUNTIME_DEVICE_WEIGHTSMAPPING_H

#include "runtime/abi.h"
#include "runtime/device/Memory.h"

namespace sinter::device {

/// How much of a file of weights is compared with its hashes when it is opened.
enum class WeightsCheck {
  Samples, ///< some pieces, the first and the last among them: what takes no time
  All      ///< every byte
};

/// The image's first byte: in the program, or in the file `path` (SINTER_WEIGHTS_MAGIC of runtime/abi.h),
/// which must be the one that the model was compiled with. The file stays mapped as long as this lives.
struct WeightsMapping {
  const std::byte *data = nullptr;
  Mapping file;

  static Result<WeightsMapping> open(const sinter_model &model, const std::string &path,
                                     WeightsCheck check = WeightsCheck::Samples);
};

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_WEIGHTSMAPPING_H
