// SPDX-License-Identifier: Apache-2.0
// kernel.router_votes and kernel.balance_gradient: a row of logits is one vector, as long as there are
// experts.
#include "passes/lowering/cpu/Emitters.h"

#include <numbers>

using namespace mlir;

namespace sinter::cpu {

/// The softmax of n logits.
static Value softmax(Emitter &e, Value logits, int64_t n) {
  Value x = e.load(e.vec(n), logits);
  Value shifted = e.subF(x, e.splat(e.maxOf(x), n));
  Value power = e.exp2Negative(e.mulF(shifted, e.constantF(e.vec(n), std::numbers::log2e)));
  return e.mulF(power, e.splat(e.divF(e.constantF(e.f32(), 1), e.sum(power)), n));
}

LogicalResult emitRouterVotes(Frame &frame, kernel::RouterVotesOp op) {
  Emitter &e = frame.e;
  int64_t experts = op.getLogits().getType().getColumns(), k = op.getChosen().getType().getColumns();
  Value output = frame.buffer(op.getOutput()), one = e.constantF(e.f32(), 1);
  forEachTile(frame, op.getGrid(), [&](Value, Value begin, Value end, Value) {
    SmallVector<Value> sums = e.loop(begin, end, 1, {e.zeros(experts)}, [&](Value row, ValueRange carried) {
      for (int64_t j = 0; j < k; ++j) {
        Value chosen = e.load(e.i32(), e.at(frame.rowOf(op.getChosen(), row), j, e.i32()));
        Value place = e.at(output, e.integer(chosen), e.f32());
        e.store(e.addF(e.load(e.f32(), place), one), place);
      }
      return SmallVector<Value>{e.addF(carried[0], softmax(e, frame.rowOf(op.getLogits(), row), experts))};
    });
    Value place = e.at(output, experts, e.f32());
    e.store(e.addF(e.load(e.vec(experts), place), sums[0]), place);
  });
  return success();
}

LogicalResult emitBalanceGradient(Frame &frame, kernel::BalanceGradientOp op) {
  Emitter &e = frame.e;
  int64_t experts = op.getLogits().getType().getColumns();
  Value weight = e.load(e.f32(), e.at(frame.stepPointer(abi::stepUpdate),
                                      static_cast<int64_t>(kernel::Hyperparameter::RouterWeight), e.f32()));
  Value rows = e.mulF(e.toFloat(frame.stepField(abi::stepRows)),
                      e.constantF(e.f32(), static_cast<double>(op.getRouters())));
  Value share = e.constantF(e.f32(), op.getCoefficient().convertToDouble() * static_cast<double>(experts));
  Value factor = e.splat(e.mulF(weight, e.divF(e.divF(share, rows), rows)), experts);
  Value votes = e.load(e.vec(experts), frame.buffer(op.getVotes()));
  forEachTile(frame, op.getGrid(), [&](Value, Value begin, Value end, Value) {
    e.loop(begin, end, 1, [&](Value row) {
      Value p = softmax(e, frame.rowOf(op.getLogits(), row), experts);
      Value mean = e.splat(e.sum(e.mulF(p, votes)), experts);
      e.store(e.mulF(factor, e.mulF(p, e.subF(votes, mean))), frame.rowOf(op.getOutput(), row));
    });
  });
  return success();
}

} // namespace sinter::cpu
