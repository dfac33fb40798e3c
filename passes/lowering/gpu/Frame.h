// SPDX-License-Identifier: Apache-2.0
// What the emitter of one kernel works in: the body of the function, which a block of threads runs for its
// tiles.
#ifndef SINTER_PASSES_LOWERING_GPU_FRAME_H
#define SINTER_PASSES_LOWERING_GPU_FRAME_H

#include "dialects/kernel/Kernel.h"
#include "mlir/IR/IRMapping.h"
#include "passes/lowering/AbiLayout.h"
#include "passes/lowering/gpu/Emitter.h"

namespace sinter::gpu {

/// Shared memory of a block. Sm80: what every device from 8.0 on has (8.6 and 8.9 the least).
inline int64_t maxSharedBytes(Architecture architecture) {
  return (architecture == Architecture::Sm80 ? 99 : 227) * 1024;
}
/// Of a multiprocessor of 8.0 and of 9.0.
inline int64_t smSharedBytes(Architecture architecture) {
  return (architecture == Architecture::Sm80 ? 164 : 228) * 1024;
}
/// Of a block where two share a multiprocessor.
inline int64_t halfSharedBytes(Architecture architecture) {
  return (architecture == Architecture::Sm80 ? 80 : 112) * 1024;
}
/// Of a block's, what matmuls leave to scales and to what regions keep.
inline constexpr int64_t reservedBytes = 12 * 1024;

/// A tensor map of f16 that a kernel takes behind its buffers: struct sinter_tensor_map of runtime/abi.h.
struct TensorMapPlan {
  int64_t buffer = 0, swizzle = 0;   // number of the argument; bytes of a line
  std::array<int64_t, 3> sizes, box; // elements, innermost first; a size of 0: the buffer's rows
  std::array<int64_t, 2> strides;    // bytes
  bool ofCache = false;              // sizes[1] is a token's, dimension 2 the slots
};

/// Notes the maps of a kernel on its function, and gives them back: "kernel.tensor_maps".
void noteMaps(mlir::Operation *function, llvm::ArrayRef<TensorMapPlan> maps);
llvm::SmallVector<TensorMapPlan> notedMaps(mlir::Operation *function);

/// Rows that a program's store writes to shared memory, from where they go on: `boxColumns` columns of `rows`
/// rows, then the next columns.
struct StagedRows {
  mlir::Operation *store = nullptr;
  mlir::Value address, firstRow, firstColumn; // the row and column (of the buffer) that lie at `address`
  int64_t rows = 0, boxColumns = 0, columns = 0;
};

/// How a kernel's K is split (SplitK.h): parts; tiles of rows begin at multiples of `rows`; tiles of columns;
/// bytes that a part's sums of a tile take.
struct SplitPlan {
  int64_t count = 1, rows = 0, columns = 0, bytes = 0;
};

struct Frame {
  Emitter &e;
  mlir::Value step;             // const sinter_step *, in global memory
  mlir::Value shared;           // the block's shared memory, 1024-byte aligned
  mlir::IRMapping buffers;      // arguments of the kernel.func -> pointers to global memory
  mlir::Block *entry = nullptr; // of the function: its arguments
  mlir::Value thread;           // number of the thread in the block (i32)
  int64_t threads = 128;        // of the block; emitters set it before they use `thread`
  int64_t mostThreads = 1024;   // that `threads` may be, where the emitter has a choice
  int64_t sharedBytes = 0;
  int64_t cluster = 1;      // blocks a cluster
  int64_t blocksOfTile = 1; // neighbours, which go through the tiles together
  llvm::SmallVector<TensorMapPlan> maps;
  SplitPlan splitK;
  mlir::Value splitAddress; // splitSums(), once it was asked for
  int64_t blocksPerSm = 0;  // to be resident at once: ptxas keeps to the registers that allows; 0: it chooses
  StagedRows staged;        // of the program that is being emitted
  bool limitsRegisters = true; // whether ptxas is told blocksPerSm
  bool isCrowded =
      false; // code in tiles takes every register: numbers of loops around it wait in shared memory
  mlir::Value keptStep; // the first bytes of the step, in shared memory
  int64_t keptStepBytes = 0;

