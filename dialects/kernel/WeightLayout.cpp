// SPDX-License-Identifier: Apache-2.0
// The table of formats, and the sizes that follow from it.
#include "dialects/kernel/WeightLayout.h"

namespace sinter::kernel {

static BlockTraits traitsOf(WeightFormat format) {
  switch (format) {
  case WeightFormat::F32:
  case WeightFormat::F16:
  case WeightFormat::BF16:
  case WeightFormat::F8E4M3FN:
  case WeightFormat::F8E5M2:
    return {};
  case WeightFormat::Q8_0:
    return {.lowBits = 8, .isSigned = true};
  case WeightFormat::Q4_0:
    return {.lowBits = 4, .zero = 8};
  case WeightFormat::Q4_1:
    return {.lowBits = 4, .minima = true};
  case WeightFormat::Q5_0:
    return {.lowBits = 4, .highBits = 1, .zero = 16};
  case WeightFormat::Q5_1:
    return {.lowBits = 4, .highBits = 1, .minima = true};
  case WeightFormat::Q2_K:
    return {.lowBits = 2, .superBlock = 256, .subBlock = 16, .minima = true, .packedScales = true};
  case WeightFormat::Q3_K:
    return {.lowBits = 2, .highBits = 1, .zero = 4, .superBlock = 256, .subBlock = 16};
  case WeightFormat::Q4_K:
    return {.lowBits = 4, .superBlock = 256, .minima = true};
  case WeightFormat::Q5_K:
    return {.lowBits = 4, .highBits = 1, .superBlock = 256, .minima = true};
  case WeightFormat::Q6_K:
    return {.lowBits = 4, .highBits = 2, .zero = 32, .superBlock = 256, .subBlock = 16};
  }
  assert(false && "a weight format without a row in the table");
  return {};
}

static int64_t elementBytesOf(WeightFormat format) {
  if (format == WeightFormat::F32)
    return 4;
  if (format == WeightFormat::F8E4M3FN || format == WeightFormat::F8E5M2)
    return 1;
  return format == WeightFormat::F16 || format == WeightFormat::BF16 ? 2 : 0;
}

int64_t WeightLayout::columnMultiple(WeightFormat format) {
  return elementBytesOf(format) ? 1 : traitsOf(format).superBlock;
}

WeightLayout::WeightLayout(WeightFormat format, int64_t rows, int64_t columns)
    : format(format), rows(rows), columns(columns), elementBytes(elementBytesOf(format)),
      block(traitsOf(format)) {
  assert(rows > 0 && columns > 0 && columns % columnMultiple(format) == 0 &&
         "a weight has whole blocks in every row");
}

int64_t WeightLayout::paddedColumns() const {
  int64_t unit = format == WeightFormat::BF16 ? 32 : isFp8() ? tileColumns : 1;
  return (columns + unit - 1) / unit * unit;
}

int64_t WeightLayout::panelBytes() const {
  if (isFloat())
    return panelRows * paddedColumns() * elementBytes;
  return columns / block.superBlock * superBytes();
}

int64_t WeightLayout::scaleBytes() const {
  if (!block.hasSubScales())
    return 0;
  return block.subBlocks() * panelRows * (block.minima && !block.packedScales ? 2 : 1);
}

int64_t WeightLayout::blockOffset(int64_t index) const {
  int64_t perSuper = block.superBlock / weightBlock;
  return index / perSuper * superBytes() + headerBytes() + index % perSuper * blockBytes();
}

} // namespace sinter::kernel
