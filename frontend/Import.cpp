// SPDX-License-Identifier: Apache-2.0
// Builds the module of a model: embedding, its architecture's layers, head.
#include "frontend/Architecture.h"
#include "frontend/Blocks.h"
#include "frontend/Model.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;

namespace sinter {
namespace {

void setAttributes(ModuleOp module, const ModelConfig &config) {
  Builder builder(module.getContext());
  auto text = [&](std::string_view value) {
    return builder.getStringAttr(StringRef(value.data(), value.size()));
  };
  module->setAttr("lm.name", text(config.name));
  module->setAttr("lm.architecture", text(config.architecture->name));
  module->setAttr("lm.vocabulary", builder.getI64IntegerAttr(config.vocabulary));
  module->setAttr("lm.context", builder.getI64IntegerAttr(config.contextLength));
  module->setAttr("lm.eos", builder.getDenseI64ArrayAttr(config.eos));
  if (config.bos)
    module->setAttr("lm.bos", builder.getI64IntegerAttr(*config.bos));
}

} // namespace

OwningOpRef<ModuleOp> importModel(MLIRContext &context, const Model &model) {
  context.loadDialect<lm::LmDialect, func::FuncDialect>();
  const ModelConfig &config = model.config;
  Location loc = NameLoc::get(StringAttr::get(&context, model.path));
  OwningOpRef<ModuleOp> module(ModuleOp::create(loc));
  setAttributes(*module, config);

  Parameters parameters(*module, model);
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  auto ids = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
  auto logits = RankedTensorType::get({ShapedType::kDynamic, config.vocabulary}, builder.getF32Type());
  SmallVector<Type> inputs = {ids, ids, ids};
  if (config.dropout.any())
    inputs.push_back(RankedTensorType::get({2}, builder.getI32Type()));
  auto function = func::FuncOp::create(builder, loc, "forward", builder.getFunctionType(inputs, {logits}));
  function.addEntryBlock();

  Blocks blocks(config, parameters, function);
  Value x = blocks.embed();
  for (size_t layer = 0; layer < config.layers.size(); ++layer)
    x = config.architecture->layer(blocks, layer, x);
  Value result = blocks.head(x);
  builder.setInsertionPointToEnd(&function.getBody().front());
  func::ReturnOp::create(builder, loc, result);

  if (!parameters.failed())
    parameters.checkAllUsed();
  if (parameters.failed() || failed(verify(*module)))
    return nullptr;
  return module;
}

} // namespace sinter
