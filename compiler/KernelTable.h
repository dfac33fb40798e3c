// SPDX-License-Identifier: Apache-2.0
// What the GPU kernels of a model take of a multiprocessor, what a launch of each counts, and how near it may
// come to the GPU's limits, as tables and as JSON: `sinter kernels`.
#ifndef SINTER_COMPILER_KERNELTABLE_H
#define SINTER_COMPILER_KERNELTABLE_H

#include "compiler/ModelTable.h"

namespace sinter {

/// Blocks that a multiprocessor holds at once (CUDA C++ Programming Guide, "Technical Specifications per
/// Compute Capability"). `registers` a thread, `sharedBytes` a block; 0 registers: they are not known and do
/// not count.
int64_t residentBlocks(gpu::Architecture architecture, int64_t registers, int64_t threads,
                       int64_t sharedBytes);

/// How to read the tables: the help of `sinter kernels`.
extern const char *const kernelTableHelp;

/// Two tables an architecture, a line a kernel. First launches in a step of prefill and of decode, threads,
/// registers and spilled bytes a thread (where ptxas was found), shared memory and blocks a multiprocessor,
/// occupancy in percent of its 2,048 threads; then what one launch under the emulator counts. Fails with what
/// the emulator finds wrong.
Result<std::string> kernelTable(mlir::ModuleOp module, llvm::ArrayRef<GpuCode> code);

/// The same with all counters: {"kernels": [...]}.
Result<std::string> kernelJson(mlir::ModuleOp module, llvm::ArrayRef<GpuCode> code);

} // namespace sinter

#endif // SINTER_COMPILER_KERNELTABLE_H
