// SPDX-License-Identifier: Apache-2.0
// Reads the keys of a config.json, each with its default. The first error is kept and all later reads give
// defaults, so that a reader is a list of keys without a branch a line.
#ifndef SINTER_FRONTEND_CONFIGKEYS_H
#define SINTER_FRONTEND_CONFIGKEYS_H

#include "frontend/Config.h"
#include "frontend/Rope.h"
#include "runtime/files/Json.h"

#include <limits>
#include <optional>
#include <string_view>
#include <vector>

namespace sinter {

/// The description of the text model: the whole object, or `text_config` of a model that also sees or hears.
JsonValue textPart(JsonValue root);

/// Keys may have several names ("n_embd|hidden_size"): the first that is there counts.
class ConfigKeys {
public:
  explicit ConfigKeys(JsonValue object) : object(object) {}
  /// The text part of a model that also sees or hears. What `whole` says of the ends of texts and of a head
  /// of its own counts before what the part says, as in transformers.
  ConfigKeys(JsonValue part, JsonValue whole) : object(part), whole(whole) {}

  /// The value of a key, absent where no name of it is there.
  JsonValue value(std::string_view keys) const;

  /// A length or count from 1 to `most`.
  int64_t size(std::string_view keys, int64_t absent, int64_t most = std::numeric_limits<int32_t>::max());
  /// The same; null gives nothing.
  std::optional<int64_t> optionalSize(std::string_view keys, std::optional<int64_t> absent,
                                      int64_t most = std::numeric_limits<int32_t>::max());
  std::optional<int64_t> optionalInteger(std::string_view keys, std::optional<int64_t> absent);
  double real(std::string_view keys, double absent);
  std::optional<double> optionalReal(std::string_view keys, std::optional<double> absent);
  /// null is as absent.
  bool flag(std::string_view keys, bool absent);
  std::string text(std::string_view keys, std::string_view absent);
  Activation activation(std::string_view keys, std::string_view absent);
  /// A token id, a list of them or null.
  std::vector<int64_t> ids(std::string_view keys, std::vector<int64_t> absent);
  std::vector<double> reals(std::string_view keys);
  /// One integer for each of `count` layers; nothing when absent or null.
  std::optional<std::vector<int64_t>> layerIntegers(std::string_view keys, size_t count);
  /// `layer_types`: whether each layer has a sliding window; nothing when absent or null.
  std::optional<std::vector<bool>> slidingLayers(size_t count);

  /// An error about the key unless `valid`: "config.json: key 'x' (byte 12): expected ..., found ...".
  void check(bool valid, std::string_view keys, std::string_view expected);
  /// Refuses a key whose value must be one that is as if it were not there (false, null, 0).
  void refuse(std::string_view keys, std::string_view supported);
  void fail(Error error);
  Result<> status() const;
  bool failed() const { return error.has_value(); }

private:
  template <typename T> std::optional<T> read(JsonValue value);

  JsonValue object;
  std::optional<JsonValue> whole;
  std::optional<Error> error;
};

/// Defaults of an architecture's configuration class, where they differ.
struct DecoderDefaults {
  int64_t vocabulary, hidden, intermediate, layers, heads;
  std::optional<int64_t> keyValueHeads = std::nullopt; ///< none: as many as heads
  std::optional<int64_t> headDim = std::nullopt;       ///< none: hidden / heads
  int64_t context;
  double epsilon;
  bool tied = false;
  std::optional<int64_t> bos = std::nullopt;
  std::vector<int64_t> eos = {};
  std::string_view activation = "silu";
  std::string_view activationKey = "hidden_act";
  std::string_view epsilonKey = "rms_norm_eps";
};

/// Reads what Llama and its descendants have in common. All layers get full attention, scaled by
/// headDim^-1/2, and rope set 0, which the caller adds.
void readDecoder(ConfigKeys &keys, ModelConfig &config, const DecoderDefaults &defaults);

/// Heads of equal shares of the hidden size, for what is no descendant of Llama.
void readHeads(ConfigKeys &keys, ModelConfig &config, std::string_view headsKey, int64_t heads,
               std::string_view hiddenKey);
/// Layers with full attention scaled by headDim^-1/2, and without rope.
void readLayers(ConfigKeys &keys, ModelConfig &config, std::string_view key, int64_t absent);

/// Gives the layers for which `sliding` says so the window.
void setWindows(ModelConfig &config, const std::vector<bool> &sliding, std::optional<int64_t> window);

/// The windows of Qwen2 and 3: of the layers that layer_types names, or of those from max_window_layers on.
void readQwenWindows(ConfigKeys &keys, ModelConfig &config);

struct RopeDefaults {
  double theta = 10000;
  /// Of partial_rotary_factor; none: the architecture turns whole heads.
  std::optional<double> partial = std::nullopt;
  std::string_view thetaKey = "rope_theta", partialKey = "partial_rotary_factor";
  std::optional<int64_t> originalContext =
      std::nullopt; ///< of the key original_max_position_embeddings beside the rest
  /// Older names of a type ("su").
  std::vector<std::pair<std::string_view, std::string_view>> typeNames = {};
};

/// Reads rope_parameters (transformers 5), or rope_scaling beside rope_theta (4), of a model with one set.
Rope readRope(ConfigKeys &keys, const ModelConfig &config, const RopeDefaults &defaults);
/// The same for one set of several: `objects` are searched in order for each parameter.
Rope readRopeSet(ConfigKeys &keys, const ModelConfig &config, std::span<const JsonValue> objects,
                 const RopeDefaults &defaults);

} // namespace sinter

#endif // SINTER_FRONTEND_CONFIGKEYS_H
