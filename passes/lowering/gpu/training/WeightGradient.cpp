// SPDX-License-Identifier: Apache-2.0
// kernel.weight_gradient: output[o, i] += sum over rows of gradient[row, o] * input[row, i], 64 inputs by 64
// outputs at a time (FloatTile; up to 128 by 128 where factors are rounded: RoundedTile), rows in order.
// Neighbouring outputs are neighbours in a panel.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/matmul/FloatTile.h"
#include "passes/lowering/gpu/matmul/RoundedTile.h"

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/Anchors.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t panelRows = kernel::panelRows;

class WeightGradient {
public:
  WeightGradient(Frame &frame, kernel::WeightGradientOp op)
      : frame(frame), e(frame.e), op(op), experts(op.getExpertCount()),
        outputs(op.getOutput().getType().getRows() / experts), inputs(op.getOutput().getType().getColumns()),
        tileOutputs(op.getTileOutputs()), tileInputs(op.getTileInputs()) {}

  void emit() {
    chooseTile();
    adds = frame.adds();
    int64_t outputTiles = llvm::divideCeil(outputs, tileOutputs);
    forEachTile(frame, op.getGrid(), [&](Value number, Value, Value rows, Value) {
      rowBegin = e.constant(0), rowEnd = rows;
      if (op.getExperts()) { // tile number = tile of the matrix * experts + expert
        expert = e.rem(number, experts);
        number = e.div(number, experts);
        Value segments = e.at(frame.buffer(op.getExperts()), expert, e.i32());
        rowBegin = e.load(e.i32(), segments);
        rowEnd = e.load(e.i32(), e.at(segments, 1, e.i32()));
      }
      Value firstInput = e.mul(e.div(number, outputTiles), tileInputs);
      Value firstOutput = e.mul(e.rem(number, outputTiles), tileOutputs);
      before = expert ? e.mul(expert, outputs) : e.constant(0);
      inputEnd = e.min(e.add(firstInput, tileInputs), e.constant(inputs));
      Value next = e.add(firstOutput, tileOutputs);
      outputEnd = e.select(e.less(next, e.constant(outputs)), next, lastOutput());
      e.loop(firstInput, inputEnd, sideInputs, [&](Value input) {
        e.loop(firstOutput, outputEnd, sideOutputs,
               [&](Value output) { rounded ? emitRounded(input, output) : emitBlock(input, output); });
      });
    });
  }

private:
  /// Matrices of a stack that begin inside a panel share it.
  bool isWhole() const { return experts == 1 || outputs % panelRows == 0; }
  /// The output behind the last one that the expert's tiles write, what panels lack included.
  Value lastOutput() {
    if (isWhole())
      return e.constant(llvm::alignTo(outputs, panelRows));
    Value all = e.constant(llvm::alignTo(outputs * experts, panelRows));
    return e.select(e.equal(expert, e.constant(experts - 1)), e.sub(all, before), e.constant(outputs));
  }

  void chooseTile() {
    bool rounds = roundsFactors(op);
    if (rounds && isWhole()) {
      sideInputs = tileInputs >= 128 ? 128 : 64, sideOutputs = tileOutputs >= 128 ? 128 : 64;
      frame.threads = RoundedTile::threadsFor(sideInputs);
      frame.blocksPerSm = sideInputs * sideOutputs <= 64 * 64 ? 3 : 1;
      rounded.emplace(frame, sideInputs, sideOutputs);
      return;
    }
    frame.threads = FloatTile::threads;
    frame.blocksPerSm = 4; // two warps a quarter of a multiprocessor
    floats.emplace(frame, rounds, /*isLong=*/true);
  }

