// SPDX-License-Identifier: Apache-2.0
// Mistral (Jiang et al. 2023, arXiv:2310.06825): Llama with a sliding window in every layer. Its GGUF files
// say llama.
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 32000,
               .hidden = 4096,
               .intermediate = 14336,
               .layers = 32,
               .heads = 32,
               .keyValueHeads = 8,
               .context = 4096 * 32,
               .epsilon = 1e-6,
               .bos = 1,
               .eos = {2}});
  setWindows(config, std::vector<bool>(config.layers.size(), true),
             keys.optionalSize("sliding_window", 4096));
  config.ropes = {readRope(keys, config, {})};
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) { return blocks.preNormLayer(number, x); }

constexpr std::string_view names[] = {"mistral"};

} // namespace

constinit const Architecture mistral = {"mistral", names, {}, readHuggingFace, nullptr, {}, layer};

} // namespace sinter
