// SPDX-License-Identifier: Apache-2.0
// Scores of attention among the rows of a step, for every target. They are exponents of 2:
// log2(e) * (cap(scale * q.k) - slope * distance).
#ifndef SINTER_PASSES_LOWERING_SELFATTENTIONSCORES_H
#define SINTER_PASSES_LOWERING_SELFATTENTIONSCORES_H

#include "passes/lowering/Emitter.h"

namespace sinter {

/// Scores (a vector) of row `row` and keys from `firstKey` on, of products times `scoreFactor` (Anchors.h);
/// `slope`, times log2(e), may be null; `capped`, when not null, gets tanh(s / cap).
mlir::Value selfAttentionScores(Emitter &e, mlir::Value products, double cap, mlir::Value slope,
                                mlir::Value row, mlir::Value firstKey, mlir::Value *capped = nullptr);

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_SELFATTENTIONSCORES_H
