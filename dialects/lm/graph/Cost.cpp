// SPDX-License-Identifier: Apache-2.0
// What reads, groups and row or column moves cost.
#include "dialects/lm/Cost.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace sinter::lm;

/// The bytes count where the value is used.
Cost ReadOp::cost(const Step &) { return {}; }

Cost SelectRowsOp::cost(const Step &step) {
  Cost cost = streamed(*this, step, 0);
  cost.readBytes = cost.writtenBytes + bytesOf(getRows(), step);
  return cost;
}

Cost SliceOp::cost(const Step &step) {
  int64_t bytes = bytesOf(getResult(), step);
  return {.readBytes = bytes, .writtenBytes = bytes};
}

Cost ConcatOp::cost(const Step &step) { return streamed(*this, step, 0); }

Cost SelectRowsBackwardOp::cost(const Step &step) {
  Cost cost = streamed(*this, step, elementsOf(getGradient(), step));
  cost.readBytes -= bytesOf(getInput(), step); // only its number of rows is used
  return cost;
}

Cost PadColumnsOp::cost(const Step &step) { return streamed(*this, step, 0); }

/// Operations as in the body; of the activations, only those that enter or leave move.
Cost GroupOp::cost(const Step &step) {
  Cost cost = costOf(getBody().front(), step);
  cost.readBytes = cost.writtenBytes = 0;
  llvm::SetVector<Value> entering;
  getBody().walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (!operand.getDefiningOp<ReadOp>() && !getBody().isAncestor(operand.getParentRegion()))
        entering.insert(operand);
  });
  for (Value value : entering)
    cost.readBytes += bytesOf(value, step);
  for (Value result : getResults())
    cost.writtenBytes += bytesOf(result, step);
  return cost;
}

/// An addition an element and further rank; one rank moves nothing.
Cost AllReduceOp::cost(const Step &step) {
  int64_t others = static_cast<int64_t>(getRanks()) - 1;
  return others ? streamed(*this, step, others * elementsOf(getInput(), step)) : Cost();
}
