// SPDX-License-Identifier: Apache-2.0
// Typed reads of config.json and what all decoders share in it.
#include "frontend/ConfigKeys.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace sinter {

JsonValue ConfigKeys::value(std::string_view keys) const {
  if (whole && (keys == "tie_word_embeddings" || keys == "eos_token_id" || keys == "bos_token_id"))
    if (JsonValue value = (*whole)[keys]; value.hasValue())
      return value;
  for (;;) {
    size_t bar = keys.find('|');
    JsonValue value = object[keys.substr(0, bar)];
    if (!value.isAbsent() || bar == keys.npos)
      return value;
    keys.remove_prefix(bar + 1);
  }
}

void ConfigKeys::fail(Error found) {
  if (!error)
    error = std::move(found);
}

Result<> ConfigKeys::status() const { return error ? Result<>(tl::unexpected(*error)) : Result<>(); }

void ConfigKeys::check(bool valid, std::string_view keys, std::string_view expected) {
  if (valid || error)
    return;
  JsonValue found = value(keys);
  fail({fmt::format("{}: expected {}, found {}", found.where(), expected, found.describe())});
}

void ConfigKeys::refuse(std::string_view keys, std::string_view supported) {
  JsonValue found = value(keys);
  bool nothing = !found.hasValue() || (found.isBool() && !*found.as<bool>()) ||
                 (found.isNumber() && *found.as<double>() == 0) || (found.isArray() && found.size() == 0);
  check(nothing, keys, supported);
}

template <typename T> std::optional<T> ConfigKeys::read(JsonValue value) {
  Result<T> result = value.as<T>();
  if (result)
    return std::move(*result);
  fail(result.error());
  return std::nullopt;
}

std::optional<int64_t> ConfigKeys::optionalInteger(std::string_view keys, std::optional<int64_t> absent) {
  JsonValue found = value(keys);
  if (found.isAbsent())
    return absent;
  return found.isNull() ? std::nullopt : read<int64_t>(found);
}

std::optional<int64_t> ConfigKeys::optionalSize(std::string_view keys, std::optional<int64_t> absent,
                                                int64_t most) {
  std::optional<int64_t> result = optionalInteger(keys, absent);
  if (result && (*result < 1 || *result > most)) {
    check(false, keys, fmt::format("a number from 1 to {}", most));
    return absent;
  }
  return result;
}

int64_t ConfigKeys::size(std::string_view keys, int64_t absent, int64_t most) {
  check(!value(keys).isNull(), keys, fmt::format("a number from 1 to {}", most));
  return optionalSize(keys, absent, most).value_or(absent);
}

std::optional<double> ConfigKeys::optionalReal(std::string_view keys, std::optional<double> absent) {
  JsonValue found = value(keys);
  if (found.isAbsent())
    return absent;
  if (found.isNull())
    return std::nullopt;
  std::optional<double> result = read<double>(found);
  if (result)
    check(std::isfinite(*result), keys, "a finite number");
  return result;
}

double ConfigKeys::real(std::string_view keys, double absent) {
  check(!value(keys).isNull(), keys, "a number");
  return optionalReal(keys, absent).value_or(absent);
}

bool ConfigKeys::flag(std::string_view keys, bool absent) {
  JsonValue found = value(keys);
  return found.hasValue() ? read<bool>(found).value_or(absent) : absent;
}

std::string ConfigKeys::text(std::string_view keys, std::string_view absent) {
  JsonValue found = value(keys);
  return found.hasValue() ? read<std::string>(found).value_or(std::string(absent)) : std::string(absent);
}

