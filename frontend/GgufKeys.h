// SPDX-License-Identifier: Apache-2.0
// Reads the metadata of a GGUF file under its architecture's prefix. Like ConfigKeys, it keeps the first
// error.
#ifndef SINTER_FRONTEND_GGUFKEYS_H
#define SINTER_FRONTEND_GGUFKEYS_H

#include "frontend/Config.h"
#include "frontend/Rope.h"
#include "runtime/files/Gguf.h"

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// Keys are given without the prefix: "attention.head_count" is read as "llama.attention.head_count".
class GgufKeys {
public:
  GgufKeys(const Gguf &file, std::string prefix) : gguf(file), prefix(std::move(prefix)) {}

  const Gguf &file() const { return gguf; }
  std::string full(std::string_view key) const { return prefix + "." + std::string(key); }
  bool has(std::string_view key) const { return gguf.has(full(key)); }
  bool hasTensor(std::string_view name) const { return gguf.tensor(name) != nullptr; }

  /// From 1 to `most`. Without a default the key must be there. An array (a number a layer) counts as one
  /// number when all are equal.
  int64_t size(std::string_view key, std::optional<int64_t> absent = std::nullopt,
               int64_t most = std::numeric_limits<int32_t>::max());
  /// The same, but 0 and an absent key give nothing.
  std::optional<int64_t> optionalSize(std::string_view key);
  double real(std::string_view key, std::optional<double> absent = std::nullopt);
  std::optional<double> optionalReal(std::string_view key);
  bool flag(std::string_view key, bool absent);
  std::string text(std::string_view key, std::string_view absent);
  /// The numbers of a tensor with `count` of them; nothing when the file has no such tensor.
  std::vector<float> tensor(std::string_view name, int64_t count);

  void check(bool valid, std::string_view key, std::string_view expected, std::string_view found);
  void fail(Error error);
  Result<> status() const;
  bool failed() const { return error.has_value(); }

private:
  const Gguf &gguf;
  std::string prefix;
  std::optional<Error> error;
};

/// Reads what all decoders share; biases and tied embeddings are told by the tensors. All layers get full
/// attention, scaled by headDim^-1/2, and rope set 0, which the caller adds.
void readGgufDecoder(GgufKeys &keys, ModelConfig &config);

/// Reads the rope keys, with the factors of rope_freqs.weight or rope_factors_{short,long}.weight.
Rope readGgufRope(GgufKeys &keys, const ModelConfig &config);

} // namespace sinter

#endif // SINTER_FRONTEND_GGUFKEYS_H
