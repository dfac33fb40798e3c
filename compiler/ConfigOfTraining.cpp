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

/// A place where transformers drops activations, and the key of its share.
struct DropoutKey {
  std::string_view key; ///< empty: nothing is dropped there
  double absent = 0;
};
/// Keys of an architecture. What transformers reads and does not use (Phi-3's embd_pdrop) is not among them.
struct DropoutKeys {
  std::string_view architecture;
  DropoutKey embedding, attention, attentionOutput, mlp;
};
const DropoutKeys dropoutKeys[] = {
    {"gpt2", {"embd_pdrop", 0.1}, {"attn_pdrop", 0.1}, {"resid_pdrop", 0.1}, {"resid_pdrop", 0.1}},
    {"gpt_neox", {"hidden_dropout"}, {"attention_dropout"}, {"hidden_dropout"}, {"hidden_dropout"}},
    {"bloom", {}, {"attention_dropout"}, {"hidden_dropout"}, {"hidden_dropout"}},
    {"mpt", {}, {"attn_config.attn_pdrop"}, {"attn_config.attn_pdrop"}, {"attn_config.attn_pdrop"}},
    {"opt", {}, {"attention_dropout"}, {"dropout", 0.1}, {"dropout", 0.1}},
    {"phi3", {}, {"attention_dropout"}, {"resid_pdrop"}, {"resid_pdrop"}},
    {"stablelm", {}, {"attention_dropout"}, {}, {"hidden_dropout"}},
    {"starcoder2", {"embedding_dropout"}, {"attention_dropout"}, {"residual_dropout"}, {"residual_dropout"}},
};
constexpr DropoutKeys commonDropout = {{}, {}, {"attention_dropout"}, {}, {}};

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

/// The share that the configuration has under `key`: a.b is a key of an object.
static Result<double> shareOf(JsonValue config, const DropoutKey &key) {
  const size_t dot = key.key.find('.');
  JsonValue object = dot == std::string_view::npos ? config : config[key.key.substr(0, dot)];
  JsonValue value = object[dot == std::string_view::npos ? key.key : key.key.substr(dot + 1)];
  if (value.isAbsent() || value.isNull())
    return key.absent;
  Result<double> share = value.as<double>();
  if (share && !(*share >= 0 && *share < 1))
    return fail("{}: expected a share from 0 to below 1, found {}", value.where(), *share);
  return share;
}

Result<TrainingDropout> dropoutOf(const Model &model, const std::string &wanted) {
  TrainingDropout dropout;
  if (wanted == "0")
    return dropout;
  Result<Json> json = readConfig(model);
  if (!json)
    return tl::unexpected(json.error());
  JsonValue config = textPart(json->root());
  const bool ofConfig = wanted == "config";
  if (JsonValue layers = config["layerdrop"];
      ofConfig && layers.isNumber() && layers.as<double>().value_or(0) > 0)
    return fail("{}: expected 0 (whole layers are not dropped here), found a share of layers to drop",
                layers.where());
  DropoutKeys keys = commonDropout;
  for (const DropoutKeys &known : dropoutKeys)
    if (known.architecture == model.config.architecture->name)
      keys = known;
  DropoutRates &rates = dropout.rates;
  for (auto [key, rate] : {std::pair(&keys.embedding, &rates.embedding),
                           {&keys.attention, &rates.attention},
                           {&keys.attentionOutput, &rates.attentionOutput},
                           {&keys.mlp, &rates.mlp}}) {
    if (key->key.empty())
      continue;
    Result<double> share = ofConfig ? shareOf(config, *key) : Result<double>(std::stod(wanted));
    if (!share)
      return tl::unexpected(share.error());
    *rate = *share;
    // Once each; OPT's "dropout 0.1" is not the end of "attention_dropout 0.1".
    const std::string said = fmt::format(", {} {}", key->key, *share);
    if ((", " + dropout.keys).find(said) == std::string::npos)
      dropout.keys += dropout.keys.empty() ? said.substr(2) : said;
  }
  return dropout;
}

} // namespace sinter
