// SPDX-License-Identifier: Apache-2.0
// A model as the user has it: configuration, weights, and the graph they make.
#ifndef SINTER_FRONTEND_MODEL_H
#define SINTER_FRONTEND_MODEL_H

#include "frontend/Config.h"
#include "frontend/Weights.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace sinter {

struct Model {
  std::string path; ///< of the folder or file
  ModelConfig config;
  std::optional<Gguf> gguf;            ///< the file, when it is one
  std::optional<WeightSource> weights; ///< none: a configuration alone, to train from
  /// The format that `--weights` asks for; null: as in the file.
  const BlockFormat *wanted = nullptr;
};

/// Opens a Hugging Face folder, a GGUF file or a bare config.json.
/// `weights`: keep, f32, bf16, f16, q8_0, q4_0, q4_1.
Result<Model> openModel(const std::string &path, std::string_view weights = "keep");

/// The module: `lm.parameter` declarations and the function
///   func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>)
///       -> tensor<?xVxf32>
/// that gives the logits of all rows. With dropout in the configuration a fourth argument is its seed,
/// tensor<2xi32>. Attributes of the module: lm.name, lm.architecture, lm.vocabulary, lm.context, lm.eos,
/// lm.bos. Reads no weights; a missing tensor or a wrong shape is a diagnostic each, and the result is null.
mlir::OwningOpRef<mlir::ModuleOp> importModel(mlir::MLIRContext &context, const Model &model);

} // namespace sinter

#endif // SINTER_FRONTEND_MODEL_H
