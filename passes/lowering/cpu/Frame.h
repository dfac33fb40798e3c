// SPDX-License-Identifier: Apache-2.0
// What the emitter of one kernel works in: the body of NAME.isa, which runs tiles begin to end - 1.
#ifndef SINTER_PASSES_LOWERING_CPU_FRAME_H
#define SINTER_PASSES_LOWERING_CPU_FRAME_H

#include "dialects/kernel/Kernel.h"
#include "mlir/IR/IRMapping.h"
#include "passes/lowering/AbiLayout.h"
#include "passes/lowering/cpu/Emitter.h"

namespace sinter::cpu {

struct Frame {
  Emitter &e;
  mlir::Value begin, end;  // i64: the tiles of this call
  mlir::Value step;        // const sinter_step *
  mlir::Value scratch;     // 64-byte aligned, of this thread
  mlir::IRMapping buffers; // arguments of the kernel.func -> !llvm.ptr
  int64_t scratchBytes = 0;

  /// The address of an argument of the kernel.func.
  mlir::Value buffer(mlir::Value argument) { return buffers.lookup(argument); }
  /// Reserves bytes of scratch, 64-byte aligned, for the whole function.
  mlir::Value allocate(int64_t bytes);
  /// A number of the step, by its offset: stepField(abi::stepRows).
  mlir::Value stepField(int64_t offset);
  /// The same for a number of f32, and step.adds.
  mlir::Value stepFloat(int64_t offset);
  mlir::Value stepAdds();
  /// An address in the step.
  mlir::Value stepPointer(int64_t offset);
  /// An entry of one of the step's arrays of 32-bit numbers, as i64: stepEntry(abi::stepPositions, row).
  mlir::Value stepEntry(int64_t offset, mlir::Value row);
  /// Rows of the domain: step.rows or step.selected.
  mlir::Value domainRows(kernel::Domain domain);
  /// Address of a row of activations or of a table.
  mlir::Value rowOf(mlir::Value argument, mlir::Value row);
  /// Address of the step's row in a cache buffer's slot, where the heads of a layer begin.
  mlir::Value slotOf(mlir::Value cacheArgument, mlir::Value row);
};

/// Runs `body` for each tile of the call: its column, its first row and the row after its last, its key tile
/// (all i64; without rows_per_tile: all rows; without keys_per_tile: 0).
void forEachTile(Frame &frame, const kernel::Grid &grid,
                 llvm::function_ref<void(mlir::Value column, mlir::Value rowBegin, mlir::Value rowEnd,
                                         mlir::Value keyTile)>
                     body);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_FRAME_H
