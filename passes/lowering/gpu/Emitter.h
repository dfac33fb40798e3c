// SPDX-License-Identifier: Apache-2.0
// The emitter for code that runs in a thread of a GPU: integers are i32, pointers know their memory; barriers
// and shuffles.
#ifndef SINTER_PASSES_LOWERING_GPU_EMITTER_H
#define SINTER_PASSES_LOWERING_GPU_EMITTER_H

#include "passes/lowering/Emitter.h"
#include "passes/lowering/gpu/Target.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace sinter::gpu {

class Emitter : public sinter::Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc, Architecture architecture)
      : sinter::Emitter(builder, loc), architecture(architecture) {}

  const Architecture architecture;
  /// The threads that meet at barriers: those of the block, or some warps that share the barrier `id`.
  struct BarrierScope {
    int64_t id = 0, threads = 0; // 0: all
  } barrierScope;

  //--- memories: pointers of PTX's state spaces
  mlir::Type globalPtr();
  mlir::Type sharedPtr();
  bool isShared(mlir::Value pointer);

  //--- integers: i32 unless said
  mlir::Value constant(int64_t value) { return constantI(i32(), value); }
  mlir::Value wide(int64_t value) { return constantI(i64(), value); }
  /// Sign-extended to i64.
  mlir::Value extend(mlir::Value value);
  mlir::Value integer(mlir::Value number) { return number; }
  mlir::Value fromIndex(mlir::Value value);
  mlir::Value bitAnd(mlir::Value a, int64_t b);
  mlir::Value bitOr(mlir::Value a, mlir::Value b);
  mlir::Value bitXor(mlir::Value a, mlir::Value b);
  mlir::Value shiftLeft(mlir::Value a, int64_t bits);
  mlir::Value shiftRight(mlir::Value a, mlir::Value bits); // zeros come in
  mlir::Value shiftRight(mlir::Value a, int64_t bits) {
    return bits ? shiftRight(a, constantI(a.getType(), bits)) : a;
  }
  mlir::Value both(mlir::Value a, mlir::Value b); // of i1; either may be null
  mlir::Value isFalse(mlir::Value a);             // of i1

  /// PTX as it is: $0, $1, ... are the results, then the operands, as `constraints` say ("=r,l"). `isPure`:
  /// LLVM may move, repeat and drop it.
  mlir::LLVM::InlineAsmOp assemble(llvm::StringRef text, llvm::StringRef constraints, mlir::TypeRange results,
                                   mlir::ValueRange operands, bool isPure = false);
  /// The same number, of which LLVM does not know that: it moves what is computed from it out of no loop,
  /// where addresses that one instruction makes would hold registers all the while.
  mlir::Value fresh(mlir::Value a);

  //--- floating point
  /// Rounded by the instruction that sm_80 has for every type.
  mlir::Value narrow(mlir::Value value, mlir::Type element);
  void storeNarrow(mlir::Value value, mlir::Type element, mlir::Value pointer) {
    storeAligned(narrow(value, element), pointer);
  }
  /// 2^x by the special function unit: relative error below 2^-22, denormals become 0.
  mlir::Value exp2(mlir::Value value);

  //--- memory, aligned to the size of the whole vector: one instruction up to 16 bytes
  mlir::Value loadAligned(mlir::Type type, mlir::Value pointer);
  void storeAligned(mlir::Value value, mlir::Value pointer);
  /// n elements of f32, f16, bf16 or 8 bits as a vector of f32.
  mlir::Value loadWide(mlir::Type element, int64_t n, mlir::Value pointer);
  mlir::Value loadWide(mlir::Type element, mlir::Value pointer) {
    return sinter::Emitter::loadWide(element, pointer);
  }
  /// Element i of a vector.
  mlir::Value extract(mlir::Value vector, int64_t i);
  mlir::Value pack(llvm::ArrayRef<mlir::Value> elements);
  mlir::Value bitcast(mlir::Type type, mlir::Value value);

  //--- threads
  mlir::Value thread(); // in the block
  /// The number of the thread, read again: LLVM would make what epilogues compute of the old one before all
  /// tiles, and keep it in registers that products need.
  mlir::Value threadAnew();
  mlir::Value block();  // in the grid
  mlir::Value blocks(); // in the grid
  /// All threads of the block (of the barrier's scope) wait, and see each other's writes.
  void barrier();
  /// The same for a warp.
  void warpBarrier();
  /// The value (i32 or f32) of the lane whose number differs by `mask`.
  mlir::Value shuffleXor(mlir::Value value, int64_t mask);
  /// d + the sum of 4 products of bytes; the first operand signed if said, the second always.
  mlir::Value dot4(mlir::Value a, bool isSigned, mlir::Value b, mlir::Value d);

  /// At the beginning of a loop's body: ptxas does not write its turns out, for all of which it would bring
  /// numbers at once.
  void keepRolled();
  /// A loop over i32 whose step is known when it runs.
  void loopBy(mlir::Value begin, mlir::Value end, mlir::Value step, Body body);
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_EMITTER_H
