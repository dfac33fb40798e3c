// SPDX-License-Identifier: Apache-2.0
// Integer dot products of weights and activations: what each instruction set does with a quad (4 columns).
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULDOT_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULDOT_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/cpu/Emitter.h"

namespace sinter::cpu {

/// How the sum over a sub-block of one format is made. AVX-512: vpdpbusd. AVX2, unsigned weights: vpmaddubsw,
/// in 16 bits for `quads` quads, then vpmaddwd to 32. AVX2, signed weights: |w| times a with w's sign.
class QuadDot {
public:
  QuadDot(Emitter &e, const kernel::BlockTraits &block);

  /// Quads whose products are added before `finish`: as many as cannot overflow.
  int64_t quads() const { return narrowQuads; }
  /// Bits of the running sum.
  bool isNarrow() const { return narrow; }
  mlir::VectorType sumType() const;

  /// Four activations (an address of i8) in all lanes.
  mlir::Value broadcast(mlir::Value address) const;
  /// sum + weights . activations; a null sum is zero.
  mlir::Value add(mlir::Value sum, mlir::Value weights, mlir::Value activations) const;
  /// The running sum added to the one in 32 bits (null: zero).
  mlir::Value finish(mlir::Value total, mlir::Value sum) const;
  mlir::Value addWords(mlir::Value a, mlir::Value b) const;

private:
  Emitter &e;
  bool vnni, isSigned, narrow;
  int64_t lanes, narrowQuads;
};

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULDOT_H
