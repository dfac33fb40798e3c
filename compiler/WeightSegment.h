// SPDX-License-Identifier: Apache-2.0
// The segment of weights of an ELF file.
//
// Weights never pass through the linker: it links the code with a symbol `sinter_weights` at an address far behind it,
// then the file gets the image appended at a 2 MiB boundary, and its PT_NOTE program header (which nothing needs)
// becomes a read-only PT_LOAD at that address. So the cost of linking does not depend on the model's size, and sizes
// beyond 2 or 4 GiB need no large code model.
#ifndef SINTER_COMPILER_WEIGHTSEGMENT_H
#define SINTER_COMPILER_WEIGHTSEGMENT_H

#include "runtime/Result.h"
#include "runtime/files/AtomicFile.h"

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <functional>
#include <string>

namespace sinter {

/// The bytes of all weights. `write` fills a span of exactly `size` bytes; it may use threads.
struct WeightImage {
  uint64_t size = 0;
  std::function<Result<>(llvm::MutableArrayRef<uint8_t>)> write;
};

/// Appends the image to the ELF file `path`, mapped at `address` (for a shared library: behind its base).
Result<> appendWeights(const std::string &path, const WeightImage &weights, uint64_t address);

/// The image as a file of its own (SINTER_WEIGHTS_MAGIC of runtime/abi.h), not yet committed, and the hash of its
/// bytes, which the model is to remember.
struct WeightsFile {
  AtomicFile file;
  uint64_t hash;
};
Result<WeightsFile> writeWeightsFile(const std::string &path, const WeightImage &weights);

/// Grows the file `path` to `offset + weights.size` bytes and writes the image there.
Result<> writeImage(const std::string &path, uint64_t offset, const WeightImage &weights);

} // namespace sinter

#endif // SINTER_COMPILER_WEIGHTSEGMENT_H
