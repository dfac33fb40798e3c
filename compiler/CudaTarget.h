// SPDX-License-Identifier: Apache-2.0
// Kernels to PTX: one module an architecture, by LLVM's NVPTX back end. No CUDA toolkit is needed.
#ifndef SINTER_COMPILER_CUDATARGET_H
#define SINTER_COMPILER_CUDATARGET_H

#include "dialects/kernel/Kernel.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/lowering/gpu/Target.h"
#include "runtime/abi.h"

#include <map>
#include <string>
#include <vector>

namespace sinter {

struct CudaOptions {
  gpu::Architecture architecture = gpu::Architecture::Sm80;
  /// Kernels get schedules for GPUs first; else they have them.
  bool chooseSchedules = true;
  /// One kernel for each type of cache that runs a whole decode step, too.
  bool persistent = false;
  /// Parts of K may go through device memory (runtime/abi.h, SINTER_SPACE_SPLIT), where kernels get
  /// schedules.
  bool splits = false;
};

/// Sums of the parts of a kernel's K, f32: what SINTER_SPACE_SPLIT holds of it.
struct SplitSums {
  int64_t parts = 1, rowsPerTile = 0, columnTiles = 0, tileBytes = 0; // of a part
  int64_t tiles(int64_t rows) const {
    return rowsPerTile ? (rows + rowsPerTile - 1) / rowsPerTile * columnTiles : 0;
  }
  int64_t bytes(int64_t rows) const { return tiles(rows) * parts * tileBytes; }
};

/// What a launch of a kernel needs; the fields of struct sinter_gpu_launch.
struct CudaKernel {
  std::string function; // in the module
  kernel::Grid grid;    // not that of the CPU's kernel: schedules differ
  uint32_t threads = 0, sharedBytes = 0, cluster = 1, blocksPerSm = 1;
  std::vector<sinter_tensor_map> maps;
  SplitSums split; // of more than one part: a parameter behind the buffers
};

/// A kernel that runs a decode step and what draws tokens after it: fields of struct sinter_gpu_persistent.
struct PersistentKernel {
  std::string function; // in the module
  uint32_t threads = 0, sharedBytes = 0;
  std::vector<std::string> kernels; // names of kernel.funcs, by the numbers of sinter_gpu_task
};

struct CudaKernels {
  std::string ptx; // one module with all kernels
  /// By the entry of the decode step.
  std::map<std::string, PersistentKernel> persistent;
  /// By the name of the kernel.func.
  std::map<std::string, CudaKernel> kernels;
};

/// Compiles each kernel.func of `module`. Failures are reported as diagnostics on `module`.
llvm::FailureOr<CudaKernels> compileCudaKernels(mlir::ModuleOp module, const CudaOptions &options);

/// The stages in text: MLIR's llvm and nvvm dialects, LLVM IR (optimised); PTX is CudaKernels::ptx.
enum class CudaStage { Target, Llvm };
llvm::FailureOr<std::string> printCudaKernels(mlir::ModuleOp module, const CudaOptions &options,
                                              CudaStage stage);

} // namespace sinter

#endif // SINTER_COMPILER_CUDATARGET_H
