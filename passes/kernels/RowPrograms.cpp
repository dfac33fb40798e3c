// SPDX-License-Identifier: Apache-2.0
// The vector form of each row-wise `lm` operation. The formulas are those of the operations' documentation,
// in f32.
#include "passes/kernels/RowPrograms.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <numbers>

using namespace mlir;

namespace sinter {

Value RowProgram::get(Value value) {
  auto [place, isNew] = vectors.try_emplace(value);
  if (isNew) {
    Value loaded = load(value);
    vectors[value] = loaded;
    return loaded;
  }
  return place->second;
}

Value RowProgram::add(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
Value RowProgram::mul(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }

Value RowProgram::constant(double number, int64_t width) {
  auto type = VectorType::get({width}, builder.getF32Type());
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(type, builder.getF32FloatAttr(float(number))));
}

Value RowProgram::splat(Value scalar) {
  return vector::BroadcastOp::create(builder, loc, VectorType::get({columns}, builder.getF32Type()), scalar);
}

Value RowProgram::scalar(double number) {
  return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(float(number)));
}

Value RowProgram::mean(Value vector) {
  Value sum = vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD, vector);
  return arith::DivFOp::create(builder, loc, sum, scalar(double(columns)));
}

/// (x - mean) / sqrt(variance + epsilon), or x / sqrt(mean of squares + epsilon).
Value RowProgram::normalise(Value x, double epsilon, bool centred, Value *inverse) {
  if (centred)
    x = arith::SubFOp::create(builder, loc, x, splat(mean(x)));
  Value variance = arith::AddFOp::create(builder, loc, mean(mul(x, x)), scalar(epsilon));
  Value root = math::SqrtOp::create(builder, loc, variance);
  Value factor = splat(arith::DivFOp::create(builder, loc, scalar(1.0), root));
  if (inverse)
    *inverse = factor;
  return mul(x, factor);
}

Value RowProgram::rope(lm::RopeOp op) {
  Value x = get(op.getInput());
  int64_t half = lm::width(op.getCos());
  assert(columns == static_cast<int64_t>(op.getHeadDim()) && "emit() has checked it");
  // Angles have a width of their own: they are loaded like parameters.
  Value cos = loadParameter(op.getCos(), half), sin = loadParameter(op.getSin(), half);
  auto rotate = [&](Value a, Value b) {
    Value first = arith::SubFOp::create(builder, loc, mul(a, cos), mul(b, sin));
    Value second = arith::AddFOp::create(builder, loc, mul(b, cos), mul(a, sin));
    return std::pair(first, second);
  };
  if (op.getInterleaved()) {
    SmallVector<int64_t> even, odd, merge;
    for (int64_t i = 0; i < half; ++i) {
      even.push_back(2 * i);
      odd.push_back(2 * i + 1);
      merge.push_back(i);
      merge.push_back(half + i);
    }
    auto [first, second] = rotate(vector::ShuffleOp::create(builder, loc, x, x, even),
                                  vector::ShuffleOp::create(builder, loc, x, x, odd));
    Value turned = vector::ShuffleOp::create(builder, loc, first, second, merge);
    if (2 * half == columns)
      return turned;
    return vector::InsertStridedSliceOp::create(builder, loc, turned, x, ArrayRef<int64_t>{0},
                                                ArrayRef<int64_t>{1});
  }
  auto slice = [&](int64_t offset) -> Value {
    return vector::ExtractStridedSliceOp::create(builder, loc, x, ArrayRef<int64_t>{offset},
                                                 ArrayRef<int64_t>{half}, ArrayRef<int64_t>{1});
  };
  auto [first, second] = rotate(slice(0), slice(half));
  Value result = vector::InsertStridedSliceOp::create(builder, loc, first, x, ArrayRef<int64_t>{0},
                                                      ArrayRef<int64_t>{1});
  return vector::InsertStridedSliceOp::create(builder, loc, second, result, ArrayRef<int64_t>{half},
                                              ArrayRef<int64_t>{1});
}

Value RowProgram::sigmoid(Value x) {
  Value one = constant(1.0, columns);
  Value exp = math::ExpOp::create(builder, loc, arith::NegFOp::create(builder, loc, x));
  return arith::DivFOp::create(builder, loc, one, add(one, exp));
}

