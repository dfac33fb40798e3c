// SPDX-License-Identifier: Apache-2.0
// When normalisations are valid.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

/// Checks epsilon and group, which every norm has; gives the width of one group.
static FailureOr<int64_t> checkNorm(Operation *op, Value input, const APFloat &epsilon,
                                    std::optional<uint64_t> group) {
  if (epsilon.isNegative())
    return op->emitOpError() << "expected epsilon >= 0, found " << epsilon.convertToDouble();
  int64_t columns = width(input);
  int64_t size = group ? static_cast<int64_t>(*group) : columns;
  if (size <= 0 || columns % size)
    return op->emitOpError() << "expected a group that divides the " << columns << " columns, found " << size;
  return size;
}

LogicalResult RmsNormOp::verify() {
  FailureOr<int64_t> size = checkNorm(*this, getInput(), getEpsilon(), getGroup());
  if (failed(size))
    return failure();
  return getWeight() ? checkShape(*this, getWeight(), "the weight", 1, *size) : success();
}

LogicalResult LayerNormOp::verify() {
  FailureOr<int64_t> size = checkNorm(*this, getInput(), getEpsilon(), getGroup());
  if (failed(size))
    return failure();
  for (auto [value, name] : {std::pair<Value, StringRef>(getWeight(), "the weight"), {getBias(), "the bias"}})
    if (value && width(value) != width(getInput()) && failed(checkShape(*this, value, name, 1, *size)))
      return failure();
  return success();
}
