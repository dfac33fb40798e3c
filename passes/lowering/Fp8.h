// SPDX-License-Identifier: Apache-2.0
// Numbers of 8 bits: f8E4M3FN (4 bits of exponent, no infinity, NaN 0x7f and 0xff) and f8E5M2 (the upper byte
// of f16). In registers they are i8: LLVM has no types for them.
#ifndef SINTER_PASSES_LOWERING_FP8_H
#define SINTER_PASSES_LOWERING_FP8_H

#include "passes/lowering/Emitter.h"

namespace sinter {

/// Whether an element is of one of the two.
bool isFp8(mlir::Type element);

/// Bytes (i8, scalar or vector) as f32; exact, NaN stays NaN.
mlir::Value widenFp8(Emitter &e, mlir::Type element, mlir::Value bytes);
/// f32 (scalar or vector) as bytes: to nearest even, beyond the largest number that number; NaN becomes 0x7f.
/// As cvt.rn.satfinite of PTX.
mlir::Value narrowFp8(Emitter &e, mlir::Type element, mlir::Value numbers);

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_FP8_H
