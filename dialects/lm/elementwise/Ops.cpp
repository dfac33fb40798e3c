// SPDX-License-Identifier: Apache-2.0
// When elementwise operations are valid, and what folds.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

OpFoldResult ScaleOp::fold(FoldAdaptor) {
  return getFactor().isExactlyValue(1.0) ? getInput() : OpFoldResult();
}

/// Checks the cap, a divisor.
static LogicalResult checkCap(Operation *op, double cap) {
  return cap > 0 ? success() : op->emitOpError() << "expected cap > 0, found " << cap;
}

LogicalResult SoftcapOp::verify() { return checkCap(*this, getCap().convertToDouble()); }
LogicalResult SoftcapBackwardOp::verify() { return checkCap(*this, getCap().convertToDouble()); }

/// Checks the limit: below 0 nothing would be left, and NaN limits nothing.
static LogicalResult checkLimit(Operation *op, double limit) {
  return limit >= 0 ? success() : op->emitOpError() << "expected limit >= 0, found " << limit;
}

LogicalResult DropoutOp::verify() {
  if (failed(checkShape(*this, getInput(), "the input", 2, width(getInput()))))
    return failure();
  return checkDropout(*this, getSeed(), getRate().convertToDouble(), getSite());
}

LogicalResult ClampOp::verify() { return checkLimit(*this, getLimit().convertToDouble()); }
LogicalResult ClampBackwardOp::verify() { return checkLimit(*this, getLimit().convertToDouble()); }
