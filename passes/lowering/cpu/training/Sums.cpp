// SPDX-License-Identifier: Apache-2.0
// kernel.column_sum, kernel.scatter and kernel.square_sum: sums over rows, in the order of the rows, and over
// images.
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/attention/Attention.h"

#include "dialects/kernel/WeightLayout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::cpu {

/// Runs `whole` where the tile is not the last one, else `last`.
static void lastApart(Emitter &e, Value tile, int64_t wholeTiles, bool hasLast,
                      llvm::function_ref<void()> whole, llvm::function_ref<void()> last) {
  if (!hasLast)
    return whole();
  e.ifThen(e.less(tile, e.constant(wholeTiles)), whole);
  e.ifThen(e.equal(tile, e.constant(wholeTiles)), last);
}

LogicalResult emitColumnSum(Frame &frame, kernel::ColumnSumOp op) {
  Emitter &e = frame.e;
  int64_t width = op.getOutput().getType().getColumns(), columns = op.getInput().getType().getColumns();
  int64_t lanes = e.target.lanes(), tiles = op.getGrid().columns;
  int64_t perTile = 64, tail = width % perTile;
  Value rows = frame.stepField(abi::stepRows), adds = e.less(e.constant(0), frame.stepAdds());
  e.loop(frame.begin, frame.end, 1, [&](Value tile) {
    Value first = e.mul(tile, perTile);
    auto emit = [&](int64_t count) {
      SmallVector<Segment> segments = segmentsOf(count, lanes);
      Value to = e.at(frame.buffer(op.getOutput()), first, e.f32());
      SmallVector<Value> sums;
      for (Segment segment : segments)
        sums.push_back(e.zeros(segment.n));
      sums = e.loop(e.constant(0), rows, 1, sums, [&](Value row, ValueRange carried) {
        Value from = e.at(frame.rowOf(op.getInput(), row), first, e.f32());
        // Each of the row's groups has the output's width.
        return e.loop(e.constant(0), e.constant(columns), width, carried, [&](Value group, ValueRange inner) {
          SmallVector<Value> next;
          Value here = e.at(from, group, e.f32());
          for (auto [segment, sum] : llvm::zip(segments, inner))
            next.push_back(e.addF(sum, e.load(e.vec(segment.n), e.at(here, segment.first, e.f32()))));
          return next;
        });
      });
      for (auto [segment, sum] : llvm::zip(segments, sums)) {
        Value place = e.at(to, segment.first, e.f32());
        Value before = e.select(adds, e.load(e.vec(segment.n), place), e.zeros(segment.n));
        e.store(e.addF(before, sum), place);
      }
    };
    lastApart(e, tile, width / perTile, tail && tiles > 0, [&] { emit(perTile); }, [&] { emit(tail); });
  });
  return success();
}

LogicalResult emitScatter(Frame &frame, kernel::ScatterOp op) {
  Emitter &e = frame.e;
  constexpr int64_t panelRows = kernel::panelRows;
  kernel::WeightLayout layout(op.getOutput().getType());
  int64_t columns = layout.columns;
  int64_t perTile = (columns + op.getGrid().columns - 1) / op.getGrid().columns;
  perTile = llvm::alignTo(perTile, 32);
  Value rows = frame.stepField(abi::stepRows), adds = e.less(e.constant(0), frame.stepAdds());
  Value output = frame.buffer(op.getOutput());
  e.loop(frame.begin, frame.end, 1, [&](Value tile) {
    Value first = e.mul(tile, perTile), last = e.min(e.add(first, perTile), e.constant(columns));
    Value overwrites = arith::XOrIOp::create(e.b, e.loc, adds, e.constantI(e.b.getI1Type(), 1));
    e.ifThen(overwrites, [&] {
      e.loop(e.constant(0), e.constant(layout.panels()), 1, [&](Value panel) {
        e.loop(first, last, 1, [&](Value column) {
          Value place = e.at(output, e.mul(e.add(e.mul(panel, columns), column), panelRows), e.f32());
          for (int64_t lane = 0; lane < panelRows; lane += e.target.lanes())
            e.store(e.zeros(e.target.lanes()), e.at(place, lane, e.f32()));
        });
      });
    });
    e.loop(e.constant(0), rows, 1, [&](Value row) {
      Value id = frame.stepEntry(op.getPositions() ? abi::stepPositions : abi::stepTokens, row);
      id = e.add(id, op.getOffset());
      Value from = frame.rowOf(op.getGradient(), row);
      Value to = e.at(output, e.add(e.mul(e.div(id, panelRows), columns * panelRows), e.rem(id, panelRows)),
                      e.f32());
      e.loop(first, last, 1, [&](Value column) {
        Value place = e.at(to, e.mul(column, panelRows), e.f32());
        e.store(e.addF(e.load(e.f32(), place), e.load(e.f32(), e.at(from, column, e.f32()))), place);
      });
    });
  });
  return success();
}

LogicalResult emitSquareSum(Frame &frame, kernel::SquareSumOp op) {
  Emitter &e = frame.e;
  int64_t block = op.getBlock(), columns = op.getInput().getType().getColumns(), lanes = e.target.lanes();
  int64_t together = kernel::panelRows / lanes; // the input is a multiple of a panel long
  e.loop(frame.begin, frame.end, 1, [&](Value tile) {
    Value first = e.mul(tile, block), last = e.min(e.add(first, block), e.constant(columns));
    SmallVector<Value> sums(together, e.zeros(lanes));
    sums = e.loop(first, last, together * lanes, sums, [&](Value at, ValueRange carried) {
      SmallVector<Value> next;
      for (int64_t i = 0; i < together; ++i) {
        Value x =
            e.load(e.vec(lanes), e.at(e.at(frame.buffer(op.getInput()), at, e.f32()), i * lanes, e.f32()));
        next.push_back(e.fma(x, x, carried[i]));
      }
      return next;
    });
    for (int64_t i = 1; i < together; ++i)
      sums[0] = e.addF(sums[0], sums[i]);
    e.store(e.sum(sums[0]), e.at(frame.buffer(op.getOutput()), tile, e.f32()));
  });
  return success();
}

} // namespace sinter::cpu
