// SPDX-License-Identifier: Apache-2.0
// Typed reads of GGUF metadata and what all decoders share in it.
#include "frontend/GgufKeys.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sinter {

void GgufKeys::fail(Error found) {
  if (!error)
    error = std::move(found);
}

Result<> GgufKeys::status() const { return error ? Result<>(tl::unexpected(*error)) : Result<>(); }

void GgufKeys::check(bool valid, std::string_view key, std::string_view expected, std::string_view found) {
  if (!valid)
    fail({fmt::format("{}: metadata key '{}': expected {}, found {}", gguf.path(), full(key), expected,
                      found)});
}

int64_t GgufKeys::size(std::string_view key, std::optional<int64_t> absent, int64_t most) {
  const GgufValue *value = gguf.find(full(key));
  int64_t found = absent.value_or(0);
  if (value && value->isArray) {
    Result<std::vector<int64_t>> all = value->as<std::vector<int64_t>>();
    if (!all) {
      fail(all.error());
      return absent.value_or(1);
    }
    bool equal = !all->empty() && std::equal(all->begin() + 1, all->end(), all->begin());
    check(equal, key, "one number for all layers", "several");
    found = equal ? all->front() : 1;
  } else if (value || !absent) {
    Result<int64_t> one = gguf.get<int64_t>(full(key));
    if (!one) {
      fail(one.error());
      return absent.value_or(1);
    }
    found = *one;
  }
  bool valid = found >= 1 && found <= most;
  check(valid, key, fmt::format("a number from 1 to {}", most), std::to_string(found));
  return valid ? found : 1;
}

std::optional<int64_t> GgufKeys::optionalSize(std::string_view key) {
  Result<std::optional<int64_t>> value = gguf.findAs<int64_t>(full(key));
  if (value && value->value_or(0) == 0)
    return std::nullopt;
  return size(key);
}

std::optional<double> GgufKeys::optionalReal(std::string_view key) {
  Result<std::optional<double>> value = gguf.findAs<double>(full(key));
  if (!value) {
    fail(value.error());
    return std::nullopt;
  }
  if (*value)
    check(std::isfinite(**value), key, "a finite number", fmt::format("{}", **value));
  return *value;
}

double GgufKeys::real(std::string_view key, std::optional<double> absent) {
  std::optional<double> value = optionalReal(key);
  if (!value && !absent && !failed())
    fail({fmt::format("{}: expected metadata key '{}', found none", gguf.path(), full(key))});
  return value.value_or(absent.value_or(1));
}

bool GgufKeys::flag(std::string_view key, bool absent) {
  Result<bool> value = gguf.getOr<bool>(full(key), absent);
  if (!value)
    fail(value.error());
  return value.value_or(absent);
}

std::string GgufKeys::text(std::string_view key, std::string_view absent) {
  Result<std::string> value = gguf.getOr<std::string>(full(key), std::string(absent));
  if (!value)
    fail(value.error());
  return value.value_or(std::string(absent));
}

std::vector<float> GgufKeys::tensor(std::string_view name, int64_t count) {
  const GgufTensor *found = gguf.tensor(name);
  if (!found)
    return {};
  if (found->shape != std::vector<int64_t>{count} || !found->format->dequantize) {
    fail({fmt::format("{}: tensor '{}': expected {} numbers, found {} of type {}", gguf.path(), name, count,
                      shapeText(found->shape), found->format->name)});
    return {};
  }
  std::vector<float> values(count);
  found->format->dequantize(found->bytes, values.data());
  for (float value : values)
    if (!(std::isfinite(value) && value > 0)) {
      fail({fmt::format("{}: tensor '{}': expected numbers greater than 0, found {}", gguf.path(), name,
                        value)});
      return {};
    }
  return values;
}

