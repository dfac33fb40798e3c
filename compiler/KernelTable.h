// SPDX-License-Identifier: Apache-2.0
// What the GPU kernels of a model take of a multiprocessor, as a table: `sinter kernels`.
#ifndef SINTER_COMPILER_KERNELTABLE_H
#define SINTER_COMPILER_KERNELTABLE_H

#include "compiler/ModelTable.h"

namespace sinter {

/// Blocks that a multiprocessor holds at once (CUDA C++ Programming Guide, "Technical Specifications per
/// Compute Capability"). `registers` a thread, `sharedBytes` a block; 0 registers: they are not known and do
/// not count.
int64_t residentBlocks(gpu::Architecture architecture, int64_t registers, int64_t threads,
                       int64_t sharedBytes);

/// A line a kernel: launches in a step of prefill and of decode, threads, registers and spilled bytes a
/// thread (where ptxas was found), shared memory and blocks a multiprocessor, occupancy in percent of its
/// 2,048 threads.
std::string kernelTable(mlir::ModuleOp module, llvm::ArrayRef<GpuCode> code);

} // namespace sinter

#endif // SINTER_COMPILER_KERNELTABLE_H
