// SPDX-License-Identifier: Apache-2.0
// Sizes of values in a step, and sums of costs.
#include "dialects/lm/Cost.h"

using namespace mlir;
using namespace sinter::lm;

Cost &Cost::operator+=(const Cost &other) {
  flops += other.flops;
  weightBytes += other.weightBytes;
  cacheBytes += other.cacheBytes;
  readBytes += other.readBytes;
  writtenBytes += other.writtenBytes;
  return *this;
}

/// Whether the type is a tensor with a row for each token.
static bool hasRows(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.isDynamicDim(0);
}

int64_t sinter::lm::rowsOf(Value value, const Step &step) {
  while (Operation *op = value.getDefiningOp()) {
    if (isa<SelectRowsOp>(op))
      return step.selected;
    if (isa<SelectRowsBackwardOp>(op))
      return step.rows;
    if (auto group = dyn_cast<GroupOp>(op)) {
      value = group.getBody().front().getTerminator()->getOperand(cast<OpResult>(value).getResultNumber());
      continue;
    }
    auto operand = llvm::find_if(op->getOperands(), hasRows);
    if (operand == op->getOperands().end())
      return step.rows;
    value = *operand;
  }
  return step.rows;
}

int64_t sinter::lm::elementsOf(Value value, const Step &step) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return 0;
  int64_t count = hasRows(value) ? rowsOf(value, step) : 1;
  for (int64_t dimension : type.getShape())
    count *= ShapedType::isDynamic(dimension) ? 1 : dimension;
  return count;
}

int64_t sinter::lm::bytesOf(Value value, const Step &step) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return 0;
  int64_t elements = elementsOf(value, step);
  if (auto block = dyn_cast<BlockType>(type.getElementType()))
    return elements / block.getBlockElements() * block.getBlockBytes();
  return elements * type.getElementTypeBitWidth() / 8;
}

Cost sinter::lm::streamed(Operation *op, const Step &step, int64_t flops) {
  Cost cost{.flops = flops};
  for (Value operand : op->getOperands())
    (operand.getDefiningOp<ReadOp>() ? cost.weightBytes : cost.readBytes) += bytesOf(operand, step);
  for (Value result : op->getResults())
    cost.writtenBytes += bytesOf(result, step);
  return cost;
}

Cost sinter::lm::costOf(Block &block, const Step &step) {
  Cost sum;
  for (Operation &op : block)
    if (auto costed = dyn_cast<CostInterface>(op))
      sum += costed.cost(step);
  return sum;
}
