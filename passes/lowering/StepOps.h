// SPDX-License-Identifier: Apache-2.0
// Operations of regions that read the step or one number of a row, and the numbers of tiles. `Frame` is that
// of a target: its emitter has the target's own integers.
#ifndef SINTER_PASSES_LOWERING_STEPOPS_H
#define SINTER_PASSES_LOWERING_STEPOPS_H

#include "dialects/kernel/Kernel.h"
#include "mlir/IR/IRMapping.h"
#include "passes/lowering/AbiLayout.h"

namespace sinter {

/// kernel.position, token, keys, selected, hyper and element; false for other operations. `values` holds
/// indices as `index`.
template <typename Frame> bool emitStepOp(Frame &frame, mlir::Operation &op, mlir::IRMapping &values) {
  auto &e = frame.e;
  auto entry = [&](int64_t offset) {
    mlir::Value row = e.fromIndex(values.lookup(op.getOperand(0)));
    values.map(op.getResult(0), e.toIndex(frame.stepEntry(offset, row)));
    return true;
  };
  if (auto hyper = mlir::dyn_cast<kernel::HyperOp>(op)) {
    mlir::Value place =
        e.at(frame.stepPointer(abi::stepUpdate), static_cast<int64_t>(hyper.getNumber()), e.f32());
    values.map(hyper.getResult(), e.load(e.f32(), place));
    return true;
  }
  if (mlir::isa<kernel::KeysOp>(op)) {
    values.map(op.getResult(0), e.toIndex(frame.stepField(abi::stepKeys)));
    return true;
  }
  if (auto element = mlir::dyn_cast<kernel::ElementOp>(op)) {
    mlir::Value row = e.fromIndex(values.lookup(element.getRow()));
    mlir::Type type = element.getBuffer().getType().getElement();
    mlir::Value number = e.load(type, e.at(frame.rowOf(element.getBuffer(), row), element.getColumn(), type));
    values.map(element.getResult(), type.isInteger() ? e.toIndex(e.integer(number)) : number);
    return true;
  }
  if (mlir::isa<kernel::PositionOp>(op))
    return entry(abi::stepPositions);
  if (mlir::isa<kernel::TokenOp>(op))
    return entry(abi::stepTokens);
  if (mlir::isa<kernel::SelectedOp>(op))
    return entry(abi::stepSelect);
  return false;
}

/// The factors of a grid's number of tiles (runtime/abi.h), and what a tile's number says.
template <typename Frame> struct TileNumbers {
  TileNumbers(Frame &frame, const kernel::Grid &grid)
      : e(frame.e), grid(grid), rows(frame.domainRows(grid.domain)),
        rowTiles(grid.rowsPerTile ? e.ceilDiv(rows, grid.rowsPerTile) : e.constant(1)),
        keyTiles(grid.keysPerTile ? e.ceilDiv(frame.stepField(abi::stepKeys), grid.keysPerTile)
                                  : e.constant(1)) {}

  /// Calls body(column, first row, row after the last, key tile).
  template <typename Body> void visit(mlir::Value tile, Body body) {
    mlir::Value keyTile = e.constant(0), rest = tile;
    if (grid.keysPerTile) {
      keyTile = e.rem(tile, keyTiles);
      rest = e.div(tile, keyTiles);
    }
    if (!grid.rowsPerTile)
      return body(rest, e.constant(0), rows, keyTile);
    mlir::Value first = e.mul(e.rem(rest, rowTiles), grid.rowsPerTile);
    body(e.div(rest, rowTiles), first, e.min(e.add(first, grid.rowsPerTile), rows), keyTile);
  }

  decltype(Frame::e) e;
  const kernel::Grid &grid;
  mlir::Value rows, rowTiles, keyTiles;
};

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_STEPOPS_H
