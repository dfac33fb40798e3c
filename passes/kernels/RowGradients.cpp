// SPDX-License-Identifier: Apache-2.0
// The vector form of backward operations that work row by row. The formulas are those of the operations'
// documentation.
#include "passes/kernels/RowPrograms.h"

#include "llvm/ADT/TypeSwitch.h"

#include <numbers>

using namespace mlir;

namespace sinter {

/// The derivative of an activation at x, by its backward operation; null for other operations.
Value RowProgram::derivative(Operation *op, Value x) {
  Value one = constant(1.0, columns), half = constant(0.5, columns);
  auto sub = [&](Value a, Value b) -> Value { return arith::SubFOp::create(builder, loc, a, b); };
  auto where = [&](Value condition) -> Value {
    return arith::SelectOp::create(builder, loc, condition, one, constant(0.0, columns));
  };
  // s * (1 + x * (1 - s)) for an argument that `factor` stretches.
  auto swish = [&](double factor) {
    Value stretched = factor == 1.0 ? x : mul(constant(factor, columns), x);
    Value s = sigmoid(stretched);
    return mul(s, add(one, mul(stretched, sub(one, s))));
  };
  return TypeSwitch<Operation *, Value>(op)
      .Case<lm::SiluBackwardOp>([&](auto) { return swish(1.0); })
      .Case<lm::QuickGeluBackwardOp>([&](auto) { return swish(1.702); })
      .Case<lm::SigmoidBackwardOp>([&](auto) {
        Value s = sigmoid(x);
        return mul(s, sub(one, s));
      })
      .Case<lm::TanhBackwardOp>([&](auto) {
        Value t = math::TanhOp::create(builder, loc, x);
        return sub(one, mul(t, t));
      })
      .Case<lm::ReluBackwardOp>([&](auto) {
        return where(
            arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, x, constant(0.0, columns)));
      })
      .Case<lm::GeluBackwardOp>([&](auto) {
        Value erf = math::ErfOp::create(builder, loc, mul(x, constant(1 / std::numbers::sqrt2, columns)));
        Value bell = math::ExpOp::create(builder, loc, mul(mul(x, x), constant(-0.5, columns)));
        double height = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
        return add(mul(half, add(one, erf)), mul(mul(x, constant(height, columns)), bell));
      })
      .Case<lm::GeluTanhBackwardOp>([&](auto) {
        double root = std::sqrt(2 / std::numbers::pi);
        Value square = mul(x, x);
        Value inner =
            mul(mul(constant(root, columns), x), add(one, mul(constant(0.044715, columns), square)));
        Value t = math::TanhOp::create(builder, loc, inner);
        Value slope = mul(constant(root, columns), add(one, mul(constant(0.134145, columns), square)));
        return add(mul(half, add(one, t)), mul(mul(mul(half, x), sub(one, mul(t, t))), slope));
      })
      .Case<lm::SoftcapBackwardOp>([&](auto cap) {
        Value limit = constant(cap.getCap().convertToDouble(), columns);
        Value t =
            math::TanhOp::create(builder, loc, arith::DivFOp::create(builder, loc, x, limit).getResult());
        return sub(one, mul(t, t));
      })
      .Case<lm::ClampBackwardOp>([&](auto clamp) {
        Value magnitude = math::AbsFOp::create(builder, loc, x);
        return where(arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLE, magnitude,
                                           constant(clamp.getLimit().convertToDouble(), columns)));
      })
      .Default([](Operation *) { return Value(); });
}

/// r * (g - mean(g) - x^ * mean(g * x^)), the first mean only when `centred`.
template <typename OpT> LogicalResult RowProgram::normGradient(OpT op, double offset, bool centred) {
  if (static_cast<int64_t>(op.getGroup().value_or(lm::width(op.getInput()))) != columns)
    return op.emitOpError("expected a program as wide as the norm's group");
  Value factor;
  Value x = normalise(get(op.getInput()), op.getEpsilon().convertToDouble(), centred, &factor);
  Value g = get(op.getGradient());
  if (op.getWeight()) {
    Value weight = loadParameter(op.getWeight(), columns);
    g = mul(g, offset == 0 ? weight : add(weight, constant(offset, columns)));
  }
  Value inner = arith::SubFOp::create(builder, loc, g, mul(x, splat(mean(mul(g, x)))));
  if (centred)
    inner = arith::SubFOp::create(builder, loc, inner, splat(mean(g)));
  set(op.getResult(), mul(factor, inner));
  return success();
}

LogicalResult RowProgram::emitGradient(Operation *op) {
  if (auto norm = dyn_cast<lm::RmsNormBackwardInputOp>(op))
    return normGradient(norm, norm.getOffset().convertToDouble(), /*centred=*/false);
  if (auto norm = dyn_cast<lm::LayerNormBackwardInputOp>(op))
    return normGradient(norm, 0.0, /*centred=*/true);
  Value slope = op->getNumOperands() == 2 ? derivative(op, get(op->getOperand(1))) : Value();
  if (!slope)
    return op->emitOpError("expected a row-wise operation in a fused region");
  set(op->getResult(0), mul(get(op->getOperand(0)), slope));
  return success();
}

} // namespace sinter
