// SPDX-License-Identifier: Apache-2.0
// Which launches of a decode step wait for which, when one kernel runs them all.
#ifndef SINTER_COMPILER_PERSISTENTTASKS_H
#define SINTER_COMPILER_PERSISTENTTASKS_H

#include "compiler/CudaTarget.h"
#include "runtime/abi.h"

#include <vector>

namespace sinter {

struct PersistentTasks {
  std::vector<sinter_gpu_task> tasks; // the launches of decode, then those of sample
  std::vector<uint32_t> waits;
};

/// A task waits for each earlier one that writes memory which it reads or writes, or reads memory which it
/// writes (activations share the arena), unless a task that it waits for has waited for that. `sample` may be
/// null.
PersistentTasks planTasks(kernel::EntryOp decode, kernel::EntryOp sample, const CudaKernels &kernels,
                          const PersistentKernel &persistent);

} // namespace sinter

#endif // SINTER_COMPILER_PERSISTENTTASKS_H
