// SPDX-License-Identifier: Apache-2.0
// Writes straight-line and loop code as arith, math, vector, scf and llvm operations: data are scalars and
// 1-D vectors. Emitters unroll what should be unrolled; LLVM does not. What differs by target, the type of
// integers and how numbers are rounded, have the emitters of targets: cpu/Emitter.h, gpu/Emitter.h.
#ifndef SINTER_PASSES_LOWERING_EMITTER_H
#define SINTER_PASSES_LOWERING_EMITTER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace sinter {

/// A builder with short names; `n` of a vector is its number of elements.
class Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc) : b(builder), loc(loc) {}

  mlir::OpBuilder &b;
  mlir::Location loc;

  //--- types
  mlir::Type i8() { return b.getI8Type(); }
  mlir::Type i16() { return b.getI16Type(); }
  mlir::Type i32() { return b.getI32Type(); }
  mlir::Type i64() { return b.getI64Type(); }
  mlir::Type f16() { return b.getF16Type(); }
  mlir::Type bf16() { return b.getBF16Type(); }
  mlir::Type f32() { return b.getF32Type(); }
  mlir::Type ptr();
  mlir::VectorType vec(int64_t n, mlir::Type element) { return mlir::VectorType::get({n}, element); }
  mlir::VectorType vec(int64_t n) { return vec(n, f32()); }

  //--- integers (constants have the type of the other operand): folded when constant. Addresses, mostly: a
  //sum,
  // difference or product that overflows as a signed number is undefined (nsw)
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b) { return b ? add(a, constantI(a.getType(), b)) : a; }
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, int64_t b) { return b ? sub(a, constantI(a.getType(), b)) : a; }
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b) { return b == 1 ? a : mul(a, constantI(a.getType(), b)); }
  /// The same modulo 2^bits, of scalars and vectors: for hashes, packed bytes, and unsigned numbers that use
  /// all their bits.
  mlir::Value wrappingAdd(mlir::Value a, mlir::Value b);
  mlir::Value wrappingSub(mlir::Value a, mlir::Value b);
  mlir::Value wrappingMul(mlir::Value a, mlir::Value b);
  /// Quotient and remainder of numbers >= 0; rounded up.
  mlir::Value div(mlir::Value a, mlir::Value b);
  mlir::Value div(mlir::Value a, int64_t b) { return b == 1 ? a : div(a, constantI(a.getType(), b)); }
  mlir::Value rem(mlir::Value a, mlir::Value b);
  mlir::Value rem(mlir::Value a, int64_t b) { return rem(a, constantI(a.getType(), b)); }
  mlir::Value ceilDiv(mlir::Value a, int64_t b) { return div(add(a, b - 1), b); }
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value max(mlir::Value a, mlir::Value b);
  mlir::Value less(mlir::Value a, mlir::Value b);
  mlir::Value equal(mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  /// value rounded down to a multiple of a power of two.
  mlir::Value alignDown(mlir::Value value, int64_t unit);
  mlir::Value toI32(mlir::Value value);
  /// As f32.
  mlir::Value toFloat(mlir::Value value);
  mlir::Value toIndex(mlir::Value value);

  //--- floating point, scalars or vectors of f32
  mlir::Value constantF(mlir::Type type, double value);
  mlir::Value zeros(int64_t n) { return constantF(vec(n), 0); }
  mlir::Value constantI(mlir::Type type, int64_t value);
  mlir::Value splat(mlir::Value scalar, int64_t n);
  /// 0, 1, ..., n - 1.
  mlir::Value iota(int64_t n, mlir::Type element);
  mlir::Value addF(mlir::Value a, mlir::Value b);
  mlir::Value subF(mlir::Value a, mlir::Value b);
  mlir::Value mulF(mlir::Value a, mlir::Value b);
  mlir::Value divF(mlir::Value a, mlir::Value b);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  /// One instruction: of a NaN in `a` nothing stays.
  mlir::Value maxF(mlir::Value a, mlir::Value b);
  /// Sum, maximum, ... of a vector, in a tree.
  mlir::Value sum(mlir::Value vector);
  mlir::Value maxOf(mlir::Value vector);
  mlir::Value slice(mlir::Value vector, int64_t first, int64_t n);

  //--- memory: nothing is assumed about alignment beyond that of an element
  mlir::Value at(mlir::Value pointer, mlir::Value index, mlir::Type element);
  mlir::Value at(mlir::Value pointer, int64_t index, mlir::Type element);
  mlir::Value atByte(mlir::Value pointer, mlir::Value bytes) { return at(pointer, bytes, i8()); }
  mlir::Value atByte(mlir::Value pointer, int64_t bytes) { return at(pointer, bytes, i8()); }
  mlir::Value load(mlir::Type type, mlir::Value pointer);
  void store(mlir::Value value, mlir::Value pointer);
  /// n elements of f32, f16, bf16 or 8 bits (Fp8.h) as f32.
  mlir::Value loadWide(mlir::Type element, int64_t n, mlir::Value pointer);
  /// The same for one element.
  mlir::Value loadWide(mlir::Type element, mlir::Value pointer);

  //--- control flow
  using Body = llvm::function_ref<void(mlir::Value iv)>;
  using CarriedBody =
      llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value iv, mlir::ValueRange carried)>;
  void loop(mlir::Value begin, mlir::Value end, int64_t step, Body body);
  /// `carried` are registers that live through the loop; the body gives their next values.
  llvm::SmallVector<mlir::Value> loop(mlir::Value begin, mlir::Value end, int64_t step,
                                      mlir::ValueRange carried, CarriedBody body);
  void ifThen(mlir::Value condition, llvm::function_ref<void()> then);

  //--- intrinsics by LLVM's name, e.g. "llvm.x86.avx512.vpdpbusd.512"
  mlir::Value intrinsic(llvm::StringRef name, mlir::Type result, mlir::ValueRange operands);
};

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_EMITTER_H
