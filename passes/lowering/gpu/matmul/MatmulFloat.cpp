// SPDX-License-Identifier: Apache-2.0
// kernel.matmul of f32 for many rows, by multiply-adds, and with transposed weights: 64 rows by 64 columns at
// a time (FloatTile). A panel's lines of 16 columns lie along the product's columns; those of a transposed
// weight along K.
#include "passes/lowering/gpu/matmul/MatmulFloat.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/gpu/matmul/FloatTile.h"
#include "passes/lowering/gpu/matmul/MatmulRounded.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numeric>

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t side = FloatTile::side;

class FloatMatmul {
public:
  FloatMatmul(Frame &frame, kernel::MatmulOp op)
      : frame(frame), e(frame.e), m(frame, op, side), isTransposed(op.getTransposed()) {}

  LogicalResult run();

private:
  void multiply(const Product &product);

  Frame &frame;
  Emitter &e;
  Matmul m;
  bool isTransposed;
  std::optional<FloatTile> tile;
  Accumulators accumulators;
};

LogicalResult FloatMatmul::run() {
  frame.blocksPerSm = 4; // two warps a quarter of a multiprocessor
  frame.isCrowded = true;
  tile.emplace(frame, roundsFactors(m.op), /*isLong=*/true);
  int64_t stride = m.accumulatorColumns(), weights = m.weights.size();
  int64_t tileRows = side, room = maxSharedBytes(e.architecture) - reservedBytes - frame.sharedBytes;
  while (tileRows > 4 && weights * tileRows * stride * 4 > room)
    tileRows /= 2;
  accumulators = {frame.allocate(weights * tileRows * stride * 4), stride, tileRows * stride, tileRows};
  return emitProducts(m, accumulators, side, [&](const Product &product) { multiply(product); });
}

void FloatMatmul::multiply(const Product &product) {
  const kernel::WeightLayout &layout = m.layouts[product.weight];
  Value address = m.weights[product.weight], k = e.constant(m.inputs), column = product.column;
  Value expert = product.expert, rows = e.min(product.rows, e.constant(accumulators.rows));
  Type element = m.op.getLeft().getType().getElement();
  Value firstRow = e.fresh(product.firstRow); // addresses of rows are made again for each 64 columns
  auto leftAt = [&](Value line, Value k) {
    return e.at(frame.rowOf(m.op.getLeft(), e.add(firstRow, line)), k, element);
  };
  TileSide left{
      .width = neighbours(m.inputs), .isRounded = element.isBF16(), .at = leftAt, .lines = rows, .depth = k};
  left.zeroDepth = m.inputs % FloatTile::depth;

  auto forwardAt = [&](Value line, Value k) {
    Value all = e.add(column, line), panel = e.div(all, kernel::panelRows);
    Value index = e.add(e.mul(e.extend(panel), layout.columns), e.extend(k));
    return e.at(frame.farAt(address, index, kernel::panelRows * 4), e.rem(all, kernel::panelRows), e.f32());
  };
  // Number k of a column is row k of the weight (behind those of the experts before).
  Value before = expert ? e.mul(expert, m.inputs) : Value();
  auto transposedAt = [&](Value line, Value k) {
    Value all = before ? e.add(k, before) : k, panel = e.div(all, kernel::panelRows);
    Value index = e.add(e.mul(e.extend(panel), layout.columns), e.extend(e.add(column, line)));
    return e.at(frame.farAt(address, index, kernel::panelRows * 4), e.rem(all, kernel::panelRows), e.f32());
  };
  TileSide right{.alongK = isTransposed, .width = 4, .at = forwardAt, .depth = k};
  if (isTransposed) {
    right.at = transposedAt;
    right.lines = e.sub(e.constant(m.outputs), column);
    // The panels are whole, with zeros behind the last row.
    right.width = expert ? neighbours(m.inputs) : 4;
    right.depth = expert ? k : e.constant(llvm::alignTo(m.inputs, kernel::panelRows));
  } else {
    right.lines = e.sub(e.constant(layout.panels() * kernel::panelRows), column);
  }
  SmallVector<Value> sums = tile->multiply(left, right, k, tile->zeros());
  Value limit = e.constant(m.accumulatorColumns());
  tile->forEachQuad([&](Value line, int64_t number, Value n) {
    Value place = e.add(product.inTile, n), inside;
    if (m.accumulatorColumns() % side)
      inside = e.less(place, limit);
    if (accumulators.rows < side)
      inside = e.both(inside, e.less(line, e.constant(accumulators.rows)));
    auto store = [&] { e.storeAligned(sums[number], accumulators.at(e, product.weight, line, place)); };
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
  return (left.isF32() || (left.isBF16() && roundsFactors(op))) &&
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
