// SPDX-License-Identifier: Apache-2.0
// What losses cost: difference, exp and sum an element; backward also a difference and two products.
#include "dialects/lm/Cost.h"

using namespace mlir;
using namespace sinter::lm;

Cost CrossEntropyOp::cost(const Step &step) {
  return streamed(*this, step, 3 * elementsOf(getLogits(), step));
}
Cost CrossEntropyBackwardOp::cost(const Step &step) {
  return streamed(*this, step, 6 * elementsOf(getLogits(), step));
}

Cost RouterVotesOp::cost(const Step &step) {
  int64_t elements = 0;
  for (Value logits : getLogits())
    elements += elementsOf(logits, step);
  return streamed(*this, step, 5 * elements);
}
Cost BalanceLossOp::cost(const Step &step) { return streamed(*this, step, elementsOf(getVotes(), step)); }
Cost BalanceLossBackwardOp::cost(const Step &step) {
  return streamed(*this, step, 8 * elementsOf(getLogits(), step));
}
