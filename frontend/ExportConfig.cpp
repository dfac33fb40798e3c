// SPDX-License-Identifier: Apache-2.0
// Keys of config.json that all architectures share, and RoPE.
#include "frontend/ExportConfig.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sinter {
namespace {

/// The numbers of a small F32 vector.
std::vector<float> vectorOf(const GgufTensor &tensor) {
  std::vector<float> numbers(static_cast<size_t>(tensor.shape.back()));
  if (tensor.format->isFloat() && tensor.format->dequantize && tensor.shape.size() == 1)
    tensor.format->dequantize(tensor.bytes, numbers.data());
  return numbers;
}

void addReals(JsonWriter &json, const std::vector<float> &numbers) {
  json.beginArray();
  for (float number : numbers)
    json.value(number);
  json.endArray();
}

} // namespace

int64_t ConfigBuilder::integer(std::string_view key) {
  Result<int64_t> value = gguf.get<int64_t>(prefix + std::string(key));
  if (!value && !error)
    error = value.error();
  return value.value_or(0);
}

int64_t ConfigBuilder::integer(std::string_view key, int64_t otherwise) {
  return has(key) ? integer(key) : otherwise;
}

void ConfigBuilder::copyReal(std::string_view name, std::string_view key) {
  Result<double> value = gguf.get<double>(prefix + std::string(key));
  if (!value && !error)
    error = value.error();
  json.key(name).value(static_cast<float>(value.value_or(0)));
}

void ConfigBuilder::copyRealIfPresent(std::string_view name, std::string_view key) {
  if (has(key))
    copyReal(name, key);
}

void ConfigBuilder::copyIntegerIfPresent(std::string_view name, std::string_view key) {
  if (has(key))
    copyInteger(name, key);
}

int64_t ConfigBuilder::headSize() {
  if (has("attention.key_length"))
    return integer("attention.key_length");
  return integer("embedding_length") / std::max<int64_t>(integer("attention.head_count"), 1);
}

void ConfigBuilder::addDecoder() {
  copyInteger("hidden_size", "embedding_length");
  copyInteger("intermediate_size", "feed_forward_length");
  copyInteger("num_hidden_layers", "block_count");
  copyInteger("num_attention_heads", "attention.head_count");
  json.key("num_key_value_heads").value(integer("attention.head_count_kv", integer("attention.head_count")));
  copyInteger("max_position_embeddings", "context_length");
}

void ConfigBuilder::addRmsNormDecoder() {
  addDecoder();
  copyReal("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  json.key("hidden_act").value("silu");
  addRope();
}

void ConfigBuilder::addLayerTypes(int64_t period) {
  json.key("layer_types").beginArray();
  for (int64_t layer = 0, count = integer("block_count"); layer < count; ++layer)
    json.value((layer + 1) % period ? "sliding_attention" : "full_attention");
  json.endArray();
}

void ConfigBuilder::addRope() {
  // An absent base is 10000 for llama.cpp and for transformers.
  if (has("rope.freq_base"))
    copyReal("rope_theta", "rope.freq_base");
  else
    json.key("rope_theta").value(10000.0);
  if (const GgufTensor *factors = gguf.tensor("rope_freqs.weight"))
    return addLlama3Scaling(*factors);
  if (hasTensor("rope_factors_long.weight") && hasTensor("rope_factors_short.weight"))
    return addLongRope();

  // A factor alone is linear, as in llama.cpp; 0 is none.
  std::string key = prefix + "rope.scaling.type";
  std::string_view factorKey =
      has("rope.scale_linear") && !has("rope.scaling.factor") ? "rope.scale_linear" : "rope.scaling.factor";
  bool scales = gguf.getOr<double>(prefix + std::string(factorKey), 0).value_or(1) != 0;
  Result<std::string> type = gguf.getOr<std::string>(key, scales ? "linear" : "none");
  if (!type || (*type != "none" && *type != "linear" && *type != "yarn")) {
    if (!error)
      error = type ? fail("{}: metadata key '{}': expected none, linear or yarn, found \"{}\"", gguf.path(),
                          key, *type)
                         .value()
                   : type.error();
    return;
  }
  if (*type == "none")
    return;
  json.key("rope_scaling").beginObject().key("rope_type").value(*type);
  copyReal("factor", factorKey);
  copyIntegerIfPresent("original_max_position_embeddings", "rope.scaling.original_context_length");
  copyRealIfPresent("beta_fast", "rope.scaling.yarn_beta_fast");
  copyRealIfPresent("beta_slow", "rope.scaling.yarn_beta_slow");
  json.endObject();
}

/// The file holds the factor of each frequency, not the four numbers they were computed from
/// (_compute_llama3_parameters in transformers): 1 / ((1 - s) / factor + s) with s = (context / wave length -
/// low) / (high - low) cut to [0, 1]. The largest is `factor`; low and high are 1 and 4 in every published
/// model; a wave length between the two ends gives the context. All others must agree.
void ConfigBuilder::addLlama3Scaling(const GgufTensor &tensor) {
  constexpr double low = 1, high = 4;
  std::vector<float> factors = vectorOf(tensor);
  Result<double> base = gguf.getOr<double>(prefix + "rope.freq_base", 10000);
  if (!base && !error)
    error = base.error();
  double factor = *std::ranges::max_element(factors), context = 8192;
  auto waveLength = [&](size_t i) {
    return 2 * std::numbers::pi *
           std::pow(base.value_or(10000), static_cast<double>(i) / static_cast<double>(factors.size()));
  };
  for (size_t i = 0; i < factors.size(); ++i)
    if (factors[i] > 1 && factors[i] < factor) {
      double smooth = (1 / static_cast<double>(factors[i]) - 1 / factor) / (1 - 1 / factor);
      context = std::round(waveLength(i) * (low + smooth * (high - low)));
      break;
    }
  for (size_t i = 0; i < factors.size() && !error; ++i) {
    double smooth = std::clamp((context / waveLength(i) - low) / (high - low), 0.0, 1.0);
    double expected = 1 / ((1 - smooth) / factor + smooth);
    if (!(std::abs(factors[i] - expected) <= 1e-4 * expected))
      error = Error{
          fmt::format("{}: tensor 'rope_freqs.weight' at [{}] (byte {}): expected {} as of Llama 3 with a "
                      "factor of {} from a context of {}, found {}",
                      gguf.path(), i, tensor.offset, expected, factor, context, factors[i])};
  }
  if (error)
    return;
  json.key("rope_scaling").beginObject().key("rope_type").value("llama3").key("factor").value(factor);
  json.key("low_freq_factor").value(low).key("high_freq_factor").value(high);
  json.key("original_max_position_embeddings").value(static_cast<int64_t>(context)).endObject();
}

void ConfigBuilder::addLongRope() {
  copyIntegerIfPresent("original_max_position_embeddings", "rope.scaling.original_context_length");
  json.key("rope_scaling").beginObject().key("type").value("longrope").key("rope_type").value("longrope");
  json.key("long_factor");
  addReals(json, vectorOf(*gguf.tensor("rope_factors_long.weight")));
  json.key("short_factor");
  addReals(json, vectorOf(*gguf.tensor("rope_factors_short.weight")));
  json.endObject();
}

void ConfigBuilder::addPartialRotary(std::string_view name) {
  if (!has("rope.dimension_count"))
    return;
  double share = static_cast<double>(integer("rope.dimension_count")) /
                 static_cast<double>(std::max<int64_t>(headSize(), 1));
  json.key(name).value(share);
}

} // namespace sinter
