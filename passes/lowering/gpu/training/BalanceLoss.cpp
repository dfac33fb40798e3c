// SPDX-License-Identifier: Apache-2.0
// kernel.router_votes and kernel.balance_gradient: a warp a row, a lane every 32nd expert.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"

#include <numbers>

using namespace mlir;

namespace sinter::gpu {
namespace {

/// What a lane has of a row: the experts lane, lane + 32, ...
struct Experts {
  Experts(Frame &frame, int64_t experts)
      : frame(frame), e(frame.e), count(experts), warp(Team::ofWarp(frame, warpSize)) {
    for (int64_t first = 0; first < experts; first += warpSize)
      numbers.push_back(e.add(warp.lane, first));
  }

  Value isInside(Value number) { return e.less(number, e.constant(count)); }
  Value place(Value row, Value number) { return e.at(row, e.min(number, e.constant(count - 1)), e.f32()); }

  /// The softmax of a row of logits; 0 beyond the last expert.
  SmallVector<Value> softmax(Value logits) {
    SmallVector<Value> values;
    Value greatest, sum;
    for (Value number : numbers) {
      Value x = e.load(e.f32(), place(logits, number)); // beyond the last one: that one again
      greatest = greatest ? combine(e, vector::CombiningKind::MAXNUMF, greatest, x) : x;
      values.push_back(x);
    }
    greatest = warp.max(frame, greatest);
    for (auto [number, value] : llvm::zip(numbers, values)) {
      value = e.exp2(e.mulF(e.subF(value, greatest), e.constantF(e.f32(), std::numbers::log2e)));
      value = e.select(isInside(number), value, e.constantF(e.f32(), 0));
      sum = sum ? e.addF(sum, value) : value;
    }
    Value inverse = e.divF(e.constantF(e.f32(), 1), warp.sum(frame, sum));
    for (Value &value : values)
      value = e.mulF(value, inverse);
    return values;
  }

  Frame &frame;
  Emitter &e;
  int64_t count;
  Team warp;
  SmallVector<Value> numbers;
};

} // namespace

/// One block; each warp has every 8th row, and their sums are added in order of the warps.
LogicalResult emitRouterVotes(Frame &frame, kernel::RouterVotesOp op) {
  Emitter &e = frame.e;
  frame.threads = 256;
  int64_t experts = op.getLogits().getType().getColumns(), k = op.getChosen().getType().getColumns();
  Experts mine(frame, experts);
  Value partial = frame.allocate(frame.warps() * 2 * experts * 4), output = frame.buffer(op.getOutput());
  Value zero = e.constantF(e.f32(), 0), one = e.constantF(e.f32(), 1);
  size_t turns = mine.numbers.size();
  forEachTile(frame, op.getGrid(), [&](Value, Value begin, Value end, Value) {
    SmallVector<Value> sums(2 * turns, zero); // votes, then probabilities
    sums = e.loop(e.add(begin, frame.warp()), end, frame.warps(), sums, [&](Value row, ValueRange carried) {
      SmallVector<Value> next(carried), p = mine.softmax(frame.rowOf(op.getLogits(), row));
      Value choices = frame.rowOf(op.getChosen(), row);
      for (int64_t j = 0; j < k; ++j) {
        Value chosen = e.load(e.i32(), e.at(choices, j, e.i32()));
        for (size_t turn = 0; turn < turns; ++turn)
          next[turn] = e.addF(next[turn], e.select(e.equal(chosen, mine.numbers[turn]), one, zero));
      }
      for (size_t turn = 0; turn < turns; ++turn)
        next[turns + turn] = e.addF(next[turns + turn], p[turn]);
      return next;
    });
    Value line = e.at(partial, e.mul(frame.warp(), 2 * experts), e.f32());
    for (size_t turn = 0; turn < turns; ++turn)
      e.ifThen(mine.isInside(mine.numbers[turn]), [&] {
        Value place = e.at(line, mine.numbers[turn], e.f32());
        e.store(sums[turn], place);
        e.store(sums[turns + turn], e.at(place, experts, e.f32()));
      });
    e.barrier();
    frame.share(e.constant(2 * experts), [&](Value number) {
      Value place = e.at(output, number, e.f32()), sum = e.load(e.f32(), place);
      for (int64_t warp = 0; warp < frame.warps(); ++warp)
        sum = e.addF(sum, e.load(e.f32(), e.at(e.at(partial, number, e.f32()), warp * 2 * experts, e.f32())));
      e.store(sum, place);
    });
  });
  return success();
}

LogicalResult emitBalanceGradient(Frame &frame, kernel::BalanceGradientOp op) {
  Emitter &e = frame.e;
  frame.threads = 256;
  int64_t experts = op.getLogits().getType().getColumns();
  Experts mine(frame, experts);
  Value rows = e.mulF(e.toFloat(frame.stepField(abi::stepRows)),
                      e.constantF(e.f32(), static_cast<double>(op.getRouters())));
  Value share = e.constantF(e.f32(), op.getCoefficient().convertToDouble() * static_cast<double>(experts));
  Value factor = e.mulF(frame.hyper(kernel::Hyperparameter::RouterWeight), e.divF(e.divF(share, rows), rows));
  SmallVector<Value> votes;
  for (Value number : mine.numbers)
    votes.push_back(e.load(e.f32(), mine.place(frame.buffer(op.getVotes()), number)));
  forEachTile(frame, op.getGrid(), [&](Value, Value begin, Value end, Value) {
    e.loop(e.add(begin, frame.warp()), end, frame.warps(), [&](Value row) {
      SmallVector<Value> p = mine.softmax(frame.rowOf(op.getLogits(), row));
      Value mean;
      for (auto [probability, vote] : llvm::zip(p, votes)) {
        Value product = e.mulF(probability, vote);
        mean = mean ? e.addF(mean, product) : product;
      }
      mean = mine.warp.sum(frame, mean);
      for (auto [number, probability, vote] : llvm::zip(mine.numbers, p, votes)) {
        Value place = mine.place(frame.rowOf(op.getOutput(), row), number);
        Value value = e.mulF(factor, e.mulF(probability, e.subF(vote, mean)));
        e.ifThen(mine.isInside(number), [&] { e.store(value, place); });
      }
    });
  });
  return success();
}

} // namespace sinter::gpu
