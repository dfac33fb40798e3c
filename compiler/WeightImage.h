// SPDX-License-Identifier: Apache-2.0
// The weights of an executable: which parameters the launches read, where their packed bytes go, and writing them.
#ifndef SINTER_COMPILER_WEIGHTIMAGE_H
#define SINTER_COMPILER_WEIGHTIMAGE_H

#include "compiler/ModelTable.h"
#include "runtime/files/BlockFormats.h"

#include "llvm/ADT/ArrayRef.h"

#include <cstddef>
#include <functional>
#include <span>

namespace sinter {

/// A tensor as the model file stores it.
struct StoredTensor {
  const BlockFormat *format = nullptr;
  std::vector<int64_t> shape; // row-major, rows first
  std::span<const std::byte> bytes;
};
using TensorLookup = std::function<Result<StoredTensor>(llvm::StringRef name)>;

/// Gives every parameter (in the form its buffers ask for) a place in the image, in the order of the launches, each
/// once. Parameters that launches read one after another lie one after another.
WeightPlacement placeWeights(mlir::ModuleOp module);

/// Writes the image: converts rows where a parameter's element type differs from the file's, and packs them. NaN or
/// infinite numbers in tensors that are converted or reordered are an error with tensor and index.
Result<> writeWeights(mlir::ModuleOp module, const WeightPlacement &placement, const TensorLookup &tensors,
                      std::span<std::byte> image, unsigned threads);

} // namespace sinter

#endif // SINTER_COMPILER_WEIGHTIMAGE_H
