// SPDX-License-Identifier: Apache-2.0
// --lm-add-adapters: low-rank adapters (Hu et al. 2021, arXiv:2106.09685) beside linear layers, of which
// nothing but the adapters is trained.
//
//   %w = lm.read @w                     %w = lm.read @w                       @w {trainable = false}
//   %y = lm.linear %x, %w        ->     %b = lm.linear %x, %w
//                                       %h = lm.linear %x, @w.lora_a          tensor<rank x inputs>
//                                       %s = lm.scale %h {factor}
//                                       %d = lm.linear %s, @w.lora_b          tensor<outputs x rank>
//                                       %y = lm.add %b, %d
//
// Layers are chosen as PEFT chooses modules: a target is the name of a module in the model file or the end of
// one behind a dot; without targets all linear layers have an adapter but the head and the routers of
// experts. A matrix that the file keeps with others in one (queries, keys and values, or gate and up) has the
// A of all, and its rows of their B, in the file's order.
#include "passes/Passes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_ADDADAPTERSPASS
#include "passes/Passes.h.inc"

namespace {

/// The module of the model file that a parameter is the weight of, or a part of it; empty where there is
/// none.
StringRef moduleOf(lm::ParameterOp parameter) {
  if (!parameter.getSource() || parameter.getSource()->getTensors().size() != 1)
    return {};
  StringRef name = parameter.getSource()->getTensors().front().getValue();
  return name.consume_back(".weight") ? name : StringRef();
}

/// As PEFT matches names of modules.
bool matches(StringRef module, StringRef target) {
  return module == target || (module.consume_back(target) && module.ends_with("."));
}

StringRef lastOf(StringRef module) {
  return module.rsplit('.').second.empty() ? module : module.rsplit('.').second;
}

struct AddAdaptersPass : impl::AddAdaptersPassBase<AddAdaptersPass> {
  using Base::Base;

  void runOnOperation() override {
    auto function = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!function || function.isExternal()) {
      getOperation().emitError() << "expected a function forward with a body, found none";
      return signalPassFailure();
    }
    SmallVector<lm::LinearOp> chosen;
    if (failed(choose(function, chosen)))
      return signalPassFailure();
    for (auto parameter : getOperation().getOps<lm::ParameterOp>())
      parameter.setTrainable(false);
    for (lm::LinearOp linear : chosen)
      adapt(linear);
  }

private:
  lm::ParameterOp parameterOf(lm::LinearOp linear) {
    auto read = linear.getWeight().getDefiningOp<lm::ReadOp>();
    return read ? SymbolTable::lookupNearestSymbolFrom<lm::ParameterOp>(read, read.getParameterAttr())
                : lm::ParameterOp();
  }

  LogicalResult choose(func::FuncOp function, SmallVectorImpl<lm::LinearOp> &chosen);
  LogicalResult explainUnknown(func::FuncOp function, StringRef target, ArrayRef<StringRef> names);
  LogicalResult checkRank(lm::LinearOp linear, StringRef module);
  void adapt(lm::LinearOp linear);
  FlatSymbolRefAttr declare(lm::ParameterOp beside, StringRef suffix, ArrayRef<int64_t> shape,
                            lm::SourceAttr source);

  llvm::StringMap<FlatSymbolRefAttr> firsts; // the A of a module
};

LogicalResult AddAdaptersPass::choose(func::FuncOp function, SmallVectorImpl<lm::LinearOp> &chosen) {
  llvm::StringSet<> used;
  llvm::MapVector<StringRef, bool> names; // of linear layers, in the order of the graph
  for (auto linear : function.getOps<lm::LinearOp>()) {
    lm::ParameterOp parameter = parameterOf(linear);
    StringRef module = parameter ? moduleOf(parameter) : StringRef(),
              name = parameter ? parameter.getSymName() : "";
    if (module.empty() || name == "embedding" || name.ends_with(".router"))
      continue;
    names[lastOf(module)] = true;
    bool wanted = targets.empty() && name != "head";
    for (const std::string &target : targets)
      if (matches(module, target)) {
        wanted = true;
        used.insert(target);
      }
    if (!wanted)
      continue;
    if (failed(checkRank(linear, module)))
      return failure();
    chosen.push_back(linear);
  }
  for (const std::string &target : targets)
    if (!used.contains(target))
      return explainUnknown(function, target, llvm::to_vector(llvm::make_first_range(names)));
  if (chosen.empty())
    return function.emitError("expected linear layers for adapters, found none");
  return success();
}

