// SPDX-License-Identifier: Apache-2.0
// The parts that layers are made of. Each emits the operations its ModelConfig asks for and declares the
// parameters it reads, checked against the model file.
#ifndef SINTER_FRONTEND_BLOCKS_H
#define SINTER_FRONTEND_BLOCKS_H

#include "frontend/Architecture.h"
#include "frontend/Parameters.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace sinter {

class Blocks {
public:
  /// Emits into the body of `function`, whose arguments are tokens, positions and sequences.
  Blocks(const ModelConfig &config, Parameters &parameters, mlir::func::FuncOp function);

  const ModelConfig &config;

  /// Embedding, scaled, with learned positions and a norm where the model has them: (rows, hidden).
  mlir::Value embed();
  /// Final norm and head: logits (rows, vocabulary).
  mlir::Value head(mlir::Value x);

  /// The norm `layers.N.NAME` over the row.
  mlir::Value norm(mlir::Value x, int64_t layer, llvm::StringRef name);
  /// Projections, positions, attention and output projection of a layer.
  mlir::Value attention(mlir::Value x, int64_t layer);
  /// The feed-forward layer: gated or plain, or a mixture of experts.
  mlir::Value mlp(mlir::Value x, int64_t layer);
  mlir::Value add(mlir::Value a, mlir::Value b);

private:
  mlir::RankedTensorType rows(int64_t width) const;
  mlir::Value norm(mlir::Value x, llvm::StringRef parameter);
  mlir::Value linear(mlir::Value x, llvm::StringRef parameter, int64_t out, bool bias);
  mlir::Value activate(mlir::Value x);
  mlir::Value drop(mlir::Value x, double rate);
  mlir::Value slice(mlir::Value x, int64_t offset, int64_t width);
  mlir::Value queryKeyNorm(mlir::Value x, llvm::StringRef parameter, int64_t heads);
  mlir::Value rotate(mlir::Value x, int set);
  mlir::Value experts(mlir::Value x, int64_t layer);

  Parameters &parameters;
  mlir::OpBuilder builder;
  mlir::Location loc;
  mlir::Value tokens, positions, sequences, seed;
  int64_t sites = 0;                                             ///< of dropout, in the order of execution
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> angles; ///< cosines and sines of each rope set
};

} // namespace sinter

#endif // SINTER_FRONTEND_BLOCKS_H
