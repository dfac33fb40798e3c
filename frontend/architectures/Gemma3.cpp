// SPDX-License-Identifier: Apache-2.0
// Gemma 3, the text model (arXiv:2503.19786): Gemma 2 with norms on Q and K instead of soft caps, five
// windowed layers between full ones, and a rope set for each kind.
#include "frontend/architectures/Families.h"

#include <array>
#include <cmath>

namespace sinter {
namespace {

enum { global, local };

void setLayers(ModelConfig &config, const std::vector<bool> &sliding, std::optional<int64_t> window) {
  setWindows(config, sliding, window);
  for (size_t i = 0; i < config.layers.size(); ++i)
    config.layers[i].rope = sliding[i] ? local : global;
  config.queryKeyNorm = QueryKeyNorm::Head;
}

std::vector<bool> pattern(size_t layers, int64_t period) {
  std::vector<bool> sliding(layers);
  for (size_t i = 0; i < layers; ++i)
    sliding[i] = (i + 1) % period != 0;
  return sliding;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  // transformers reads attn_logit_softcapping and does not use it.
  readGemma(keys, config, {.vocabulary = 262208, .context = 131072, .finalSoftcap = std::nullopt});
  std::optional<std::vector<bool>> sliding = keys.slidingLayers(config.layers.size());
  if (!sliding)
    sliding = pattern(config.layers.size(), keys.size("sliding_window_pattern|_sliding_window_pattern", 6));
  setLayers(config, *sliding, keys.optionalSize("sliding_window", 4096));

  // rope_scaling is of the full layers; rope_parameters has an object a kind.
  JsonValue nested = keys.value("rope_parameters");
  std::array full = {keys.value("rope_scaling"), nested["full_attention"]};
  std::array windowed = {nested["sliding_attention"]};
  config.ropes = {readRopeSet(keys, config, full, {.theta = 1000000}),
                  readRopeSet(keys, config, windowed, {.theta = 10000, .thetaKey = "rope_local_base_freq"})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGemmaGguf(keys, config, 62);
  int64_t period = 6;
  if (const GgufValue *value = keys.file().find(keys.full("attention.sliding_window_pattern"));
      value && !value->isArray)
    period = keys.size("attention.sliding_window_pattern");
  setLayers(config, pattern(config.layers.size(), period), keys.optionalSize("attention.sliding_window"));
  config.finalSoftcap = keys.optionalReal("final_logit_softcapping");
  RopeParameters windowed{.theta = keys.real("rope.freq_base_swa", 10000.0), .columns = config.headDim};
  keys.check(windowed.theta > 0, "rope.freq_base_swa", "a number greater than 0",
             fmt::format("{}", windowed.theta));
  if (!keys.failed())
    config.ropes.push_back(makeRope(windowed));
}

void writeHuggingFace(ConfigBuilder &config) {
  writeGemma(config, 62);
  config.addLayerTypes(6);
  if (config.has("rope.freq_base_swa"))
    config.copyReal("rope_local_base_freq", "rope.freq_base_swa");
  else
    config.json.key("rope_local_base_freq").value(10000.0);
}

constexpr std::string_view types[] = {"gemma3_text"};
constexpr std::string_view names[] = {"gemma3"};

} // namespace

const Architecture gemma3 = {.name = "gemma3_text",
                             .className = "Gemma3ForCausalLM",
                             .modelTypes = types,
                             .ggufNames = names,
                             .readHuggingFace = readHuggingFace,
                             .readGguf = readGguf,
                             .writeHuggingFace = writeHuggingFace,
                             .tensors = gemmaNames(),
                             .layer = gemmaLayer,
                             .normOffset = 1};

} // namespace sinter
