// SPDX-License-Identifier: Apache-2.0
// kernel.weight_gradient: output[o, i] += sum over rows of gradient[row, o] * input[row, i], 64 inputs by 64
// outputs at a time (FloatTile), rows in order. Neighbouring outputs are neighbours in a panel.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/FloatTile.h"

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/cpu/Rounding.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t side = FloatTile::side, panelRows = kernel::panelRows;

class WeightGradient {
public:
  WeightGradient(Frame &frame, kernel::WeightGradientOp op)
      : frame(frame), e(frame.e), op(op), tile(frame, cpu::roundsFactors(op), /*isLong=*/true),
        experts(op.getExpertCount()), outputs(op.getOutput().getType().getRows() / experts),
        inputs(op.getOutput().getType().getColumns()), tileOutputs(op.getTileOutputs()),
        tileInputs(op.getTileInputs()) {}

  void emit() {
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
      e.loop(firstInput, inputEnd, side, [&](Value input) {
        e.loop(firstOutput, outputEnd, side, [&](Value output) { emitBlock(input, output); });
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

  void emitBlock(Value input, Value output) {
    Value rows = e.sub(rowEnd, rowBegin);
    auto rowAt = [&](Value argument, Value k, Value column) {
      // Without rows (k is -1 then) one is read that there is.
      Value row = e.max(expert ? e.add(rowBegin, k) : k, e.constant(0));
      return e.at(frame.rowOf(argument, row), column, e.f32());
    };
    auto inputAt = [&](Value line, Value k) { return rowAt(op.getInput(), k, e.add(input, line)); };
    auto gradientAt = [&](Value line, Value k) { return rowAt(op.getGradient(), k, e.add(output, line)); };
    TileSide left{.alongK = false, .width = neighbours(inputs), .at = inputAt};
    TileSide right{.alongK = false, .width = neighbours(outputs), .at = gradientAt};
    left.lines = e.sub(e.constant(inputs), input);
    right.lines = e.sub(e.constant(outputs), output);
    left.depth = right.depth = rows;
    left.zeroDepth = right.zeroDepth = true;
    right.zeroLines = outputs % panelRows; // what a panel lacks stays zero
    SmallVector<Value> sums = tile.multiply(left, right, rows, tile.zeros());
    e.ifThen(adds, [&] { store(sums, input, output, true); });
    e.ifThen(e.isFalse(adds), [&] { store(sums, input, output, false); });
  }

  void store(ValueRange sums, Value input, Value output, bool add) {
    int64_t width = isWhole() ? 4 : 1;
    tile.forEachQuad([&](Value m, int64_t number, Value n) {
      Value column = e.add(input, m), first = e.add(output, n);
      Value isColumn = e.less(column, inputEnd);
      for (int64_t i = 0; i < 4; i += width) {
        Value inMatrix = e.add(first, i), row = e.add(before, inMatrix);
        Value line = e.add(e.mul(e.extend(e.div(row, panelRows)), inputs), e.extend(column));
        Value to = e.at(frame.farAt(frame.buffer(op.getOutput()), line, panelRows * 4), e.rem(row, panelRows),
                        e.f32());
        Value sum = isWhole() ? sums[number] : e.pack({e.extract(sums[number], i)});
        e.ifThen(e.both(isColumn, e.less(inMatrix, outputEnd)),
                 [&] { e.storeAligned(add ? e.addF(e.loadWide(e.f32(), width, to), sum) : sum, to); });
      }
    });
  }

  Frame &frame;
  Emitter &e;
  kernel::WeightGradientOp op;
  FloatTile tile;
  int64_t experts, outputs, inputs, tileOutputs, tileInputs;
  Value adds;
  Value rowBegin, rowEnd, inputEnd, outputEnd; // of the tile
  Value expert, before;                        // its number, null without experts; rows of the output before
};

} // namespace

LogicalResult emitWeightGradient(Frame &frame, kernel::WeightGradientOp op) {
  frame.threads = FloatTile::threads;
  frame.blocksPerSm = 4; // two warps a quarter of a multiprocessor
  WeightGradient(frame, op).emit();
  return success();
}

} // namespace sinter::gpu
