// SPDX-License-Identifier: Apache-2.0
// kernel.weight_gradient: output[o, i] += sum over rows of gradient[row, o] * input[row, i].
//
// The output's panels have 16 neighbouring o as lanes; an input is broadcast. Per block of rows: a tile's
// inputs are packed as [group of some i][row][i] (stays in the second-level cache), a panel of gradients as
// [row][16 o] (in the first-level cache), and register tiles of 16 o x some i go over the rows; their sums
// are added to the output. Where the machine multiplies pairs of bf16, factors that are rounded are packed as
// words of two rows.
#include "passes/lowering/cpu/Emitters.h"

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/Anchors.h"
#include "passes/lowering/cpu/Rounding.h"
#include "passes/lowering/cpu/matmul/Bf16Product.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

constexpr int64_t panelRows = kernel::panelRows;
constexpr int64_t rowBlock = 256;

class WeightGradient {
public:
  WeightGradient(Frame &frame, kernel::WeightGradientOp op)
      : frame(frame), e(frame.e), op(op), experts(op.getExpertCount()),
        outputs(op.getOutput().getType().getRows() / experts), inputs(op.getOutput().getType().getColumns()),
        tileOutputs(op.getTileOutputs()), tileInputs(op.getTileInputs()), lanes(e.target.lanes()),
        halves(panelRows / lanes), pairs(roundsFactors(op) && e.target.bf16()),
        width(pairs                        ? 16
              : e.target.registers() == 16 ? 6
                                           : 12) {
    assert(tileInputs % width == 0 && tileOutputs % panelRows == 0 && "tiles of whole register tiles");
    packedInput = frame.allocate(tileInputs * rowBlock * 4);
    packedGradient = frame.allocate(rowBlock * panelRows * 4);
  }

  void emit() {
    if (!op.getExperts())
      return emitTiles(frame.begin, frame.end, e.constant(0), frame.stepField(abi::stepRows), e.constant(0));
    if (outputs % panelRows)
      return emitSharedPanels();
    // Tile number = tile of the matrix * experts + expert.
    e.loop(e.constant(0), e.constant(experts), 1, [&](Value expert) {
      auto segment = [&](int64_t next) { return segmentAt(e.add(expert, next)); };
      auto tile = [&](Value number) {
        return e.ceilDiv(e.max(e.sub(number, expert), e.constant(0)), experts);
      };
      Value firstPanel = e.mul(expert, outputs / panelRows);
      emitTiles(tile(frame.begin), tile(frame.end), segment(0), segment(1), firstPanel);
    });
  }

private:
  /// Tiles begin to end - 1 of a matrix: tile of inputs * tiles of outputs + tile of outputs.
  void emitTiles(Value begin, Value end, Value rowBegin, Value rowEnd, Value firstPanel) {
    int64_t outputTiles = (outputs + tileOutputs - 1) / tileOutputs;
    e.ifThen(e.less(begin, end), [&] {
      e.loop(e.div(begin, outputTiles), e.add(e.div(e.sub(end, 1), outputTiles), 1), 1, [&](Value inputTile) {
        Value before = e.mul(inputTile, outputTiles);
        Value first = e.mul(e.max(e.sub(begin, before), e.constant(0)), tileOutputs);
        Value last = e.min(e.mul(e.min(e.sub(end, before), e.constant(outputTiles)), tileOutputs),
                           e.constant(outputs));
        inputBegin = e.mul(inputTile, tileInputs);
        inputEnd = e.min(e.add(inputBegin, tileInputs), e.constant(inputs));
        // Without rows the one block is empty: the output becomes zeros.
        Value blocks = e.max(e.ceilDiv(e.sub(rowEnd, rowBegin), rowBlock), e.constant(1));
        e.loop(e.constant(0), blocks, 1, [&](Value block) {
          row = e.add(rowBegin, e.mul(block, rowBlock));
          rows = e.min(e.sub(rowEnd, row), e.constant(rowBlock));
          adds = arith::OrIOp::create(e.b, e.loc, e.less(e.constant(0), frame.stepAdds()),
                                      e.less(e.constant(0), block));
          packInput();
          e.loop(e.div(first, panelRows), e.ceilDiv(last, panelRows), 1, [&](Value panel) {
            packGradient(panel);
            emitPanel(e.add(firstPanel, panel));
          });
        });
      });
    });
  }

  Value segmentAt(Value expert) {
    return e.integer(e.load(e.i32(), e.at(frame.buffer(op.getExperts()), expert, e.i32())));
  }

