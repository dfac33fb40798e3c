// SPDX-License-Identifier: Apache-2.0
// The one list of passes, and the stages between them that --emit shows.
#ifndef SINTER_COMPILER_PIPELINE_H
#define SINTER_COMPILER_PIPELINE_H

#include "mlir/Pass/PassManager.h"

#include <optional>
#include <string>
#include <vector>

namespace sinter {

/// Stages in order; each has its passes, which end with the IR that --emit shows.
enum class Stage { Import, Fuse, Kernels, Memory, Target, Llvm, Objects, Executable };

std::optional<Stage> stageByName(llvm::StringRef name);

struct PipelineOptions {
  /// Passes to leave out, by their flag ("lm-fuse-rope"); for tests and measurements.
  std::vector<std::string> skip;
  /// Element types of the cache to make entries for; the first is the default.
  std::vector<std::string> cacheTypes = {"f16", "bf16", "f32"};
  /// Rows of a prefill and of a decode step at most.
  int64_t prefillRows = 512, decodeRows = 16;
};

/// Whether a pass of the pipeline has this flag.
bool isPipelinePass(llvm::StringRef flag);

/// Adds the passes that lead from the stage before to `stage` (Fuse, Kernels or Memory).
void addStage(mlir::OpPassManager &passes, Stage stage, const PipelineOptions &options);

} // namespace sinter

#endif // SINTER_COMPILER_PIPELINE_H
