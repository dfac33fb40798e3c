// SPDX-License-Identifier: Apache-2.0
// Products of f32 whose factors are rounded to bf16.
#ifndef SINTER_PASSES_LOWERING_CPU_ROUNDING_H
#define SINTER_PASSES_LOWERING_CPU_ROUNDING_H

#include "passes/lowering/cpu/Emitter.h"

namespace sinter::cpu {

/// A vector of f32 rounded to what bf16 can hold, to nearest even, still as f32.
mlir::Value roundToBf16(Emitter &e, mlir::Value value);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_ROUNDING_H
