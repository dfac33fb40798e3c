// SPDX-License-Identifier: Apache-2.0
// When parameters, groups and row or column moves are valid.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult ParameterOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape())
    return emitOpError() << "expected a static shape, found " << getType();
  if (auto block = dyn_cast<BlockType>(type.getElementType()))
    if (type.getShape().back() % block.getBlockElements())
      return emitOpError() << "expected a last dimension divisible by the block of "
                           << block.getBlockElements() << " elements, found " << type.getShape().back();
  return success();
}

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto parameter = symbols.lookupNearestSymbolFrom<ParameterOp>(*this, getParameterAttr());
  if (!parameter)
    return emitOpError() << "expected the symbol of an lm.parameter, found " << getParameterAttr();
  if (parameter.getType() != getType())
    return emitOpError() << "expected the parameter's type " << parameter.getType() << ", found "
                         << getType();
  return success();
}

LogicalResult SelectRowsOp::verify() {
  return checkShape(*this, getResult(), "the result", 2, width(getInput()));
}

LogicalResult SliceOp::verify() {
  int64_t offset = getOffset(), columns = width(getResult());
  if (offset < 0 || offset + columns > width(getInput()))
    return emitOpError() << "expected columns within [0, " << width(getInput()) << "), found [" << offset
                         << ", " << offset + columns << ")";
  return success();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() ? getInput() : OpFoldResult();
}

LogicalResult ConcatOp::verify() {
  int64_t columns = 0;
  for (Value input : getInputs())
    columns += width(input);
  return checkShape(*this, getResult(), "the result", 2, columns);
}

LogicalResult GroupOp::verify() {
  auto yield =
      dyn_cast<YieldOp>(getBody().front().back()); // SingleBlock has seen that the block is not empty
  if (!yield)
    return emitOpError("expected lm.yield at the end of the body");
  if (yield->getOperandTypes() != getResultTypes())
    return emitOpError() << "expected lm.yield of " << getResultTypes() << ", found "
                         << yield->getOperandTypes();
  return success();
}

LogicalResult SelectRowsBackwardOp::verify() {
  return checkShape(*this, getGradient(), "the gradient", 2, width(getInput()));
}

LogicalResult PadColumnsOp::verify() {
  int64_t offset = getOffset(), columns = width(getInput());
  if (offset < 0 || offset + columns > width(getResult()))
    return emitOpError() << "expected columns within [0, " << width(getResult()) << "), found [" << offset
                         << ", " << offset + columns << ")";
  return success();
}

OpFoldResult PadColumnsOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() ? getInput() : OpFoldResult();
}

LogicalResult AllReduceOp::verify() {
  int64_t ranks = getRanks();
  return ranks >= 1 ? success() : emitOpError() << "expected at least one rank, found " << ranks;
}
