// SPDX-License-Identifier: Apache-2.0
// kernel.cross_entropy: three passes over a row of logits, which the last one leaves as their gradient.
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/attention/Attention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <numbers>

using namespace mlir;

namespace sinter::cpu {
namespace {

class CrossEntropy {
public:
  CrossEntropy(Frame &frame, kernel::CrossEntropyOp op)
      : frame(frame), e(frame.e), op(op), columns(op.getLogits().getType().getColumns()),
        lanes(e.target.lanes()) {}

  void emit() {
    smoothing = hyper(kernel::Hyperparameter::LabelSmoothing);
    zLoss = hyper(kernel::Hyperparameter::ZLoss);
    forEachTile(frame, op.getGrid(), [&](Value, Value rowBegin, Value rowEnd, Value) {
      e.loop(rowBegin, rowEnd, 1, [&](Value row) {
        logits = frame.rowOf(op.getLogits(), row);
        loss = frame.rowOf(op.getLosses(), row);
        target = frame.stepEntry(abi::stepTargets, row);
        Value counts = e.less(e.constant(-1), target);
        e.ifThen(counts, [&] { emitRow(); });
        Value ignored = arith::XOrIOp::create(e.b, e.loc, counts, e.constantI(e.b.getI1Type(), 1));
        e.ifThen(ignored, [&] {
          pass({},
               [&](Value place, int64_t n, ValueRange) {
                 e.store(e.zeros(n), place);
                 return SmallVector<Value>();
               },
               {});
          e.store(number(0), loss);
        });
      });
    });
  }

private:
  Value number(double value) { return e.constantF(e.f32(), value); }
  Value hyper(kernel::Hyperparameter which) {
    return e.load(e.f32(), e.at(frame.stepPointer(abi::stepUpdate), static_cast<int64_t>(which), e.f32()));
  }

  /// Goes over the row: `body` gets the place of n numbers and vectors of n carried ones, which begin as
  /// `neutral` and are reduced by `reduce`. Gives the reduced numbers.
  SmallVector<Value>
  pass(ArrayRef<double> neutral,
       llvm::function_ref<SmallVector<Value>(Value place, int64_t n, ValueRange carried)> body,
       ArrayRef<bool> isMaximum) {
    int64_t width = 4 * lanes, main = columns / width * width, tail = columns - main;
    auto begin = [&](int64_t n) {
      SmallVector<Value> values;
      for (double value : neutral)
        values.push_back(e.constantF(e.vec(n), value));
      return values;
    };
    auto reduced = [&](ValueRange vectors) {
      SmallVector<Value> values;
      for (auto [vector, maximum] : llvm::zip(vectors, isMaximum))
        values.push_back(maximum ? e.maxOf(vector) : e.sum(vector));
      return values;
    };
    SmallVector<Value> result;
    if (main)
      result = reduced(
          e.loop(e.constant(0), e.constant(main), width, begin(width), [&](Value at, ValueRange carried) {
            return body(e.at(logits, at, e.f32()), width, carried);
          }));
    if (!tail)
      return result;
    SmallVector<Value> rest = reduced(body(e.at(logits, main, e.f32()), tail, begin(tail)));
    for (size_t i = 0; i < result.size(); ++i)
      rest[i] = isMaximum[i] ? e.maxF(result[i], rest[i]) : e.addF(result[i], rest[i]);
    return rest;
  }

  void emitRow() {
    // The maximum, and the sum for smoothed labels.
    SmallVector<Value> first = pass({-3.0e38, 0},
                                    [&](Value place, int64_t n, ValueRange carried) {
                                      Value x = e.load(e.vec(n), place);
                                      return SmallVector<Value>{e.maxF(x, carried[0]), e.addF(carried[1], x)};
                                    },
                                    {true, false});
    Value maximum = first[0], place = e.at(logits, target, e.f32()), chosen = e.load(e.f32(), place);
    Value shift = e.mulF(maximum, number(std::numbers::log2e));
    // exp(x - maximum), kept, and its sum.
    Value sum = pass({0},
                     [&](Value place, int64_t n, ValueRange carried) {
                       Value x = e.load(e.vec(n), place);
                       Value exponent =
                           e.subF(e.mulF(x, e.constantF(e.vec(n), std::numbers::log2e)), e.splat(shift, n));
                       Value power = e.exp2Negative(exponent);
                       e.store(power, place);
                       return SmallVector<Value>{e.addF(carried[0], power)};
                     },
                     {false})[0];
    Value logSum = e.addF(maximum, math::LogOp::create(e.b, e.loc, sum).getResult());
    Value sharp = e.subF(number(1), smoothing), share = e.mulF(smoothing, number(1.0 / double(columns)));
    Value nats = e.subF(e.subF(logSum, e.mulF(sharp, chosen)), e.mulF(share, first[1]));
    e.store(e.addF(nats, e.mulF(zLoss, e.mulF(logSum, logSum))), loss);
    Value weight = frame.stepFloat(abi::stepTargetWeight);
    Value factor = e.mulF(e.divF(weight, sum), e.addF(number(1), e.mulF(e.mulF(number(2), zLoss), logSum)));
    Value even = e.subF(number(0), e.mulF(weight, share));
    pass({},
         [&](Value place, int64_t n, ValueRange) {
           e.store(e.fma(e.load(e.vec(n), place), e.splat(factor, n), e.splat(even, n)), place);
           return SmallVector<Value>();
         },
         {});
    e.store(e.subF(e.load(e.f32(), place), e.mulF(weight, sharp)), place);
  }

  Frame &frame;
  Emitter &e;
  kernel::CrossEntropyOp op;
  int64_t columns, lanes;
  Value smoothing, zLoss;     // of the update
  Value logits, loss, target; // of the row
};

} // namespace

LogicalResult emitCrossEntropy(Frame &frame, kernel::CrossEntropyOp op) {
  CrossEntropy(frame, op).emit();
  return success();
}

} // namespace sinter::cpu
