// SPDX-License-Identifier: Apache-2.0
// How attention differentiates. AppendOp and CachedAttentionOp have no rule: training sees whole sequences.
// AttentionBackwardOp is a gradient itself: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

AttentionOp sinter::lm::addLogSumExp(AttentionOp attention) {
  auto resultType = cast<RankedTensorType>(attention.getResult().getType());
  auto logSumType = RankedTensorType::get(
      {resultType.getDimSize(0), static_cast<int64_t>(attention.getHeads())}, resultType.getElementType());
  OpBuilder here(attention);
  auto made = AttentionOp::create(
      here, attention.getLoc(), resultType, logSumType, attention.getQuery(), attention.getKey(),
      attention.getValue(), attention.getPositions(), attention.getSequences(), attention.getSeed(),
      attention.getDropoutAttr(), attention.getSiteAttr(), attention.getHeadsAttr(),
      attention.getKvHeadsAttr(), attention.getScaleAttr(), attention.getWindowAttr(),
      attention.getSoftcapAttr(), attention.getAlibiAttr());
  attention.getResult().replaceAllUsesWith(made.getResult());
  return made;
}

LogicalResult AttentionOp::differentiate(Gradients &g) {
  if (getLogSumExp() && g.has(getLogSumExp()))
    return emitOpError("expected a loss that does not depend on log_sum_exp");
  Value gradient = g.of(getResult());
  AttentionOp forward = addLogSumExp(*this);
  auto backward = AttentionBackwardOp::create(
      g.builder, getLoc(), getQuery().getType(), getKey().getType(), getValue().getType(), gradient,
      getQuery(), getKey(), getValue(), forward.getResult(), forward.getLogSumExp(), getPositions(),
      getSequences(), getSeed(), getDropoutAttr(), getSiteAttr(), getHeadsAttr(), getKvHeadsAttr(),
      getScaleAttr(), getWindowAttr(), getSoftcapAttr(), getAlibiAttr());
  g.add(getQuery(), backward.getQueryGradient());
  g.add(getKey(), backward.getKeyGradient());
  g.add(getValue(), backward.getValueGradient());
  return success();
}
