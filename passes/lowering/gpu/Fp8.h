// SPDX-License-Identifier: Apache-2.0
// Numbers of 8 bits (passes/lowering/Fp8.h) as f16, which holds them exactly, and as f32.
#ifndef SINTER_PASSES_LOWERING_GPU_FP8_H
#define SINTER_PASSES_LOWERING_GPU_FP8_H

#include "passes/lowering/Fp8.h"
#include "passes/lowering/gpu/Emitter.h"

namespace sinter::gpu {

/// Bytes 2 `pair` and 2 `pair` + 1 of a word (i32): two f16.
mlir::Value fp8ToHalves(Emitter &e, mlir::Type element, mlir::Value word, int64_t pair);
/// A vector of n bytes as f32.
mlir::Value fp8ToFloats(Emitter &e, mlir::Type element, mlir::Value bytes);
/// f32 (scalar or vector) as i8, as cvt.rn.satfinite does, which sm_90 has.
mlir::Value floatsToFp8(Emitter &e, mlir::Type element, mlir::Value numbers);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_FP8_H