Value RowProgram::activation(Operation *op, Value x) {
  Value one = constant(1.0, columns);
  auto gelu = [&](Value inner) { return mul(mul(constant(0.5, columns), x), add(one, inner)); };
  return TypeSwitch<Operation *, Value>(op)
      .Case<lm::SiluOp>([&](auto) { return mul(x, sigmoid(x)); })
      .Case<lm::SigmoidOp>([&](auto) { return sigmoid(x); })
      .Case<lm::QuickGeluOp>([&](auto) { return mul(x, sigmoid(mul(constant(1.702, columns), x))); })
      .Case<lm::TanhOp>([&](auto) -> Value { return math::TanhOp::create(builder, loc, x); })
      .Case<lm::ReluOp>(
          [&](auto) -> Value { return arith::MaximumFOp::create(builder, loc, x, constant(0.0, columns)); })
      .Case<lm::GeluOp>([&](auto) -> Value {
        return gelu(math::ErfOp::create(builder, loc, mul(x, constant(1 / std::numbers::sqrt2, columns))));
      })
      .Case<lm::GeluTanhOp>([&](auto) -> Value {
        Value cube = mul(mul(x, x), mul(x, constant(0.044715, columns)));
        Value inner = mul(constant(std::sqrt(2 / std::numbers::pi), columns), add(x, cube));
        return gelu(math::TanhOp::create(builder, loc, inner));
      })
      .Default([](Operation *) { return Value(); });
}

LogicalResult RowProgram::emit(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case<lm::RmsNormOp>([&](auto norm) -> LogicalResult {
        if (static_cast<int64_t>(norm.getGroup().value_or(lm::width(norm.getInput()))) != columns)
          return norm.emitOpError("expected a program as wide as the norm's group");
        Value y = normalise(get(norm.getInput()), norm.getEpsilon().convertToDouble(), /*centred=*/false);
        if (norm.getWeight()) {
          Value weight = loadParameter(norm.getWeight(), columns);
          double offset = norm.getOffset().convertToDouble();
          y = mul(y, offset == 0 ? weight : add(weight, constant(offset, columns)));
        }
        set(norm.getResult(), y);
        return success();
      })
      .Case<lm::LayerNormOp>([&](auto norm) -> LogicalResult {
        if (static_cast<int64_t>(norm.getGroup().value_or(lm::width(norm.getInput()))) != columns)
          return norm.emitOpError("expected a program as wide as the norm's group");
        Value y = normalise(get(norm.getInput()), norm.getEpsilon().convertToDouble(), /*centred=*/true);
        if (norm.getWeight())
          y = mul(y, loadParameter(norm.getWeight(), columns));
        if (norm.getBias())
          y = add(y, loadParameter(norm.getBias(), columns));
        set(norm.getResult(), y);
        return success();
      })
      .Case<lm::RopeOp>([&](auto op) -> LogicalResult {
        if (static_cast<int64_t>(op.getHeadDim()) != columns)
          return op.emitOpError("expected a program as wide as a head");
        set(op.getResult(), rope(op));
        return success();
      })
      .Case<lm::AddOp>([&](auto op) {
        set(op.getResult(), add(get(op.getLhs()), get(op.getRhs())));
        return success();
      })
      .Case<lm::MulOp>([&](auto op) {
        set(op.getResult(), mul(get(op.getLhs()), get(op.getRhs())));
        return success();
      })
      .Case<lm::ScaleOp>([&](auto op) {
        set(op.getResult(), mul(get(op.getInput()), constant(op.getFactor().convertToDouble(), columns)));
        return success();
      })
      .Case<lm::SoftcapOp>([&](auto op) {
        double cap = op.getCap().convertToDouble();
        Value inner = arith::DivFOp::create(builder, loc, get(op.getInput()), constant(cap, columns));
        set(op.getResult(), mul(constant(cap, columns), math::TanhOp::create(builder, loc, inner)));
        return success();
      })
      .Case<lm::ClampOp>([&](auto op) {
        double limit = op.getLimit().convertToDouble();
        Value low = arith::MaximumFOp::create(builder, loc, get(op.getInput()), constant(-limit, columns));
        set(op.getResult(), arith::MinimumFOp::create(builder, loc, low, constant(limit, columns)));
        return success();
      })
      .Default([&](Operation *op) -> LogicalResult {
        Value y = op->getNumOperands() == 1 ? activation(op, get(op->getOperand(0))) : Value();
        if (!y)
          return emitGradient(op);
        set(op->getResult(0), y);
        return success();
      });
}

