// SPDX-License-Identifier: Apache-2.0
// kernel.column_sum, kernel.scatter and kernel.square_sum: sums over rows and over images. Which thread adds
// what, and in which order, is fixed.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"

#include "dialects/kernel/WeightLayout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {

/// A tile is 64 columns. Threads share the rows; their sums are added in order of the threads.
LogicalResult emitColumnSum(Frame &frame, kernel::ColumnSumOp op) {
  Emitter &e = frame.e;
  constexpr int64_t perTile = 64;
  int64_t width = op.getOutput().getType().getColumns(), columns = op.getInput().getType().getColumns();
  int64_t n = neighbours(width), lanes = perTile / n;
  frame.threads = 256;
  int64_t shares = frame.threads / lanes;
  Value partial = frame.allocate(shares * perTile * 4), adds = frame.adds();
  Value lane = e.rem(frame.thread, lanes), share = e.div(frame.thread, lanes);
  auto partialAt = [&](Value share) {
    return e.at(partial, e.add(e.mul(share, perTile), e.mul(lane, n)), e.f32());
  };
  forEachTile(frame, op.getGrid(), [&](Value tile, Value, Value rows, Value) {
    Value column = e.add(e.mul(tile, perTile), e.mul(lane, n));
    Value from = e.min(column, e.constant(width - n));
    Value sum =
        e.loop(share, rows, shares, e.zeros(n), [&](Value row, ValueRange carried) {
           Value place = e.at(frame.rowOf(op.getInput(), row), from, e.f32());
           // Each of the row's groups has the output's width.
           return e.loop(e.constant(0), e.constant(columns), width, carried, [&](Value group, ValueRange in) {
             return SmallVector<Value>{e.addF(in[0], e.loadWide(e.f32(), n, e.at(place, group, e.f32())))};
           });
         }).front();
    e.storeAligned(sum, partialAt(share));
    e.barrier();
    e.ifThen(e.both(e.less(frame.thread, e.constant(lanes)), e.less(column, e.constant(width))), [&] {
      Value total = sum, to = e.at(frame.buffer(op.getOutput()), column, e.f32());
      for (int64_t other = 1; other < shares; ++other)
        total = e.addF(total, e.loadWide(e.f32(), n, partialAt(e.constant(other))));
      e.ifThen(e.isFalse(adds), [&] { e.storeAligned(total, to); });
      e.ifThen(adds, [&] { e.storeAligned(e.addF(e.loadWide(e.f32(), n, to), total), to); });
    });
  });
  return success();
}

/// A tile is some columns. A thread has a column and goes through the rows in order.
LogicalResult emitScatter(Frame &frame, kernel::ScatterOp op) {
  Emitter &e = frame.e;
  constexpr int64_t panelRows = kernel::panelRows;
  kernel::WeightLayout layout(op.getOutput().getType());
  int64_t columns = layout.columns;
  int64_t perTile = llvm::alignTo(llvm::divideCeil(columns, op.getGrid().columns), 32);
  frame.threads = 128;
  Value adds = frame.adds(), output = frame.buffer(op.getOutput());
  forEachTile(frame, op.getGrid(), [&](Value tile, Value, Value rows, Value) {
    Value first = e.mul(tile, perTile), count = e.min(e.sub(e.constant(columns), first), e.constant(perTile));
    e.ifThen(e.isFalse(adds), [&] {
      e.loop(e.constant(0), e.constant(layout.panels()), 1, [&](Value panel) {
        Value line =
            frame.farAt(output, e.add(e.mul(e.extend(panel), columns), e.extend(first)), panelRows * 4);
        frame.share(e.mul(count, panelRows / 4),
                    [&](Value quad) { e.storeAligned(e.zeros(4), e.at(line, e.mul(quad, 4), e.f32())); });
      });
      e.barrier();
    });
    frame.share(count, [&](Value inTile) {
      Value column = e.add(first, inTile);
      e.loop(e.constant(0), rows, 1, [&](Value row) {
        Value id = frame.stepEntry(op.getPositions() ? abi::stepPositions : abi::stepTokens, row);
        id = e.add(id, op.getOffset());
        Value line = e.add(e.mul(e.extend(e.div(id, panelRows)), columns), e.extend(column));
        Value place = e.at(frame.farAt(output, line, panelRows * 4), e.rem(id, panelRows), e.f32());
        Value number = e.load(e.f32(), e.at(frame.rowOf(op.getGradient(), row), column, e.f32()));
        e.store(e.addF(e.load(e.f32(), place), number), place);
      });
    });
  });
  return success();
}

/// A tile is a block of the input.
LogicalResult emitSquareSum(Frame &frame, kernel::SquareSumOp op) {
  Emitter &e = frame.e;
  constexpr int64_t n = 4;
  int64_t block = op.getBlock(), columns = op.getInput().getType().getColumns();
  frame.threads = 256;
  Team team = Team::ofBlock(frame);
  forEachTile(frame, op.getGrid(), [&](Value tile, Value, Value, Value) {
    Value first = e.mul(tile, block), last = e.min(e.add(first, block), e.constant(columns));
    Value sums = e.loop(e.add(first, e.mul(frame.thread, n)), last, frame.threads * n, e.zeros(n),
                        [&](Value at, ValueRange carried) {
                          Value x = e.loadWide(e.f32(), n, e.at(frame.buffer(op.getInput()), at, e.f32()));
                          return SmallVector<Value>{e.fma(x, x, carried[0])};
                        })
                     .front();
    Value total = team.sum(frame, elementsCombined(e, vector::CombiningKind::ADD, sums));
    e.ifThen(e.equal(frame.thread, e.constant(0)),
             [&] { e.store(total, e.at(frame.buffer(op.getOutput()), tile, e.f32())); });
  });
  return success();
}

} // namespace sinter::gpu