  /// Matrices of experts that begin inside a panel: a tile is a share of the panels, and goes through the
  /// experts that have rows in each.
  void emitSharedPanels() {
    int64_t panels = (experts * outputs + panelRows - 1) / panelRows;
    int64_t units = (inputs + tileInputs - 1) / tileInputs * panels, tiles = op.getGrid().columns;
    auto unitOf = [&](Value tile) { return e.div(e.mul(tile, units), tiles); };
    e.loop(unitOf(frame.begin), unitOf(frame.end), 1, [&](Value unit) {
      Value panel = e.rem(unit, panels), firstColumn = e.mul(panel, panelRows);
      inputBegin = e.mul(e.div(unit, panels), tileInputs);
      inputEnd = e.min(e.add(inputBegin, tileInputs), e.constant(inputs));
      Value firstExpert = e.div(firstColumn, outputs);
      Value lastExpert = e.min(e.div(e.add(firstColumn, panelRows - 1), outputs), e.constant(experts - 1));
      e.loop(firstExpert, e.add(lastExpert, 1), 1, [&](Value expert) {
        Value rowBegin = segmentAt(expert), rowEnd = segmentAt(e.add(expert, 1));
        Value blocks = e.max(e.ceilDiv(e.sub(rowEnd, rowBegin), rowBlock), e.constant(1));
        e.loop(e.constant(0), blocks, 1, [&](Value block) {
          row = e.add(rowBegin, e.mul(block, rowBlock));
          rows = e.min(e.sub(rowEnd, row), e.constant(rowBlock));
          Value earlier = e.add(e.add(e.sub(expert, firstExpert), block), frame.stepAdds());
          adds = e.less(e.constant(0), earlier);
          packInput();
          packLanes(e.sub(firstColumn, e.mul(expert, outputs)));
          emitPanel(panel);
        });
      });
    });
  }

  /// Lane l of the packed gradients is column first + l of the rows, or zero where there is none.
  void packLanes(Value first) {
    Value from = frame.rowOf(op.getGradient(), row);
    forEachPacked([&](Value index, Value t, Value next) {
      Value to = e.at(packedGradient, e.mul(index, panelRows), e.f32());
      for (int64_t lane = 0; lane < panelRows; lane += lanes)
        e.store(e.zeros(lanes), e.at(to, lane, e.f32()));
      Value begin = e.max(e.sub(e.constant(0), first), e.constant(0));
      Value end = e.min(e.sub(e.constant(outputs), first), e.constant(panelRows));
      e.loop(begin, end, 1, [&](Value lane) {
        auto number = [&](Value row) {
          return factors(op.getGradient(), from, e.add(e.mul(row, outputs), e.add(first, lane)), 1);
        };
        e.store(packed(number(t), next ? number(next) : next), e.at(to, lane, e.f32()));
      });
    });
  }

  /// Groups of `width` inputs, whole ones and, at the end of the row, a short one.
  void forEachGroup(llvm::function_ref<void(Value group, int64_t count)> body) {
    Value whole = e.div(e.sub(inputEnd, inputBegin), width);
    e.loop(e.constant(0), whole, 1, [&](Value group) { body(group, width); });
    if (int64_t tail = inputs % width)
      e.ifThen(e.less(e.mul(whole, width), e.sub(inputEnd, inputBegin)), [&] { body(whole, tail); });
  }

  Value groupAt(Value group) { return e.at(packedInput, e.mul(group, rowBlock * width), e.f32()); }

  /// Calls `body` with the place of each packed row of the block and with its row; of pairs also with the
  /// next one, null behind the last.
  void forEachPacked(llvm::function_ref<void(Value index, Value row, Value next)> body) {
    if (!pairs)
      return e.loop(e.constant(0), rows, 1, [&](Value t) { body(t, t, {}); });
    Value whole = e.alignDown(rows, 2);
    e.loop(e.constant(0), whole, 2, [&](Value t) { body(e.div(t, e.constant(2)), t, e.add(t, 1)); });
    e.loop(whole, rows, 1, [&](Value t) { body(e.div(t, e.constant(2)), t, {}); });
  }

  /// `count` numbers of rows that begin at `from`, from element `index` on, as they are multiplied: rounded,
  /// and for pairs f32 or bf16.
  Value factors(TypedValue<kernel::RowsType> of, Value from, Value index, int64_t count) {
    Type element = of.getType().getElement();
    Value place = e.at(from, index, element);
    if (pairs)
      return e.load(e.vec(count, element), place);
    Value numbers = e.loadWide(element, count, place);
    return roundsFactors(op) && element.isF32() ? roundToBf16(e, numbers) : numbers;
  }
  Value packed(Value numbers, Value next) { return pairs ? emitPairs(e, numbers, next) : numbers; }

