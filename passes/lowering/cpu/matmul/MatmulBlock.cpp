// SPDX-License-Identifier: Apache-2.0
// Shifts and masks that take a packed block apart.
#include "passes/lowering/cpu/matmul/MatmulBlock.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {

Value PackedBlock::word(int64_t index, int64_t half) {
  Value &known = words[{index, half}];
  if (!known) {
    int64_t lanes = e.target.lanes();
    int64_t offset = layout.scaleBytes() + 64 * index + half * lanes * 4;
    known = e.load(e.vec(lanes, e.i32()), e.atByte(block, offset));
  }
  return known;
}

Value PackedBlock::field(Value word, int64_t right, int64_t mask) {
  Type type = word.getType();
  if (right > 0)
    word = arith::ShRUIOp::create(e.b, e.loc, word, e.constantI(type, right));
  else if (right < 0)
    word = arith::ShLIOp::create(e.b, e.loc, word, e.constantI(type, -right));
  return arith::AndIOp::create(e.b, e.loc, word, e.constantI(type, mask * 0x01010101));
}

Value PackedBlock::quad(int64_t q, int64_t half) {
  const kernel::BlockTraits &traits = layout.block;
  Value value;
  switch (traits.lowBits) {
  case 8:
    value = word(q, half);
    if (traits.isSigned && e.target.vnni())
      value = arith::XOrIOp::create(e.b, e.loc, value, e.constantI(value.getType(), int32_t(0x80808080)));
    break;
  case 4:
    value = field(word(q % 4, half), q / 4 * 4, 0x0f);
    break;
  default:
    value = field(word(q / 4, half), q % 4 * 2, 0x03);
  }
  if (traits.highBits) {
    bool single = traits.highBits == 1;
    Value high = word(layout.lowWords() + (single ? 0 : q / 4), half);
    int64_t position = single ? q : q % 4 * 2;
    int64_t mask = ((1 << traits.highBits) - 1) << traits.lowBits;
    value = arith::OrIOp::create(e.b, e.loc, value, field(high, position - traits.lowBits, mask));
  }
  return vector::BitCastOp::create(e.b, e.loc, e.vec(4 * e.target.lanes(), e.i8()), value);
}

Value PackedBlock::halfFloats(int64_t offset, int64_t half) {
  int64_t lanes = e.target.lanes();
  return e.loadWide(e.f16(), lanes, e.atByte(header, offset + half * lanes * 2));
}

Value PackedBlock::subScale(int64_t offset, int64_t half, int64_t shift, int64_t mask) {
  int64_t lanes = e.target.lanes();
  Value bytes = e.load(e.vec(lanes, e.i8()), e.atByte(block, offset + half * lanes));
  Type word = e.vec(lanes, e.i32());
  Value words;
  if (mask == 0xff) {
    words = arith::ExtSIOp::create(e.b, e.loc, word, bytes);
  } else {
    words = arith::ExtUIOp::create(e.b, e.loc, word, bytes);
    if (shift)
      words = arith::ShRUIOp::create(e.b, e.loc, words, e.constantI(word, shift));
    words = arith::AndIOp::create(e.b, e.loc, words, e.constantI(word, mask));
  }
  return arith::SIToFPOp::create(e.b, e.loc, e.vec(lanes), words);
}

Value PackedBlock::scale(int64_t subBlock, int64_t half) {
  const kernel::BlockTraits &traits = layout.block;
  Value scale = halfFloats(0, half);
  if (!traits.hasSubScales())
    return scale;
  int64_t offset = subBlock * kernel::panelRows;
  return e.mulF(scale, subScale(offset, half, 0, traits.packedScales ? 0x0f : 0xff));
}

Value PackedBlock::minimum(int64_t subBlock, int64_t half) {
  const kernel::BlockTraits &traits = layout.block;
  Value minimum = halfFloats(2 * kernel::panelRows, half);
  if (!traits.hasSubScales())
    return minimum;
  int64_t offset = (traits.packedScales ? subBlock : traits.subBlocks() + subBlock) * kernel::panelRows;
  Value factor = traits.packedScales ? subScale(offset, half, 4, 0x0f) : subScale(offset, half, 0, 0xff);
  Value product = e.mulF(minimum, factor);
  return arith::NegFOp::create(e.b, e.loc, product);
}

} // namespace sinter::cpu
