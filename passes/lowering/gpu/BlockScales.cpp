// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/BlockScales.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {

BlockScales loadBlockScales(Emitter &e, const kernel::WeightLayout &layout, Value header, Value block,
                            Value group) {
  const kernel::BlockTraits &traits = layout.block;
  int64_t subBlocks = traits.subBlocks();
  Type four = e.vec(4, e.i32());
  auto headerNumbers = [&](int64_t offset) {
    return e.loadWide(e.f16(), 4, e.at(e.atByte(header, offset), e.mul(group, 4), e.f16()));
  };
  /// Bytes of 4 rows, as f32.
  auto subNumbers = [&](int64_t line, int64_t shift, int64_t mask) -> Value {
    Value bytes =
        e.loadAligned(e.vec(4, e.i8()), e.atByte(e.atByte(block, line * kernel::panelRows), e.mul(group, 4)));
    if (!mask)
      return arith::SIToFPOp::create(e.b, e.loc, e.vec(4), bytes);
    Value wide = arith::ExtUIOp::create(e.b, e.loc, four, bytes);
    wide = arith::ShRUIOp::create(e.b, e.loc, wide, e.constantI(four, shift));
    wide = arith::AndIOp::create(e.b, e.loc, wide, e.constantI(four, mask));
    return arith::SIToFPOp::create(e.b, e.loc, e.vec(4), wide);
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
    result.minima[sub] = e.subF(e.zeros(4), e.mulF(minima, factor));
  }
  return result;
}

} // namespace sinter::gpu
