// SPDX-License-Identifier: Apache-2.0
// Elements of one row of a packed weight, as ggml dequantises them: the rows of an embedding table.
#include "passes/lowering/gpu/Region.h"

#include "dialects/kernel/WeightLayout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

class RowReader {
public:
  RowReader(Frame &frame, const kernel::WeightLayout &layout, Value panel, Value row)
      : frame(frame), e(frame.e), layout(layout), panel(panel), row(row) {}

  /// Floats: elements lie a line of 16 rows (bf16: a line of 16 pairs) apart, those of 8 bits in tiles.
  Value floats(Type element, Value column, int64_t n) {
    SmallVector<Value> numbers;
    for (int64_t i = 0; i < n; ++i) {
      Value at = e.add(column, i), index = e.add(e.mul(at, kernel::panelRows), row);
      if (layout.format == kernel::WeightFormat::BF16) {
        Value word = e.add(e.mul(e.div(at, 2), kernel::panelRows), row);
        index = e.add(e.mul(word, 2), e.rem(at, 2));
      }
      if (layout.isFp8()) {
        constexpr int64_t tile = kernel::WeightLayout::tileColumns;
        Value line = e.add(e.mul(e.div(at, tile), kernel::panelRows), row);
        index = e.add(e.mul(line, tile), e.rem(at, tile));
      }
      numbers.push_back(e.loadWide(element, e.at(panel, index, element)));
    }
    return e.pack(numbers);
  }

  /// n neighbours (1, 2 or 4, from a multiple of n on) are bytes of one word.
  Value integers(Value column, int64_t n) {
    const kernel::BlockTraits &traits = layout.block;
    int64_t perSuper = traits.superBlock / kernel::weightBlock;
    Value index = e.div(column, kernel::weightBlock), inBlock = e.rem(column, kernel::weightBlock);
    Value header = frame.farAt(panel, e.div(index, perSuper), layout.superBytes());
    Value block =
        e.atByte(e.atByte(header, layout.headerBytes()), e.mul(e.rem(index, perSuper), layout.blockBytes()));
    Value sub = e.div(inBlock, traits.subBlock), quad = e.div(inBlock, 4);
    Value word = quadOf(block, quad);
    if (n < 4)
      word = e.shiftRight(word, e.mul(e.rem(inBlock, 4), 8));
    Value scale = headerNumber(header, 0), minimum;
    if (traits.hasSubScales())
      scale = e.mulF(scale, subScale(block, sub, 0, traits.packedScales ? 0x0f : 0));
    if (traits.minima) {
      minimum = headerNumber(header, 2 * kernel::panelRows);
      if (traits.packedScales)
        minimum = e.mulF(minimum, subScale(block, sub, 4, 0x0f));
      else if (traits.hasSubScales())
        minimum = e.mulF(minimum, subScale(block, e.add(sub, traits.subBlocks()), 0, 0));
    }
    SmallVector<Value> numbers;
    for (int64_t i = 0; i < n; ++i) {
      Value byte =
          traits.isSigned
              ? Value(arith::ShRSIOp::create(e.b, e.loc, e.shiftLeft(word, 24 - 8 * i), e.constant(24)))
              : e.bitAnd(e.shiftRight(word, 8 * i), 0xff);
      Value number = e.toFloat(byte);
      if (traits.zero)
        number = e.subF(number, e.constantF(e.f32(), traits.zero));
      number = e.mulF(number, scale);
      if (minimum)
        number = traits.hasSubScales() ? e.subF(number, minimum) : e.addF(number, minimum);
      numbers.push_back(number);
    }
    return e.pack(numbers);
  }

private:
  Value headerNumber(Value header, int64_t offset) {
    return e.loadWide(e.f16(), e.at(e.atByte(header, offset), row, e.f16()));
  }
  Value subScale(Value block, Value group, int64_t shift, int64_t mask) {
    Value byte = e.load(e.i8(), e.atByte(block, e.add(e.mul(group, kernel::panelRows), row)));
    if (!mask)
      return e.toFloat(arith::ExtSIOp::create(e.b, e.loc, e.i32(), byte));
    byte = arith::ExtUIOp::create(e.b, e.loc, e.i32(), byte);
    return e.toFloat(e.bitAnd(e.shiftRight(byte, shift), mask));
  }
  /// The integers of quad `quad` (0 to 7) as bytes.
  Value quadOf(Value block, Value quad) {
    const kernel::BlockTraits &traits = layout.block;
    auto word = [&](Value index) {
      Value offset = e.add(e.mul(index, 4 * kernel::panelRows), layout.scaleBytes());
      return e.load(e.i32(), e.at(e.atByte(block, offset), row, e.i32()));
    };
    auto field = [&](Value word, Value shift, int64_t bits) {
      return e.bitAnd(e.shiftRight(word, shift), ((1 << bits) - 1) * 0x01010101);
    };
    Value value = traits.lowBits == 8   ? word(quad)
                  : traits.lowBits == 4 ? field(word(e.rem(quad, 4)), e.mul(e.div(quad, 4), 4), 4)
                                        : field(word(e.div(quad, 4)), e.mul(e.rem(quad, 4), 2), 2);
    if (!traits.highBits)
      return value;
    bool single = traits.highBits == 1;
    Value high = word(single ? e.constant(layout.lowWords()) : e.add(e.div(quad, 4), layout.lowWords()));
    Value bits = field(high, single ? quad : e.mul(e.rem(quad, 4), 2), traits.highBits);
    return e.bitOr(value, e.shiftLeft(bits, traits.lowBits));
  }

  Frame &frame;
  Emitter &e;
  const kernel::WeightLayout &layout;
  Value panel, row;
};

} // namespace

Value emitLookup(Frame &frame, kernel::WeightType type, Value weight, Value index, Value column, int64_t n) {
  kernel::WeightLayout layout(type);
  Emitter &e = frame.e;
  Value panel = frame.farAt(weight, e.div(index, kernel::panelRows), layout.panelBytes());
  RowReader reader(frame, layout, panel, e.rem(index, kernel::panelRows));
  return layout.isFloat() ? reader.floats(type.getElement(), column, n) : reader.integers(column, n);
}

} // namespace sinter::gpu
