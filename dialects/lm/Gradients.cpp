// SPDX-License-Identifier: Apache-2.0
// Gradients by value, and their sums.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

Value Gradients::of(Value value) const {
  Value gradient = gradients.lookup(value);
  assert(gradient && "expected a value that the loss depends on");
  return gradient;
}

void Gradients::add(Value operand, Value gradient) {
  if (!wants(operand))
    return;
  assert(gradient.getType() == gradientType(operand) && "expected a gradient of the operand's shape");
  Value &sum = gradients[operand];
  sum = sum ? AddOp::create(builder, gradient.getLoc(), sum, gradient) : gradient;
}

RankedTensorType sinter::lm::gradientType(Value value) {
  return cast<RankedTensorType>(value.getType()).clone(Float32Type::get(value.getContext()));
}
