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
