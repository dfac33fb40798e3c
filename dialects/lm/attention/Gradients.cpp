// SPDX-License-Identifier: Apache-2.0
// How attention differentiates. AppendOp and CachedAttentionOp have no rule: training sees whole sequences.
// AttentionBackwardOp is a gradient itself: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

/// Asks the forward operation for its log_sum_exp, by making it again.
LogicalResult AttentionOp::differentiate(Gradients &g) {
  if (getLogSumExp() && g.has(getLogSumExp()))
    return emitOpError("expected a loss that does not depend on log_sum_exp");
  auto resultType = cast<RankedTensorType>(getResult().getType());
  auto logSumType = RankedTensorType::get({resultType.getDimSize(0), static_cast<int64_t>(getHeads())},
                                          resultType.getElementType());
  OpBuilder here(*this);
  auto forward = AttentionOp::create(here, getLoc(), resultType, logSumType, getQuery(), getKey(), getValue(),
                                     getPositions(), getSequences(), getHeadsAttr(), getKvHeadsAttr(),
                                     getScaleAttr(), getWindowAttr(), getSoftcapAttr(), getAlibiAttr());
  auto backward = AttentionBackwardOp::create(
      g.builder, getLoc(), getQuery().getType(), getKey().getType(), getValue().getType(), g.of(getResult()),
      getQuery(), getKey(), getValue(), forward.getResult(), forward.getLogSumExp(), getPositions(),
      getSequences(), getHeadsAttr(), getKvHeadsAttr(), getScaleAttr(), getWindowAttr(), getSoftcapAttr(),
      getAlibiAttr());
  g.add(getQuery(), backward.getQueryGradient());
  g.add(getKey(), backward.getKeyGradient());
  g.add(getValue(), backward.getValueGradient());
  getResult().replaceAllUsesWith(forward.getResult());
  return success();
}
