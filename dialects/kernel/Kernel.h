// SPDX-License-Identifier: Apache-2.0
// The kernel dialect in C++: types, attributes, operations. Kernel.td and docs/dialects/kernel.md say what
// they mean.
#ifndef SINTER_DIALECTS_KERNEL_KERNEL_H
#define SINTER_DIALECTS_KERNEL_KERNEL_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/kernel/KernelDialect.h.inc"
#include "dialects/kernel/KernelEnums.h.inc"

namespace sinter::kernel {

/// Number of tokens in a panel of the key cache; runtime/abi.h has the same.
inline constexpr int64_t cachePanel = 16;
/// Length of a block of q8.
inline constexpr int64_t q8Block = 32;
/// Logits of a chunk of kernel.peaks, a power of two such that a row has at most 256 chunks, and how many chunks
/// a row of `logits` has.
int64_t samplingChunk(int64_t logits);
int64_t samplingChunks(int64_t logits);
/// Chunks of a tile of kernel.peaks.
inline constexpr int64_t peaksPerTile = 4;

/// How a launch is cut into tiles: struct sinter_grid of runtime/abi.h.
struct Grid {
  int64_t columns = 1;
  int64_t rowsPerTile = 0;
  int64_t keysPerTile = 0;
  Domain domain = Domain::Rows;
};

} // namespace sinter::kernel

#define GET_ATTRDEF_CLASSES
#include "dialects/kernel/KernelAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/kernel/KernelTypes.h.inc"

#include "dialects/kernel/KernelInterfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/kernel/KernelOps.h.inc"

#endif // SINTER_DIALECTS_KERNEL_KERNEL_H
