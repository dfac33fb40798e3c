// SPDX-License-Identifier: Apache-2.0
// All arithmetic of the generator wraps around, other than that of the emitter's addresses.
#include "passes/lowering/Dropout.h"

#include "dialects/lm/Dropout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter {
namespace {

using Steps = lm::DropoutSteps;

Value times(Emitter &e, Value a, uint64_t b) {
  return e.wrappingMul(a, e.constantI(a.getType(), static_cast<int64_t>(b)));
}
Value right(Emitter &e, Value a, int64_t bits) {
  return arith::ShRUIOp::create(e.b, e.loc, a, e.constantI(a.getType(), bits));
}
/// a ^ a >> bits.
Value folded(Emitter &e, Value a, int64_t bits) {
  return arith::XOrIOp::create(e.b, e.loc, a, right(e, a, bits));
}

} // namespace

Dropout::Dropout(Emitter &e, Value seed, Value site, Value share, double rate) : e(e) {
  siteKey = mixed(seed, arith::FPToUIOp::create(e.b, e.loc, e.i64(), site));
  Value drops = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGT, share, e.constantF(e.f32(), 0));
  threshold = e.select(drops, e.constantI(e.i32(), static_cast<int32_t>(lm::dropoutThreshold(rate))),
                       e.constantI(e.i32(), 0));
  scale = e.select(drops, e.constantF(e.f32(), 1 / (1 - rate)), e.constantF(e.f32(), 1));
}

Value Dropout::mixed(Value before, Value number) {
  Value x = e.wrappingAdd(before, times(e, e.wrappingAdd(number, e.constantI(e.i64(), 1)), Steps::increment));
  x = times(e, folded(e, x, Steps::shifts[0]), Steps::factors[0]);
  x = times(e, folded(e, x, Steps::shifts[1]), Steps::factors[1]);
  return folded(e, x, Steps::shifts[2]);
}

Value Dropout::factors(Value key, Value first, int64_t step, int64_t n) {
  Value low = e.splat(e.toI32(key), n), high = e.splat(e.toI32(right(e, key, 32)), n);
  // Columns times a factor: the difference of neighbours is known now.
  Value begin = e.splat(times(e, e.toI32(first), Steps::columnFactors[0]), n);
  Value x =
      e.wrappingAdd(e.wrappingAdd(begin, times(e, e.iota(n, e.i32()), Steps::columnFactors[0] * step)), low);
  x = times(e, folded(e, x, Steps::columnShifts[0]), Steps::columnFactors[1]);
  x = times(e, e.wrappingAdd(folded(e, x, Steps::columnShifts[1]), high), Steps::columnFactors[2]);
  x = folded(e, x, Steps::columnShifts[2]);
  Value dropped = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, x, e.splat(threshold, n));
  return e.select(dropped, e.zeros(n), e.splat(scale, n));
}

} // namespace sinter
