// SPDX-License-Identifier: Apache-2.0
// Small matrix products on numbers in memory, f32 but for B, for the blocks of attention: C (+)= A * B by
// register tiles.
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_TILEPRODUCT_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_TILEPRODUCT_H

#include "passes/lowering/cpu/Emitter.h"

namespace sinter::cpu {

/// Element (row, k) of A is at a + row * aRow + k * aK, row k of B at b + k * bRow, row of C at c + row *
/// cRow (elements).
struct TileProduct {
  mlir::Value a;
  int64_t aRow, aK;
  mlir::Value b;
  int64_t bRow;
  mlir::Value c;
  int64_t cRow;
  int64_t columns;          ///< of B and C
  bool adds = false;        ///< to what C holds
  mlir::Type bElement = {}; ///< f32 (also null) or bf16
};

/// `rows` and `depth` are counts (i64) of any size >= 0.
void emitTileProduct(Emitter &e, const TileProduct &product, mlir::Value rows, mlir::Value depth);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_TILEPRODUCT_H
