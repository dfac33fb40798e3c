// SPDX-License-Identifier: Apache-2.0
// What embedding lookups and matrix products cost.
#include "dialects/lm/Cost.h"

using namespace mlir;
using namespace sinter::lm;

/// Of the table, only the rows that are looked up are read.
Cost EmbeddingOp::cost(const Step &step) {
  int64_t tableRows = cast<RankedTensorType>(getTable().getType()).getDimSize(0);
  Cost cost{.readBytes = bytesOf(getIds(), step), .writtenBytes = bytesOf(getResult(), step)};
  cost.weightBytes = bytesOf(getTable(), step) / tableRows * rowsOf(getIds(), step);
  return cost;
}

Cost LinearOp::cost(const Step &step) {
  int64_t products = elementsOf(getResult(), step) * width(getInput());
  return streamed(*this, step, 2 * products + (getBias() ? elementsOf(getResult(), step) : 0));
}

/// Adds the gradient's rows into a table of zeros.
Cost EmbeddingBackwardOp::cost(const Step &step) {
  return streamed(*this, step, elementsOf(getGradient(), step));
}

Cost LinearBackwardInputOp::cost(const Step &step) {
  return streamed(*this, step, 2 * elementsOf(getResult(), step) * width(getGradient()));
}

Cost LinearBackwardWeightOp::cost(const Step &step) {
  return streamed(*this, step, 2 * elementsOf(getGradient(), step) * width(getInput()));
}

Cost ColumnSumOp::cost(const Step &step) { return streamed(*this, step, elementsOf(getInput(), step)); }
