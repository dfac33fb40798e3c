// SPDX-License-Identifier: Apache-2.0
// The segment of weights of an ELF file.
//
// Weights never pass through the linker: it links the code with a symbol `sinter_weights` at an address far
// behind it, then the file gets the image appended, and its PT_NOTE program header (which nothing needs)
// becomes a read-only PT_LOAD at that address. So the cost of linking does not depend on the model's size,
// and sizes beyond 2 or 4 GiB need no large code model.
#ifndef SINTER_COMPILER_WEIGHTSEGMENT_H
#define SINTER_COMPILER_WEIGHTSEGMENT_H

#include "runtime/Result.h"
#include "runtime/files/AtomicFile.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace sinter {

/// Bytes of an image at their offset in it; may be called by several threads at once.
using ImageSink = std::function<Result<>(uint64_t offset, std::span<const std::byte> bytes)>;

/// The bytes of all weights. `write` gives all that are not zero to the sink.
struct WeightImage {
  uint64_t size = 0;
  std::function<Result<>(const ImageSink &)> write;
};

/// Makes an ELF file with a segment of weights. `link` writes the file `linked`, with `sinter_weights` at the
/// address it is given (of a shared library: behind its base). Zeros of the image are holes of the file.
Result<> linkWithWeights(const AtomicFile &file, const std::string &linked, const WeightImage &weights,
                         llvm::function_ref<Result<>(uint64_t address)> link);

/// The image as a file of its own (SINTER_WEIGHTS_MAGIC of runtime/abi.h), not yet committed, and the hash of
/// its bytes, which the model is to remember.
struct WeightsFile {
  AtomicFile file;
  uint64_t hash;
};
Result<WeightsFile> writeWeightsFile(const std::string &path, const WeightImage &weights);

/// Grows the temporary file of `file` to `offset + weights.size` bytes and writes the image there.
Result<> writeImage(const AtomicFile &file, uint64_t offset, const WeightImage &weights);

} // namespace sinter

#endif // SINTER_COMPILER_WEIGHTSEGMENT_H
