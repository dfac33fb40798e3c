// SPDX-License-Identifier: Apache-2.0
// The generator of dialects/lm/Dropout.h in vectors, for every target.
#ifndef SINTER_PASSES_LOWERING_DROPOUT_H
#define SINTER_PASSES_LOWERING_DROPOUT_H

#include "dialects/kernel/Kernel.h"
#include "passes/lowering/AbiLayout.h"
#include "passes/lowering/Emitter.h"

namespace sinter {

/// What dropout multiplies by at one site: 0 or 1 / (1 - rate), and 1 where step.update says so.
class Dropout {
public:
  /// `seed` is step.seed (i64), `site` its number and `share` step.update.dropout (f32).
  Dropout(Emitter &e, mlir::Value seed, mlir::Value site, mlir::Value share, double rate);

  /// The key of a row's numbers; `row` is i64.
  mlir::Value keyOf(mlir::Value row) { return mixed(siteKey, row); }
  /// The factors of columns first, first + step, ..., n of them; `first` is i64.
  mlir::Value factors(mlir::Value key, mlir::Value first, int64_t step, int64_t n);
  /// The factor (f32) that is not 0.
  mlir::Value kept() const { return scale; }

private:
  mlir::Value mixed(mlir::Value before, mlir::Value number);

  Emitter &e;
  mlir::Value siteKey;          // i64
  mlir::Value threshold, scale; // i32, f32
};

/// Dropout at `site`, an argument of the kernel: a table of one number. `Frame` is that of a target.
template <typename Frame> Dropout dropoutAt(Frame &frame, mlir::Value seed, mlir::Value site, double rate) {
  auto &e = frame.e;
  auto index = static_cast<int64_t>(kernel::Hyperparameter::Dropout);
  mlir::Value share = e.load(e.f32(), e.at(frame.stepPointer(abi::stepUpdate), index, e.f32()));
  return Dropout(e, seed, e.load(e.f32(), frame.buffer(site)), share, rate);
}

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_DROPOUT_H
