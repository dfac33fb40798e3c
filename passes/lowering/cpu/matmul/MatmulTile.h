// SPDX-License-Identifier: Apache-2.0
// The inner loops: some rows of the left side times some panels of one format, over all of K, in registers.
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULTILE_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULTILE_H

#include "passes/lowering/cpu/matmul/MatmulLeft.h"

namespace sinter::cpu {

/// Where the result of a tile lies: number (panel, row, half).
struct TileResult {
  llvm::SmallVector<mlir::Value> values; // f32 x lanes
  int64_t rows, halves;
  mlir::Value at(int64_t panel, int64_t row, int64_t half) const {
    return values[(panel * rows + row) * halves + half];
  }
};

/// Rows 0 to rows - 1 of `left` times the panels at the given addresses (of the packed weight). `prefetch`:
/// bytes ahead in each panel, 0 for none.
TileResult emitPackedTile(Emitter &e, const kernel::WeightLayout &layout, const Left &left, int64_t rows,
                          llvm::ArrayRef<mlir::Value> panels, int64_t prefetch);

/// A panel of a quantised weight taken apart once for many rows: for each block 8 quads of 64 bytes
/// (PackedBlock::quad), f32 scales (16 a sub-block), f32 minima (16 a sub-block; formats with minima).
int64_t unpackedBlockBytes(const kernel::WeightLayout &layout);
void emitUnpackPanel(Emitter &e, const kernel::WeightLayout &layout, mlir::Value panel, mlir::Value to);
/// The same as emitPackedTile on such panels.
TileResult emitUnpackedTile(Emitter &e, const kernel::WeightLayout &layout, const Left &left, int64_t rows,
                            llvm::ArrayRef<mlir::Value> panels);

/// `count` blocks of 16 rows, from block `first` on, of panel `panel` of the transpose of a packed f32 weight
/// with so many columns, as a panel of f32: [row][16]; with `rounds` of numbers that bf16 can hold.
void emitTransposePanel(Emitter &e, mlir::Value weight, int64_t columns, mlir::Value panel, mlir::Value first,
                        mlir::Value count, mlir::Value to, bool rounds);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULTILE_H