void RowProgram::emitAngles(lm::RopeAnglesOp op, Value position, Value keys) {
  auto numbers = [&](ArrayRef<float> values) -> Value {
    auto type = VectorType::get({static_cast<int64_t>(values.size())}, builder.getF32Type());
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, values));
  };
  auto toFloat = [&](Value index) -> Value {
    Value integer = arith::IndexCastOp::create(builder, loc, builder.getI32Type(), index);
    return arith::SIToFPOp::create(builder, loc, builder.getF32Type(), integer);
  };
  // 1 where the sequence is longer than `length`, else 0: a product chooses, since all of it is finite.
  auto beyond = [&](int64_t length) -> std::pair<Value, Value> {
    Value bound = arith::ConstantIndexOp::create(builder, loc, length);
    Value longer = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ugt, keys, bound);
    Value one = splat(arith::UIToFPOp::create(builder, loc, builder.getF32Type(), longer));
    return {one, arith::SubFOp::create(builder, loc, constant(1.0, columns), one)};
  };
  Value frequencies = numbers(op.getFrequencies());
  Value factor = constant(op.getFactor().convertToDouble(), columns);
  if (op.getLongFrequencies()) {
    auto [isLong, isShort] = beyond(*op.getLongFrom());
    frequencies = add(mul(isLong, numbers(*op.getLongFrequencies())), mul(isShort, frequencies));
    if (op.getLongFactor())
      factor =
          add(mul(isLong, constant(op.getLongFactor()->convertToDouble(), columns)), mul(isShort, factor));
  } else if (op.getDynamic()) {
    // base'^(-2i/dim) = frequency_i * (factor * n / length - (factor - 1))^(-2i/(dim - 2))
    double scale = op.getDynamic()->getFactor().getValueAsDouble();
    int64_t length = op.getDynamic()->getLength(), dim = op.getDynamic()->getDim();
    SmallVector<float> exponents;
    for (int64_t i = 0; i < columns; ++i)
      exponents.push_back(dim > 2 ? -2.0 * i / (dim - 2) : 0.0);
    auto [isLong, isShort] = beyond(length);
    Value stretch =
        arith::SubFOp::create(builder, loc, mul(splat(toFloat(keys)), constant(scale / length, columns)),
                              constant(scale - 1, columns));
    stretch = add(mul(isLong, stretch), isShort);
    Value power = math::ExpOp::create(builder, loc,
                                      mul(math::LogOp::create(builder, loc, stretch), numbers(exponents)));
    frequencies = mul(frequencies, power);
  }
  Value angle = mul(splat(toFloat(position)), frequencies);
  set(op.getCos(), mul(math::CosOp::create(builder, loc, angle), factor));
  set(op.getSin(), mul(math::SinOp::create(builder, loc, angle), factor));
}

void RowProgram::emitSinusoids(lm::SinusoidsOp op, Value position) {
  int64_t half = lm::width(op.getResult()) / 2;
  auto type = VectorType::get({half}, builder.getF32Type());
  SmallVector<float> frequencies;
  for (int64_t i = 0; i < half; ++i)
    frequencies.push_back(static_cast<float>(
        half > 1 ? std::pow(op.getBase().convertToDouble(), -static_cast<double>(i) / (half - 1)) : 1.0));
  Value offset = arith::ConstantIndexOp::create(builder, loc, op.getOffset());
  Value place = arith::AddIOp::create(builder, loc, position, offset);
  place = arith::IndexCastOp::create(builder, loc, builder.getI32Type(), place);
  place = arith::SIToFPOp::create(builder, loc, builder.getF32Type(), place);
  Value angle = mul(
      vector::BroadcastOp::create(builder, loc, type, place),
      arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, ArrayRef<float>(frequencies))));
  auto insert = [&](Value part, Value into, int64_t at) -> Value {
    return vector::InsertStridedSliceOp::create(builder, loc, part, into, ArrayRef<int64_t>{at},
                                                ArrayRef<int64_t>{1});
  };
  Value sines = insert(math::SinOp::create(builder, loc, angle), constant(0, 2 * half), 0);
  set(op.getResult(), insert(math::CosOp::create(builder, loc, angle), sines, half));
}

} // namespace sinter
