// SPDX-License-Identifier: Apache-2.0
// Builds config.json from a GGUF file's metadata. Private to the Export*.cpp files.
#ifndef SINTER_FRONTEND_EXPORTCONFIG_H
#define SINTER_FRONTEND_EXPORTCONFIG_H

#include "frontend/ExportArchitecture.h"

#include <optional>

namespace sinter {

/// Copies metadata of one architecture under transformers' names. The first error sticks: later calls do
/// nothing, and the text is never used.
class ConfigBuilder {
public:
  ConfigBuilder(const Gguf &gguf, const ExportArchitecture &architecture)
      : gguf(gguf), prefix(std::string(architecture.gguf) + ".") {}

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

  /// Sizes, heads and context as most architectures name them.
  void addDecoder();
  /// rope_theta and rope_scaling.
  void addRope();
  /// partial_rotary_factor, or `name`, where RoPE turns a part of each head.
  void addPartialRotary(std::string_view name);

private:
  void addLlama3Scaling(const GgufTensor &factors);
  void addLongRope();

  std::string prefix;
};

void describeLlama(ConfigBuilder &config);
void describeMixtral(ConfigBuilder &config);
void describeSmolLm3(ConfigBuilder &config);
void describeQwen2(ConfigBuilder &config);
void describeQwen3(ConfigBuilder &config);
void describeQwen3Moe(ConfigBuilder &config);
void describeGemma2(ConfigBuilder &config);
void describeGemma3(ConfigBuilder &config);
void describeOlmo2(ConfigBuilder &config);
void describePhi3(ConfigBuilder &config);
void describeStableLm(ConfigBuilder &config);
void describeStarcoder2(ConfigBuilder &config);
void describeGpt2(ConfigBuilder &config);
void describeGptNeoX(ConfigBuilder &config);
void describeBloom(ConfigBuilder &config);
void describeMpt(ConfigBuilder &config);

} // namespace sinter

#endif // SINTER_FRONTEND_EXPORTCONFIG_H
