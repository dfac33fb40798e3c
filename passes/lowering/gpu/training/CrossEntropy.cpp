// SPDX-License-Identifier: Apache-2.0
// kernel.cross_entropy: a block a row of logits, which it goes over three times; the last time leaves their
// gradient.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <numbers>

using namespace mlir;

namespace sinter::gpu {
namespace {

using vector::CombiningKind;

class CrossEntropy {
public:
  CrossEntropy(Frame &frame, kernel::CrossEntropyOp op)
      : frame(frame), e(frame.e), op(op), columns(op.getLogits().getType().getColumns()),
        n(neighbours(columns)) {
    constexpr int64_t turns = 8, mostThreads = 512;
    for (frame.threads = warpSize; frame.threads < mostThreads && frame.threads * n * turns < columns;)
      frame.threads *= 2;
    team = Team::ofBlock(frame);
  }

  void emit() {
    smoothing = frame.hyper(kernel::Hyperparameter::LabelSmoothing);
    zLoss = frame.hyper(kernel::Hyperparameter::ZLoss);
    isFirst = e.equal(frame.thread, e.constant(0));
    forEachTile(frame, op.getGrid(), [&](Value, Value row, Value, Value) {
      logits = frame.rowOf(op.getLogits(), row);
      loss = frame.rowOf(op.getLosses(), row);
      target = frame.stepEntry(abi::stepTargets, row);
      Value counts = e.less(e.constant(-1), target);
      e.ifThen(counts, [&] { emitRow(); });
      e.ifThen(e.isFalse(counts), [&] {
        pass({}, {}, [&](Value place, ValueRange) {
          e.storeAligned(e.zeros(n), place);
          return SmallVector<Value>();
        });
        e.ifThen(isFirst, [&] { e.store(number(0), loss); });
      });
    });
  }

private:
  Value number(double value) { return e.constantF(e.f32(), value); }
  Value all(double value) { return e.constantF(e.vec(n), value); }

  /// Goes over the row: `body` gets the place of n numbers and vectors of carried ones, which are reduced
  /// over the block by `kinds`.
  SmallVector<Value> pass(ArrayRef<double> neutral, ArrayRef<CombiningKind> kinds,
                          llvm::function_ref<SmallVector<Value>(Value place, ValueRange carried)> body) {
    SmallVector<Value> values, results;
    for (double value : neutral)
      values.push_back(all(value));
    values = e.loop(e.mul(frame.thread, n), e.constant(columns), frame.threads * n, values,
                    [&](Value at, ValueRange carried) { return body(e.at(logits, at, e.f32()), carried); });
    for (auto [value, kind] : llvm::zip(values, kinds))
      results.push_back(team.reduce(frame, kind, elementsCombined(e, kind, value)));
    return results;
  }

  void emitRow() {
    Value place = e.at(logits, target, e.f32());
    Value chosen = e.load(e.f32(), place); // before anybody is behind the first reduction, and writes
    // The maximum, and the sum for smoothed labels.
    SmallVector<Value> first = pass(
        {-3.0e38, 0}, {CombiningKind::MAXNUMF, CombiningKind::ADD}, [&](Value place, ValueRange carried) {
          Value x = e.loadWide(e.f32(), n, place);
          return SmallVector<Value>{combine(e, CombiningKind::MAXNUMF, carried[0], x), e.addF(carried[1], x)};
        });
    Value maximum = first[0], shift = e.splat(e.mulF(maximum, number(-std::numbers::log2e)), n);
    // exp(x - maximum), kept, and its sum.
    Value sum = pass({0}, {CombiningKind::ADD}, [&](Value place, ValueRange carried) {
                  Value x = e.loadWide(e.f32(), n, place);
                  Value power = e.exp2(e.fma(x, all(std::numbers::log2e), shift));
                  e.storeAligned(power, place);
                  return SmallVector<Value>{e.addF(carried[0], power)};
                }).front();
    Value logSum = e.addF(maximum, math::LogOp::create(e.b, e.loc, sum).getResult());
    Value sharp = e.subF(number(1), smoothing), share = e.mulF(smoothing, number(1.0 / double(columns)));
    e.ifThen(isFirst, [&] {
      Value nats = e.subF(e.subF(logSum, e.mulF(sharp, chosen)), e.mulF(share, first[1]));
      e.store(e.addF(nats, e.mulF(zLoss, e.mulF(logSum, logSum))), loss);
    });
    Value weight = e.load(e.f32(), e.atByte(frame.step, abi::stepTargetWeight));
    Value factor = e.mulF(e.divF(weight, sum), e.addF(number(1), e.mulF(e.mulF(number(2), zLoss), logSum)));
    Value even = e.subF(number(0), e.mulF(weight, share));
    pass({}, {}, [&](Value place, ValueRange) {
      Value power = e.loadWide(e.f32(), n, place);
      e.storeAligned(e.fma(power, e.splat(factor, n), e.splat(even, n)), place);
      return SmallVector<Value>();
    });
    e.barrier();
    e.ifThen(isFirst, [&] { e.store(e.subF(e.load(e.f32(), place), e.mulF(weight, sharp)), place); });
  }

  Frame &frame;
  Emitter &e;
  kernel::CrossEntropyOp op;
  int64_t columns, n; // n: neighbours of a thread
  Team team;
  Value isFirst, smoothing, zLoss;
  Value logits, loss, target; // of the row
};

} // namespace

LogicalResult emitCrossEntropy(Frame &frame, kernel::CrossEntropyOp op) {
  CrossEntropy(frame, op).emit();
  return success();
}

} // namespace sinter::gpu
