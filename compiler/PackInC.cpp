// SPDX-License-Identifier: Apache-2.0
// The packer as C functions for programs that call kernels: they are linked into those kernels' objects, and
// so use nothing of LLVM. `format` is a WeightFormat of the dialect kernel.
#include "compiler/PackBlocks.h"
#include "compiler/PackWeights.h"
#include "runtime/files/BlockFormats.h"

#include <algorithm>
#include <cstdlib>

using sinter::BlockFormat;
using sinter::kernel::panelRows;
using sinter::kernel::WeightFormat;
using sinter::kernel::WeightLayout;

namespace {

/// Bytes of a row as model files store it.
int64_t storedBytes(const WeightLayout &layout) {
  return layout.isFloat() ? layout.columns * layout.elementBytes
                          : layout.columns / layout.block.superBlock * sinter::ggmlBlockBytes(layout.format);
}

void packRows(const WeightLayout &layout, const std::byte *stored, int64_t count, std::byte *panel) {
  const std::byte *rows[panelRows];
  for (int64_t row = 0; row < count; ++row)
    rows[row] = stored + row * storedBytes(layout);
  sinter::packPanel(layout, {rows, static_cast<size_t>(count)}, panel);
}

const BlockFormat *writableFormat(WeightFormat format) {
  switch (format) {
  case WeightFormat::F16:
    return &sinter::f16Format;
  case WeightFormat::BF16:
    return &sinter::bf16Format;
  case WeightFormat::F8E4M3FN:
    return &sinter::f8E4M3FNFormat;
  case WeightFormat::F8E5M2:
    return &sinter::f8E5M2Format;
  case WeightFormat::Q8_0:
    return &sinter::q8_0Format;
  case WeightFormat::Q4_0:
    return &sinter::q4_0Format;
  case WeightFormat::Q4_1:
    return &sinter::q4_1Format;
  default:
    return nullptr;
  }
}

} // namespace

/// Packs (rows, columns) numbers stored in `format`, row after row, as model files have them: floats, or
/// ggml's blocks.
extern "C" void sinter_pack_weight(int32_t format, int64_t rows, int64_t columns, const void *stored,
                                   void *packed) {
  const WeightLayout layout(static_cast<WeightFormat>(format), rows, columns);
  auto *from = static_cast<const std::byte *>(stored);
  auto *to = static_cast<std::byte *>(packed);
  for (int64_t row = 0; row < rows; row += panelRows, to += layout.panelBytes())
    packRows(layout, from + row * storedBytes(layout), std::min(panelRows, rows - row), to);
}

/// Rounds (rows, columns) f32 numbers to `format` (f16, bf16, q8_0, q4_0 or q4_1, as ggml rounds, or 8 bits)
/// and packs them. 0, or -1 when there is no memory for 16 rows.
extern "C" int sinter_round_weight(int32_t format, int64_t rows, int64_t columns, const float *numbers,
                                   void *packed) {
  const WeightLayout layout(static_cast<WeightFormat>(format), rows, columns);
  const BlockFormat *rounded = writableFormat(layout.format);
  auto *some = static_cast<std::byte *>(std::malloc(panelRows * storedBytes(layout)));
  if (!some || !rounded)
    return -1;
  auto *to = static_cast<std::byte *>(packed);
  for (int64_t first = 0; first < rows; first += panelRows, to += layout.panelBytes()) {
    const int64_t count = std::min(panelRows, rows - first);
    for (int64_t row = 0; row < count; ++row)
      rounded->quantize({numbers + (first + row) * columns, static_cast<size_t>(columns)},
                        some + row * storedBytes(layout));
    packRows(layout, some, count, to);
  }
  std::free(some);
  return 0;
}