void readGgufDecoder(GgufKeys &keys, ModelConfig &config) {
  const Gguf &file = keys.file();
  config.contextLength = keys.size("context_length");
  config.hidden = config.embedding = keys.size("embedding_length", std::nullopt, maxWidth);
  config.intermediate = keys.size("feed_forward_length", std::nullopt, maxWidth);
  config.heads = keys.size("attention.head_count", std::nullopt, maxHeads);
  config.keyValueHeads = keys.size("attention.head_count_kv", config.heads, maxHeads);
  if (!keys.has("attention.key_length"))
    keys.check(config.hidden % config.heads == 0, "embedding_length",
               fmt::format("a multiple of the {} attention heads", config.heads),
               std::to_string(config.hidden));
  config.headDim =
      keys.size("attention.key_length", std::max<int64_t>(1, config.hidden / config.heads), maxHeadDim);
  int64_t valueDim = keys.size("attention.value_length", config.headDim);
  keys.check(valueDim == config.headDim, "attention.value_length",
             fmt::format("the key length {}", config.headDim), std::to_string(valueDim));
  keys.check(keys.flag("attention.causal", true), "attention.causal", "true", "false");
  // A file may name both; only one of the two norms has biases.
  if (keys.has("attention.layer_norm_epsilon") &&
      (!keys.has("attention.layer_norm_rms_epsilon") || keys.hasTensor("output_norm.bias"))) {
    config.norm = NormKind::Layer;
    config.epsilon = keys.real("attention.layer_norm_epsilon");
  } else {
    config.epsilon = keys.real("attention.layer_norm_rms_epsilon");
  }
  const GgufTensor *embedding = file.tensor("token_embd.weight");
  if (!embedding || embedding->shape.size() != 2)
    keys.fail({fmt::format("{}: tensor 'token_embd.weight': expected [vocabulary, {}], found {}", file.path(),
                           config.hidden, embedding ? shapeText(embedding->shape) : "none")});
  else
    config.vocabulary = embedding->shape[0];
  config.tied = !keys.hasTensor("output.weight");
  config.fusedQueryKeyValue = keys.hasTensor("blk.0.attn_qkv.weight");
  config.queryKeyValueBias = keys.hasTensor("blk.0.attn_q.bias") || keys.hasTensor("blk.0.attn_qkv.bias");
  config.attentionOutputBias = keys.hasTensor("blk.0.attn_output.bias");
  config.mlpBias = keys.hasTensor("blk.0.ffn_up.bias");
  config.headBias = keys.hasTensor("output.bias");
  config.normBias = keys.hasTensor("output_norm.bias");
  int64_t layers = keys.size("block_count");
  keys.check(layers <= maxLayers, "block_count", fmt::format("at most {} layers", maxLayers),
             std::to_string(layers));
  if (!keys.failed())
    config.layers.assign(layers,
                         {.rope = 0, .attentionScale = 1 / std::sqrt(static_cast<double>(config.headDim))});
}

Rope readGgufRope(GgufKeys &keys, const ModelConfig &config) {
  RopeParameters p;
  p.theta = keys.real("rope.freq_base", 10000.0);
  p.columns = keys.size("rope.dimension_count", config.headDim);
  keys.check(p.columns % 2 == 0 && p.columns <= config.headDim, "rope.dimension_count",
             fmt::format("an even number of at most {}", config.headDim), std::to_string(p.columns));
  keys.check(p.theta > 0, "rope.freq_base", "a number greater than 0", fmt::format("{}", p.theta));
  p.contextLength = config.contextLength;
  p.originalContext = keys.size("rope.scaling.original_context_length", config.contextLength);
  if (keys.failed())
    return {};
  double attention = keys.real("rope.scaling.attn_factor", 1.0);
  std::vector<float> shortFactors = keys.tensor("rope_factors_short.weight", p.columns / 2);
  std::vector<float> longFactors = keys.tensor("rope_factors_long.weight", p.columns / 2);
  if (!shortFactors.empty() && !longFactors.empty()) {
    p.type = "longrope";
    p.shortFactors.assign(shortFactors.begin(), shortFactors.end());
    p.longFactors.assign(longFactors.begin(), longFactors.end());
    p.attentionFactor = attention;
    return makeRope(p);
  }

  // A factor alone is linear, as in llama.cpp.
  std::string type = keys.text("rope.scaling.type", "linear");
  keys.check(type == "none" || type == "linear" || type == "yarn" || type == "longrope", "rope.scaling.type",
             "none, linear, yarn or longrope", type);
  double factor = keys.real("rope.scaling.factor", keys.real("rope.scale_linear", 1.0));
  if (type != "none" && type != "longrope" && factor != 0 && factor != 1) {
    p.type = type;
    p.factor = factor;
  }
  if (p.type == "yarn") {
    p.betaFast = keys.real("rope.scaling.yarn_beta_fast", 32.0);
    p.betaSlow = keys.real("rope.scaling.yarn_beta_slow", 1.0);
    // llama.cpp multiplies YaRN's own factor by the file's.
    p.attentionFactor = attention * (0.1 * std::log(factor) + 1);
    double extrapolated = keys.real("rope.scaling.yarn_ext_factor", 1.0);
    keys.check(extrapolated == 1, "rope.scaling.yarn_ext_factor", "1", fmt::format("{}", extrapolated));
  }
  keys.check(factor >= 0, "rope.scaling.factor", "a number greater than 0", fmt::format("{}", factor));
  std::vector<float> divisors = keys.tensor("rope_freqs.weight", p.columns / 2);
  if (keys.failed())
    return {};
  Rope rope = makeRope(p);
  if (!divisors.empty())
    divideFrequencies(rope, divisors);
  return rope;
}

} // namespace sinter
