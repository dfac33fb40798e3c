// SPDX-License-Identifier: Apache-2.0
// Turns one lm.group into a kernel.func and the buffers of its launch.
#ifndef SINTER_PASSES_KERNELS_GROUPTOKERNEL_H
#define SINTER_PASSES_KERNELS_GROUPTOKERNEL_H

#include "passes/kernels/EntryBuffers.h"

namespace sinter {

/// A kernel that stands in no module yet, and what a launch gives it.
struct LaunchedKernel {
  mlir::OwningOpRef<kernel::FuncOp> function;
  llvm::SmallVector<mlir::Value> buffers;
  llvm::SmallVector<mlir::Value> notQuantised; // results of the group that are read quantised, and are not yet
};

/// All of them, or failure where one failed.
mlir::FailureOr<llvm::SmallVector<LaunchedKernel>>
allOf(llvm::MutableArrayRef<mlir::FailureOr<LaunchedKernel>> made);

/// The kernels (several where a result is needed in a second form, and of experts) of a group, in order; a
/// located error where no kernel can compute it.
mlir::FailureOr<llvm::SmallVector<LaunchedKernel>> convertGroup(lm::GroupOp group, EntryBuffers &buffers);

/// The kernel that quantises a value which no group computes, an argument of the function. `group` is one
/// that uses it.
mlir::FailureOr<LaunchedKernel> quantiseArgument(lm::GroupOp group, mlir::Value value, EntryBuffers &buffers);

/// The same for a group of kind `experts`.
mlir::FailureOr<llvm::SmallVector<LaunchedKernel>> convertExperts(lm::GroupOp group, EntryBuffers &buffers);

/// The same for what experts have backwards, and for operations on dispatched rows.
mlir::FailureOr<llvm::SmallVector<LaunchedKernel>> convertExpertGradients(lm::GroupOp group,
                                                                          EntryBuffers &buffers);

} // namespace sinter

#endif // SINTER_PASSES_KERNELS_GROUPTOKERNEL_H
