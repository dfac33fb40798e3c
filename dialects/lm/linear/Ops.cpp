// SPDX-License-Identifier: Apache-2.0
// When embedding lookups and matrix products are valid.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

/// Fails unless `matrix` has rows and columns, and its rows are whole blocks.
static LogicalResult checkMatrix(Operation *op, RankedTensorType matrix) {
  auto block = dyn_cast<BlockType>(matrix.getElementType());
  if (int64_t length = block ? block.getBlockElements() : 1; matrix.getDimSize(1) % length)
    return op->emitOpError() << "expected rows of whole blocks of " << length << " numbers, found " << matrix;
  if (matrix.getDimSize(0) < 1 || matrix.getDimSize(1) < 1)
    return op->emitOpError() << "expected at least one row and one column, found " << matrix;
  return success();
}

LogicalResult EmbeddingOp::verify() {
  auto table = cast<RankedTensorType>(getTable().getType());
  if (table.getRank() != 2)
    return emitOpError() << "expected a table of rank 2, found " << table;
  if (failed(checkMatrix(*this, table)))
    return failure();
  if (getOffset() < 0 || static_cast<int64_t>(getOffset()) >= table.getDimSize(0))
    return emitOpError() << "expected an offset within the table's " << table.getDimSize(0) << " rows, found "
                         << getOffset();
  return checkShape(*this, getResult(), "the result", 2, table.getDimSize(1));
}

LogicalResult LinearOp::verify() {
  auto weight = cast<RankedTensorType>(getWeight().getType());
  if (weight.getRank() != 2)
    return emitOpError() << "expected a weight of rank 2, found " << weight;
  if (failed(checkMatrix(*this, weight)) ||
      failed(checkShape(*this, getInput(), "the input", 2, weight.getDimSize(1))) ||
      failed(checkShape(*this, getResult(), "the result", 2, weight.getDimSize(0))))
    return failure();
  if (getFastAccumulation() && !isa<Float8E4M3FNType, Float8E5M2Type>(weight.getElementType()))
    return emitOpError() << "expected a weight of 8 bits for fast_accumulation, found " << weight;
  return getBias() ? checkShape(*this, getBias(), "the bias", 1, weight.getDimSize(0)) : success();
}

LogicalResult EmbeddingBackwardOp::verify() {
  auto table = cast<RankedTensorType>(getResult().getType());
  if (!table.hasStaticShape())
    return emitOpError() << "expected a result of static shape, found " << table;
  if (static_cast<int64_t>(getOffset()) < 0 || static_cast<int64_t>(getOffset()) >= table.getDimSize(0))
    return emitOpError() << "expected an offset within the table's " << table.getDimSize(0) << " rows, found "
                         << getOffset();
  return checkShape(*this, getResult(), "the result", 2, width(getGradient()));
}

LogicalResult LinearBackwardInputOp::verify() {
  auto weight = cast<RankedTensorType>(getWeight().getType());
  if (weight.getRank() != 2)
    return emitOpError() << "expected a weight of rank 2, found " << weight;
  if (failed(checkShape(*this, getGradient(), "the gradient", 2, weight.getDimSize(0))))
    return failure();
  return checkShape(*this, getResult(), "the result", 2, weight.getDimSize(1));
}

LogicalResult LinearBackwardWeightOp::verify() {
  auto weight = cast<RankedTensorType>(getResult().getType());
  if (weight.getRank() != 2 || !weight.hasStaticShape())
    return emitOpError() << "expected a result of rank 2 and static shape, found " << weight;
  if (failed(checkShape(*this, getGradient(), "the gradient", 2, weight.getDimSize(0))))
    return failure();
  return checkShape(*this, getInput(), "the input", 2, weight.getDimSize(1));
}

LogicalResult ColumnSumOp::verify() {
  int64_t columns = width(getInput()), sums = width(getResult());
  if (sums <= 0 || columns % sums)
    return emitOpError() << "expected a result whose width divides the " << columns << " columns, found "
                         << getResult().getType();
  return success();
}
