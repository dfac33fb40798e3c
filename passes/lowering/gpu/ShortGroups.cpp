// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/ShortGroups.h"

#include "passes/lowering/gpu/matmul/MatmulFloat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::gpu {

/// Whether column c of all that a range's program stores depends on column c of what it reads only.
static bool isEachForItself(kernel::RangeOp range) {
  Block &body = range.getBody().front();
  Value column = body.getArguments().back();
  return llvm::all_of(body, [&](Operation &op) {
    if (auto load = dyn_cast<kernel::LoadOp>(op))
      return load.getColumn() == column;
    if (auto store = dyn_cast<kernel::StoreOp>(op))
      return store.getColumn() == column && !store.getBuffer().getType().isQuantized();
    if (auto drop = dyn_cast<kernel::DropoutOp>(op))
      return drop.getColumn() == column;
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return !isa<VectorType>(constant.getType()) || isa<SplatElementsAttr>(constant.getValue());
    return isa<vector::BroadcastOp, kernel::HyperOp, kernel::YieldOp>(op) ||
           op.hasTrait<OpTrait::Elementwise>();
  });
}

static void setGroup(kernel::RangeOp range, int64_t group) {
  auto shorten = [&](Value value) {
    if (auto type = dyn_cast<VectorType>(value.getType()))
      value.setType(VectorType::get({group}, type.getElementType()));
  };
  for (BlockArgument argument : range.getBody().getArguments())
    shorten(argument);
  for (Operation &op : range.getBody().front()) {
    for (Value result : op.getResults())
      shorten(result);
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
        constant.setValueAttr(
            DenseElementsAttr::get(cast<VectorType>(constant.getType()), splat.getSplatValue<Attribute>()));
  }
  range.setGroup(group);
}

void shortenGroups(ModuleOp module) {
  for (auto function : module.getOps<kernel::FuncOp>()) {
    auto op = dyn_cast<kernel::MatmulOp>(function.getAnchor().getOperation());
    if (!op || !fitsFloatTiles(op))
      continue;
    for (auto range : op.getRanges().getOps<kernel::RangeOp>()) {
      int64_t group = kernel::panelRows;
      while (range.getBegin() % group || range.getEnd() % group)
        group /= 2;
      if (isEachForItself(range))
        setGroup(range, group);
    }
  }
}

} // namespace sinter::gpu
