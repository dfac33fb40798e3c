// SPDX-License-Identifier: Apache-2.0
// The weights of a model as one list of named tensors, whether they come from a Hugging Face folder or a GGUF
// file, and their conversion from one storage format to another.
#ifndef SINTER_FRONTEND_WEIGHTS_H
#define SINTER_FRONTEND_WEIGHTS_H

#include "runtime/Result.h"
#include "runtime/files/BlockFormats.h"
#include "runtime/files/Gguf.h"
#include "runtime/files/SafeTensors.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// One tensor as it lies in its file.
struct Weight {
  std::string name;                 // as in the file
  const BlockFormat *format;        // null or without `dequantize` when it is no weight Sinter can read
  std::string typeName;             // "Q4_K", "I64": the format's name, or the type of what is no weight
  std::vector<int64_t> shape;       // outermost first
  std::span<const std::byte> bytes; // in the file
  std::string_view file;            // its path
  uint64_t offset;                  // of `bytes` in the file

  /// Numbers in a row: the innermost length, which blocks run along. 1 for a scalar.
  int64_t rowLength() const { return shape.empty() ? 1 : shape.back(); }
  /// All numbers divided by rowLength().
  int64_t rowCount() const;
};

/// The tensors of a model. Cheap to copy: copies share the mapped files and the notes on what was claimed.
class WeightSource {
public:
  /// The safetensors of a Hugging Face folder.
  static Result<WeightSource> openFolder(const std::string &folder);
  static WeightSource fromSafeTensors(SafeTensors tensors);
  /// The tensors of a GGUF file, under llama.cpp's names.
  static WeightSource fromGguf(Gguf gguf);

  std::span<const Weight> weights() const;

  /// The tensor `name`. Names may differ in the base model's prefix, missing or extra on either side
  /// ("transformer.", "model.", "language_model.", "gpt_neox.", in any combination); an exact match goes
  /// first. Null if there is none.
  const Weight *find(std::string_view name) const;

  /// The tensor `name`, noted as used. Fails when it is missing, its shape is not `shape` (a length of -1
  /// matches any), its type cannot be read, or several tensors could be meant.
  Result<const Weight *> claim(std::string_view name, std::span<const int64_t> shape) const;
  /// The same, or null where the file has no such tensor.
  Result<const Weight *> claimIfPresent(std::string_view name, std::span<const int64_t> shape) const;

  /// The tensors that the model uses.
  std::vector<const Weight *> claimed() const;
  /// Tensors that nobody claimed, without old buffers that newer files lack because they hold nothing learnt
  /// (causal masks, inverse RoPE frequencies, position ids): a model with others is not the one described.
  std::vector<std::string_view> unclaimed() const;

private:
  struct Contents;
  explicit WeightSource(std::shared_ptr<Contents> contents) : contents(std::move(contents)) {}
  std::shared_ptr<Contents> contents;
};

/// Decodes rows `begin` to `end` - 1 of `weight` to (end - begin) * rowLength() floats.
void decodeRows(const Weight &weight, int64_t begin, int64_t end, float *out);

/// Fails at the first NaN or infinity: names the tensor, the index and the byte of its block.
Result<> checkFinite(const Weight &weight, unsigned threads);

/// How `--weights` stores a tensor of this shape: vectors (norms, biases) as F32, matrices as `wanted`, or as
/// F16 where a row is no whole number of `wanted`'s blocks. `wanted` is null for "keep": the file's own
/// format.
const BlockFormat *storageFormat(const Weight &weight, const BlockFormat *wanted);

/// Bytes of `weight` in `format`.
Result<int64_t> convertedSize(const Weight &weight, const BlockFormat &format);

} // namespace sinter

#endif // SINTER_FRONTEND_WEIGHTS_H
