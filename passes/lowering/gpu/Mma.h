// SPDX-License-Identifier: Apache-2.0
// Tensor cores of sm_80 and asynchronous copies, with operands as the PTX ISA lays them out (9.7.14.5).
// Lane l of a warp: group g = l / 4, in the group t = l % 4. Of the result it has rows g and g + 8, columns
// 2t and 2t + 1.
#ifndef SINTER_PASSES_LOWERING_GPU_MMA_H
#define SINTER_PASSES_LOWERING_GPU_MMA_H

#include "passes/lowering/gpu/Emitter.h"

#include <array>

namespace sinter::gpu {

using Four = std::array<mlir::Value, 4>;
using Two = std::array<mlir::Value, 2>;

/// ldmatrix.x4: four matrices of 8 rows of 16 bytes; lane l gives the address of row l % 8 of matrix l / 8,
/// and gets word t of row g of each.
Four loadMatrices(Emitter &e, mlir::Value address);
/// The same of the transposed matrices.
Four loadMatricesTransposed(Emitter &e, mlir::Value address);

/// Which operands of 8-bit integers are signed.
struct Signs {
  bool left = true, right = true;
};
/// m16n8k32 of 8-bit integers into i32.
Four mmaInt8(Emitter &e, Signs signs, Four left, Two right, Four sums);
/// m16n8k16 of 8-bit integers.
Four mmaInt8Short(Emitter &e, Signs signs, Two left, mlir::Value right, Four sums);
/// m16n8k16 of pairs of f16 or bf16 in i32, into f32.
Four mmaHalf(Emitter &e, mlir::Type element, Four left, Two right, Four sums);
/// m16n8k8 of f32 whose last 13 bits are 0 (TF32), into f32.
Four mmaTf32(Emitter &e, Four left, Two right, Four sums);
/// An f32 as two that mmaTf32 takes: its first 11 bits, and the 11 behind these.
Two cutToTf32(Emitter &e, mlir::Value number);
/// mmaHalf for sums `first` to `first` + 3 of many.
void addProduct(Emitter &e, mlir::Type element, const Four &left, const Two &right,
                llvm::SmallVectorImpl<mlir::Value> &sums, size_t first);

//--- where 16 bytes lie in shared memory, so that the 8 rows of a matrix are in different banks

/// A line of an operand of 16 bits: 8 pieces of 16 bytes.
inline constexpr int64_t swizzledLine = 128, swizzledNumbers = 64;
/// Of such lines: at (number of the 16 bytes) ^ (line % 8), as tensor maps and wgmma swizzle, too.
mlir::Value placeInLine(Emitter &e, mlir::Value line, mlir::Value piece);
/// Of lines of 32 bytes: the second half comes first in every other group of four lines.
mlir::Value placeInShortLine(Emitter &e, mlir::Value line, mlir::Value half);

/// Copies 4 or 16 bytes from global to shared memory, past the registers. Where `size` (i32) is given, only
/// so many of them, and then zeros; of 0 bytes the source may be anywhere.
void copyAsync(Emitter &e, mlir::Value to, mlir::Value from, int64_t bytes, mlir::Value size = {});
/// Ends a group of copies.
void asyncCommit(Emitter &e);
/// Until at most `groups` of the thread's latest groups are under way.
void asyncWait(Emitter &e, int64_t groups);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MMA_H
