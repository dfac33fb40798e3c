// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/Anchors.h"

#include "dialects/kernel/WeightLayout.h"

#include <numbers>

using namespace mlir;

namespace sinter {

AttentionSizes::AttentionSizes(kernel::AttentionOp op)
    : op(op), heads(op.getHeads()), keyHeads(op.getKeys().getType().getHeads()), group(heads / keyHeads),
      keySize(op.getKeys().getType().getSize()), valueSize(op.getValues().getType().getSize()),
      window(op.getWindow()), element(op.getKeys().getType().getElement()) {}

double scoreFactor(double scale, double cap) { return cap > 0 ? scale / cap : scale * std::numbers::log2e; }

double AttentionSizes::queryFactor() const {
  return scoreFactor(op.getScale().convertToDouble(), op.getSoftcap().convertToDouble());
}

LogicalResult checkInputs(kernel::MatmulOp op) {
  for (Value weight : op.getWeights()) {
    auto type = cast<kernel::WeightType>(weight.getType());
    if (int64_t multiple = kernel::WeightLayout::columnMultiple(type.getFormat());
        type.getColumns() % multiple)
      return op.emitOpError() << "expected the inputs of a weight of format "
                              << kernel::stringifyWeightFormat(type.getFormat()) << " to be a multiple of "
                              << multiple << ", found " << type.getColumns();
  }
  return success();
}

Type elementOf(Value argument) {
  if (auto rows = dyn_cast<kernel::RowsType>(argument.getType()))
    return rows.getElement();
  return cast<kernel::TableType>(argument.getType()).getElement();
}

} // namespace sinter
