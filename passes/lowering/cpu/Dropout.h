// SPDX-License-Identifier: Apache-2.0
// The generator of dialects/lm/Dropout.h in vectors.
#ifndef SINTER_PASSES_LOWERING_CPU_DROPOUT_H
#define SINTER_PASSES_LOWERING_CPU_DROPOUT_H

#include "passes/lowering/cpu/Frame.h"

namespace sinter::cpu {

/// What dropout multiplies by at one site: 0 or 1 / (1 - rate), and 1 where step.update says so.
class Dropout {
public:
  /// `site` is an argument of the kernel: a table of one number.
  Dropout(Frame &frame, mlir::Value site, double rate);

  /// The key of a row's numbers; `row` is i64.
  mlir::Value keyOf(mlir::Value row) { return mixed(siteKey, row); }
  /// The factors of columns first, first + step, ..., n of them; `first` is i64, `step` 1 or -1.
  mlir::Value factors(mlir::Value key, mlir::Value first, int64_t step, int64_t n);

private:
  mlir::Value mixed(mlir::Value before, mlir::Value number);

  Emitter &e;
  mlir::Value siteKey;          // i64
  mlir::Value threshold, scale; // i32, f32
};

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_DROPOUT_H