  int64_t warps() const { return threads / warpSize; }
  mlir::Value warp() { return e.div(thread, warpSize); }
  mlir::Value lane() { return e.rem(thread, warpSize); }

  /// The address of an argument of the kernel.func.
  mlir::Value buffer(mlir::Value argument) { return buffers.lookup(argument); }
  /// A tensor map of an argument of the kernel.func: its generic address.
  mlir::Value tensorMap(mlir::Value argument, TensorMapPlan plan);
  /// The parts' sums where K is split: a parameter behind the buffers.
  mlir::Value splitSums();
  /// Reserves bytes of shared memory, 128-byte aligned, for the whole function.
  mlir::Value allocate(int64_t bytes);
  /// Copies the first `bytes` of the step to shared memory, where they are read from then on: else each warp
  /// touches a sector of global memory for each of its numbers. By all threads; it ends with a barrier.
  void keepStep(int64_t bytes);
  /// Address of a field of the step.
  mlir::Value stepAt(int64_t offset);
  /// A number of the step as i32, by its offset: stepField(abi::stepRows).
  mlir::Value stepField(int64_t offset);
  /// The same as i64.
  mlir::Value wideStepField(int64_t offset);
  /// Whether gradients of parameters are added to (i1).
  mlir::Value adds();
  /// A number of step.update.
  mlir::Value hyper(kernel::Hyperparameter which);
  /// An address in the step.
  mlir::Value stepPointer(int64_t offset);
  /// An entry of one of the step's arrays of numbers, as i32: stepEntry(abi::stepPositions, row).
  mlir::Value stepEntry(int64_t offset, mlir::Value row);
  /// Rows of the domain: step.rows, step.selected or step.draws.
  mlir::Value domainRows(kernel::Domain domain);
  /// base + index * bytes, in 64 bits.
  mlir::Value farAt(mlir::Value base, mlir::Value index, int64_t bytes);
  /// Address of a row of activations or of a table.
  mlir::Value rowOf(mlir::Value argument, mlir::Value row);
  /// Address of a cache buffer's slot (its number, i32), where the heads of a layer begin; of a row's slot.
  mlir::Value slotAt(mlir::Value cacheArgument, mlir::Value slot);
  mlir::Value slotOf(mlir::Value cacheArgument, mlir::Value row) {
    return slotAt(cacheArgument, stepEntry(abi::stepSlots, row));
  }

  /// Calls `body` with a number (i32) from 0 to count - 1 for each thread's share of `count` items.
  void share(mlir::Value count, llvm::function_ref<void(mlir::Value)> body);
  /// A loop around code that takes every register: where it is and where it ends waits in shared memory, each
  /// thread's in a place of its own. The body must have a barrier.
  void loopInShared(mlir::Value begin, mlir::Value end, mlir::Value step,
                    llvm::function_ref<void(mlir::Value)> body);
};

/// Of a tile of rows of the step, its sequence's rows of the step, and from the sequence's first row on the
/// tile's own.
struct SequencePart {
  mlir::Value sequenceBegin, sequenceEnd, begin, end;
  /// The part as far from the sequence's end as this one is from its beginning: later rows see more keys, and
  /// so begin first.
  SequencePart mirrored(Emitter &e) const;
};
/// `rowsPerTile` divides `sequence`.
SequencePart partOf(Frame &frame, int64_t sequence, int64_t rowsPerTile, mlir::Value rowBegin,
                    mlir::Value rowEnd);

/// How many neighbouring f32 of rows `width` long a thread takes at once: 4, 2 or 1.
inline int64_t neighbours(int64_t width) { return width % 4 == 0 ? 4 : width % 2 == 0 ? 2 : 1; }

/// Runs `body` for each tile of the block (of the `blocksOfTile` blocks): its column, its first row and the
/// row after its last, its key tile (all i32; without rows_per_tile: all rows; without keys_per_tile: 0).
/// Between two tiles the block waits.
void forEachTile(Frame &frame, const kernel::Grid &grid,
                 llvm::function_ref<void(mlir::Value column, mlir::Value rowBegin, mlir::Value rowEnd,
                                         mlir::Value keyTile)>
                     body);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_FRAME_H
