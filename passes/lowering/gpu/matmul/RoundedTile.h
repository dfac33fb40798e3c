// SPDX-License-Identifier: Apache-2.0
// Products of f32 whose factors are rounded to bf16, 64 or 128 x 64 or 128 sums a block:
//
//   sums[m, n] += sum over k of bf16(left[m, k]) * bf16(right[n, k])
//
// sm_90a: wgmma, 64 m a warpgroup. sm_80: mma.sync, a part of m and n a warp. K goes in chunks of 64, two
// stages of them in shared memory, each side as it lies in memory: along K or along its lines, swizzled by
// 128 bytes. While a chunk is multiplied the next one is rounded and stored, and the one behind it is on its
// way to registers.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_ROUNDEDTILE_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_ROUNDEDTILE_H

#include "passes/lowering/gpu/Frame.h"

namespace sinter::gpu {

/// The lines of a factor that a tile takes. Along one of its two directions numbers are neighbours in memory,
/// 16 or more of them; the other one is called across.
struct RoundedSide {
  mlir::Value base = {};              // of number 0 of line 0, in global memory, aligned to `width` numbers
  mlir::Type element;                 // f32, or bf16: is rounded already
  bool alongK = true;                 // whether neighbours are numbers of a line; else lines
  int64_t width = 4;                  // neighbours that are read at once, from a multiple of that on: 4, or 1
  bool isPacked = false;              // whether the next 16 neighbours lie elsewhere: as panels do
  int64_t packedBytes = 0;            // from 16 neighbours to the next, if so
  int64_t acrossBytes = 0;            // to the next line (alongK), or the next number
  mlir::Value lines = {}, depth = {}; // i32: how many lines there are, 1 or more, and numbers of a line
  bool zeroLines = false;             // zeros stand for the lines behind the last one; else that one does
  mlir::Value fewest = {};            // the least number across that there is, 0 or less (i32); null: 0
};

class RoundedTile {
public:
  /// m and n: 64 or 128. Allocates its stages, which must be the frame's first shared memory.
  RoundedTile(Frame &frame, int64_t m, int64_t n);
  /// The memory of the stages, which may be used between two products.
  mlir::Value memory() { return stages; }

  static constexpr int64_t depth = 64;
  static int64_t threadsFor(int64_t m) { return m * 2; }
  static int64_t stageBytesFor(int64_t m, int64_t n) { return 2 * (m + n) * lineBytes; }

  const int64_t m, n;
  /// The products of `k` (i32) numbers a line: a thread's accumulators. All threads come here together; when
  /// it is over, what is in shared memory may be written. `hasTail`: k is no multiple of 64, so that the last
  /// chunk alone is read with limits where lines are whole.
  llvm::SmallVector<mlir::Value> multiply(const RoundedSide &left, const RoundedSide &right, mlir::Value k,
                                          bool hasTail = false);
  /// Where the first of a thread's sums are; the others are a constant further.
  mlir::Value firstM() { return e.add(warpM(), e.div(frame.lane(), 4)); }
  mlir::Value firstN() { return e.add(warpN(), e.mul(e.rem(frame.lane(), 4), 2)); }
  /// Calls `body` for each two neighbours along n (vector of 2) among a thread's sums, with how far they are
  /// from the first ones: a multiple of 8, both.
  void forEachPair(mlir::ValueRange sums,
                   llvm::function_ref<void(int64_t m, int64_t n, mlir::Value pair)> body);

private:
  static constexpr int64_t lineBytes = depth * 2; // of a line of K in shared memory, or of 64 lines of one k

  /// Where the first four numbers are, in a chunk, that a thread brings.
  struct Start {
    mlir::Value along, across;
  };
  Start startOf(const RoundedSide &side, mlir::Value thread);
  /// Four numbers that a thread brings, so far from its first ones, and where they go in the side's part of a
  /// stage (i32, bytes): neighbours, or each 16 from the one before (width 1) and to a place of its own.
  struct Piece {
    int64_t along = 0, across = 0;
    llvm::SmallVector<mlir::Value, 4> places;
  };
  struct Side {
    const RoundedSide &of;
    int64_t lines;      // of the tile
    int64_t stagePlace; // in a stage
    llvm::SmallVector<Piece> pieces;
    mlir::Value from;   // of the thread's first piece in the first chunk
    int64_t chunkBytes; // from a chunk to the next
  };
  Side sideOf(const RoundedSide &side, int64_t lines, int64_t stagePlace);
  int64_t alongBytes(const RoundedSide &side, int64_t along) const;
  llvm::SmallVector<mlir::Value> fetchWhole(const Side &side, mlir::Value from);
  llvm::SmallVector<mlir::Value> fetch(const Side &side, mlir::Value chunk);
  /// `width` numbers: f32, or words of two.
  mlir::Value load(const Side &side, mlir::Value from);
  /// A piece's four numbers, of `body`'s for how far along each part begins.
  mlir::Value join(const Side &side, llvm::function_ref<mlir::Value(int64_t further)> body);
  void put(const Side &side, mlir::ValueRange values, mlir::Value stage);
  /// Adds the products of a stage, asynchronously on sm_90a.
  llvm::SmallVector<mlir::Value> multiplyChunk(const Side &left, const Side &right, mlir::Value stage,
                                               mlir::ValueRange sums);
  llvm::SmallVector<mlir::Value> multiplyGroup(const Side &left, const Side &right, mlir::Value at,
                                               mlir::ValueRange sums);
  llvm::SmallVector<mlir::Value> multiplySync(const Side &left, const Side &right, mlir::Value at,
                                              mlir::ValueRange sums);
  /// Where in a stage (i32, bytes) the row lies that a lane names for ldmatrix, of the first 16 lines from
  /// `line` on. Matrices of the left side are (lines 0-7, k 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15); of
  /// the right one the second and the third change places.
  mlir::Value matricesAt(const Side &side, mlir::Value line, bool isLeft);
  /// `wholeChunks`: of `chunks`, where others have all lines; null: all, or none (areWhole).
  llvm::SmallVector<mlir::Value> multiplyChunks(const Side &left, const Side &right, mlir::Value chunks,
                                                bool areWhole, mlir::Value wholeChunks);

  bool hasGroups() const { return e.architecture == Architecture::Sm90; }
  //--- what a warp has: by wgmma 16 rows and all columns, else a part of both
  int64_t warpRows() const { return hasGroups() ? 16 : m == 128 && n == 128 ? 64 : 32; }
  int64_t warpColumns() const { return m * n / frame.warps() / warpRows(); }
  mlir::Value warpM() { return e.mul(e.rem(frame.warp(), m / warpRows()), warpRows()); }
  mlir::Value warpN() { return e.mul(e.div(frame.warp(), m / warpRows()), warpColumns()); }

  Frame &frame;
  Emitter &e;
  mlir::Value stages;
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_ROUNDEDTILE_H
