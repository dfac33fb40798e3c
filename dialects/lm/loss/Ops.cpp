// SPDX-License-Identifier: Apache-2.0
// When losses are valid.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult CrossEntropyOp::verify() {
  auto logits = cast<RankedTensorType>(getLogits().getType());
  return logits.getRank() == 2 ? success() : emitOpError() << "expected logits of rank 2, found " << logits;
}

LogicalResult CrossEntropyBackwardOp::verify() {
  auto logits = cast<RankedTensorType>(getLogits().getType());
  return logits.getRank() == 2 ? success() : emitOpError() << "expected logits of rank 2, found " << logits;
}
