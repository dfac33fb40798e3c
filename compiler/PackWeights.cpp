// SPDX-License-Identifier: Apache-2.0
// Packs a panel at a time: floats are transposed, quantised rows taken apart block by block and their
// integers put into words of 4 columns. Q8_0, Q4_0 and Q4_1 keep ggml's bytes and only move words.
#include "compiler/PackWeights.h"

#include "compiler/PackBlocks.h"

#include <algorithm>
#include <cassert>
#include <cstring>

using sinter::kernel::BlockTraits;
using sinter::kernel::panelRows;
using sinter::kernel::WeightFormat;
using sinter::kernel::WeightLayout;

namespace sinter {
namespace {

/// [column][16 rows] of elements, or [column / pair][16 rows][pair].
template <typename T>
void packFloats(const WeightLayout &layout, std::span<const std::byte *const> rows, int64_t pair, T *out) {
  int64_t columns = layout.columns, stride = panelRows * pair;
  for (int64_t row = 0; row < static_cast<int64_t>(rows.size()); ++row) {
    const std::byte *from = rows[row];
    for (int64_t column = 0; column < columns; ++column) {
      T value;
      std::memcpy(&value, from + column * sizeof(T), sizeof(T));
      out[column / pair * stride + row * pair + column % pair] = value;
    }
  }
}

/// Blocks of tiles: 16 rows x 16 columns at a time, so that both sides stay in cache lines.
template <typename T>
void packTransposed(const WeightLayout &layout, std::span<const std::byte *const> rows, T *out) {
  int64_t columns = layout.columns, count = rows.size();
  for (int64_t first = 0; first < columns; first += panelRows) {
    int64_t n = std::min(panelRows, columns - first);
    T tile[panelRows][panelRows] = {};
    for (int64_t row = 0; row < count; ++row)
      std::memcpy(tile[row], rows[row] + first * sizeof(T), n * sizeof(T));
    T *to = out + first * panelRows;
    for (int64_t column = 0; column < n; ++column)
      for (int64_t row = 0; row < panelRows; ++row)
        to[column * panelRows + row] = tile[row][column];
  }
}

/// Tiles of 16 rows x 16 columns, row after row.
void packTiles(const WeightLayout &layout, std::span<const std::byte *const> rows, std::byte *out) {
  constexpr int64_t tile = WeightLayout::tileColumns;
  for (int64_t first = 0; first < layout.columns; first += tile)
    for (int64_t row = 0; row < static_cast<int64_t>(rows.size()); ++row)
      std::memcpy(out + first * panelRows + row * tile, rows[row] + first,
                  std::min(tile, layout.columns - first));
}

void store16(std::byte *to, uint16_t value) { std::memcpy(to, &value, 2); }
void store32(std::byte *to, uint32_t value) { std::memcpy(to, &value, 4); }

/// ggml's own words: after `skip` bytes of scale and minimum, `words` words of the row.
void moveWords(const std::byte *from, int64_t skip, int64_t words, std::byte *to) {
  for (int64_t i = 0; i < words; ++i)
    std::memcpy(to + i * 64, from + skip + i * 4, 4);
}

/// The low or high bits of 32 integers, `bits` each, as words: see WeightLayout.h. `shift`: where they are in
/// the integers. Four integers go in a word at a time.
template <int64_t bits> void storeBits(const uint8_t *integers, int64_t shift, std::byte *to) {
  constexpr int64_t perByte = 8 / bits;
  constexpr uint32_t mask = 0x01010101u * ((1 << bits) - 1);
  for (int64_t word = 0; word < bits; ++word) {
    uint32_t value = 0;
    for (int64_t field = 0; field < perByte; ++field) {
      // 8 bits: quad = word; 4: word + 4 * field; 2: 4 * word + field; 1: field.
      int64_t quad = bits == 4 ? word + 4 * field : word * perByte + field;
      uint32_t four;
      std::memcpy(&four, integers + quad * 4, 4);
      value |= (four >> shift & mask) << (field * bits);
    }
    store32(to + word * 64, value);
  }
}

void storeBits(const uint8_t *integers, int64_t bits, int64_t shift, std::byte *to) {
  switch (bits) {
  case 1:
    return storeBits<1>(integers, shift, to);
  case 2:
    return storeBits<2>(integers, shift, to);
  default:
    return storeBits<4>(integers, shift, to);
  }
}

void packSuper(const WeightLayout &layout, const std::byte *from, int64_t row, std::byte *to) {
  const BlockTraits &traits = layout.block;
  RawBlock raw;
  unpackBlock(layout.format, from, raw);
  store16(to + row * 2, raw.scale);
  if (traits.minima)
    store16(to + 2 * panelRows + row * 2, raw.minimum);
  int64_t subBlocks = traits.subBlocks();
  for (int64_t i = 0; i < traits.superBlock / kernel::weightBlock; ++i) {
    std::byte *block = to + layout.blockOffset(i);
    if (traits.hasSubScales())
      for (int64_t sub = 0; sub < subBlocks; ++sub) {
        block[sub * panelRows + row] = std::byte{raw.scales[i * subBlocks + sub]};
        if (traits.minima && !traits.packedScales)
          block[(subBlocks + sub) * panelRows + row] = std::byte{raw.minima[i * subBlocks + sub]};
      }
    std::byte *words = block + layout.scaleBytes() + row * 4;
    const uint8_t *integers = raw.integers + i * kernel::weightBlock;
    storeBits(integers, traits.lowBits, 0, words);
    if (traits.highBits)
      storeBits(integers, traits.highBits, traits.lowBits, words + 64 * layout.lowWords());
  }
}

void packQuantized(const WeightLayout &layout, std::span<const std::byte *const> rows, std::byte *out) {
  int64_t bytes = ggmlBlockBytes(layout.format);
  for (int64_t super = 0; super < layout.columns / layout.block.superBlock; ++super) {
    std::byte *to = out + super * layout.superBytes();
    for (int64_t row = 0; row < static_cast<int64_t>(rows.size()); ++row) {
      const std::byte *from = rows[row] + super * bytes;
      switch (layout.format) {
      case WeightFormat::Q8_0:
        std::memcpy(to + row * 2, from, 2);
        moveWords(from, 2, 8, to + layout.headerBytes() + row * 4);
        break;
      case WeightFormat::Q4_0:
        std::memcpy(to + row * 2, from, 2);
        moveWords(from, 2, 4, to + layout.headerBytes() + row * 4);
        break;
      case WeightFormat::Q4_1:
        std::memcpy(to + row * 2, from, 2);
        std::memcpy(to + 2 * panelRows + row * 2, from + 2, 2);
        moveWords(from, 4, 4, to + layout.headerBytes() + row * 4);
        break;
      default:
        packSuper(layout, from, row, to);
      }
    }
  }
}

} // namespace

void packPanel(const WeightLayout &layout, std::span<const std::byte *const> rows, std::byte *out) {
  // Rows and columns that the weight lacks stay zero.
  if (static_cast<int64_t>(rows.size()) < panelRows || layout.paddedColumns() != layout.columns)
    std::memset(out, 0, layout.panelBytes());
  switch (layout.format) {
  case WeightFormat::F32:
    return packTransposed(layout, rows, reinterpret_cast<uint32_t *>(out));
  case WeightFormat::F16:
    return packTransposed(layout, rows, reinterpret_cast<uint16_t *>(out));
  case WeightFormat::BF16:
    return packFloats(layout, rows, 2, reinterpret_cast<uint16_t *>(out));
  case WeightFormat::F8E4M3FN:
  case WeightFormat::F8E5M2:
    return packTiles(layout, rows, out);
  default:
    return packQuantized(layout, rows, out);
  }
}

void packPanels(const WeightLayout &layout, std::span<const std::byte *const> rows, int64_t first,
                int64_t count, std::byte *out) {
  assert(static_cast<int64_t>(rows.size()) == layout.rows && "an address for each row of the weight");
  for (int64_t panel = first; panel < first + count; ++panel) {
    int64_t row = panel * panelRows;
    packPanel(layout, rows.subspan(row, std::min(panelRows, layout.rows - row)), out);
    out += layout.panelBytes();
  }
}

} // namespace sinter
