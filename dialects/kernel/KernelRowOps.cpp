// SPDX-License-Identifier: Apache-2.0
// Checks of the operations inside regions: vectors fit the buffers they come from and go to.
#include "dialects/kernel/Kernel.h"

using namespace mlir;
using namespace sinter::kernel;

static int64_t lengthOf(Value vector) { return cast<VectorType>(vector.getType()).getDimSize(0); }

/// Without a column the vector is a whole row; with one it is at most that.
static LogicalResult checkColumns(Operation *op, int64_t length, int64_t columns, bool hasColumn) {
  if (hasColumn ? length > columns : length != columns)
    return op->emitOpError() << "expected a vector of " << (hasColumn ? "at most " : "") << columns
                             << " elements, as a row of the buffer has, found " << length;
  return success();
}

LogicalResult LoadOp::verify() {
  int64_t columns;
  if (auto rows = dyn_cast<RowsType>(getBuffer().getType())) {
    if (rows.isQuantized() || rows.getElement().isInteger())
      return emitOpError() << "expected a buffer of f32, f16 or bf16, found " << rows
                           << "; q8 is read by matmul only, i32 by kernel.element";
    columns = rows.getColumns();
  } else {
    columns = cast<TableType>(getBuffer().getType()).getColumns();
  }
  return checkColumns(*this, lengthOf(getResult()), columns, getColumn() != nullptr);
}

LogicalResult StoreOp::verify() {
  RowsType type = getBuffer().getType();
  int64_t length = lengthOf(getValue());
  if (type.getElement().isInteger())
    return emitOpError() << "expected a buffer of f32, f16, bf16 or q8, found " << type;
  if (type.isQuantized() && length % q8Block)
    return emitOpError() << "expected a multiple of " << q8Block << " elements for a buffer of q8, found "
                         << length;
  return checkColumns(*this, length, type.getColumns(), getColumn() != nullptr);
}

LogicalResult AppendOp::verify() {
  Type type = getCache().getType();
  int64_t size = isa<CacheKType>(type) ? cast<CacheKType>(type).getSize() : cast<CacheVType>(type).getSize();
  if (lengthOf(getValue()) != size)
    return emitOpError() << "expected a vector of " << size << " elements, one head of the cache, found "
                         << lengthOf(getValue());
  return success();
}

LogicalResult LookupOp::verify() {
  if (lengthOf(getResult()) != getWeight().getType().getColumns())
    return emitOpError() << "expected a vector of " << getWeight().getType().getColumns()
                         << " elements, one row of the weight, found " << lengthOf(getResult());
  return success();
}

LogicalResult CombineOp::verify() {
  PartialType type = getPartial().getType();
  if (lengthOf(getResult()) != type.getHeads() * type.getSize())
    return emitOpError() << "expected a vector of " << type.getHeads() * type.getSize()
                         << " elements, all heads of the partial attention, found " << lengthOf(getResult());
  if (static_cast<int64_t>(getWindow()) < 0)
    return emitOpError() << "expected a window of 0 (none) or more, found "
                         << static_cast<int64_t>(getWindow());
  return success();
}

LogicalResult ElementOp::verify() {
  RowsType type = getBuffer().getType();
  Type expected = type.getElement().isInteger() ? Type(IndexType::get(getContext())) : type.getElement();
  if (!expected.isIndex() && !expected.isF32())
    return emitOpError() << "expected a buffer of f32 or i32, found " << type;
  if (getResult().getType() != expected)
    return emitOpError() << "expected a result of type " << expected << ", found " << getResult().getType();
  if (int64_t column = getColumn(); column < 0 || column >= type.getColumns())
    return emitOpError() << "expected a column from 0 to " << type.getColumns() - 1 << ", found " << column;
  return success();
}