Activation ConfigKeys::activation(std::string_view keys, std::string_view absent) {
  // transformers' ACT2FN, as far as the dialect has the functions.
  static constexpr std::pair<std::string_view, Activation> names[] = {
      {"silu", Activation::Silu},
      {"swish", Activation::Silu},
      {"relu", Activation::Relu},
      {"sigmoid", Activation::Sigmoid},
      {"tanh", Activation::Tanh},
      {"gelu", Activation::Gelu},
      {"gelu_python", Activation::Gelu},
      {"gelu_new", Activation::GeluTanh},
      {"gelu_fast", Activation::GeluTanh},
      {"gelu_pytorch_tanh", Activation::GeluTanh},
      {"gelu_python_tanh", Activation::GeluTanh},
      {"gelu_accurate", Activation::GeluTanh},
      {"quick_gelu", Activation::QuickGelu}};
  std::string found = text(keys, absent);
  for (auto [name, activation] : names)
    if (name == found)
      return activation;
  check(false, keys,
        "one of silu, swish, relu, sigmoid, tanh, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, quick_gelu");
  return Activation::Silu;
}

std::vector<int64_t> ConfigKeys::ids(std::string_view keys, std::vector<int64_t> absent) {
  JsonValue found = value(keys);
  if (found.isAbsent())
    return absent;
  if (found.isNull())
    return {};
  if (found.isArray())
    return read<std::vector<int64_t>>(found).value_or(std::vector<int64_t>());
  std::optional<int64_t> id = read<int64_t>(found);
  return id ? std::vector<int64_t>{*id} : std::vector<int64_t>();
}

std::vector<double> ConfigKeys::reals(std::string_view keys) {
  return read<std::vector<double>>(value(keys)).value_or(std::vector<double>());
}

std::optional<std::vector<int64_t>> ConfigKeys::layerIntegers(std::string_view keys, size_t count) {
  JsonValue found = value(keys);
  if (!found.hasValue())
    return std::nullopt;
  auto result = read<std::vector<int64_t>>(found);
  if (result && result->size() != count) {
    check(false, keys, fmt::format("a number for each of {} layers", count));
    return std::nullopt;
  }
  return result;
}

std::optional<std::vector<bool>> ConfigKeys::slidingLayers(size_t count) {
  JsonValue found = value("layer_types");
  if (!found.hasValue())
    return std::nullopt;
  auto names = read<std::vector<std::string>>(found);
  if (!names)
    return std::nullopt;
  std::vector<bool> result;
  for (const std::string &name : *names) {
    if (name != "full_attention" && name != "sliding_attention")
      fail({fmt::format("{}: expected full_attention or sliding_attention, found \"{}\"", found.where(),
                        name)});
    result.push_back(name == "sliding_attention");
  }
  if (result.size() != count) {
    check(false, "layer_types", fmt::format("a type for each of {} layers", count));
    return std::nullopt;
  }
  return result;
}

void readDecoder(ConfigKeys &keys, ModelConfig &config, const DecoderDefaults &d) {
  config.vocabulary = keys.size("vocab_size", d.vocabulary, maxVocabulary);
  config.hidden = config.embedding = keys.size("hidden_size", d.hidden, maxWidth);
  config.intermediate = keys.size("intermediate_size", d.intermediate, maxWidth);
  config.heads = keys.size("num_attention_heads", d.heads, maxHeads);
  config.keyValueHeads =
      keys.optionalSize("num_key_value_heads", d.keyValueHeads, maxHeads).value_or(config.heads);
  std::optional<int64_t> headDim = keys.optionalSize("head_dim", d.headDim, maxHeadDim);
  if (!headDim)
    keys.check(config.hidden % config.heads == 0, "hidden_size",
               fmt::format("a multiple of the {} attention heads", config.heads));
  config.headDim = headDim.value_or(config.hidden / config.heads);
  config.contextLength = keys.size("max_position_embeddings", d.context);
  config.epsilon = keys.real(d.epsilonKey, d.epsilon);
  config.activation = keys.activation(d.activationKey, d.activation);
  config.tied = keys.flag("tie_word_embeddings", d.tied);
  config.bos = keys.optionalInteger("bos_token_id", d.bos);
  config.eos = keys.ids("eos_token_id", d.eos);
  readLayers(keys, config, "num_hidden_layers", d.layers);
  for (LayerConfig &layer : config.layers)
    layer.rope = 0;
}

