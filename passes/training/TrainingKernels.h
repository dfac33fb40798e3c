// SPDX-License-Identifier: Apache-2.0
// Kernels of the operations that training has and inference has not: one operation, one kernel.
#ifndef SINTER_PASSES_TRAINING_TRAININGKERNELS_H
#define SINTER_PASSES_TRAINING_TRAININGKERNELS_H

#include "passes/kernels/GroupToKernel.h"

namespace sinter {

/// The buffer of gradients of the parameter that `value` is (a part of) the gradient of.
using GradientBuffer = llvm::function_ref<mlir::Value(mlir::Value value)>;

/// The kernel of a loss, of attention among the step's rows, of their gradients, or of the gradient of a
/// parameter; a located error for other operations. `sequence`: rows of a sequence; `losses`: the buffer of
/// the rows' losses.
mlir::FailureOr<LaunchedKernel> convertTrainingOp(mlir::Operation *op, EntryBuffers &buffers,
                                                  GradientBuffer gradientOf, int64_t sequence,
                                                  mlir::Value losses);

/// The kernel of one of the routers of `votes`, which adds to the buffer of votes.
LaunchedKernel convertRouterVotes(lm::RouterVotesOp votes, unsigned router, EntryBuffers &buffers);

} // namespace sinter

#endif // SINTER_PASSES_TRAINING_TRAININGKERNELS_H
