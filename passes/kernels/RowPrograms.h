// SPDX-License-Identifier: Apache-2.0
// Row-wise operations of `lm` as programs on vectors: what the regions of kernels are written in.
#ifndef SINTER_PASSES_KERNELS_ROWPROGRAMS_H
#define SINTER_PASSES_KERNELS_ROWPROGRAMS_H

#include "passes/Passes.h"

#include <functional>

namespace sinter {

/// Builds the vector form of row-wise `lm` operations at the builder's insertion point. All vectors of one
/// program are `columns` wide: the whole row, or one group of neighbouring columns.
class RowProgram {
public:
  /// Gives the vector (`columns` wide) of a value that the program does not compute itself.
  using Load = std::function<mlir::Value(mlir::Value)>;
  /// Gives a vector parameter (norm weight, bias: f32, `columns` wide or of the parameter's own width).
  using LoadParameter = std::function<mlir::Value(mlir::Value, int64_t columns)>;

  RowProgram(mlir::OpBuilder &builder, mlir::Location loc, int64_t columns, Load load,
             LoadParameter loadParameter)
      : builder(builder), loc(loc), columns(columns), load(std::move(load)),
        loadParameter(std::move(loadParameter)) {}

  /// The vector of `value`: computed before, else loaded.
  mlir::Value get(mlir::Value value);
  /// Whether `value` has a vector already.
  bool has(mlir::Value value) const { return vectors.contains(value); }
  /// Says that `value` is `vector` from here on.
  void set(mlir::Value value, mlir::Value vector) { vectors[value] = vector; }

  /// Emits a row-wise operation other than slice and concat, whose columns are the caller's business.
  mlir::LogicalResult emit(mlir::Operation *op);
  /// result = cos or sin(position * frequency) * factor of lm.rope_angles; `keys` is the length of the
  /// sequence.
  void emitAngles(lm::RopeAnglesOp op, mlir::Value position, mlir::Value keys);
  void emitSinusoids(lm::SinusoidsOp op, mlir::Value position);

  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value constant(double number, int64_t width);

private:
  mlir::Value splat(mlir::Value scalar);
  /// Of a vector of the program: the mean, a scalar.
  mlir::Value mean(mlir::Value vector);
  mlir::Value scalar(double number);
  /// (x - mean) * r or x * r; `inverse`, when not null, gets r.
  mlir::Value normalise(mlir::Value x, double epsilon, bool centred, mlir::Value *inverse = nullptr);
  mlir::Value rope(lm::RopeOp op);
  mlir::Value activation(mlir::Operation *op, mlir::Value x);
  mlir::Value sigmoid(mlir::Value x);
  /// Backward operations (RowGradients.cpp).
  mlir::LogicalResult emitGradient(mlir::Operation *op);
  mlir::Value derivative(mlir::Operation *op, mlir::Value x);
  template <typename OpT> mlir::LogicalResult normGradient(OpT op, double offset, bool centred);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  int64_t columns;
  Load load;
  LoadParameter loadParameter;
  llvm::DenseMap<mlir::Value, mlir::Value> vectors;
};

} // namespace sinter

#endif // SINTER_PASSES_KERNELS_ROWPROGRAMS_H
