// SPDX-License-Identifier: Apache-2.0
// The constant `sinter_trainer` of runtime/training/TrainingAbi.h, and the function main that runs it.
#ifndef SINTER_COMPILER_TRAINERTABLE_H
#define SINTER_COMPILER_TRAINERTABLE_H

#include "compiler/ModelTable.h"

namespace sinter {

/// How transformers initialises a model.
struct Initialisation {
  double deviation = 0.02;       ///< of matrices and embeddings
  double outputDeviation = 0.02; ///< of the projections that GPT-2 scales by its depth
  double normStart = 1;          ///< 1, or 0 where the file holds weight - 1
  int64_t paddingToken = -1;     ///< row of the embedding that begins as zeros
};

struct TrainerTableInput {
  mutable mlir::ModuleOp
      module; ///< operations have no const accessors; with the entries train, norm, adamw, sgd
  std::vector<std::string> isas; ///< as in ModelTableInput
  std::map<std::string, uint64_t> scratchBytes;
  std::string name;
  int64_t batch = 1, sequence = 1, vocabulary = 0, context = 0;
  bool hasInitial = false; ///< the image of parameters is the product's segment `sinter_weights`
  Initialisation initialisation;
  std::string dropout = "0", dropoutKeys; ///< as in sinter_trainer
  bool recomputes = false;
  std::vector<std::pair<std::string, std::string>> files; ///< name and contents
  std::vector<uint8_t> tokenizer;
  std::string metadata;
  std::string dtype = "f32"; ///< what products of matrices take
  int64_t adapterRank = 0;   ///< 0: no adapters
  double adapterAlpha = 0;
  std::string adapterTargets; ///< as --lora-targets has them
  std::string adapterConfig;  ///< adapter_config.json
  std::vector<GpuCode> gpus;
  std::string emulatorFolder; ///< as in sinter_trainer
};

/// Where each parameter begins in the images, in bytes: placed by --kernel-add-updates.
WeightPlacement placeParameters(mlir::ModuleOp module);

/// The LLVM module that defines `sinter_trainer` and `main`, which calls `sinter_train_main(trainer, argc,
/// argv)`.
std::unique_ptr<llvm::Module> makeTrainerTable(const TrainerTableInput &input, llvm::LLVMContext &context);

/// Bytes of activations and floating-point operations of a micro-step.
struct TrainingCost {
  uint64_t arenaBytes = 0, flops = 0, launches = 0;
};
TrainingCost costOfTraining(mlir::ModuleOp module);

} // namespace sinter

#endif // SINTER_COMPILER_TRAINERTABLE_H
