// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-qkv: linear layers that feed attention from one input become one over their stacked weights.
//
//   %q = lm.linear %x, %wq             %w = lm.read @layers.0.attention.query_key_value
//   %k = lm.linear %x, %wk      ->     %y = lm.linear %x, %w
//   %v = lm.linear %x, %wv             %q = lm.slice %y from 0, ...
//
// The new parameter has the old ones as its `parts`: nothing is copied in the IR, the packer stacks them.
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSEQKVPASS
#include "passes/Passes.h.inc"

namespace {

/// Whether attention reads the layer's result, perhaps through a norm of each head, rope or slices.
bool feedsAttention(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    if (isa<lm::AttentionOp, lm::CachedAttentionOp, lm::AppendOp>(user))
      return true;
    return isa<lm::RopeOp, lm::RmsNormOp, lm::LayerNormOp, lm::SliceOp, lm::ClampOp>(user) &&
           feedsAttention(user->getResult(0));
  });
}

/// Declares the parameter made of those that `values` read, or gives the one declared before. `values` are
/// lm.read.
Value stackParameters(OpBuilder &builder, SymbolTable &symbols, ArrayRef<Value> values) {
  SmallVector<Attribute> parts;
  SmallVector<int64_t> shape(cast<RankedTensorType>(values[0].getType()).getShape());
  shape[0] = 0;
  std::string name;
  for (Value value : values) {
    auto parameter = value.getDefiningOp<lm::ReadOp>().getParameterAttr();
    parts.push_back(parameter);
    auto [parent, leaf] = parameter.getValue().rsplit('.');
    name += name.empty() ? parameter.getValue().str() : "_" + (leaf.empty() ? parent : leaf).str();
    shape[0] += cast<RankedTensorType>(value.getType()).getDimSize(0);
  }
  auto type = RankedTensorType::get(shape, cast<RankedTensorType>(values[0].getType()).getElementType());
  if (!symbols.lookup(name)) {
    OpBuilder atModule(symbols.lookup(cast<FlatSymbolRefAttr>(parts.back()).getValue()));
    atModule.setInsertionPointAfter(symbols.lookup(cast<FlatSymbolRefAttr>(parts.back()).getValue()));
    auto parameter = lm::ParameterOp::create(atModule, values[0].getLoc(), name, type, nullptr, true,
                                             atModule.getArrayAttr(parts), nullptr);
    symbols.insert(parameter);
  }
  return lm::ReadOp::create(builder, values[0].getLoc(), type, name);
}

struct FuseQkvPass : impl::FuseQkvPassBase<FuseQkvPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      // Layers in order, by what they must have in common.
      llvm::MapVector<std::pair<Value, std::pair<Type, unsigned>>, SmallVector<lm::LinearOp, 4>> families;
      for (auto linear : function.getOps<lm::LinearOp>()) {
        bool hasBias = static_cast<bool>(linear.getBias()), isFast = linear.getFastAccumulation();
        if (!feedsAttention(linear.getResult()) || !linear.getWeight().getDefiningOp<lm::ReadOp>() ||
            (hasBias && !linear.getBias().getDefiningOp<lm::ReadOp>()))
          continue;
        Type element = cast<RankedTensorType>(linear.getWeight().getType()).getElementType();
        families[{linear.getInput(), {element, hasBias + 2 * isFast}}].push_back(linear);
      }
      for (auto &[key, linears] : families)
        if (linears.size() > 1)
          stack(symbols, linears);
    }
  }

  void stack(SymbolTable &symbols, MutableArrayRef<lm::LinearOp> linears) {
    OpBuilder builder(linears[0]);
    SmallVector<Value> weights, biases;
    int64_t columns = 0;
    for (lm::LinearOp linear : linears) {
      weights.push_back(linear.getWeight());
      if (linear.getBias())
        biases.push_back(linear.getBias());
      columns += lm::width(linear.getResult());
    }
    auto rows = cast<RankedTensorType>(linears[0].getResult().getType());
    auto type = RankedTensorType::get({rows.getDimSize(0), columns}, rows.getElementType());
    Value weight = stackParameters(builder, symbols, weights);
    Value bias = biases.empty() ? Value() : stackParameters(builder, symbols, biases);
    Location loc = linears[0].getLoc();
    auto all = lm::LinearOp::create(builder, loc, type, linears[0].getInput(), weight, bias,
                                    linears[0].getFastAccumulation());
    builder.setInsertionPointAfter(all);
    int64_t offset = 0;
    for (lm::LinearOp linear : linears) {
      Value part = lm::SliceOp::create(builder, loc, linear.getResult().getType(), all, offset);
      offset += lm::width(part);
      linear.getResult().replaceAllUsesWith(part);
    }
    for (lm::LinearOp linear : linears)
      linear.erase();
  }
};

} // namespace
} // namespace sinter
