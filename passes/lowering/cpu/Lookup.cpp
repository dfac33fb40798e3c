// SPDX-License-Identifier: Apache-2.0
// One row of a packed weight as f32: the rows of an embedding table that is also the weight of the logits.
#include "passes/lowering/cpu/Emitters.h"

#include "dialects/kernel/WeightLayout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

/// Reads the numbers of one row of a panel.
class RowReader {
public:
  RowReader(Emitter &e, const kernel::WeightLayout &layout, Value panel, Value row)
      : e(e), layout(layout), panel(panel), row(row) {}

  /// Floats: elements lie a line of 16 rows (bf16: a line of 16 pairs) apart, those of 8 bits in tiles.
  Value number(Type element, Value column) {
    bool pairs = layout.format == kernel::WeightFormat::BF16;
    if (layout.isFp8()) {
      constexpr int64_t tile = kernel::WeightLayout::tileColumns;
      Value line = e.add(e.mul(e.div(column, tile), kernel::panelRows), row);
      return e.loadWide(element, e.at(panel, e.add(e.mul(line, tile), e.rem(column, tile)), element));
    }
    if (!pairs)
      return e.loadWide(element, e.at(panel, e.add(e.mul(column, kernel::panelRows), row), element));
    Value word = e.add(e.mul(e.div(column, 2), kernel::panelRows), row);
    return e.loadWide(element, e.at(panel, e.add(e.mul(word, 2), e.rem(column, 2)), element));
  }

  /// 32 numbers of a quantised row, as ggml dequantises them.
  void block(Value index, Value to) {
    const kernel::BlockTraits &traits = layout.block;
    int64_t perSuper = traits.superBlock / kernel::weightBlock, n = traits.subBlock;
    Value header = e.atByte(panel, e.mul(e.div(index, perSuper), layout.superBytes()));
    Value block =
        e.atByte(e.atByte(header, layout.headerBytes()), e.mul(e.rem(index, perSuper), layout.blockBytes()));
    Value integers = quads(block);
    for (int64_t sub = 0; sub < traits.subBlocks(); ++sub) {
      Value numbers = arith::SIToFPOp::create(e.b, e.loc, e.vec(n), e.slice(integers, sub * n, n));
      if (traits.zero)
        numbers = e.subF(numbers, e.constantF(e.vec(n), traits.zero));
      Value scale = headerNumber(header, 0), minimum;
      if (traits.hasSubScales())
        scale = e.mulF(scale, subScale(block, sub, 0, traits.packedScales ? 0x0f : 0));
      numbers = e.mulF(numbers, e.splat(scale, n));
      if (traits.minima) {
        minimum = headerNumber(header, 2 * kernel::panelRows);
        if (traits.packedScales)
          minimum = e.mulF(minimum, subScale(block, sub, 4, 0x0f));
        else if (traits.hasSubScales())
          minimum = e.mulF(minimum, subScale(block, traits.subBlocks() + sub, 0, 0));
        Value all = e.splat(minimum, n);
        numbers = traits.hasSubScales() ? e.subF(numbers, all) : e.addF(numbers, all);
      }
      e.store(numbers, e.at(to, sub * n, e.f32()));
    }
  }

private:
  Value headerNumber(Value header, int64_t offset) {
    return e.loadWide(e.f16(), e.at(e.atByte(header, offset), row, e.f16()));
  }
  Value subScale(Value block, int64_t group, int64_t shift, int64_t mask) {
    Value byte = e.load(e.i8(), e.atByte(e.atByte(block, group * kernel::panelRows), row));
    if (!mask)
      return arith::SIToFPOp::create(e.b, e.loc, e.f32(), byte);
    byte = arith::ShRUIOp::create(e.b, e.loc, byte, e.constantI(e.i8(), shift));
    byte = arith::AndIOp::create(e.b, e.loc, byte, e.constantI(e.i8(), mask));
    return arith::UIToFPOp::create(e.b, e.loc, e.f32(), byte);
  }
  /// (word >> right, or << -right) & mask in every byte.
  Value field(Value word, int64_t right, int64_t mask) {
    if (right > 0)
      word = arith::ShRUIOp::create(e.b, e.loc, word, e.constantI(e.i32(), right));
    else if (right < 0)
      word = arith::ShLIOp::create(e.b, e.loc, word, e.constantI(e.i32(), -right));
    return arith::AndIOp::create(e.b, e.loc, word, e.constantI(e.i32(), mask * 0x01010101));
  }
  /// The 32 integers as i8.
  Value quads(Value block) {
    const kernel::BlockTraits &traits = layout.block;
    auto word = [&](int64_t index) {
      return e.load(e.i32(), e.at(e.atByte(block, layout.scaleBytes() + 64 * index), row, e.i32()));
    };
    SmallVector<Value> words;
    for (int64_t q = 0; q < 8; ++q) {
      Value value = traits.lowBits == 8   ? word(q)
                    : traits.lowBits == 4 ? field(word(q % 4), q / 4 * 4, 0x0f)
                                          : field(word(q / 4), q % 4 * 2, 0x03);
      if (traits.highBits) {
        bool single = traits.highBits == 1;
        int64_t mask = ((1 << traits.highBits) - 1) << traits.lowBits;
        Value high = word(layout.lowWords() + (single ? 0 : q / 4));
        value = arith::OrIOp::create(e.b, e.loc, value,
                                     field(high, (single ? q : q % 4 * 2) - traits.lowBits, mask));
      }
      words.push_back(value);
    }
    Value all = vector::FromElementsOp::create(e.b, e.loc, e.vec(8, e.i32()), words);
    return vector::BitCastOp::create(e.b, e.loc, e.vec(32, e.i8()), all);
  }

  Emitter &e;
  const kernel::WeightLayout &layout;
  Value panel, row;
};

} // namespace

LogicalResult emitLookup(Frame &frame, kernel::LookupOp op, Value index, Value destination) {
  Emitter &e = frame.e;
  auto type = cast<kernel::WeightType>(op.getWeight().getType());
  if (int64_t multiple = kernel::WeightLayout::columnMultiple(type.getFormat()); type.getColumns() % multiple)
    return op.emitOpError() << "expected the columns of a weight of format "
                            << kernel::stringifyWeightFormat(type.getFormat()) << " to be a multiple of "
                            << multiple << ", found " << type.getColumns();
  kernel::WeightLayout layout(type);
  Value panel =
      e.atByte(frame.buffer(op.getWeight()), e.mul(e.div(index, kernel::panelRows), layout.panelBytes()));
  RowReader reader(e, layout, panel, e.rem(index, kernel::panelRows));
  if (layout.isFloat())
    e.loop(e.constant(0), e.constant(layout.columns), 1, [&](Value column) {
      e.store(reader.number(type.getElement(), column), e.at(destination, column, e.f32()));
    });
  else
    e.loop(e.constant(0), e.constant(layout.blocks()), 1, [&](Value block) {
      reader.block(block, e.at(destination, e.mul(block, kernel::weightBlock), e.f32()));
    });
  return success();
}

} // namespace sinter::cpu
