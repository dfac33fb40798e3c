// SPDX-License-Identifier: Apache-2.0
// Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv:2407.10671): Llama with biases on Q, K and V, and windows in the
// upper layers.
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 151936,
               .hidden = 4096,
               .intermediate = 22016,
               .layers = 32,
               .heads = 32,
               .keyValueHeads = 32,
               .context = 32768,
               .epsilon = 1e-6});
  config.queryKeyValueBias = true;
  readQwenWindows(keys, config);
  config.ropes = {readRope(keys, config, {})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  config.ropes = {readGgufRope(keys, config)};
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) { return blocks.preNormLayer(number, x); }

constexpr std::string_view names[] = {"qwen2"};

} // namespace

constinit const Architecture qwen2 = {"qwen2", names, names, readHuggingFace, readGguf, {}, layer};

} // namespace sinter
