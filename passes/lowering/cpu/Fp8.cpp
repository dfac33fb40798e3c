// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/cpu/Fp8.h"

#include "passes/lowering/cpu/matmul/MatmulBlock.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {

Value loadFp8Quad(Emitter &e, Value tile, int64_t quad, int64_t half) {
  constexpr int64_t quads = kernel::WeightLayout::tileColumns / 4;
  int64_t lanes = e.target.lanes();
  Value rows = e.load(e.vec(lanes * quads, e.i32()), e.atByte(tile, half * lanes * quads * 4));
  SmallVector<int64_t> words;
  for (int64_t row = 0; row < lanes; ++row)
    words.push_back(row * quads + quad);
  return vector::ShuffleOp::create(e.b, e.loc, rows, rows, words);
}

Value columnOfFp8(Emitter &e, Type element, Value words, int64_t i) {
  Value byte =
      i ? arith::ShRUIOp::create(e.b, e.loc, words, e.constantI(words.getType(), 8 * i)).getResult() : words;
  Type bytes = e.vec(cast<VectorType>(words.getType()).getDimSize(0), e.i8());
  return widenFp8(e, element, arith::TruncIOp::create(e.b, e.loc, bytes, byte));
}

void emitWidePanel(Emitter &e, const kernel::WeightLayout &layout, Type element, Value panel, Value to) {
  constexpr int64_t columns = kernel::WeightLayout::tileColumns;
  e.loop(e.constant(0), e.constant(layout.paddedColumns()), columns, [&](Value column) {
    Value tile = e.atByte(panel, e.mul(column, kernel::panelRows));
    Value lines = e.at(to, e.mul(column, kernel::panelRows), e.f32());
    for (int64_t quad = 0; quad < columns / 4; ++quad)
      for (int64_t half = 0; half < halvesOf(e.target); ++half) {
        Value words = loadFp8Quad(e, tile, quad, half);
        for (int64_t i = 0; i < 4; ++i)
          e.store(columnOfFp8(e, element, words, i),
                  e.at(lines, (quad * 4 + i) * kernel::panelRows + half * e.target.lanes(), e.f32()));
      }
  });
}

} // namespace sinter::cpu
