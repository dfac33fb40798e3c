// SPDX-License-Identifier: Apache-2.0
// Products of f32 by multiply-adds, 64 x 64 sums a block of 64 threads, 8 x 8 a thread:
//
//   sums[m, n] += sum over k of left[m, k] * right[n, k]
//
// K goes in chunks of 16, which lie in shared memory as [k][line], two stages of them; each number of a
// thread is one of a quad that it reads by one access, and takes part in 8 multiply-adds.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_FLOATTILE_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_FLOATTILE_H

#include "passes/lowering/gpu/Frame.h"

namespace sinter::gpu {

/// 64 lines of a factor.
struct TileSide {
  /// Whether numbers of a line are neighbours in memory; else lines are.
  bool alongK = true;
  /// How many neighbours are read at once, from a multiple of that on: 4, 2 or 1.
  int64_t width = 1;
  /// Whether numbers are rounded already: bf16, else f32.
  bool isRounded = false;
  /// Address of number (line, k), both i32 and below `lines` and `depth`; the same way from each k to k + 16.
  llvm::function_ref<mlir::Value(mlir::Value line, mlir::Value k)> at = nullptr;
  mlir::Value lines = nullptr; // i32, 1 or more: how many there are; behind them lies the last one again
  /// i32, 1 or more: numbers of a line that may be read, not less than are multiplied. Products end with a
  /// whole chunk: behind `depth` lies the last number again, and the other side has zeros there, or this one
  /// (zeroDepth).
  mlir::Value depth = nullptr;
  /// Zeros stand for lines, or numbers of lines, that there are not.
  bool zeroLines = false, zeroDepth = false;
  /// Instead of all that: lies in shared memory as FloatTile::place says.
  mlir::Value shared = nullptr;
};

class FloatTile {
public:
  static constexpr int64_t side = 64, depth = 16, threads = 64;
  /// Quads of sums of a thread: 8 rows (m) of 2.
  static constexpr int64_t rows = 8, quads = 2;

  /// `rounds`: numbers are rounded to bf16 first, and multiplied by tensor cores; a thread then has 4 rows of
  /// 4 quads, and no side may be in shared memory already. `isLong`: lines have many numbers, so that it pays
  /// to carry the addresses of what is fetched, in registers that attention needs.
  explicit FloatTile(Frame &frame, bool rounds = false, bool isLong = false);

  llvm::SmallVector<mlir::Value> zeros() {
    return llvm::SmallVector<mlir::Value>(rows * quads, frame.e.zeros(4));
  }
  /// The sums with the products of `k` (i32) numbers a line added; quads (row * 2 + quad). All threads come
  /// here together. What is in shared memory has been waited for, and may be written when this is over.
  llvm::SmallVector<mlir::Value> multiply(const TileSide &left, const TileSide &right, mlir::Value k,
                                          mlir::ValueRange sums);
  /// A thread's m of its row `row` (0 to 7) and n of the first number of its quad `quad`.
  mlir::Value m(int64_t row);
  mlir::Value n(int64_t quad);
  /// The 8 threads that share rows: neighbours. A thread's number among them.
  mlir::Value column() { return threadN; }
  /// Bytes and places of a side of up to 64 numbers a line in shared memory; `line` a multiple of 4 for
  /// quads.
  static constexpr int64_t sharedBytes = side * side * 4;
  mlir::Value place(mlir::Value shared, mlir::Value k, mlir::Value line);

  /// Calls `body(m, quad number, n)` for each quad of sums.
  void forEachQuad(llvm::function_ref<void(mlir::Value m, int64_t number, mlir::Value n)> body);
  /// Stores a quad as the numbers n to n + 3 of a row of `width` numbers, those that there are; `adds` it to
  /// what is there.
  void storeQuad(mlir::Value quad, mlir::Value row, mlir::Value n, int64_t width, bool adds);
  /// Stores sums as a side in shared memory whose lines are the m and whose k are the n.
  void storeTurned(mlir::ValueRange sums, mlir::Value shared);

private:
  /// Of a chunk, what this thread brings: (address line, k) pieces.
  struct Piece {
    mlir::Value line, k; // in the tile and chunk
  };
  llvm::SmallVector<Piece> piecesOf(const TileSide &operand);
  llvm::SmallVector<mlir::Value> fetch(const TileSide &operand, mlir::Value first);
  /// Where the pieces of a whole chunk lie, the one that begins with number `first`, and how many bytes (i64)
  /// behind them those of the next one. Nothing, and null, of a side in shared memory. Of pieces of one
  /// number only the first one's place, and how many bytes (i32, below 2 GiB) behind it the others are.
  struct Walk {
    llvm::SmallVector<mlir::Value> places, offsets;
    mlir::Value distance;
  };
  Walk walk(const TileSide &operand, mlir::Value first);
  llvm::SmallVector<mlir::Value> fetchWhole(const TileSide &operand, mlir::ValueRange carried,
                                            llvm::ArrayRef<mlir::Value> offsets);
  void put(const TileSide &operand, mlir::ValueRange values, mlir::Value to);
  /// The sums with the products of a chunk added.
  llvm::SmallVector<mlir::Value> multiplyFloats(mlir::Value left, mlir::Value right, mlir::ValueRange sums);
  // HalfTile.cpp: the same for numbers that are rounded.
  mlir::Value halfM(int64_t row);
  mlir::Value halfN(int64_t quad);
  void putHalves(const TileSide &operand, mlir::ValueRange values, mlir::Value to);
  llvm::SmallVector<mlir::Value> multiplyHalves(mlir::Value left, mlir::Value right, mlir::ValueRange sums);
  /// Where the chunk `chunk` of a side lies: staged, or in shared memory anyway.
  mlir::Value chunkAt(const TileSide &operand, int64_t number, mlir::Value chunk);

  Frame &frame;
  Emitter &e;
  bool rounds, isLong;
  mlir::Value stages;           // (stage, side, k, line)
  mlir::Value threadM, threadN; // 0 to 7
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_FLOATTILE_H