/// What a target is that is no linear layer.
LogicalResult AddAdaptersPass::explainUnknown(func::FuncOp function, StringRef target,
                                              ArrayRef<StringRef> names) {
  InFlightDiagnostic error = function.emitError("--lora-targets: expected linear layers of this model (")
                             << llvm::join(names, ", ") << "), found '" << target << "'";
  for (auto parameter : getOperation().getOps<lm::ParameterOp>()) {
    if (!parameter.getSource())
      continue;
    for (StringAttr tensor : parameter.getSource()->getTensors()) {
      StringRef module = tensor.getValue();
      module.consume_back(".weight");
      // An expert's module, or the one of all experts around it.
      bool isExpert = cast<RankedTensorType>(parameter.getType()).getRank() == 3 &&
                      llvm::is_contained(llvm::split(module, '.'), target);
      if (!isExpert && !matches(module, target))
        continue;
      if (isExpert)
        error << ", which are experts; only linear layers that every token takes get adapters";
      else if (parameter.getSymName().ends_with(".router"))
        error << ", the router of experts, which gets no adapter";
      else if (parameter.getSymName() == "embedding")
        error << ", the embedding, which gets no adapter";
      return error;
    }
  }
  auto heads = llvm::make_filter_range(function.getOps<lm::LinearOp>(), [&](lm::LinearOp linear) {
    lm::ParameterOp parameter = parameterOf(linear);
    return parameter && parameter.getSymName() == "embedding";
  });
  if (!heads.empty())
    error << " (the head is the embedding, which gets no adapter)";
  return error;
}

LogicalResult AddAdaptersPass::checkRank(lm::LinearOp linear, StringRef module) {
  int64_t inputs = lm::width(linear.getInput()), outputs = lm::width(linear.getResult());
  if (rank >= 1 && rank <= std::min(inputs, outputs))
    return success();
  return linear.emitError("--lora: expected a rank from 1 to ")
         << std::min(inputs, outputs) << ", the " << (inputs < outputs ? "inputs" : "outputs") << " of "
         << module << ", found " << static_cast<int64_t>(rank);
}

FlatSymbolRefAttr AddAdaptersPass::declare(lm::ParameterOp beside, StringRef suffix, ArrayRef<int64_t> shape,
                                           lm::SourceAttr source) {
  OpBuilder builder(&getContext());
  builder.setInsertionPointAfter(beside);
  auto made =
      lm::ParameterOp::create(builder, beside.getLoc(), (beside.getSymName() + suffix).str(),
                              RankedTensorType::get(shape, builder.getF32Type()), source, /*trainable=*/true,
                              /*parts=*/ArrayAttr(), /*value=*/DenseF32ArrayAttr());
  made->setAttr("lm.adapter", builder.getUnitAttr());
  return FlatSymbolRefAttr::get(made.getSymNameAttr());
}

void AddAdaptersPass::adapt(lm::LinearOp linear) {
  lm::ParameterOp parameter = parameterOf(linear);
  lm::SourceAttr source = *parameter.getSource();
  std::string module = moduleOf(parameter).str();
  int64_t inputs = lm::width(linear.getInput()), outputs = lm::width(linear.getResult());
  OpBuilder builder(linear);
  Location loc = linear.getLoc();
  auto named = [&](const char *what) {
    return builder.getStringAttr("base_model.model." + prefix + module + what);
  };
  FlatSymbolRefAttr &first = firsts[module];
  if (!first)
    first = declare(
        parameter, ".lora_a", {rank, inputs},
        lm::SourceAttr::get(&getContext(), {named(".lora_A.weight")}, false, 0, lm::RowOrder::plain, 0));
  FlatSymbolRefAttr second =
      declare(parameter, ".lora_b", {outputs, rank},
              lm::SourceAttr::get(&getContext(), {named(".lora_B.weight")}, false, source.getFirstRow(),
                                  source.getOrder(), source.getHeads()));
  parameter->setAttr("lm.adapters", builder.getArrayAttr({first, second}));

  auto read = [&](FlatSymbolRefAttr symbol, ArrayRef<int64_t> shape) -> Value {
    return lm::ReadOp::create(builder, loc, RankedTensorType::get(shape, builder.getF32Type()), symbol);
  };
  auto narrow = RankedTensorType::get({ShapedType::kDynamic, rank}, builder.getF32Type());
  builder.setInsertionPointAfter(linear);
  Value inner =
      lm::LinearOp::create(builder, loc, narrow, linear.getInput(), read(first, {rank, inputs}), Value());
  if (factor != 1)
    inner = lm::ScaleOp::create(builder, loc, inner, builder.getF64FloatAttr(factor));
  Value outer = lm::LinearOp::create(builder, loc, linear.getResult().getType(), inner,
                                     read(second, {outputs, rank}), Value());
  auto sum = lm::AddOp::create(builder, loc, linear.getResult(), outer);
  linear.getResult().replaceAllUsesExcept(sum.getResult(), sum);
}

} // namespace
} // namespace sinter
