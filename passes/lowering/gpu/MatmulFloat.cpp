// SPDX-License-Identifier: Apache-2.0
// kernel.matmul of f32 for many rows, by multiply-adds, and with transposed weights: 64 rows by 64 columns at
// a time (FloatTile). A panel's lines of 16 columns lie along the product's columns; those of a transposed
// weight along K.
#include "passes/lowering/gpu/MatmulFloat.h"

#include "passes/lowering/cpu/Rounding.h"
#include "passes/lowering/gpu/FloatTile.h"
#include "passes/lowering/gpu/MatmulRounded.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numeric>

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t side = FloatTile::side, panelRows = kernel::panelRows;

class FloatMatmul {
public:
  FloatMatmul(Frame &frame, kernel::MatmulOp op)
      : frame(frame), e(frame.e), m(frame, op, side), isTransposed(op.getTransposed()) {}

  LogicalResult run();

private:
  LogicalResult emitRows(Value begin, Value end, Value first, Value rowEnd);
  void emitColumns(FloatTile &tile, int64_t weight, Value base, Value inTile);

  Frame &frame;
  Emitter &e;
  Matmul m;
  bool isTransposed;
  int64_t tileRows = side;
  std::optional<FloatTile> tile;
  Accumulators accumulators;
  Value row, rows, expert; // of the tile; the expert's number or null
};

LogicalResult FloatMatmul::run() {
  frame.blocksPerSm = 4; // two warps a quarter of a multiprocessor
  frame.isCrowded = true;
  tile.emplace(frame, cpu::roundsFactors(m.op), /*isLong=*/true);
  int64_t stride = m.accumulatorColumns(), weights = m.weights.size();
  int64_t room = maxSharedBytes(e.architecture) - reservedBytes - frame.sharedBytes;
  while (tileRows > 4 && weights * tileRows * stride * 4 > room)
    tileRows /= 2;
  accumulators = {frame.allocate(weights * tileRows * stride * 4), stride, tileRows * stride, tileRows};
  LogicalResult result = success();
  m.forEachChunk([&](Value begin, Value end, Value rowBegin, Value rowEnd) {
    // The columns of a transposed weight's product are no rows of a stack of matrices.
    expert = m.expertColumn ? e.div(m.expertColumn, m.outputs) : Value();
    if (isTransposed)
      m.expertColumn = Value();
    e.loop(rowBegin, rowEnd, tileRows, [&](Value first) {
      if (failed(emitRows(begin, end, first, rowEnd)))
        result = failure();
    });
  });
  return result;
}

LogicalResult FloatMatmul::emitRows(Value begin, Value end, Value first, Value rowEnd) {
  row = first;
  rows = e.min(e.sub(rowEnd, first), e.constant(tileRows));
  Value panelBegin = m.firstPanel(begin), panelEnd = m.panelEnd(end);
  Value base = e.mul(panelBegin, panelRows), width = e.sub(e.mul(panelEnd, panelRows), base);
  for (int64_t weight = 0; weight < static_cast<int64_t>(m.weights.size()); ++weight)
    e.loop(e.constant(0), width, side, [&](Value inTile) { emitColumns(*tile, weight, base, inTile); });
  e.barrier();
  LogicalResult result = emitEpilogues(m, accumulators, panelBegin, begin, end, first, rows);
  e.barrier();
  return result;
}

void FloatMatmul::emitColumns(FloatTile &tile, int64_t weight, Value base, Value inTile) {
  const kernel::WeightLayout &layout = m.layouts[weight];
  Value address = m.weights[weight], k = e.constant(m.inputs), column = e.add(base, inTile);
  Type element = m.op.getLeft().getType().getElement();
  Value firstRow = e.fresh(row); // addresses of rows are made again for each 64 columns
  auto leftAt = [&](Value line, Value k) {
    return e.at(frame.rowOf(m.op.getLeft(), e.add(firstRow, line)), k, element);
  };
  TileSide left{
      .width = neighbours(m.inputs), .isRounded = element.isBF16(), .at = leftAt, .lines = rows, .depth = k};
  left.zeroDepth = m.inputs % FloatTile::depth;

  auto forwardAt = [&](Value line, Value k) {
    Value all = e.add(column, line), panel = e.div(all, panelRows);
    Value index = e.add(e.mul(e.extend(panel), layout.columns), e.extend(k));
    return e.at(frame.farAt(address, index, panelRows * 4), e.rem(all, panelRows), e.f32());
  };
  // Number k of a column is row k of the weight (behind those of the experts before).
  Value before = expert ? e.mul(expert, m.inputs) : Value();
  auto transposedAt = [&](Value line, Value k) {
    Value all = before ? e.add(k, before) : k, panel = e.div(all, panelRows);
    Value index = e.add(e.mul(e.extend(panel), layout.columns), e.extend(e.add(column, line)));
    return e.at(frame.farAt(address, index, panelRows * 4), e.rem(all, panelRows), e.f32());
  };
  TileSide right{.alongK = isTransposed, .width = 4, .at = forwardAt, .depth = k};
  if (isTransposed) {
    right.at = transposedAt;
    right.lines = e.sub(e.constant(m.outputs), column);
    // The panels are whole, with zeros behind the last row.
    right.width = expert ? neighbours(m.inputs) : 4;
    right.depth = expert ? k : e.constant(llvm::alignTo(m.inputs, panelRows));
  } else {
    right.lines = e.sub(e.constant(layout.panels() * panelRows), column);
  }
  SmallVector<Value> sums = tile.multiply(left, right, k, tile.zeros());
  Value limit = e.constant(m.accumulatorColumns());
  tile.forEachQuad([&](Value line, int64_t number, Value n) {
    Value place = e.add(inTile, n), inside;
    if (m.accumulatorColumns() % side)
      inside = e.less(place, limit);
    if (tileRows < side)
      inside = e.both(inside, e.less(line, e.constant(tileRows)));
    auto store = [&] { e.storeAligned(sums[number], accumulators.at(e, weight, line, place)); };
    inside ? e.ifThen(inside, store) : store();
  });
}

} // namespace

bool fitsFloatTiles(kernel::MatmulOp op) {
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  bool isMany = op.getTransposed() || (schedule && schedule.getRowsPerTile());
  if (!isMany || !op.getLeft())
    return false;
  Type left = op.getLeft().getType().getElement();
  return (left.isF32() || (left.isBF16() && cpu::roundsFactors(op))) &&
         llvm::all_of(op.getWeights().getTypes(), [](Type type) {
           return cast<kernel::WeightType>(type).getFormat() == kernel::WeightFormat::F32;
         });
}

LogicalResult emitFloatMatmul(Frame &frame, kernel::MatmulOp op) {
  if (fitsRoundedTiles(frame, op))
    return emitRoundedMatmul(frame, op);
  frame.threads = FloatTile::threads;
  return FloatMatmul(frame, op).run();
}

} // namespace sinter::gpu
