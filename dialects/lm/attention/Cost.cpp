// SPDX-License-Identifier: Apache-2.0
// What attention and the cache's operations cost.
#include "dialects/lm/Cost.h"

#include <algorithm>

using namespace mlir;
using namespace sinter::lm;

/// Scores that all rows compute together: for each head and row, the keys that it sees. In a step of several
/// rows of one sequence the earlier ones see fewer; keys is the number that the last one sees.
template <typename AttentionLikeOp>
static int64_t scoreCount(AttentionLikeOp op, const Step &step, bool isCausalStep) {
  int64_t rows = rowsOf(op.getQuery(), step),
          window = op.getWindow() ? static_cast<int64_t>(*op.getWindow()) : step.keys;
  int64_t count = 0;
  for (int64_t row = 0; row < rows; ++row)
    count += std::min(window, isCausalStep ? std::max<int64_t>(1, step.keys - (rows - 1 - row)) : step.keys);
  return count * static_cast<int64_t>(op.getHeads());
}

/// Operations of a score beside its products: scale, exp, sum; division by cap, tanh and times cap; product
/// and sum of the slope.
template <typename AttentionLikeOp> static int64_t scoreFlops(AttentionLikeOp op) {
  return 3 + (op.getSoftcap() ? 3 : 0) + (op.getAlibi() ? 2 : 0);
}

/// Those of dropout a score, as of lm.dropout.
template <typename Attention> static int64_t dropoutFlops(Attention op) { return op.getSeed() ? 13 : 0; }

Cost AttentionOp::cost(const Step &step) {
  int64_t heads = getHeads(), dims = (width(getQuery()) + width(getResult())) / heads;
  return streamed(*this, step,
                  scoreCount(*this, step, true) * (2 * dims + scoreFlops(*this) + dropoutFlops(*this)));
}

Cost AppendOp::cost(const Step &step) {
  int64_t elements = elementsOf(getKey(), step) + elementsOf(getValue(), step);
  Cost cost = streamed(*this, step, 0);
  cost.cacheBytes = elements * step.cacheElementBytes;
  return cost;
}

/// A row for every sequence reads its own keys; rows of one sequence would share them.
Cost CachedAttentionOp::cost(const Step &step) {
  int64_t heads = getHeads(), dims = (width(getQuery()) + width(getResult())) / heads;
  int64_t scores = scoreCount(*this, step, false);
  Cost cost = streamed(*this, step, scores * (2 * dims + scoreFlops(*this)));
  cost.cacheBytes = scores / heads * static_cast<int64_t>(getKvHeads()) * dims * step.cacheElementBytes;
  return cost;
}

// Scores again, the gradient along the values, and three products that give the gradients.
Cost AttentionBackwardOp::cost(const Step &step) {
  int64_t heads = getHeads(), queryDim = width(getQuery()) / heads, valueDim = width(getOutput()) / heads;
  int64_t perScore = 2 * (3 * queryDim + 2 * valueDim) + scoreFlops(*this) + dropoutFlops(*this) + 3 +
                     (getSoftcap() ? 3 : 0);
  return streamed(*this, step, scoreCount(*this, step, true) * perScore + 2 * elementsOf(getOutput(), step));
}
