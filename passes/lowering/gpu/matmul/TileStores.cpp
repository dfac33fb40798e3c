// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/matmul/TileStores.h"

#include "passes/lowering/gpu/Fp8.h"
#include "passes/lowering/gpu/Warpgroup.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {

/// Rows at a time. Bytes of a line of a box: 256 elements of f16, which is what maps are of; two of them are
/// a number of f32.
constexpr int64_t mostPartRows = 32, fewestRows = 16, widestLine = 512, mapElement = 2;

/// A column of a range's program less that of its argument.
static std::optional<int64_t> shiftOf(Value column, Value argument) {
  if (column == argument)
    return 0;
  Operation *op = column ? column.getDefiningOp() : nullptr;
  if (!op || !isa<arith::AddIOp, arith::SubIOp>(op) || op->getOperand(0) != argument)
    return std::nullopt;
  auto by = op->getOperand(1).getDefiningOp<arith::ConstantIndexOp>();
  if (!by)
    return std::nullopt;
  return isa<arith::AddIOp>(op) ? by.value() : -by.value();
}

TileStores::TileStores(Matmul &m, int64_t tileRows) : m(m), e(m.e) {
  for (auto range : m.op.getRanges().getOps<kernel::RangeOp>()) {
    Block &body = range.getBody().front();
    auto all = llvm::to_vector(body.getOps<kernel::StoreOp>());
    if (all.size() != 1 || !m.groupsPerChunk(range))
      continue;
    kernel::RowsType type = all[0].getBuffer().getType();
    size_t count = body.getNumArguments();
    std::optional<int64_t> shift = shiftOf(all[0].getColumn(), body.getArgument(count - 1));
    bool isWhole =
        cast<VectorType>(all[0].getValue().getType()).getDimSize(0) == static_cast<int64_t>(range.getGroup());
    if (type.isQuantized() || isFp8(type.getElement()) || type.getRowBytes() % 16 || !shift || !isWhole ||
        all[0].getRow() != body.getArgument(count - 2))
      continue;
    stores.push_back({range, all[0], *shift, Value()});
    widest = std::max(widest, elementBytes(all[0]));
  }
  rows = std::min(mostPartRows, tileRows / 2);
  while (rows > fewestRows && tileRows % (2 * rows))
    rows /= 2;
  if (m.op.getExperts() || rows == 0 || tileRows % (2 * rows)) // the halves of the memory change places
    stores.clear();
}

int64_t TileStores::elementBytes(kernel::StoreOp op) {
  return op.getBuffer().getType().getElement().isF32() ? 4 : 2;
}

int64_t TileStores::boxColumns(kernel::StoreOp op) const {
  return std::min(m.columnsPerChunk, widestLine / elementBytes(op));
}

int64_t TileStores::fewestBytes() const { return bytes() / rows * std::min(rows, fewestRows); }

void TileStores::fit(int64_t room) {
  while (rows > fewestRows && bytes() > room)
    rows /= 2;
  llvm::erase_if(stores, [&](const Store &store) {
    bool isWhole = m.columnsPerChunk % boxColumns(store.op) == 0 &&
                   boxColumns(store.op) * elementBytes(store.op) * rows % 128 == 0;
    return !isWhole;
  });
  if (bytes() > room)
    stores.clear();
}

void TileStores::begin(Value at) {
  place = at;
  for (Store &store : stores) {
    kernel::RowsType type = store.op.getBuffer().getType();
    int64_t each = elementBytes(store.op) / mapElement;
    store.map = m.frame.tensorMap(store.op.getBuffer(), {.swizzle = 0,
                                                         .sizes = {type.getColumns() * each, 0, 1},
                                                         .box = {boxColumns(store.op) * each, rows, 1},
                                                         .strides = {type.getRowBytes(), 0}});
  }
}

TileStores::Store *TileStores::find(kernel::RangeOp range) {
  auto found = llvm::find_if(stores, [&](const Store &store) { return store.range == range; });
  return found == stores.end() ? nullptr : found;
}

bool TileStores::takes(kernel::RangeOp range, int64_t step) { return find(range) && rows % step == 0; }

void TileStores::open(kernel::RangeOp range, Value row, Value firstRow, Value column) {
  current = find(range);
  Value half = e.mul(e.rem(e.div(row, rows), 2), partBytes());
  m.frame.staged = {current->op, e.atByte(place, half),   firstRow,         e.add(column, current->shift),
                    rows,        boxColumns(current->op), m.columnsPerChunk};
}

void TileStores::byOneThread(llvm::function_ref<void()> body) {
  e.ifThen(e.equal(m.frame.thread, e.constant(0)), body);
}

void TileStores::send() {
  StagedRows sent = m.frame.staged;
  m.frame.staged = {};
  fenceAsyncShared(e);
  waitUntilRead(); // the other half: after the barrier its rows may be overwritten
  e.barrier();
  byOneThread([&] {
    int64_t each = elementBytes(current->op) / mapElement;
    for (int64_t column = 0; column < m.columnsPerChunk; column += sent.boxColumns)
      storeBox(e, e.atByte(sent.address, column * each * mapElement * rows), current->map,
               {e.mul(e.add(sent.firstColumn, column), each), sent.firstRow});
    commitStores(e);
  });
}

void TileStores::waitUntilRead() {
  byOneThread([&] { waitStores(e, /*areRead=*/true); });
}
void TileStores::finish() {
  byOneThread([&] { waitStores(e, /*areRead=*/false); });
}

} // namespace sinter::gpu
