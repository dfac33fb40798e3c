// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/SelfAttentionScores.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include <numbers>

using namespace mlir;

namespace sinter {

Value selfAttentionScores(Emitter &e, Value products, double cap, Value slope, Value row, Value firstKey,
                          Value *capped) {
  int64_t keys = cast<VectorType>(products.getType()).getNumElements();
  Value score = products;
  if (cap > 0) {
    Value t = math::TanhOp::create(e.b, e.loc, score);
    if (capped)
      *capped = t;
    score = e.mulF(t, e.constantF(score.getType(), cap * std::numbers::log2e));
  }
  if (!slope)
    return score;
  Value distance = e.addF(e.splat(e.toFloat(e.sub(firstKey, row)), keys), e.iota(keys, e.f32()));
  return e.fma(e.splat(slope, keys), distance, score);
}

} // namespace sinter
