// SPDX-License-Identifier: Apache-2.0
// One compilation of a model: from its files to the product or the stage that the options ask for.
#ifndef SINTER_COMPILER_COMPILATION_H
#define SINTER_COMPILER_COMPILATION_H

#include "compiler/CpuTarget.h"
#include "compiler/ModelTable.h"
#include "compiler/Options.h"
#include "compiler/WeightSegment.h"
#include "frontend/Model.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <chrono>
#include <optional>

namespace sinter {

class Compilation {
public:
  explicit Compilation(CompileOptions options);

  /// Does all of it. Errors go to stderr, MLIR's as located diagnostics; gives false when there was one.
  bool run();

private:
  bool report(const Error &error);
  Result<> checkOutputs() const;
  void announce(llvm::StringRef what);
  bool runPasses(Stage stage);
  bool printModule();
  bool printText(llvm::StringRef text);

  /// Kernels, and the table of the model that refers to them.
  Result<std::vector<ObjectFile>> makeObjects();
  CudaOptions cudaOptions(gpu::Architecture architecture) const;
  Result<std::vector<GpuCode>> makeGpuCode();
  WeightImage weightImage();
  Result<> writeWeightsOutside();
  bool finish(Result<> written);
  bool writeProduct();
  /// The training step (TrainerProduct.cpp): what the model says about it, its objects, the trainer.
  Result<> completeTraining();
  Result<std::vector<ObjectFile>> makeTrainerObjects();
  bool writeTrainer();
  bool renameKernels();
  bool writeKernelProduct();
  bool writeGpuProduct();
  bool printKernelTable();
  bool printVersions();

  CompileOptions options; // its pipeline is completed by what the model says
  mlir::MLIRContext context;
  std::optional<Model> model;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  WeightPlacement placement;
  std::string dropoutKeys;               // of a training step, as in sinter_trainer
  std::optional<AtomicFile> weightsFile; // of --weights-file, not yet under its name
  const std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

} // namespace sinter

#endif // SINTER_COMPILER_COMPILATION_H
