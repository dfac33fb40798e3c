// SPDX-License-Identifier: Apache-2.0
// kernel.route and kernel.dispatch: the choice of experts, and the sorting of rows by expert.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numbers>

using namespace mlir;

namespace sinter::gpu {

/// A warp a row. Each choice is one pass over the logits: every lane finds the first of its greatest numbers
/// that are not chosen yet, then the lanes are compared. A row of NaN chooses expert 0 k times.
LogicalResult emitRoute(Frame &frame, kernel::RouteOp op) {
  Emitter &e = frame.e;
  frame.threads = warpSize;
  Team warp = Team::ofWarp(frame, warpSize);
  int64_t experts = op.getLogits().getType().getColumns(), k = op.getChosen().getType().getColumns();
  int64_t turns = (experts + warpSize - 1) / warpSize;
  Value nothing = e.constantF(e.f32(), -std::numeric_limits<double>::infinity());
  auto compare = [&](arith::CmpFPredicate predicate, Value a, Value b) -> Value {
    return arith::CmpFOp::create(e.b, e.loc, predicate, a, b);
  };
  auto power = [&](Value x, Value greatest) {
    return e.exp2(e.mulF(e.subF(x, greatest), e.constantF(e.f32(), std::numbers::log2e)));
  };
  forEachTile(frame, op.getGrid(), [&](Value, Value row, Value, Value) {
    Value logits = frame.rowOf(op.getLogits(), row), weights = frame.rowOf(op.getWeights(), row),
          chosen = frame.rowOf(op.getChosen(), row);
    // Lane l has the logits of experts l, l + 32, ...
    SmallVector<Value> mine, numbers;
    for (int64_t turn = 0; turn < turns; ++turn) {
      Value number = e.add(warp.lane, turn * warpSize), inside = e.less(number, e.constant(experts));
      Value x = e.load(e.f32(), e.at(logits, e.min(number, e.constant(experts - 1)), e.f32()));
      mine.push_back(e.select(inside, x, nothing));
      numbers.push_back(number);
    }
    SmallVector<Value> left = mine, powers;
    Value first;
    for (int64_t j = 0; j < k; ++j) {
      Value greatest = nothing, expert = e.constant(0);
      for (int64_t turn = 0; turn < turns; ++turn) {
        Value greater = compare(arith::CmpFPredicate::OGT, left[turn], greatest);
        greatest = e.select(greater, left[turn], greatest);
        expert = e.select(greater, numbers[turn], expert);
      }
      for (int64_t mask = warpSize / 2; mask >= 1; mask /= 2) {
        Value otherGreatest = e.shuffleXor(greatest, mask), otherExpert = e.shuffleXor(expert, mask);
        Value isEqual = compare(arith::CmpFPredicate::OEQ, otherGreatest, greatest);
        Value lower = arith::AndIOp::create(e.b, e.loc, isEqual, e.less(otherExpert, expert));
        Value takes = arith::OrIOp::create(
            e.b, e.loc, compare(arith::CmpFPredicate::OGT, otherGreatest, greatest), lower);
        greatest = e.select(takes, otherGreatest, greatest);
        expert = e.select(takes, otherExpert, expert);
      }
      for (int64_t turn = 0; turn < turns; ++turn)
        left[turn] = e.select(e.equal(numbers[turn], expert), nothing, left[turn]);
      e.ifThen(e.equal(warp.lane, e.constant(0)), [&] { e.store(expert, e.at(chosen, j, e.i32())); });
      first = first ? first : greatest;
      powers.push_back(power(greatest, first));
    }
    Value sum;
    if (op.getNormalise()) {
      for (Value each : powers)
        sum = sum ? e.addF(sum, each) : each;
    } else {
      for (Value x : mine) {
        Value each = power(x, first);
        sum = sum ? e.addF(sum, each) : each;
      }
      sum = warp.sum(frame, sum);
    }
    e.ifThen(e.equal(warp.lane, e.constant(0)), [&] {
      for (auto [j, each] : llvm::enumerate(powers))
        e.store(e.divF(each, sum), e.at(weights, static_cast<int64_t>(j), e.f32()));
    });
  });
  return success();
}

/// A counting sort by one block. A thread an expert counts the choices of it; one thread adds up where
/// experts begin; then each thread gives the choices of its expert their places in order. All threads read
/// all choices, from cache.
LogicalResult emitDispatch(Frame &frame, kernel::DispatchOp op) {
  Emitter &e = frame.e;
  int64_t experts = op.getSegments().getType().getExperts(), k = op.getChosen().getType().getColumns();
  frame.threads = std::min<int64_t>(256, llvm::alignTo(experts, warpSize));
  Value counts = frame.allocate((experts + 1) * 4);
  auto increased = [&](Value number) -> Value { return e.add(number, 1); };
  forEachTile(frame, op.getGrid(), [&](Value, Value, Value rows, Value) {
    Value chosen = frame.buffer(op.getChosen()), places = frame.buffer(op.getPlaces()),
          segments = frame.buffer(op.getSegments()), pairs = e.mul(rows, k);
    auto number = [&](Value array, Value index) { return e.load(e.i32(), e.at(array, index, e.i32())); };
    frame.share(e.constant(experts), [&](Value expert) {
      Value count = e.loop(e.constant(0), pairs, 1, e.constant(0), [&](Value pair, ValueRange carried) {
                       Value mine = e.equal(number(chosen, pair), expert);
                       return SmallVector<Value>{e.select(mine, increased(carried[0]), carried[0])};
                     }).front();
      e.store(count, e.at(counts, expert, e.i32()));
    });
    e.barrier();
    e.ifThen(e.equal(frame.thread, e.constant(0)), [&] {
      Value end =
          e.loop(e.constant(0), e.constant(experts), 1, e.constant(0), [&](Value expert, ValueRange begin) {
             Value count = number(counts, expert);
             e.store(begin[0], e.at(counts, expert, e.i32()));
             e.store(begin[0], e.at(segments, expert, e.i32()));
             return SmallVector<Value>{e.add(begin[0], count)};
           }).front();
      e.store(end, e.at(segments, experts, e.i32()));
    });
    e.barrier();
    frame.share(e.constant(experts), [&](Value expert) {
      e.loop(e.constant(0), pairs, 1, number(counts, expert), [&](Value pair, ValueRange place) {
        Value mine = e.equal(number(chosen, pair), expert);
        e.ifThen(mine, [&] { e.store(place[0], e.at(places, pair, e.i32())); });
        return SmallVector<Value>{e.select(mine, increased(place[0]), place[0])};
      });
    });
  });
  return success();
}

} // namespace sinter::gpu
