// SPDX-License-Identifier: Apache-2.0
// When elementwise operations are valid, and what folds.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

OpFoldResult ScaleOp::fold(FoldAdaptor) { return getFactor().isExactlyValue(1.0) ? getInput() : OpFoldResult(); }

LogicalResult SoftcapOp::verify() {
  double cap = getCap().convertToDouble();
  return cap > 0 ? success() : emitOpError() << "expected cap > 0, found " << cap;
}
