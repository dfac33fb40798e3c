// SPDX-License-Identifier: Apache-2.0
// The walk of the reference evaluator; what each operation computes is in its family's Reference.cpp.
#include "dialects/lm/Reference.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numeric>

using namespace mlir;
using namespace sinter::lm;

Tensor::Tensor(ArrayRef<int64_t> dimensions) : shape(dimensions) {
  values.resize(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()));
}

std::shared_ptr<const Datum> Evaluation::lookup(Value value) const {
  auto found = data.find(value);
  assert(found != data.end() && "expected operations in the order of their uses");
  return found->second;
}

Tensor Evaluation::zeros(Value result, int64_t rows) {
  SmallVector<int64_t> shape(cast<RankedTensorType>(result.getType()).getShape());
  for (int64_t &dimension : shape)
    dimension = ShapedType::isDynamic(dimension) ? rows : dimension;
  return Tensor(shape);
}

LogicalResult Evaluation::checkSameRows(Operation *op, ValueRange values) const {
  for (Value value : values)
    if (tensor(value).rows() != tensor(values.front()).rows())
      return op->emitOpError() << "expected equally many rows, found " << tensor(values.front()).rows()
                               << " and " << tensor(value).rows();
  return success();
}

LogicalResult Evaluation::checkIds(Operation *op, const Tensor &ids, int64_t offset, int64_t count) const {
  for (size_t i = 0; i < ids.values.size(); ++i)
    if (ids.id(i) + offset < 0 || ids.id(i) + offset >= count)
      return op->emitOpError() << "expected ids within [" << -offset << ", " << count - offset << "), found "
                               << ids.id(i) << " at " << i;
  return success();
}

LogicalResult Evaluation::run(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(run(op)))
      return failure();
  return success();
}

LogicalResult Evaluation::run(Operation &op) {
  if (auto evaluable = dyn_cast<EvaluableInterface>(op))
    return evaluable.evaluate(*this);
  auto constant = dyn_cast<arith::ConstantOp>(op);
  auto elements = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue()) : DenseFPElementsAttr();
  if (!elements)
    return op.emitError() << "expected an operation with a reference, found " << op.getName();
  Tensor tensor(elements.getType().getShape());
  for (auto [i, value] : llvm::enumerate(elements.getValues<APFloat>()))
    tensor.values[i] = value.convertToDouble();
  set(constant.getResult(), std::move(tensor));
  return success();
}

FailureOr<std::vector<std::vector<Datum>>> sinter::lm::evaluateRanks(func::FuncOp function,
                                                                     ArrayRef<std::vector<Datum>> arguments,
                                                                     const Parameters &parameters) {
  std::vector<Evaluation> ranks(arguments.size(), Evaluation(parameters));
  for (auto [rank, own] : llvm::zip_equal(ranks, arguments)) {
    if (function.isExternal() || own.size() != function.getNumArguments())
      return function.emitError() << "expected a body and " << function.getNumArguments()
                                  << " arguments, found " << own.size() << " arguments",
             failure();
    rank.setRanks(ranks.data(), ranks.size());
    for (auto [argument, datum] : llvm::zip_equal(function.getArguments(), own))
      rank.set(argument, datum);
  }
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator())
    for (Evaluation &rank : ranks)
      if (failed(rank.run(op)))
        return failure();
  std::vector<std::vector<Datum>> results;
  for (const Evaluation &rank : ranks) {
    results.emplace_back();
    for (Value result : body.getTerminator()->getOperands())
      results.back().push_back(*rank.lookup(result));
  }
  return results;
}

FailureOr<std::vector<Datum>> sinter::lm::evaluate(func::FuncOp function, ArrayRef<Datum> arguments,
                                                   const Parameters &parameters) {
  FailureOr<std::vector<std::vector<Datum>>> results = evaluateRanks(function, {arguments.vec()}, parameters);
  if (failed(results))
    return failure();
  return std::move(results->front());
}
