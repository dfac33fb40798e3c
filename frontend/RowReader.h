// SPDX-License-Identifier: Apache-2.0
// Rows of weights in the storage format that a buffer asks for.
#ifndef SINTER_FRONTEND_ROWREADER_H
#define SINTER_FRONTEND_ROWREADER_H

#include "frontend/Weights.h"

namespace sinter {

/// Reads rows of weights in one storage format, checked: every weight of an executable passes through here.
/// What is kept is not copied; what is converted goes through f32, rounded as llama.cpp rounds. An object
/// serves one thread.
///
/// Reading fails, naming file, tensor, index and byte, at a NaN or infinity and at numbers too large for the
/// format.
class RowReader {
public:
  /// Rows of `length` numbers (whole blocks) in `format`, at most `rows` at a time.
  RowReader(const BlockFormat &format, int64_t length, int64_t rows);

  int64_t rowBytes() const { return bytes; }

  /// Numbers `first` to `first + length - 1` of the whole tensor: where they are in the file when that has
  /// them in the format, else converted, until the next row of the same `slot` is read.
  Result<const std::byte *> read(const Weight &weight, int64_t first, int64_t slot);

  /// The same for `length` numbers at these positions of the tensor (of floats, or a short one: blocks are
  /// decoded anew for each number).
  Result<const std::byte *> gather(const Weight &weight, std::span<const int64_t> positions, int64_t slot);

private:
  Result<const std::byte *> store(const Weight &weight, std::span<const std::byte> row,
                                  const BlockFormat &stored, std::span<const int64_t> positions,
                                  int64_t first, int64_t slot);

  const BlockFormat &format;
  int64_t length, bytes;
  std::vector<std::byte> gathered;  // a row, from all over the tensor
  std::vector<float> numbers;       // a row, decoded
  std::vector<std::byte> converted; // [rows][bytes]
};

} // namespace sinter

#endif // SINTER_FRONTEND_ROWREADER_H
