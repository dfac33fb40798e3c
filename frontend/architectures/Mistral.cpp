// SPDX-License-Identifier: Apache-2.0
// Mistral (Jiang et al. 2023, arXiv:2310.06825): Llama with a sliding window in every layer. Its GGUF files
// say llama.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readMistral(keys, config, {.epsilon = 1e-6, .theta = 10000, .window = 4096});
}

constexpr std::string_view names[] = {"mistral"};

} // namespace

void readMistral(ConfigKeys &keys, ModelConfig &config, const MistralDefaults &defaults) {
  readDecoder(keys, config,
              {.vocabulary = 32000,
               .hidden = 4096,
               .intermediate = 14336,
               .layers = 32,
               .heads = 32,
               .keyValueHeads = 8,
               .context = 4096 * 32,
               .epsilon = defaults.epsilon,
               .bos = 1,
               .eos = {2}});
  setWindows(config, std::vector<bool>(config.layers.size(), true),
             keys.optionalSize("sliding_window", defaults.window));
  config.ropes = {readRope(keys, config, {.theta = defaults.theta})};
}

constinit const Architecture mistral = {
    "mistral", "MistralForCausalLM", names, {}, readHuggingFace, nullptr, nullptr, {}, preNormLayer};

} // namespace sinter
