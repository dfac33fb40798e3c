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

/// Fails unless `votes` are two for each expert of `logits`.
static LogicalResult checkVotes(Operation *op, Value votes, ValueRange logits) {
  if (logits.empty())
    return op->emitOpError("expected the logits of a router, found none");
  for (Value each : logits)
    if (cast<RankedTensorType>(each.getType()).getRank() != 2 || width(each) != width(logits[0]))
      return op->emitOpError() << "expected logits of rank 2 and one width, found " << each.getType();
  auto type = cast<RankedTensorType>(votes.getType());
  if (!type.hasStaticShape() || type.getDimSize(0) != 2 * width(logits[0]))
    return op->emitOpError() << "expected " << 2 * width(logits[0]) << " votes, found " << type;
  return success();
}

LogicalResult RouterVotesOp::verify() { return checkVotes(*this, getResult(), getLogits()); }
LogicalResult BalanceLossOp::verify() { return checkVotes(*this, getVotes(), getLogits()); }
LogicalResult BalanceLossBackwardOp::verify() { return checkVotes(*this, getVotes(), getLogits()); }
