// SPDX-License-Identifier: Apache-2.0
// Gemma 3, the text model (arXiv:2503.19786): Gemma 2 with norms on Q and K instead of soft caps, five
// windowed layers between full ones, and a rope set for each kind.
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

#include <array>
#include <cmath>

namespace sinter {
namespace {

enum { global, local };

void setLayers(ModelConfig &config, const std::vector<bool> &sliding, std::optional<int64_t> window,
               double columns) {
  setWindows(config, sliding, window);
  for (size_t i = 0; i < config.layers.size(); ++i) {
    config.layers[i].rope = sliding[i] ? local : global;
    config.layers[i].attentionScale = 1 / std::sqrt(columns);
  }
  config.queryKeyNorm = QueryKeyNorm::Head;
  config.embeddingScale = static_cast<float>(std::sqrt(static_cast<double>(config.hidden)));
}

std::vector<bool> pattern(size_t layers, int64_t period) {
  std::vector<bool> sliding(layers);
  for (size_t i = 0; i < layers; ++i)
    sliding[i] = (i + 1) % period != 0;
  return sliding;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 262208,
               .hidden = 2304,
               .intermediate = 9216,
               .layers = 26,
               .heads = 8,
               .keyValueHeads = 4,
               .headDim = 256,
               .context = 131072,
               .epsilon = 1e-6,
               .tied = true,
               .bos = 2,
               .eos = {1},
               .activation = "gelu_pytorch_tanh",
               .activationKey = "hidden_activation"});
  config.normOffset = 1;
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  // transformers reads attn_logit_softcapping and does not use it.
  config.finalSoftcap = keys.optionalReal("final_logit_softcapping", std::nullopt);
  keys.check(config.finalSoftcap.value_or(1) > 0, "final_logit_softcapping",
             "a number greater than 0 or null");
  keys.refuse("use_bidirectional_attention", "false or null (causal attention)");
  std::optional<std::vector<bool>> sliding = keys.slidingLayers(config.layers.size());
  if (!sliding)
    sliding = pattern(config.layers.size(), keys.size("sliding_window_pattern|_sliding_window_pattern", 6));
  setLayers(config, *sliding, keys.optionalSize("sliding_window", 4096),
            keys.real("query_pre_attn_scalar", 256));

  // rope_scaling is of the full layers; rope_parameters has an object a kind.
  JsonValue nested = keys.value("rope_parameters");
  std::array full = {keys.value("rope_scaling"), nested["full_attention"]};
  std::array windowed = {nested["sliding_attention"]};
  config.ropes = {readRopeSet(keys, config, full, {.theta = 1000000}),
                  readRopeSet(keys, config, windowed, {.theta = 10000, .thetaKey = "rope_local_base_freq"})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  config.activation = Activation::GeluTanh;
  int64_t period = 6;
  if (const GgufValue *value = keys.file().find(keys.full("attention.sliding_window_pattern"));
      value && !value->isArray)
    period = keys.size("attention.sliding_window_pattern");
  // llama.cpp tells the 27B model, whose query_pre_attn_scalar is no head's width, by its layers.
  double columns =
      config.layers.size() == 62 ? static_cast<double>(config.hidden) / config.heads : config.headDim;
  setLayers(config, pattern(config.layers.size(), period), keys.optionalSize("attention.sliding_window"),
            columns);
  config.finalSoftcap = keys.optionalReal("final_logit_softcapping");
  config.ropes = {readGgufRope(keys, config)};
  RopeParameters windowed{.theta = keys.real("rope.freq_base_swa", 10000.0), .columns = config.headDim};
  keys.check(windowed.theta > 0, "rope.freq_base_swa", "a number greater than 0",
             fmt::format("{}", windowed.theta));
  if (!keys.failed())
    config.ropes.push_back(makeRope(windowed));
}

constexpr std::string_view types[] = {"gemma3_text"};
constexpr std::string_view names[] = {"gemma3"};

} // namespace

const Architecture gemma3 = {"gemma3_text", types,        names,     readHuggingFace,
                             readGguf,      gemmaNames(), gemmaLayer};

} // namespace sinter
