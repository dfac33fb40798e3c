// SPDX-License-Identifier: Apache-2.0
// kernel.matmul of f32 whose factors are rounded to bf16 (RoundedTile). A panel's lines of 16
// columns lie along the product's columns; those of a transposed weight along K.
#include "passes/lowering/gpu/matmul/MatmulRounded.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/gpu/matmul/RoundedTile.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

class RoundedMatmul {
public:
  RoundedMatmul(Frame &frame, kernel::MatmulOp op);

  bool fits() const { return rows > 0; }
  LogicalResult run();

private:
  void multiply(const Product &product);
  int64_t weights() const { return m.weights.size(); }

  Frame &frame;
  Emitter &e;
  int64_t columns; // of a product
  Matmul m;
  bool isTransposed, sharesStages = false; // the accumulators, which are those of one product
  int64_t rows = 0;
  std::optional<RoundedTile> tile;
  Accumulators accumulators;
};

/// 64 or 128 of a side of a tile.
int64_t sideOf(int64_t asked) { return asked >= 128 ? 128 : 64; }

RoundedMatmul::RoundedMatmul(Frame &frame, kernel::MatmulOp op)
    : frame(frame), e(frame.e), columns(sideOf(op.getScheduleAttr().getColumnsPerTile())),
      m(frame, op, columns), isTransposed(op.getTransposed()) {
  if (isTransposed && op.getExperts() &&
      m.inputs % kernel::panelRows) // an expert's matrix begins inside a panel
    return;
  int64_t wide = llvm::alignTo(m.accumulatorColumns(), columns), stride = wide + 8; // rows in other banks
  sharesStages = weights() == 1 && wide == columns;
  for (int64_t asked = sideOf(op.getScheduleAttr().getRowsPerTile()); asked >= 64 && !fits(); asked /= 2) {
    int64_t kept = std::max(reservedBytes, epilogueBytes(m, RoundedTile::threadsFor(asked)));
    int64_t stages = RoundedTile::stageBytesFor(asked, columns), sums = weights() * asked * stride * 4;
    if ((sharesStages ? std::max(stages, sums) : stages + sums) + kept <= maxSharedBytes(e.architecture))
      rows = asked;
  }
  accumulators = {{}, stride, rows * stride, rows};
}

LogicalResult RoundedMatmul::run() {
  frame.threads = RoundedTile::threadsFor(rows);
  frame.blocksPerSm = rows * columns <= 64 * 64 ? 3 : 1;
  frame.isCrowded = true;
  tile.emplace(frame, rows, columns);
  int64_t bytes = weights() * rows * accumulators.rowStride * 4;
  if (sharesStages) { // and goes on behind them
    accumulators.address = tile->memory();
    frame.allocate(std::max<int64_t>(0, bytes - RoundedTile::stageBytesFor(rows, columns)));
  } else {
    accumulators.address = frame.allocate(bytes);
  }
  return emitProducts(m, accumulators, columns, [&](const Product &product) { multiply(product); });
}

void RoundedMatmul::multiply(const Product &product) {
  kernel::RowsType type = m.op.getLeft().getType();
  const kernel::WeightLayout &layout = m.layouts[product.weight];
  int64_t lineBytes = kernel::panelRows * 4;
  Value k = e.constant(m.inputs), column = product.column;
  RoundedSide left{.base = frame.rowOf(m.op.getLeft(), product.firstRow),
                   .element = type.getElement(),
                   .width = m.inputs % 4 ? 1 : 4,
                   .acrossBytes = type.getRowBytes(),
                   .lines = product.rows,
                   .depth = k};
  RoundedSide right{.element = e.f32(),
                    .alongK = isTransposed,
                    .isPacked = true,
                    .packedBytes = layout.columns * lineBytes,
                    .acrossBytes = lineBytes,
                    .depth = k};
  if (isTransposed) { // number k of a column is row k of the weight, behind those of the experts before
    Value before = product.expert ? e.mul(product.expert, m.inputs / kernel::panelRows) : e.constant(0);
    Value line = e.add(e.mul(e.extend(before), layout.columns), e.extend(column));
    right.base = frame.farAt(m.weights[product.weight], line, lineBytes);
    right.lines = e.sub(e.constant(m.outputs), column);
    if (m.inputs % 4) // the last panel is whole, with zeros
      right.depth = e.constant(llvm::alignTo(m.inputs, kernel::panelRows));
  } else {
    right.base = m.panel(product.weight, e.div(column, kernel::panelRows));
    right.lines = e.sub(e.constant(layout.panels() * kernel::panelRows), column);
  }
  SmallVector<Value> sums = tile->multiply(left, right, k, /*hasTail=*/m.inputs % RoundedTile::depth);
  Value place = accumulators.at(e, product.weight, tile->firstM(), e.add(product.inTile, tile->firstN()));
  tile->forEachPair(sums, [&](int64_t line, int64_t n, Value pair) {
    e.storeAligned(pair, e.at(place, line * accumulators.rowStride + n, e.f32()));
  });
}

} // namespace

bool fitsRoundedTiles(Frame &frame, kernel::MatmulOp op) {
  return roundsFactors(op) && op.getScheduleAttr() && RoundedMatmul(frame, op).fits();
}

LogicalResult emitRoundedMatmul(Frame &frame, kernel::MatmulOp op) { return RoundedMatmul(frame, op).run(); }

} // namespace sinter::gpu
