// SPDX-License-Identifier: Apache-2.0
// Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv:2407.10671): Llama with biases on Q, K and V, and windows in the
// upper layers.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config, qwenDefaults());
  config.queryKeyValueBias = true;
  readQwenWindows(keys, config);
  config.ropes = {readRope(keys, config, {})};
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addRmsNormDecoder();
  config.json.key("use_sliding_window").value(false);
}

constexpr std::string_view names[] = {"qwen2"};

} // namespace

DecoderDefaults qwenDefaults() {
  return {.vocabulary = 151936,
          .hidden = 4096,
          .intermediate = 22016,
          .layers = 32,
          .heads = 32,
          .keyValueHeads = 32,
          .context = 32768,
          .epsilon = 1e-6};
}

constinit const Architecture qwen2 = {"qwen2",       "Qwen2ForCausalLM", names, names,       readHuggingFace,
                                      readLlamaGguf, writeHuggingFace,   {},    preNormLayer};

} // namespace sinter