  void emitRounded(Value input, Value output) {
    Value rows = e.sub(rowEnd, rowBegin);
    auto sideOf = [&](Value argument, Value column, int64_t columns) {
      Value base = e.at(frame.rowOf(argument, rowBegin), column, elementOf(argument));
      return RoundedSide{.base = base,
                         .element = elementOf(argument),
                         .alongK = false,
                         .width = columns % 4 ? 1 : 4,
                         .acrossBytes = cast<kernel::RowsType>(argument.getType()).getRowBytes(),
                         .lines = e.sub(e.constant(columns), column),
                         .depth = rows};
    };
    RoundedSide left = sideOf(op.getInput(), input, inputs),
                right = sideOf(op.getGradient(), output, outputs);
    right.zeroLines = outputs % panelRows; // what a panel lacks stays zero
    if (expert)                            // without rows one is read that there is
      left.fewest = right.fewest = e.sub(e.constant(0), rowBegin);
    SmallVector<Value> sums = rounded->multiply(left, right, rows);
    Value m = e.add(input, rounded->firstM()), n = e.add(output, rounded->firstN());
    Value isWhole = e.both(e.less(e.constant(sideInputs - 1), e.sub(inputEnd, input)),
                           e.less(e.constant(sideOutputs - 1), e.sub(outputEnd, output)));
    // Of a whole block all sums lie constants behind the first.
    Value first = placeOf(m, n);
    for (bool add : {true, false})
      for (bool whole : {true, false})
        e.ifThen(e.both(add ? adds : e.isFalse(adds), whole ? isWhole : e.isFalse(isWhole)), [&] {
          rounded->forEachPair(sums, [&](int64_t further, int64_t across, Value pair) {
            if (!whole)
              return storePart(pair, e.add(m, further), e.add(n, across), add);
            int64_t line = across / panelRows * inputs + further;
            store(pair, e.at(first, line * panelRows + across % panelRows, e.f32()), add);
          });
        });
  }

  void emitBlock(Value input, Value output) {
    Value rows = e.sub(rowEnd, rowBegin);
    auto rowAt = [&](Value argument, Value k, Value column) {
      // Without rows (k is -1 then) one is read that there is.
      Value row = e.max(expert ? e.add(rowBegin, k) : k, e.constant(0));
      return e.at(frame.rowOf(argument, row), column, elementOf(argument));
    };
    auto inputAt = [&](Value line, Value k) { return rowAt(op.getInput(), k, e.add(input, line)); };
    auto gradientAt = [&](Value line, Value k) { return rowAt(op.getGradient(), k, e.add(output, line)); };
    auto isRounded = [&](Value argument) { return elementOf(argument).isBF16(); };
    TileSide left{
        .alongK = false, .width = neighbours(inputs), .isRounded = isRounded(op.getInput()), .at = inputAt};
    TileSide right{.alongK = false,
                   .width = neighbours(outputs),
                   .isRounded = isRounded(op.getGradient()),
                   .at = gradientAt};
    left.lines = e.sub(e.constant(inputs), input);
    right.lines = e.sub(e.constant(outputs), output);
    left.depth = right.depth = rows;
    left.zeroDepth = right.zeroDepth = true;
    right.zeroLines = outputs % panelRows; // what a panel lacks stays zero
    SmallVector<Value> sums = floats->multiply(left, right, rows, floats->zeros());
    e.ifThen(adds, [&] { store(sums, input, output, true); });
    e.ifThen(e.isFalse(adds), [&] { store(sums, input, output, false); });
  }

  void store(ValueRange sums, Value input, Value output, bool add) {
    floats->forEachQuad([&](Value m, int64_t number, Value n) {
      Value column = e.add(input, m), first = e.add(output, n);
      if (isWhole())
        return storePart(sums[number], column, first, add);
      for (int64_t i = 0; i < 4; ++i)
        storePart(e.pack({e.extract(sums[number], i)}), column, e.add(first, i), add);
    });
  }

  Value placeOf(Value input, Value output) {
    Value row = e.add(before, output);
    Value line = e.add(e.mul(e.extend(e.div(row, panelRows)), inputs), e.extend(input));
    return e.at(frame.farAt(frame.buffer(op.getOutput()), line, panelRows * 4), e.rem(row, panelRows),
                e.f32());
  }
  void store(Value sums, Value to, bool add) {
    int64_t width = cast<VectorType>(sums.getType()).getDimSize(0);
    e.storeAligned(add ? e.addF(e.loadWide(e.f32(), width, to), sums) : sums, to);
  }
  /// Sums (a vector) of one input and neighbouring outputs, which are all there or none.
  void storePart(Value sums, Value input, Value output, bool add) {
    e.ifThen(e.both(e.less(input, inputEnd), e.less(output, outputEnd)),
             [&] { store(sums, placeOf(input, output), add); });
  }

  Frame &frame;
  Emitter &e;
  kernel::WeightGradientOp op;
  int64_t experts, outputs, inputs, tileOutputs, tileInputs;
  std::optional<FloatTile> floats; // one of them
  std::optional<RoundedTile> rounded;
  int64_t sideInputs = FloatTile::side, sideOutputs = FloatTile::side;
  Value adds;
  Value rowBegin, rowEnd, inputEnd, outputEnd; // of the tile
  Value expert, before;                        // its number, null without experts; rows of the output before
};

} // namespace

LogicalResult emitWeightGradient(Frame &frame, kernel::WeightGradientOp op) {
  WeightGradient(frame, op).emit();
  return success();
}

} // namespace sinter::gpu
