// SPDX-License-Identifier: Apache-2.0
// What elementwise operations cost: operations an element, as their formulas say.
#include "dialects/lm/Cost.h"

using namespace mlir;
using namespace sinter::lm;

static Cost perElement(Operation *op, const Step &step, int64_t flops) {
  return streamed(op, step, flops * elementsOf(op->getResult(0), step));
}

Cost SiluOp::cost(const Step &step) { return perElement(*this, step, 5); }
Cost ReluOp::cost(const Step &step) { return perElement(*this, step, 1); }
Cost SigmoidOp::cost(const Step &step) { return perElement(*this, step, 4); }
Cost TanhOp::cost(const Step &step) { return perElement(*this, step, 1); }
Cost GeluOp::cost(const Step &step) { return perElement(*this, step, 5); }
Cost GeluTanhOp::cost(const Step &step) { return perElement(*this, step, 9); }
Cost QuickGeluOp::cost(const Step &step) { return perElement(*this, step, 6); }
Cost AddOp::cost(const Step &step) { return perElement(*this, step, 1); }
Cost MulOp::cost(const Step &step) { return perElement(*this, step, 1); }
Cost ScaleOp::cost(const Step &step) { return perElement(*this, step, 1); }
Cost SoftcapOp::cost(const Step &step) { return perElement(*this, step, 3); }
Cost SiluBackwardOp::cost(const Step &step) { return perElement(*this, step, 9); }
Cost ReluBackwardOp::cost(const Step &step) { return perElement(*this, step, 1); }
Cost SigmoidBackwardOp::cost(const Step &step) { return perElement(*this, step, 7); }
Cost TanhBackwardOp::cost(const Step &step) { return perElement(*this, step, 4); }
Cost GeluBackwardOp::cost(const Step &step) { return perElement(*this, step, 11); }
Cost GeluTanhBackwardOp::cost(const Step &step) { return perElement(*this, step, 18); }
Cost QuickGeluBackwardOp::cost(const Step &step) { return perElement(*this, step, 11); }
Cost SoftcapBackwardOp::cost(const Step &step) { return perElement(*this, step, 5); }
/// Bits of a column: 3 products, 2 sums, 3 shifts, 3 differences; then a comparison and a product.
Cost DropoutOp::cost(const Step &step) { return perElement(*this, step, 13); }
Cost ClampOp::cost(const Step &step) { return perElement(*this, step, 2); }
Cost ClampBackwardOp::cost(const Step &step) { return perElement(*this, step, 2); }
