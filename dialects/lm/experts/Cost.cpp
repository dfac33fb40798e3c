// SPDX-License-Identifier: Apache-2.0
// What routing and expert layers cost. Of the experts' weights those are read that a row chose: at most all.
#include "dialects/lm/Cost.h"

#include <algorithm>

using namespace mlir;
using namespace sinter::lm;

/// Bytes of the chosen experts, if all rows choose different ones as long as there are some.
static int64_t chosenBytes(Value weight, Value chosen, const Step &step) {
  int64_t experts = cast<RankedTensorType>(weight.getType()).getDimSize(0);
  return bytesOf(weight, step) / experts * std::min(experts, elementsOf(chosen, step));
}

// Softmax (4 an expert), and a comparison for each expert and choice.
Cost RouteOp::cost(const Step &step) {
  return streamed(*this, step, elementsOf(getLogits(), step) * (4 + static_cast<int64_t>(getK())));
}

Cost ExpertLinearOp::cost(const Step &step) {
  Cost cost = streamed(*this, step, 2 * elementsOf(getResult(), step) * width(getInput()));
  cost.weightBytes = chosenBytes(getWeight(), getChosen(), step);
  return cost;
}

Cost CombineOp::cost(const Step &step) { return streamed(*this, step, 2 * elementsOf(getInput(), step)); }

// Softmax again (4), its gradient (2), and six operations for each choice.
Cost RouteBackwardOp::cost(const Step &step) {
  return streamed(*this, step, 6 * (elementsOf(getLogits(), step) + elementsOf(getChosen(), step)));
}

Cost ExpertLinearBackwardInputOp::cost(const Step &step) {
  Cost cost = streamed(*this, step, 2 * elementsOf(getGradient(), step) * width(getResult()));
  cost.weightBytes = chosenBytes(getWeight(), getChosen(), step);
  return cost;
}

Cost ExpertLinearBackwardWeightOp::cost(const Step &step) {
  return streamed(*this, step, 2 * elementsOf(getGradient(), step) * width(getInput()));
}

Cost CombineBackwardInputOp::cost(const Step &step) {
  return streamed(*this, step, elementsOf(getResult(), step));
}
Cost CombineBackwardWeightsOp::cost(const Step &step) {
  return streamed(*this, step, 2 * elementsOf(getInput(), step));
}
