// SPDX-License-Identifier: Apache-2.0
// The parts that layers are made of.
#include "frontend/Blocks.h"

using namespace mlir;

namespace sinter {
namespace {

std::string ofLayer(int64_t layer, StringRef name) { return ("layers." + Twine(layer) + "." + name).str(); }

} // namespace

Blocks::Blocks(const ModelConfig &config, Parameters &parameters, func::FuncOp function)
    : config(config), parameters(parameters), builder(OpBuilder::atBlockEnd(&function.getBody().front())),
      loc(function.getLoc()), tokens(function.getArgument(0)), positions(function.getArgument(1)),
      sequences(function.getArgument(2)), seed(config.dropout.any() ? function.getArgument(3) : Value()) {
  for (const Rope &rope : config.ropes) {
    auto type = rows(rope.frequencies.size());
    lm::DynamicNtkAttr dynamic;
    if (rope.dynamic)
      dynamic = lm::DynamicNtkAttr::get(builder.getContext(), builder.getF64FloatAttr(rope.dynamic->base),
                                        builder.getF64FloatAttr(rope.dynamic->factor), rope.dynamic->length,
                                        2 * rope.frequencies.size());
    bool hasLong = !rope.longFrequencies.empty();
    auto op = lm::RopeAnglesOp::create(
        builder, loc, type, type, positions, rope.frequencies, APFloat(rope.factor),
        hasLong ? builder.getDenseF32ArrayAttr(rope.longFrequencies) : DenseF32ArrayAttr(),
        hasLong ? builder.getI64IntegerAttr(rope.longFrom) : IntegerAttr(), /*long_factor=*/FloatAttr(),
        dynamic);
    angles.push_back({op.getCos(), op.getSin()});
  }
}

RankedTensorType Blocks::rows(int64_t width) const {
  return RankedTensorType::get({ShapedType::kDynamic, width}, Float32Type::get(loc.getContext()));
}

Value Blocks::add(Value a, Value b) { return lm::AddOp::create(builder, loc, a.getType(), a, b); }

Value Blocks::drop(Value x, double rate) {
  if (!(rate > 0))
    return x;
  return lm::DropoutOp::create(builder, loc, x.getType(), x, seed, APFloat(rate), sites++);
}

Value Blocks::slice(Value x, int64_t offset, int64_t width) {
  return lm::SliceOp::create(builder, loc, rows(width), x, offset);
}

Value Blocks::linear(Value x, StringRef parameter, int64_t out, bool bias) {
  Value weight = parameters.read(builder, parameter, {out, lm::width(x)});
  Value offset = bias ? parameters.read(builder, (parameter + ".bias").str(), {out}) : Value();
  return lm::LinearOp::create(builder, loc, rows(out), x, weight, offset);
}

Value Blocks::norm(Value x, StringRef parameter) {
  int64_t width = lm::width(x);
  Value weight = config.normWeight ? parameters.read(builder, parameter, {width}) : Value();
  if (config.norm == NormKind::Rms)
    return lm::RmsNormOp::create(builder, loc, x.getType(), x, weight, APFloat(config.epsilon),
                                 APFloat(config.normOffset), IntegerAttr());
  Value bias = config.normBias && config.normWeight
                   ? parameters.read(builder, (parameter + ".bias").str(), {width})
                   : Value();
  return lm::LayerNormOp::create(builder, loc, x.getType(), x, weight, bias, APFloat(config.epsilon),
                                 IntegerAttr());
}

Value Blocks::norm(Value x, int64_t layer, StringRef name) { return norm(x, ofLayer(layer, name)); }

Value Blocks::embed() {
  Value table = parameters.read(builder, "embedding", {config.vocabulary, config.embedding});
  Value x = lm::EmbeddingOp::create(builder, loc, rows(config.embedding), tokens, table);
  if (config.embeddingScale != 1)
    x = lm::ScaleOp::create(builder, loc, x.getType(), x, APFloat(config.embeddingScale));
  if (config.embedding != config.hidden)
    x = linear(x, "embedding_projection", config.hidden, false);
  if (config.learnedPositions) {
    Value places = parameters.read(builder, "positions", {config.learnedPositions, config.hidden});
    x = add(x, lm::EmbeddingOp::create(builder, loc, rows(config.hidden), positions, places,
                                       config.positionOffset));
  }
  return drop(config.embeddingNorm ? norm(x, "embedding_norm") : x, config.dropout.embedding);
}

Value Blocks::head(Value x) {
  if (config.finalNorm)
    x = norm(x, "final_norm");
  if (config.embedding != config.hidden)
    x = linear(x, "head_projection", config.embedding, false);
  x = linear(x, config.tied ? "embedding" : "head", config.vocabulary, config.headBias);
  if (config.finalSoftcap)
    x = lm::SoftcapOp::create(builder, loc, x.getType(), x, APFloat(*config.finalSoftcap));
  return x;
}

Value Blocks::queryKeyNorm(Value x, StringRef parameter, int64_t heads) {
  auto group = builder.getI64IntegerAttr(config.headDim);
  switch (config.queryKeyNorm) {
  case QueryKeyNorm::None:
    return x;
  case QueryKeyNorm::Row:
    return norm(x, parameter);
  case QueryKeyNorm::Head:
    return lm::RmsNormOp::create(builder, loc, x.getType(), x,
                                 parameters.read(builder, parameter, {config.headDim}),
                                 APFloat(config.epsilon), APFloat(config.normOffset), group);
  case QueryKeyNorm::PerHead:
    return lm::LayerNormOp::create(builder, loc, x.getType(), x,
                                   parameters.read(builder, parameter, {heads * config.headDim}), Value(),
                                   APFloat(config.epsilon), group);
  }
  llvm_unreachable("unknown norm of queries and keys");
}

Value Blocks::rotate(Value x, int set) {
  if (set < 0)
    return x;
  auto [cos, sin] = angles[set];
  return lm::RopeOp::create(builder, loc, x.getType(), x, cos, sin, config.headDim, /*interleaved=*/false);
}

Value Blocks::attention(Value x, int64_t layer) {
  const LayerConfig &here = config.layers[layer];
  auto named = [&](StringRef part) { return ofLayer(layer, ("attention." + part).str()); };
  int64_t width = config.heads * config.headDim, keyWidth = config.keyValueHeads * config.headDim;
  Value query, key, value;
  if (config.fusedQueryKeyValue) {
    Value all = linear(x, named("query_key_value"), width + 2 * keyWidth, config.queryKeyValueBias);
    query = slice(all, 0, width);
    key = slice(all, width, keyWidth);
    value = slice(all, width + keyWidth, keyWidth);
  } else {
    query = linear(x, named("query"), width, config.queryKeyValueBias);
    key = linear(x, named("key"), keyWidth, config.queryKeyValueBias);
    value = linear(x, named("value"), keyWidth, config.queryKeyValueBias);
  }
  if (config.clipQueryKeyValue)
    for (Value *rows : {&query, &key, &value})
      *rows = lm::ClampOp::create(builder, loc, rows->getType(), *rows, APFloat(*config.clipQueryKeyValue));
  query = rotate(queryKeyNorm(query, named("query_norm"), config.heads), here.rope);
  key = rotate(queryKeyNorm(key, named("key_norm"), config.keyValueHeads), here.rope);

  auto integer = [&](int64_t number) { return builder.getI64IntegerAttr(number); };
  const double dropped = config.dropout.attention;
  auto result = lm::AttentionOp::create(
      builder, loc, rows(width), /*log_sum_exp=*/Type(), query, key, value, positions, sequences,
      dropped > 0 ? seed : Value(), dropped > 0 ? builder.getF64FloatAttr(dropped) : FloatAttr(),
      dropped > 0 ? integer(sites++) : IntegerAttr(), integer(config.heads), integer(config.keyValueHeads),
      builder.getF64FloatAttr(here.attentionScale), here.window ? integer(*here.window) : IntegerAttr(),
      config.attentionSoftcap ? builder.getF64FloatAttr(*config.attentionSoftcap) : FloatAttr(),
      config.alibi.empty() ? DenseF32ArrayAttr() : builder.getDenseF32ArrayAttr(config.alibi));
  return drop(linear(result.getResult(), named("output"), config.hidden, config.attentionOutputBias),
              config.dropout.attentionOutput);
}

Value Blocks::activate(Value x) {
  Type type = x.getType();
  switch (config.activation) {
  case Activation::Silu:
    return lm::SiluOp::create(builder, loc, type, x);
  case Activation::Relu:
    return lm::ReluOp::create(builder, loc, type, x);
  case Activation::Sigmoid:
    return lm::SigmoidOp::create(builder, loc, type, x);
  case Activation::Tanh:
    return lm::TanhOp::create(builder, loc, type, x);
  case Activation::Gelu:
    return lm::GeluOp::create(builder, loc, type, x);
  case Activation::GeluTanh:
    return lm::GeluTanhOp::create(builder, loc, type, x);
  case Activation::QuickGelu:
    return lm::QuickGeluOp::create(builder, loc, type, x);
  }
  llvm_unreachable("unknown activation");
}

Value Blocks::mlp(Value x, int64_t layer) {
  if (config.layers[layer].experts)
    return drop(experts(x, layer), config.dropout.mlp);
  auto named = [&](StringRef part) { return ofLayer(layer, ("mlp." + part).str()); };
  Value inner;
  if (config.gatedMlp) {
    Value gate = linear(x, named("gate"), config.intermediate, config.mlpBias);
    Value up = linear(x, named("up"), config.intermediate, config.mlpBias);
    inner = lm::MulOp::create(builder, loc, up.getType(), activate(gate), up);
  } else {
    inner = activate(linear(x, named("up"), config.intermediate, config.mlpBias));
  }
  return drop(linear(inner, named("down"), config.hidden, config.mlpBias), config.dropout.mlp);
}

Value Blocks::experts(Value x, int64_t layer) {
  auto named = [&](StringRef part) { return ofLayer(layer, ("experts." + part).str()); };
  int64_t count = config.experts, chosen = config.expertsPerToken, width = config.expertIntermediate;
  auto perExpert = [&](int64_t columns) {
    return RankedTensorType::get({ShapedType::kDynamic, chosen, columns}, builder.getF32Type());
  };
  auto each = [&](Value input, StringRef part, int64_t out, Value which) -> Value {
    Value weight = parameters.read(builder, named(part), {count, out, lm::width(input)});
    return lm::ExpertLinearOp::create(builder, loc, perExpert(out), input, weight, which);
  };
  Value logits = linear(x, named("router"), count, false);
  auto route = lm::RouteOp::create(
      builder, loc, rows(chosen), RankedTensorType::get({ShapedType::kDynamic, chosen}, builder.getI32Type()),
      logits, chosen, config.normaliseExperts);
  Value gate = each(x, "gate", width, route.getChosen());
  Value up = each(x, "up", width, route.getChosen());
  Value inner = lm::MulOp::create(builder, loc, up.getType(), activate(gate), up);
  Value down = each(inner, "down", config.hidden, route.getChosen());
  return lm::CombineOp::create(builder, loc, rows(config.hidden), down, route.getWeights());
}

} // namespace sinter
