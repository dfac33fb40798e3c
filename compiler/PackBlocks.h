// SPDX-License-Identifier: Apache-2.0
// ggml's super-blocks taken apart, for the packer.
#ifndef SINTER_COMPILER_PACKBLOCKS_H
#define SINTER_COMPILER_PACKBLOCKS_H

#include "dialects/kernel/WeightLayout.h"

#include <cstddef>
#include <cstdint>

namespace sinter {

/// One super-block of one row: 32 or 256 numbers.
struct RawBlock {
  uint16_t scale = 0, minimum = 0; // f16
  uint8_t scales[16], minima[16];  // of sub-blocks; with packed scales both in `scales`
  uint8_t integers[256];
};

/// Bytes of a super-block in ggml's form.
int64_t ggmlBlockBytes(kernel::WeightFormat format);

/// Takes a super-block of a quantised format apart. Bit layouts: ggml-common.h and dequantize_row_* in
/// ggml-quants.c.
void unpackBlock(kernel::WeightFormat format, const std::byte *from, RawBlock &to);

} // namespace sinter

#endif // SINTER_COMPILER_PACKBLOCKS_H
