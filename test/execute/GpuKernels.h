// SPDX-License-Identifier: Apache-2.0
// Kernels of the kernel dialect on the emulated GPU, with buffers in this process's memory.
#ifndef SINTER_TEST_EXECUTE_GPUKERNELS_H
#define SINTER_TEST_EXECUTE_GPUKERNELS_H

#include "passes/lowering/gpu/Target.h"
#include "runtime/abi.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>
#include <string>
#include <vector>

namespace sinter::test {

/// Memory that buffers of kernels may be in, besides what malloc gave: its size is known then.
void addHostRange(const void *address, size_t bytes);
void removeHostRange(const void *address);

class GpuKernels {
public:
  virtual ~GpuKernels() = default;
  /// Null after a failure, of which the diagnostics are a GoogleTest failure.
  static std::unique_ptr<GpuKernels> compile(mlir::ModuleOp module, gpu::Architecture architecture);

  /// One launch by so many blocks, or the next whole number of clusters. Faults, hazards and accesses out of
  /// bounds are GoogleTest failures.
  virtual void run(const std::string &kernel, const std::vector<void *> &buffers, const sinter_step &step,
                   unsigned blocks) = 0;
};

} // namespace sinter::test

#endif // SINTER_TEST_EXECUTE_GPUKERNELS_H
