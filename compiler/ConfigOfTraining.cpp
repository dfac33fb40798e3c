// SPDX-License-Identifier: Apache-2.0
#include "compiler/ConfigOfTraining.h"

#include "frontend/Architecture.h"
#include "frontend/ConfigKeys.h"
#include "runtime/files/Json.h"

#include <cmath>
#include <filesystem>

namespace sinter {
namespace {

/// What transformers' configuration of an architecture says where config.json does not.
struct StartDefaults {
  std::string_view architecture;
  bool padded;             ///< the embedding's row of pad_token_id begins as zeros
  int64_t paddingToken;    ///< pad_token_id; -1: none
  std::string_view key;    ///< of the standard deviation
  double deviation = 0.02; ///< where the key is absent
};
constexpr int64_t none = -1;
constexpr std::string_view range = "initializer_range";
const StartDefaults startDefaults[] = {
    {"gemma2", true, 0, range},
    {"gemma3_text", true, 0, range},
    {"phi3", true, 32000, range},
    {"olmo2", true, 1, range},
    {"opt", true, 1, "init_std"},
    {"smollm3", true, 128004, range},
    {"gpt2", false, none, range},
    {"gpt_neox", false, none, range},
    {"bloom", false, none, range},
    {"mpt", false, none, range},
    {"starcoder2", true, none, range, 0.018042},
};

Result<Json> readConfig(const Model &model) {
  std::filesystem::path path(model.path);
  return Json::read(std::filesystem::is_directory(path) ? (path / "config.json").string() : model.path);
}

} // namespace

Result<Initialisation> initialisationOf(const Model &model) {
  Result<Json> json = readConfig(model);
  if (!json)
    return tl::unexpected(json.error());
  StartDefaults defaults{{}, true, none, range};
  for (const StartDefaults &known : startDefaults)
    if (known.architecture == model.config.architecture->name)
      defaults = known;
  JsonValue config = textPart(json->root());
  Initialisation start;
  start.deviation = defaults.deviation;
  if (JsonValue value = config[defaults.key]; value.isNumber()) {
    Result<double> deviation = value.as<double>();
    if (!deviation || !(*deviation > 0))
      return fail("{}: expected a number above 0, found something else", value.where());
    start.deviation = *deviation;
  }
  start.outputDeviation = start.deviation / std::sqrt(2.0 * static_cast<double>(model.config.layers.size()));
  start.normStart = model.config.normOffset == 0 ? 1 : 0;
  int64_t padding = defaults.paddingToken;
  if (JsonValue value = config["pad_token_id"]; !value.isAbsent())
    padding = value.as<int64_t>().value_or(none);
  if (defaults.padded && padding >= 0 && padding < model.config.vocabulary)
    start.paddingToken = padding;
  return start;
}

Result<double> routerCoefficientOf(const Model &model) {
  if (model.gguf || model.config.experts == 0)
    return 0.0;
  Result<Json> json = readConfig(model);
  if (!json)
    return tl::unexpected(json.error());
  JsonValue config = textPart(json->root());
  Result<bool> wanted = config.getOr("output_router_logits", false);
  if (!wanted || !*wanted)
    return wanted ? Result<double>(0.0) : tl::unexpected(wanted.error());
  Result<double> coefficient = config.getOr("router_aux_loss_coef", 0.001);
  if (coefficient && !(*coefficient >= 0))
    return fail("{}: expected a number of at least 0, found {}", config["router_aux_loss_coef"].where(),
                *coefficient);
  return coefficient;
}

} // namespace sinter
