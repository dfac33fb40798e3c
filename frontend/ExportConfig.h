// SPDX-License-Identifier: Apache-2.0
// Builds config.json from a GGUF file's metadata: what architectures have in common. Each adds its own keys
// (Architecture::writeHuggingFace).
#ifndef SINTER_FRONTEND_EXPORTCONFIG_H
#define SINTER_FRONTEND_EXPORTCONFIG_H

#include "frontend/Architecture.h"
#include "runtime/files/Gguf.h"
#include "runtime/files/JsonWriter.h"

#include <optional>
#include <string>
#include <string_view>

namespace sinter {

/// Copies metadata of one architecture under transformers' names. The first error sticks: later calls do
/// nothing, and the text is never used.
class ConfigBuilder {
public:
  /// `prefix`: general.architecture.
  ConfigBuilder(const Gguf &gguf, std::string_view prefix) : gguf(gguf), prefix(std::string(prefix) + ".") {}

  JsonWriter json{2};
  const Gguf &gguf;
  std::optional<Error> error;

  /// Metadata "ARCHITECTURE.key"; 0 after an error. The second form has a default for an absent key.
  int64_t integer(std::string_view key);
  int64_t integer(std::string_view key, int64_t otherwise);
  bool has(std::string_view key) const { return gguf.has(prefix + std::string(key)); }
  bool hasTensor(std::string_view name) const { return gguf.tensor(name) != nullptr; }

  /// Writes member `name` from metadata "ARCHITECTURE.key", which must exist.
  void copyInteger(std::string_view name, std::string_view key) { json.key(name).value(integer(key)); }
  void copyReal(std::string_view name, std::string_view key);
  /// The same, nothing for an absent key.
  void copyRealIfPresent(std::string_view name, std::string_view key);
  void copyIntegerIfPresent(std::string_view name, std::string_view key);

  /// Size of a head: key_length, or the width divided by the heads.
  int64_t headSize();

  /// head_dim.
  void addHeadSize() { json.key("head_dim").value(headSize()); }
  /// Whether the file has the tensor.
  void addFlag(std::string_view name, std::string_view tensor) { json.key(name).value(hasTensor(tensor)); }
  /// layer_types: every `period`-th layer attends to all tokens, the others to a window.
  void addLayerTypes(int64_t period);

  /// Sizes, heads and context as most architectures name them.
  void addDecoder();
  /// The same, with what Llama and its descendants have besides.
  void addRmsNormDecoder();
  /// rope_theta and rope_scaling.
  void addRope();
  /// partial_rotary_factor, or `name`, where RoPE turns a part of each head.
  void addPartialRotary(std::string_view name);

private:
  void addLlama3Scaling(const GgufTensor &factors);
  void addLongRope();

  std::string prefix;
};

} // namespace sinter

#endif // SINTER_FRONTEND_EXPORTCONFIG_H
