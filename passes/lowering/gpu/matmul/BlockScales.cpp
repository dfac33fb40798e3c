// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/matmul/BlockScales.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {

BlockScales loadBlockScales(Emitter &e, const kernel::WeightLayout &layout, Value header, Value block,
                            Value group, int64_t n) {
  const kernel::BlockTraits &traits = layout.block;
  int64_t subBlocks = traits.subBlocks();
  Type wide = e.vec(n, e.i32());
  auto headerNumbers = [&](int64_t offset) {
    return e.loadWide(e.f16(), n, e.at(e.atByte(header, offset), e.mul(group, n), e.f16()));
  };
  /// Bytes of the rows, as f32.
  auto subNumbers = [&](int64_t line, int64_t shift, int64_t mask) -> Value {
    Value bytes =
        e.loadAligned(e.vec(n, e.i8()), e.atByte(e.atByte(block, line * kernel::panelRows), e.mul(group, n)));
    if (!mask)
      return arith::SIToFPOp::create(e.b, e.loc, e.vec(n), bytes);
    Value number = arith::ExtUIOp::create(e.b, e.loc, wide, bytes);
    number = arith::ShRUIOp::create(e.b, e.loc, number, e.constantI(wide, shift));
    number = arith::AndIOp::create(e.b, e.loc, number, e.constantI(wide, mask));
    return arith::SIToFPOp::create(e.b, e.loc, e.vec(n), number);
  };
  Value scales = headerNumbers(0), minima = traits.minima ? headerNumbers(2 * kernel::panelRows) : Value();
  BlockScales result = {SmallVector<Value>(subBlocks, scales), SmallVector<Value>(subBlocks, minima)};
  if (!traits.hasSubScales())
    return result;
  for (int64_t sub = 0; sub < subBlocks; ++sub) {
    result.scales[sub] = e.mulF(scales, subNumbers(sub, 0, traits.packedScales ? 0x0f : 0));
    if (!traits.minima)
      continue;
    Value factor = traits.packedScales ? subNumbers(sub, 4, 0x0f) : subNumbers(subBlocks + sub, 0, 0);
    result.minima[sub] = e.subF(e.zeros(n), e.mulF(minima, factor));
  }
  return result;
}

BlockQuads loadBlockQuads(Emitter &e, const kernel::WeightLayout &layout, Value block, Value lane) {
  const kernel::BlockTraits &traits = layout.block;
  Value group = e.div(lane, 4), inGroup = e.rem(lane, 4);
  Type pair = e.vec(2, e.i32());
  /// Word `index` of the lane's two rows.
  auto word = [&](Value index) {
    Value line = e.atByte(block, e.add(e.mul(index, 4 * kernel::panelRows), layout.scaleBytes()));
    return e.loadAligned(pair, e.at(line, e.mul(group, 2), e.i32()));
  };
  auto field = [&](Value word, Value shift, int64_t bits) {
    return e.bitAnd(e.shiftRight(word, shift), ((1 << bits) - 1) * 0x01010101);
  };
  BlockQuads result;
  Value lowWord[2], highWord[2];
  bool isEight = traits.lowBits == 8, isFour = traits.lowBits == 4;
  for (int64_t r = 0; r < 2; ++r) {
    lowWord[r] = isEight  ? word(e.add(inGroup, 4 * r))
                 : isFour ? (r ? lowWord[0] : word(inGroup))
                          : word(e.constant(r));
    if (traits.highBits)
      highWord[r] = traits.highBits == 1 ? (r ? highWord[0] : word(e.constant(layout.lowWords())))
                                         : word(e.constant(layout.lowWords() + r));
  }
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t r = 0; r < 2; ++r) {
      Value value = e.extract(lowWord[r], half);
      if (isFour)
        value = field(value, e.constant(4 * r), 4);
      else if (!isEight)
        value = field(value, e.mul(inGroup, 2), 2);
      if (traits.highBits) {
        Value shift = traits.highBits == 1 ? e.add(inGroup, 4 * r) : e.mul(inGroup, 2);
        Value high = field(e.extract(highWord[r], half), shift, traits.highBits);
        value = e.bitOr(value, e.shiftLeft(high, traits.lowBits));
      }
      result.bytes[half][r] = value;
    }
  return result;
}

} // namespace sinter::gpu
