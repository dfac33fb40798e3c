// SPDX-License-Identifier: Apache-2.0
// How much a graph of `lm` operations computes and moves: what rooflines and the table of fusions are made
// of.
#ifndef SINTER_DIALECTS_LM_COST_H
#define SINTER_DIALECTS_LM_COST_H

#include "dialects/lm/LmDialect.h"

namespace sinter::lm {

/// The rows of an activation: those selected behind `lm.select_rows`, those of the step elsewhere.
int64_t rowsOf(mlir::Value value, const Step &step);

/// Elements and bytes of a tensor; `block` elements at their size in the file. Tokens of a cache: none.
int64_t elementsOf(mlir::Value value, const Step &step);
int64_t bytesOf(mlir::Value value, const Step &step);

/// The cost of `flops` operations that read every operand and write every result once.
Cost streamed(mlir::Operation *op, const Step &step, int64_t flops);

/// The cost of all operations of `block` that have one.
Cost costOf(mlir::Block &block, const Step &step);

} // namespace sinter::lm

#endif // SINTER_DIALECTS_LM_COST_H
