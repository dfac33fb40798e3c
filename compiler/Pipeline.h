// SPDX-License-Identifier: Apache-2.0
// The one list of passes, and the stages between them that --emit shows.
#ifndef SINTER_COMPILER_PIPELINE_H
#define SINTER_COMPILER_PIPELINE_H

#include "compiler/Options.h"

#include "mlir/Pass/PassManager.h"

#include <optional>

namespace sinter {

/// By the name that --emit gives: "fuse", ..., "objects", "ptx", "cubin", "exe".
std::optional<Stage> stageByName(llvm::StringRef name);

/// Adds the passes that lead from a function whose weights are the caller's to an entry with planned memory.
void addFunctionPasses(mlir::OpPassManager &passes, const PipelineOptions &options);

/// Adds the pass that gives kernels a schedule where they have none.
void addScheduleChoice(mlir::OpPassManager &passes);

/// Whether a pass of the pipeline has this flag.
bool isPipelinePass(llvm::StringRef flag);

/// Adds the passes that lead from the stage before to `stage` (Fuse, Kernels or Memory).
void addStage(mlir::OpPassManager &passes, Stage stage, const PipelineOptions &options);

} // namespace sinter

#endif // SINTER_COMPILER_PIPELINE_H