  void packInput() {
    forEachGroup([&](Value group, int64_t count) {
      Value from = frame.rowOf(op.getInput(), row), column = e.add(inputBegin, e.mul(group, width));
      Value to = groupAt(group);
      auto numbers = [&](Value t) {
        return factors(op.getInput(), from, e.add(e.mul(t, inputs), column), count);
      };
      forEachPacked([&](Value index, Value t, Value next) {
        e.store(packed(numbers(t), next ? numbers(next) : next), e.at(to, e.mul(index, width), e.f32()));
      });
    });
  }

  void packGradient(Value panel) {
    auto pack = [&](int64_t count) {
      Value from = frame.rowOf(op.getGradient(), row), column = e.mul(panel, panelRows);
      auto numbers = [&](Value t) -> Value {
        Value found = factors(op.getGradient(), from, e.add(e.mul(t, outputs), column), count);
        if (count == panelRows)
          return found;
        Type whole = e.vec(panelRows, cast<VectorType>(found.getType()).getElementType());
        Value zeros = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(whole));
        return vector::InsertStridedSliceOp::create(e.b, e.loc, found, zeros, ArrayRef<int64_t>{0},
                                                    ArrayRef<int64_t>{1});
      };
      forEachPacked([&](Value index, Value t, Value next) {
        Value place = e.at(packedGradient, e.mul(index, panelRows), e.f32());
        e.store(packed(numbers(t), next ? numbers(next) : next), place);
      });
    };
    int64_t tail = outputs % panelRows;
    if (!tail)
      return pack(panelRows);
    Value isWhole = e.less(panel, e.constant(outputs / panelRows));
    e.ifThen(isWhole, [&] { pack(panelRows); });
    e.ifThen(e.equal(panel, e.constant(outputs / panelRows)), [&] { pack(tail); });
  }

  void emitPanel(Value panel) {
    forEachGroup([&](Value group, int64_t count) {
      Value input = e.add(inputBegin, e.mul(group, width));
      Value to =
          e.at(frame.buffer(op.getOutput()), e.mul(e.add(e.mul(panel, inputs), input), panelRows), e.f32());
      Value left = groupAt(group);
      SmallVector<Value> sums(count * halves, e.zeros(lanes));
      Type element = pairs ? Type(e.i32()) : Type(e.f32());
      auto step = [&](Value t, int64_t unroll, ValueRange carried) {
        SmallVector<Value> next(carried);
        Value gradients = e.at(packedGradient, e.mul(t, panelRows), e.f32());
        Value broadcasts = e.at(left, e.mul(t, width), e.f32());
        for (int64_t u = 0; u < unroll; ++u) {
          SmallVector<Value> g;
          for (int64_t h = 0; h < halves; ++h)
            g.push_back(e.load(e.vec(lanes, element), e.at(gradients, u * panelRows + h * lanes, element)));
          for (int64_t i = 0; i < count; ++i) {
            Value x = e.splat(e.load(element, e.at(broadcasts, u * width + i, element)), lanes);
            for (int64_t h = 0; h < halves; ++h) {
              Value &sum = next[i * halves + h];
              sum = pairs ? emitPairProduct(e, sum, x, g[h]) : e.fma(x, g[h], sum);
            }
          }
        }
        return next;
      };
      constexpr int64_t unroll = 2;
      Value packedRows = pairs ? e.ceilDiv(rows, 2) : rows, main = e.alignDown(packedRows, unroll);
      sums = e.loop(e.constant(0), main, unroll, sums,
                    [&](Value t, ValueRange c) { return step(t, unroll, c); });
      sums = e.loop(main, packedRows, 1, sums, [&](Value t, ValueRange c) { return step(t, 1, c); });
      auto store = [&](bool add) {
        for (int64_t i = 0; i < count; ++i)
          for (int64_t h = 0; h < halves; ++h) {
            Value place = e.at(to, i * panelRows + h * lanes, e.f32());
            Value sum = sums[i * halves + h];
            e.store(add ? e.addF(e.load(e.vec(lanes), place), sum) : sum, place);
          }
      };
      e.ifThen(adds, [&] { store(true); });
      Value overwrites = arith::XOrIOp::create(e.b, e.loc, adds, e.constantI(e.b.getI1Type(), 1));
      e.ifThen(overwrites, [&] { store(false); });
    });
  }

  Frame &frame;
  Emitter &e;
  kernel::WeightGradientOp op;
  int64_t experts, outputs, inputs, tileOutputs, tileInputs, lanes, halves;
  bool pairs;                        // whether packed rows are pairs of bf16
  int64_t width;                     // inputs of a register tile
  Value packedInput, packedGradient; // scratch
  Value inputBegin, inputEnd;        // of the tile
  Value row, rows, adds;             // of the block of rows
};

} // namespace

LogicalResult emitWeightGradient(Frame &frame, kernel::WeightGradientOp op) {
  WeightGradient(frame, op).emit();
  return success();
}

} // namespace sinter::cpu