void readHeads(ConfigKeys &keys, ModelConfig &config, std::string_view headsKey, int64_t heads,
               std::string_view hiddenKey) {
  config.heads = config.keyValueHeads = keys.size(headsKey, heads, maxHeads);
  keys.check(config.hidden % config.heads == 0, hiddenKey,
             fmt::format("a multiple of the {} attention heads", config.heads));
  config.headDim = config.hidden / config.heads;
}

void readLayers(ConfigKeys &keys, ModelConfig &config, std::string_view key, int64_t absent) {
  int64_t layers = keys.size(key, absent);
  keys.check(layers <= maxLayers, key, fmt::format("at most {} layers", maxLayers));
  if (!keys.failed())
    config.layers.assign(layers, {.attentionScale = 1 / std::sqrt(static_cast<double>(config.headDim))});
}

void setWindows(ModelConfig &config, const std::vector<bool> &sliding, std::optional<int64_t> window) {
  for (size_t i = 0; i < config.layers.size(); ++i)
    if (sliding[i])
      config.layers[i].window = window;
}

void readQwenWindows(ConfigKeys &keys, ModelConfig &config) {
  std::optional<int64_t> window = keys.optionalSize("sliding_window", 4096);
  int64_t first = keys.optionalInteger("max_window_layers", 28).value_or(28);
  std::optional<std::vector<bool>> sliding = keys.slidingLayers(config.layers.size());
  if (!keys.flag("use_sliding_window", false))
    return;
  if (!sliding) {
    sliding.emplace();
    for (size_t i = 0; i < config.layers.size(); ++i)
      sliding->push_back(static_cast<int64_t>(i) >= first);
  }
  setWindows(config, *sliding, window);
}

//===--- RoPE

Rope readRope(ConfigKeys &keys, const ModelConfig &config, const RopeDefaults &defaults) {
  // transformers: `self.rope_parameters = rope_scaling or self.rope_parameters`.
  JsonValue scaling = keys.value("rope_scaling");
  if (!scaling.hasValue() || scaling.size() == 0)
    scaling = keys.value("rope_parameters");
  for (std::string_view kind : {"full_attention", "sliding_attention"})
    if (scaling[kind].hasValue())
      keys.fail({fmt::format("{}: expected one set of rope parameters for all layers, found one of {} layers",
                             scaling[kind].where(), kind)});
  return readRopeSet(keys, config, std::array{scaling}, defaults);
}

