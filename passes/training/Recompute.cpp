// SPDX-License-Identifier: Apache-2.0
// --lm-recompute: of a layer only what later layers read is kept; the backward pass computes the rest again
// (Chen et al. 2016, arXiv:1604.06174, with a segment a layer).
//
//   %a = lm.linear %x, %w                    %a = lm.linear %x, %w
//   %b = lm.silu %a                          %b = lm.silu %a
//   ...                                ->    ...
//   %g = lm.silu_backward %d, %a             %again = lm.linear %x, %w
//                                            %g = lm.silu_backward %d, %again
//
// An operation belongs to the layer of the last parameter `layers.N....` that it depends on. The last layer
// is left as it is: its backward pass follows at once. Every operation is repeated as it was, so that no bit
// changes.
#include "passes/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_RECOMPUTEPASS
#include "passes/Passes.h.inc"

namespace {

/// The number in "layers.N.", or -1.
int64_t layerOf(StringRef parameter) {
  int64_t layer;
  if (!parameter.consume_front("layers.") || parameter.consumeInteger(10, layer) ||
      !parameter.starts_with("."))
    return -1;
  return layer;
}

class Recompute {
public:
  Recompute(Block &body, Value loss) : body(body) {
    findForward(loss);
    for (Operation &op : body)
      if (forward.contains(&op))
        findLayer(op);
  }

  void run() {
    for (Operation &op : llvm::make_early_inc_range(body)) {
      if (forward.contains(&op) || op.hasTrait<OpTrait::IsTerminator>())
        continue;
      OpBuilder builder(&op);
      for (OpOperand &operand : op.getOpOperands())
        operand.set(again(operand.get(), builder));
    }
  }

private:
  /// What the loss depends on.
  void findForward(Value loss) {
    SmallVector<Value> work = {loss};
    while (!work.empty())
      if (Operation *op = work.pop_back_val().getDefiningOp(); op && forward.insert(op))
        work.append(op->operand_begin(), op->operand_end());
  }

  void findLayer(Operation &op) {
    int64_t layer = -1;
    for (Value operand : op.getOperands()) {
      auto read = operand.getDefiningOp<lm::ReadOp>();
      layer = std::max(layer,
                       read ? layerOf(read.getParameter()) : layers.lookup_or(operand.getDefiningOp(), -1));
    }
    layers[&op] = layer;
    last = std::max(last, layer);
    for (Value operand : op.getOperands())
      if (Operation *producer = operand.getDefiningOp(); producer && layers.lookup_or(producer, -1) < layer)
        kept.insert(operand);
  }

  /// `value`, or the value that is made before the builder's place in its stead.
  Value again(Value value, OpBuilder &builder) {
    Operation *op = value.getDefiningOp();
    if (!op || !forward.contains(op) || isa<lm::ReadOp>(op) || kept.contains(value))
      return value;
    int64_t layer = layers.lookup_or(op, -1);
    if (layer < 0 || layer == last)
      return value;
    if (Value made = repeated.lookupOrNull(value))
      return made;
    IRMapping operands;
    for (Value operand : op->getOperands())
      operands.map(operand, again(operand, builder));
    Operation *copy = builder.clone(*op, operands);
    repeated.map(op->getResults(), copy->getResults());
    return repeated.lookup(value);
  }

  Block &body;
  llvm::SetVector<Operation *> forward;
  llvm::DenseMap<Operation *, int64_t> layers;
  llvm::DenseSet<Value> kept; // read by a later layer
  int64_t last = -1;
  IRMapping repeated;
};

struct RecomputePass : impl::RecomputePassBase<RecomputePass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || !function->hasAttr("lm.form"))
      return;
    Block &body = function.getBody().front();
    Recompute(body, body.getTerminator()->getOperand(0)).run();
  }
};

} // namespace
} // namespace sinter
