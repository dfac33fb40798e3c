// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/cpu/matmul/Bf16Product.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {

Value emitPairs(Emitter &e, Value low, Value high) {
  int64_t n = cast<VectorType>(low.getType()).getDimSize(0);
  Type words = e.vec(n, e.i32());
  auto wordsOf = [&](Value numbers) -> Value {
    if (!cast<VectorType>(numbers.getType()).getElementType().isBF16())
      numbers = e.narrow(numbers, e.bf16());
    Value half = vector::BitCastOp::create(e.b, e.loc, e.vec(n, e.i16()), numbers);
    return arith::ExtUIOp::create(e.b, e.loc, words, half);
  };
  if (!high)
    return wordsOf(low);
  Value shifted = arith::ShLIOp::create(e.b, e.loc, wordsOf(high), e.constantI(words, 16));
  return arith::OrIOp::create(e.b, e.loc, wordsOf(low), shifted);
}

Value emitPairProduct(Emitter &e, Value sum, Value left, Value right) {
  int64_t lanes = e.target.lanes();
  assert(lanes == 16 && e.target.bf16() && "AVX512-BF16 comes with registers of 16 f32");
  auto pairs = [&](Value words) {
    return vector::BitCastOp::create(e.b, e.loc, e.vec(2 * lanes, e.bf16()), words).getResult();
  };
  return e.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", e.vec(lanes), {sum, pairs(left), pairs(right)});
}

int64_t bf16PanelBytes(int64_t columns) {
  return llvm::alignTo(columns, bf16Columns) * kernel::panelRows * 2;
}

void emitBf16Panel(Emitter &e, int64_t columns, Value panel, Value to) {
  constexpr int64_t lanes = kernel::panelRows;
  auto numbers = [&](Value column, int64_t next) {
    return e.load(e.vec(lanes), e.at(e.at(panel, e.mul(column, lanes), e.f32()), next * lanes, e.f32()));
  };
  auto store = [&](Value pairs, Value column) { e.store(pairs, e.atByte(to, e.mul(column, lanes * 2))); };
  int64_t whole = columns / 2 * 2;
  e.loop(e.constant(0), e.constant(whole), 2,
         [&](Value column) { store(emitPairs(e, numbers(column, 0), numbers(column, 1)), column); });
  if (whole < columns)
    store(emitPairs(e, numbers(e.constant(whole), 0), {}), e.constant(whole));
  e.loop(e.constant(llvm::alignTo(columns, 2)), e.constant(llvm::alignTo(columns, bf16Columns)), 2,
         [&](Value column) { store(e.constantI(e.vec(lanes, e.i32()), 0), column); });
}

TileResult emitBf16Tile(Emitter &e, int64_t columns, const LeftPlane &left, int64_t rows,
                        ArrayRef<Value> panels) {
  constexpr int64_t lanes = kernel::panelRows;
  constexpr int64_t unroll = 2; // pairs
  auto pairs = [&](Value pair, int64_t count, ValueRange carried) {
    SmallVector<Value> sums(carried);
    Value leftPair = e.at(left.address, pair, e.i32());
    for (int64_t k = 0; k < count; ++k) {
      SmallVector<Value> weights;
      for (Value panel : panels)
        weights.push_back(e.load(e.vec(lanes, e.i32()), e.atByte(panel, e.mul(e.add(pair, k), lanes * 4))));
      for (int64_t row = 0; row < rows; ++row) {
        Value word = e.load(e.i32(), e.at(e.atByte(leftPair, row * left.stride), k, e.i32()));
        Value x = e.splat(word, lanes);
        for (size_t p = 0; p < panels.size(); ++p) {
          Value &sum = sums[p * rows + row];
          sum = emitPairProduct(e, sum, x, weights[p]);
        }
      }
    }
    return sums;
  };
  int64_t count = (columns + 1) / 2, whole = count / unroll * unroll;
  SmallVector<Value> sums(panels.size() * rows, e.zeros(lanes));
  if (whole)
    sums = e.loop(e.constant(0), e.constant(whole), unroll, sums,
                  [&](Value pair, ValueRange carried) { return pairs(pair, unroll, carried); });
  if (whole < count)
    sums = pairs(e.constant(whole), count - whole, sums);
  return {sums, rows, /*halves=*/1};
}

} // namespace sinter::cpu
