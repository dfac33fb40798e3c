// SPDX-License-Identifier: Apache-2.0
// The emitter for x86-64: integers are i64, addresses are !llvm.ptr.
#ifndef SINTER_PASSES_LOWERING_CPU_EMITTER_H
#define SINTER_PASSES_LOWERING_CPU_EMITTER_H

#include "passes/lowering/Emitter.h"
#include "passes/lowering/cpu/Target.h"

namespace sinter::cpu {

class Emitter : public sinter::Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc, Target target)
      : sinter::Emitter(builder, loc), target(target) {}

  const Target target;

  //--- integers
  mlir::Value constant(int64_t value) { return constantI(i64(), value); }
  /// A 32-bit number out of memory.
  mlir::Value integer(mlir::Value number);
  mlir::Value fromIndex(mlir::Value value);

  //--- floating point, scalars or vectors of f32
  /// Rounded to nearest even to f16, bf16 or, as i8, 8 bits.
  mlir::Value narrow(mlir::Value value, mlir::Type element);
  void storeNarrow(mlir::Value value, mlir::Type element, mlir::Value pointer);
  /// 2^x for x <= 0 and x = -inf; error below 2 ulp, 0 below -126. 13 operations a register.
  mlir::Value exp2Negative(mlir::Value x);

  void prefetch(mlir::Value pointer);
};

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_EMITTER_H
