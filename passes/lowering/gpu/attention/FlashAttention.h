// SPDX-License-Identifier: Apache-2.0
// kernel.attention prefill on tensor cores, for caches of f16 and bf16: what the forms of both architectures
// share. Queries and weights are rounded to the cache's type, scores and sums are f32.
//
// A tile is one query head; a turn of it some rows, 16 a warp. Blocks of keys and values come by cp.async,
// one block ahead. Scores never leave registers: as weights they are the left operand of the second product
// as they stand.
#ifndef SINTER_PASSES_LOWERING_GPU_ATTENTION_FLASHATTENTION_H
#define SINTER_PASSES_LOWERING_GPU_ATTENTION_FLASHATTENTION_H

#include "passes/lowering/gpu/attention/FlashScores.h"

namespace sinter::gpu {

class FlashAttention : protected FlashScores {
public:
  using FlashScores::FlashScores;
  virtual ~FlashAttention() = default;

  mlir::LogicalResult emit();

protected:
  /// Byte of the 16-byte piece `piece` of a row of queries in shared memory, and of the thread's copy number
  /// `copy` of a block of keys or values. Copies go on where the one before ended: copy c of thread t is
  /// piece c * threads + t.
  virtual mlir::Value placeOfQuery(mlir::Value row, mlir::Value piece) = 0;
  virtual mlir::Value placeOfKeys(int64_t copy) = 0;
  virtual mlir::Value placeOfValues(int64_t copy) = 0;
  /// Before the block's threads meet, which then read what each has copied.
  virtual void publish() {}
  /// Products of the warp's queries with a block of keys: (8 keys, 4).
  virtual Numbers multiplyKeys(mlir::Value stage) = 0;
  /// sums (8 columns, 4) + weights (8 keys, 4) * a block of values.
  virtual Numbers multiplyValues(mlir::Value stage, mlir::ValueRange weights, mlir::ValueRange sums) = 0;

  /// Reserves shared memory; the stages' sizes are what the forms lay out.
  void allocate(int64_t queryBytes, int64_t keyBytes, int64_t valueBytes);
  mlir::Value keysAt(mlir::Value stage) { return e.atByte(keyStage, e.mul(stage, keyBytes)); }
  mlir::Value valuesAt(mlir::Value stage) { return e.atByte(valueStage, e.mul(stage, valueBytes)); }
  int64_t keyCopies() const { return llvm::divideCeil(blockKeys * shape.keySize / 8, frame.threads); }
  int64_t valueCopies() const { return llvm::divideCeil(blockKeys * shape.valueSize / 8, frame.threads); }
  /// Number of the thread's piece in a copy (i32).
  mlir::Value pieceOf(int64_t copy) { return e.add(frame.thread, copy * frame.threads); }

  int64_t rows = 64;         // of a turn
  mlir::Value query;         // shared
  int64_t rowsTogether = 16; // of a turn, which the warps that multiply together have

private:
  void emitTurn(mlir::Value first, mlir::Value end);
  void readTurn(mlir::Value first, mlir::Value last);
  void loadQuery(mlir::Value first, mlir::Value last);
  void fetch(mlir::Value block, mlir::Value stage);
  void copyBlock(mlir::Value to, mlir::Value from, int64_t copies, int64_t pieces, mlir::Value valid,
                 llvm::function_ref<mlir::Value(int64_t)> placeOf);
  /// Whether some row of the warp (or of those it multiplies with) sees some key of the block (i1).
  mlir::Value isSeen(mlir::Value block);
  Numbers whereSeen(mlir::Value block, mlir::ValueRange state, llvm::function_ref<Numbers()> emit);
  Numbers raised(mlir::ValueRange state, mlir::ValueRange highs);
  Numbers emitBlock(mlir::Value block, mlir::Value stage, mlir::ValueRange state);

  int64_t keyBytes = 0, valueBytes = 0;
  mlir::Value keyStage, valueStage;
  mlir::Value turnNumbers;  // shared: positions of the turn's first and last row, slot
  mlir::Value keys, values; // of the turn
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_ATTENTION_FLASHATTENTION_H
