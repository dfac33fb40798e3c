// SPDX-License-Identifier: Apache-2.0
// kernel.route and kernel.dispatch: the choice of experts, and the sorting of rows by expert.
#include "passes/lowering/cpu/Emitters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numbers>

using namespace mlir;

namespace sinter::cpu {

/// Each choice is one pass over the logits, which lie in scratch: every lane finds the first of its greatest
/// numbers, then the lanes are compared; what was chosen becomes -inf. A row of NaN chooses expert 0 k times.
LogicalResult emitRoute(Frame &frame, kernel::RouteOp op) {
  Emitter &e = frame.e;
  int64_t experts = op.getLogits().getType().getColumns(), k = op.getChosen().getType().getColumns();
  int64_t lanes = e.target.lanes(), padded = llvm::alignTo(experts, lanes);
  Value copy = frame.allocate(padded * 4);
  Type integers = e.vec(lanes, e.i32());
  double nothing = -std::numeric_limits<double>::infinity();
  auto compare = [&](arith::CmpFPredicate predicate, Value a, Value b) -> Value {
    return arith::CmpFOp::create(e.b, e.loc, predicate, a, b);
  };
  /// exp(x - greatest): greatest is no less than x.
  auto power = [&](Value x, Value greatest) {
    Value difference = e.subF(x, greatest);
    return e.exp2Negative(e.mulF(difference, e.constantF(difference.getType(), std::numbers::log2e)));
  };
  forEachTile(frame, op.getGrid(), [&](Value, Value row, Value, Value) {
    Value logits = frame.rowOf(op.getLogits(), row), weights = frame.rowOf(op.getWeights(), row),
          chosen = frame.rowOf(op.getChosen(), row);
    for (int64_t i = 0; i < experts; i += lanes) {
      int64_t n = std::min(lanes, experts - i);
      if (n < lanes)
        e.store(e.constantF(e.vec(lanes), nothing), e.at(copy, i, e.f32()));
      e.store(e.loadWide(e.f32(), n, e.at(logits, i, e.f32())), e.at(copy, i, e.f32()));
    }
    SmallVector<Value> best;
    for (int64_t j = 0; j < k; ++j) {
      SmallVector<Value> start = {e.constantF(e.vec(lanes), nothing), e.constantI(integers, 0)};
      auto found =
          e.loop(e.constant(0), e.constant(padded), lanes, start, [&](Value first, ValueRange carried) {
            Value x = e.loadWide(e.f32(), lanes, e.at(copy, first, e.f32()));
            Value number =
                arith::AddIOp::create(e.b, e.loc, e.splat(e.toI32(first), lanes), e.iota(lanes, e.i32()));
            Value greater = compare(arith::CmpFPredicate::OGT, x, carried[0]);
            return SmallVector<Value>{e.select(greater, x, carried[0]),
                                      e.select(greater, number, carried[1])};
          });
      Value greatest = e.maxOf(found[0]);
      Value isGreatest = compare(arith::CmpFPredicate::OEQ, found[0], e.splat(greatest, lanes));
      Value candidates = e.select(isGreatest, found[1], e.constantI(integers, INT32_MAX));
      Value expert = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::MINSI, candidates);
      e.store(expert, e.at(chosen, j, e.i32()));
      e.store(e.constantF(e.f32(), nothing), e.at(copy, e.integer(expert), e.f32()));
      best.push_back(greatest);
    }
    Value sum;
    SmallVector<Value> powers;
    for (Value logit : best)
      powers.push_back(power(logit, best[0]));
    if (op.getNormalise()) {
      for (Value each : powers)
        sum = sum ? e.addF(sum, each) : each;
    } else {
      for (int64_t i = 0; i < experts; i += lanes) {
        int64_t n = std::min(lanes, experts - i);
        Value x = power(e.loadWide(e.f32(), n, e.at(logits, i, e.f32())), e.splat(best[0], n));
        sum = sum ? e.addF(sum, e.sum(x)) : e.sum(x);
      }
    }
    for (auto [j, each] : llvm::enumerate(powers))
      e.store(e.divF(each, sum), e.at(weights, static_cast<int64_t>(j), e.f32()));
  });
  return success();
}

/// A counting sort: how many rows each expert has, where they begin, then a place for each choice in order.
LogicalResult emitDispatch(Frame &frame, kernel::DispatchOp op) {
  Emitter &e = frame.e;
  int64_t experts = op.getSegments().getType().getExperts(), k = op.getChosen().getType().getColumns();
  Value next = frame.allocate((experts + 1) * 4);
  forEachTile(frame, op.getGrid(), [&](Value, Value, Value rows, Value) {
    Value chosen = frame.buffer(op.getChosen()), places = frame.buffer(op.getPlaces()),
          segments = frame.buffer(op.getSegments()), pairs = e.mul(rows, k);
    auto number = [&](Value array, Value index) { return e.load(e.i32(), e.at(array, index, e.i32())); };
    auto expertOf = [&](Value pair) { return e.integer(number(chosen, pair)); };
    /// Adds 1 to a counter and gives what it was.
    auto count = [&](Value index) {
      Value before = number(next, index);
      e.store(arith::AddIOp::create(e.b, e.loc, before, e.constantI(e.i32(), 1)), e.at(next, index, e.i32()));
      return before;
    };
    e.loop(e.constant(0), e.constant(experts + 1), 1,
           [&](Value i) { e.store(e.constantI(e.i32(), 0), e.at(next, i, e.i32())); });
    e.loop(e.constant(0), pairs, 1, [&](Value pair) { count(expertOf(pair)); });
    e.loop(e.constant(0), e.constant(experts + 1), 1, {e.constantI(e.i32(), 0)},
           [&](Value i, ValueRange begin) {
             Value counted = number(next, i);
             e.store(begin[0], e.at(next, i, e.i32()));
             e.store(begin[0], e.at(segments, i, e.i32()));
             return SmallVector<Value>{arith::AddIOp::create(e.b, e.loc, begin[0], counted)};
           });
    e.loop(e.constant(0), pairs, 1,
           [&](Value pair) { e.store(count(expertOf(pair)), e.at(places, pair, e.i32())); });
  });
  return success();
}

} // namespace sinter::cpu
