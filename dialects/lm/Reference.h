// SPDX-License-Identifier: Apache-2.0
// The reference evaluator: what a graph of `lm` operations computes, by naive loops in f64. It is the
// executable specification that every pass and every target is tested against.
#ifndef SINTER_DIALECTS_LM_REFERENCE_H
#define SINTER_DIALECTS_LM_REFERENCE_H

#include "dialects/lm/LmDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

#include <map>
#include <memory>
#include <variant>
#include <vector>

namespace sinter::lm {

/// A tensor's value, row-major. Integers (ids, positions) are held as f64 too, which is exact.
struct Tensor {
  llvm::SmallVector<int64_t, 3> shape;
  std::vector<double> values;

  Tensor() = default;
  explicit Tensor(llvm::ArrayRef<int64_t> shape); ///< zeros
  /// The first dimension; 1 for a scalar.
  int64_t rows() const { return shape.empty() ? 1 : shape.front(); }
  /// Elements of one row: the product of all dimensions but the first.
  int64_t rowSize() const { return rows() ? static_cast<int64_t>(values.size()) / rows() : 0; }
  double *row(int64_t i) { return values.data() + i * rowSize(); }
  const double *row(int64_t i) const { return values.data() + i * rowSize(); }
  /// An element of a tensor of ids.
  int64_t id(int64_t i) const { return static_cast<int64_t>(values[i]); }
  /// A number of 64 bits in two elements of 32, the low half first.
  uint64_t wideId() const {
    return static_cast<uint32_t>(id(0)) | static_cast<uint64_t>(static_cast<uint32_t>(id(1))) << 32;
  }
};

/// Key and value of one token in one layer: (kv_heads * d) and (kv_heads * e).
struct CachedToken {
  int64_t sequence = 0, position = 0;
  std::vector<double> key, value;
};

/// The value of a `!lm.cache`: for each layer what was appended, in order.
using Cache = std::map<int64_t, std::vector<CachedToken>>;

using Datum = std::variant<Tensor, Cache>;

/// Decoded weights by the symbol of their parameter. Parameters made of `parts` need no entry of their own.
using Parameters = llvm::StringMap<std::shared_ptr<const Datum>>;

/// The values known so far while a function is evaluated; operations read their operands from it and set
/// their results.
class Evaluation {
public:
  explicit Evaluation(const Parameters &parameters) : parameters(parameters) {}

  const Tensor &tensor(mlir::Value value) const { return std::get<Tensor>(*lookup(value)); }
  const Cache &cache(mlir::Value value) const { return std::get<Cache>(*lookup(value)); }
  /// Whether `value` is an optional operand that is there, or a result that somebody asked for.
  const Tensor *optional(mlir::Value value) const { return value ? &tensor(value) : nullptr; }
  void set(mlir::Value value, Datum datum) { data[value] = std::make_shared<const Datum>(std::move(datum)); }
  void set(mlir::Value value, std::shared_ptr<const Datum> datum) { data[value] = std::move(datum); }
  std::shared_ptr<const Datum> lookup(mlir::Value value) const;
  const Parameters &getParameters() const { return parameters; }

  /// Zeros in the shape of `result`, whose dynamic first dimension is `rows`.
  static Tensor zeros(mlir::Value result, int64_t rows);
  /// Checks that the tensors have equally many rows; emits a located error otherwise.
  llvm::LogicalResult checkSameRows(mlir::Operation *op, mlir::ValueRange values) const;
  /// Checks that every id plus `offset` is within [0, count); emits a located error otherwise.
  llvm::LogicalResult checkIds(mlir::Operation *op, const Tensor &ids, int64_t offset, int64_t count) const;
  /// Evaluates the operations of a block before its terminator.
  llvm::LogicalResult run(mlir::Block &block);
  llvm::LogicalResult run(mlir::Operation &op);

  /// The evaluations of all ranks, this one among them. All have come as far as this one at least.
  llvm::ArrayRef<Evaluation> ranks() const { return {first ? first : this, first ? count : 1}; }
  void setRanks(const Evaluation *all, size_t number) { first = all, count = number; }

private:
  const Evaluation *first = nullptr;
  size_t count = 0;
  llvm::DenseMap<mlir::Value, std::shared_ptr<const Datum>> data;
  const Parameters &parameters;
};

/// Evaluates `function` on `arguments` and gives its results, or emits a located error.
mlir::FailureOr<std::vector<Datum>> evaluate(mlir::func::FuncOp function, llvm::ArrayRef<Datum> arguments,
                                             const Parameters &parameters);

/// The same on several ranks, each with its arguments: gives the results of each. They go on together,
/// operation by operation, for lm.all_reduce.
mlir::FailureOr<std::vector<std::vector<Datum>>> evaluateRanks(mlir::func::FuncOp function,
                                                               llvm::ArrayRef<std::vector<Datum>> arguments,
                                                               const Parameters &parameters);

} // namespace sinter::lm

#endif // SINTER_DIALECTS_LM_REFERENCE_H
