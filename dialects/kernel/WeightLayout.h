// SPDX-License-Identifier: Apache-2.0
// How the bytes of a packed weight lie: one layout for decode, prefill, embeddings and every instruction set.
//
// Rows of the weight (columns of the product) go in panels of 16, one panel after another; rows and columns
// that the weight lacks are zeros. Inside a panel:
//   f32, f16    [column][16 rows]
//   bf16        [column / 2][16 rows][2]: the 32-bit word of a row holds columns 2i (low) and 2i + 1 (high),
//               which is also the right operand of AMX's tdpbf16ps
//   f8E4M3FN, f8E5M2
//               [column / 16][16 rows][16]: tiles of 16 columns of each row, which are core matrices of wgmma
//   quantised   super-blocks along the columns (32 numbers, or 256 for the K formats):
//               [16 f16 scales] ([16 f16 minima]) then blocks of 32 numbers:
//               K formats: [16 bytes of scales a sub-block] ([16 bytes of minima a sub-block]), then
//               words: 64 bytes each, 4 for every row.
// Word w of a row, byte t, holds integers of columns with column % 4 = t, where quad q = column / 4 (0 to 7):
//   8 bits  word q
//   4 bits  word q % 4: quads 0-3 in the low half of the byte, 4-7 in the high half
//   2 bits  word q / 4, bits 2 * (q % 4) and up
//   1 bit   one word, bit q
// An integer of 5 or 6 bits (3) has a word group for its low 4 (2) bits, then one for the high bits.
// These are ggml's bits, moved: nothing is rounded.
#ifndef SINTER_DIALECTS_KERNEL_WEIGHTLAYOUT_H
#define SINTER_DIALECTS_KERNEL_WEIGHTLAYOUT_H

#include "dialects/kernel/Kernel.h"

namespace sinter::kernel {

/// Rows in a panel, and numbers in a block, which int8 activations share a scale with.
inline constexpr int64_t panelRows = 16;
inline constexpr int64_t weightBlock = 32;

/// What the blocks of a quantised format are made of. With the scale s and minimum m of its sub-block, a
/// number is s * (integer - zero) + m. For K formats s = scale * subScale and m = -(minimum * subMinimum).
struct BlockTraits {
  int64_t lowBits = 8;       // 8, 4 or 2
  int64_t highBits = 0;      // 0, 1 or 2
  int64_t zero = 0;          //
  bool isSigned = false;     // integers of 8 bits in two's complement
  int64_t superBlock = 32;   // numbers that share the f16 scale and minimum
  int64_t subBlock = 32;     // numbers that share a scale: 32 or 16
  bool minima = false;       //
  bool packedScales = false; // sub-scale (low half) and sub-minimum (high half) share a byte

  int64_t bits() const { return lowBits + highBits; }
  int64_t subBlocks() const { return weightBlock / subBlock; }
  /// A K format: the scales of sub-blocks are integers times the super-block's.
  bool hasSubScales() const { return superBlock > weightBlock; }
};

class WeightLayout {
public:
  /// `columns` must be a multiple of `columnMultiple(format)`.
  WeightLayout(WeightFormat format, int64_t rows, int64_t columns);
  explicit WeightLayout(WeightType type)
      : WeightLayout(type.getFormat(), type.getRows(), type.getColumns()) {}

  /// Numbers in the smallest piece of a row that a format can store: 1, 32 or 256.
  static int64_t columnMultiple(WeightFormat format);
  /// Where a packed weight must begin.
  static constexpr int64_t alignment = 64;

  WeightFormat format;
  int64_t rows, columns;

  bool isFloat() const { return elementBytes != 0; }
  /// Whether numbers have 8 bits, in tiles of so many columns.
  bool isFp8() const { return elementBytes == 1; }
  static constexpr int64_t tileColumns = 16;
  /// Of floats; 0 for quantised formats.
  int64_t elementBytes = 0;
  /// Of quantised formats.
  BlockTraits block;

  int64_t panels() const { return (rows + panelRows - 1) / panelRows; }
  /// bf16: a multiple of 32, a whole AMX tile; 8 bits: a multiple of 16; else as it is.
  int64_t paddedColumns() const;
  int64_t blocks() const { return columns / weightBlock; }
  int64_t bytes() const { return panels() * panelBytes(); }
  int64_t panelBytes() const;

  //--- quantised formats: bytes
  /// The f16 scales and minima of a super-block.
  int64_t headerBytes() const { return panelRows * 2 * (block.minima ? 2 : 1); }
  /// The sub-scales and sub-minima of a block.
  int64_t scaleBytes() const;
  int64_t lowWords() const { return block.lowBits; }
  int64_t highWords() const { return block.highBits; }
  int64_t blockBytes() const { return scaleBytes() + 64 * (lowWords() + highWords()); }
  int64_t superBytes() const { return headerBytes() + block.superBlock / weightBlock * blockBytes(); }
  /// Where a block begins in its panel.
  int64_t blockOffset(int64_t index) const;
};

} // namespace sinter::kernel

#endif // SINTER_DIALECTS_KERNEL_WEIGHTLAYOUT_H
