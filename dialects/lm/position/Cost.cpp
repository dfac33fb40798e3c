// SPDX-License-Identifier: Apache-2.0
// What position encodings cost.
#include "dialects/lm/Cost.h"

using namespace mlir;
using namespace sinter::lm;

// The angle, its cosine and sine, both times the factor.
Cost RopeAnglesOp::cost(const Step &step) { return streamed(*this, step, 5 * elementsOf(getCos(), step)); }

// Six operations for each pair that turns.
Cost RopeOp::cost(const Step &step) {
  int64_t heads = width(getInput()) / static_cast<int64_t>(getHeadDim());
  return streamed(*this, step, 6 * heads * elementsOf(getCos(), step));
}

// The angle, and its sine or cosine.
Cost SinusoidsOp::cost(const Step &step) { return streamed(*this, step, 2 * elementsOf(getResult(), step)); }
