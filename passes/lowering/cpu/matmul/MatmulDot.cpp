// SPDX-License-Identifier: Apache-2.0
// vpdpbusd, vpmaddubsw and vpmaddwd.
#include "passes/lowering/cpu/matmul/MatmulDot.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {

QuadDot::QuadDot(Emitter &e, const kernel::BlockTraits &block)
    : e(e), vnni(e.target.vnni()), isSigned(block.isSigned), narrow(!vnni && !isSigned),
      lanes(e.target.lanes()) {
  int64_t subQuads = block.subBlock / 4;
  int64_t largest = (int64_t(1) << block.bits()) - 1;
  // A 16-bit lane takes two products a quad; activations are -127 to 127.
  narrowQuads = narrow ? std::min<int64_t>(subQuads, 32767 / (2 * 127 * largest)) : subQuads;
  while (subQuads % narrowQuads)
    --narrowQuads;
}

VectorType QuadDot::sumType() const { return narrow ? e.vec(2 * lanes, e.i16()) : e.vec(lanes, e.i32()); }

Value QuadDot::broadcast(Value address) const {
  Value quad = e.load(e.i32(), address);
  return vector::BitCastOp::create(e.b, e.loc, e.vec(4 * lanes, e.i8()), e.splat(quad, lanes));
}

Value QuadDot::addWords(Value a, Value b) const {
  if (!a || !b)
    return a ? a : b;
  return arith::AddIOp::create(e.b, e.loc, a, b);
}

Value QuadDot::add(Value sum, Value weights, Value activations) const {
  Type words = e.vec(lanes, e.i32());
  if (vnni)
    return e.intrinsic("llvm.x86.avx512.vpdpbusd.512", words,
                       {sum ? sum : e.constantI(words, 0), weights, activations});
  Type pairs = e.vec(2 * lanes, e.i16());
  if (!isSigned)
    return addWords(sum, e.intrinsic("llvm.x86.avx2.pmadd.ub.sw", pairs, {weights, activations}));
  // A weight of -128 is 128 without sign, and 2 * 128 * 127 fits 16 bits.
  Value magnitude = LLVM::AbsOp::create(e.b, e.loc, weights.getType(), weights, /*is_int_min_poison=*/false);
  Value turned = e.intrinsic("llvm.x86.avx2.psign.b", weights.getType(), {activations, weights});
  Value products = e.intrinsic("llvm.x86.avx2.pmadd.ub.sw", pairs, {magnitude, turned});
  return addWords(sum, e.intrinsic("llvm.x86.avx2.pmadd.wd", words, {products, e.constantI(pairs, 1)}));
}

Value QuadDot::finish(Value total, Value sum) const {
  if (narrow)
    sum = e.intrinsic("llvm.x86.avx2.pmadd.wd", e.vec(lanes, e.i32()),
                      {sum, e.constantI(e.vec(2 * lanes, e.i16()), 1)});
  return addWords(total, sum);
}

} // namespace sinter::cpu
