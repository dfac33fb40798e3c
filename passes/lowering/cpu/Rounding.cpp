// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/cpu/Rounding.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {

Value roundToBf16(Emitter &e, Value value) {
  int64_t lanes = cast<VectorType>(value.getType()).getDimSize(0);
  Type word = e.vec(lanes, e.i32());
  Value half = vector::BitCastOp::create(e.b, e.loc, e.vec(lanes, e.i16()), e.narrow(value, e.bf16()));
  Value wide = arith::ShLIOp::create(e.b, e.loc, arith::ExtUIOp::create(e.b, e.loc, word, half).getResult(),
                                     e.constantI(word, 16));
  return vector::BitCastOp::create(e.b, e.loc, value.getType(), wide);
}

} // namespace sinter::cpu