Rope readRopeSet(ConfigKeys &keys, const ModelConfig &config, std::span<const JsonValue> objects,
                 const RopeDefaults &defaults) {
  if (keys.failed())
    return {};
  for (JsonValue object : objects)
    if (object.hasValue() && !object.isObject())
      keys.fail({fmt::format("{}: expected an object, found {}", object.where(), object.describe())});
  auto find = [&](std::string_view key) {
    for (JsonValue object : objects)
      if (JsonValue member = object[key]; member.hasValue())
        return member;
    return objects[0][key];
  };
  auto real = [&](std::string_view key) -> std::optional<double> {
    JsonValue member = find(key);
    if (!member.hasValue())
      return std::nullopt;
    Result<double> value = member.as<double>();
    if (!value)
      keys.fail(value.error());
    return value ? std::optional(*value) : std::nullopt;
  };
  auto wrong = [&](std::string_view key, std::string_view expected) {
    JsonValue member = find(key);
    keys.fail({fmt::format("{}: expected {}, found {}", member.where(), expected, member.describe())});
  };

  RopeParameters p;
  for (std::string_view key : {"type", "rope_type"}) // the newer name wins
    if (JsonValue type = find(key); type.hasValue()) {
      Result<std::string> name = type.as<std::string>();
      if (!name)
        keys.fail(name.error());
      else
        p.type = *name;
    }
  for (auto [older, newer] : defaults.typeNames)
    if (p.type == older)
      p.type = newer;
  static constexpr std::string_view types[] = {"default", "linear", "dynamic", "yarn", "llama3", "longrope"};
  if (std::find(std::begin(types), std::end(types), p.type) == std::end(types))
    wrong(find("rope_type").hasValue() ? "rope_type" : "type",
          "one of default, linear, dynamic, yarn, llama3, longrope");

  // The inner key counts; a null beside it is only wrong where nothing stands in its place.
  auto innerOr = [&](std::string_view key, std::string_view outer, double absent) {
    std::optional<double> inner = real(key);
    return inner ? *inner : keys.real(outer, absent);
  };
  p.theta = innerOr("rope_theta", defaults.thetaKey, defaults.theta);
  if (!(p.theta > 0)) {
    if (find("rope_theta").hasValue())
      wrong("rope_theta", "a number greater than 0");
    keys.check(false, defaults.thetaKey, "a number greater than 0");
  }
  double partial = innerOr("partial_rotary_factor", defaults.partialKey, defaults.partial.value_or(1));
  if (!defaults.partial && p.type == "default")
    partial = 1; // transformers does not look at it there; other types give it fewer angles than columns, and
                 // it fails
  if (!defaults.partial && partial != 1) {
    if (find("partial_rotary_factor").hasValue())
      wrong("partial_rotary_factor", "1 (heads of this architecture turn as a whole)");
    keys.check(false, defaults.partialKey, "1 (heads of this architecture turn as a whole)");
  }
  if (!(partial > 0 && partial <= 1)) {
    constexpr std::string_view expected = "a number greater than 0 and at most 1";
    if (find("partial_rotary_factor").hasValue())
      wrong("partial_rotary_factor", expected);
    keys.check(false, defaults.partialKey, expected);
    return {};
  }
  p.columns = static_cast<int64_t>(config.headDim * partial);
  if (p.columns <= 0 || p.columns % 2 || p.columns > config.headDim)
    keys.fail({fmt::format("{}: expected an even number of at most {} columns of a head to turn, found {}",
                           objects[0].where(), config.headDim, p.columns)});
  p.contextLength = config.contextLength;
  JsonValue top = keys.value("original_max_position_embeddings");
  if (top.hasValue() || defaults.originalContext)
    p.originalContext = keys.size("original_max_position_embeddings", defaults.originalContext.value_or(0));
  else if (double given = real("original_max_position_embeddings").value_or(config.contextLength);
           given >= 1 && given <= std::numeric_limits<int32_t>::max())
    p.originalContext = static_cast<int64_t>(given);
  else
    wrong("original_max_position_embeddings", "a number from 1 to 2147483647");

  p.factor = real("factor");
  bool ownFactor = p.type == "linear" || p.type == "dynamic" || p.type == "llama3";
  if ((ownFactor && !p.factor) || (p.factor && !(*p.factor > 0)))
    wrong("factor", "a number greater than 0");
  if (double most = std::numeric_limits<int32_t>::max() / std::max<double>(config.contextLength, 1);
      p.type == "dynamic" && p.factor.value_or(1) > most)
    wrong("factor", fmt::format("at most {:.6g}, with a context of 2147483647", most));
  p.attentionFactor = real("attention_factor");
  p.mscale = real("mscale");
  p.mscaleAllDim = real("mscale_all_dim");
  p.betaFast = real("beta_fast");
  p.betaSlow = real("beta_slow");
  if (JsonValue truncate = find("truncate"); truncate.isBool())
    p.truncate = *truncate.as<bool>();
  if (p.type == "llama3") {
    for (auto [key, value] :
         {std::pair("low_freq_factor", &p.lowFrequencyFactor), {"high_freq_factor", &p.highFrequencyFactor}})
      if (std::optional<double> given = real(key); given && *given > 0)
        *value = *given;
      else
        wrong(key, "a number greater than 0");
  }
  if (p.type == "longrope")
    for (auto [key, list] : {std::pair("short_factor", &p.shortFactors), {"long_factor", &p.longFactors}}) {
      Result<std::vector<double>> given = find(key).as<std::vector<double>>();
      if (given && static_cast<int64_t>(given->size()) == p.columns / 2)
        *list = *given;
      else
        wrong(key, fmt::format("a list of {} numbers", p.columns / 2));
    }
  return keys.failed() ? Rope() : makeRope(p);
}

} // namespace sinter
