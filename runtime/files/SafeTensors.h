// SPDX-License-Identifier: Apache-2.0
// Reads and writes safetensors: a JSON header, then the tensors' bytes without gaps; one file, or shards with
// an index as Hugging Face folders hold them.
#ifndef SINTER_RUNTIME_FILES_SAFETENSORS_H
#define SINTER_RUNTIME_FILES_SAFETENSORS_H

#include "runtime/Result.h"
#include "runtime/files/AtomicFile.h"
#include "runtime/files/BlockFormats.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sinter {

struct SafeTensor {
  std::string name;
  std::string dtype;                // as in the file: "F32", "BF16", "I64", "F8_E4M3", ...
  const BlockFormat *format;        // of F32, F16 and BF16; null for all others, which are not weights
  std::vector<int64_t> shape;       // outermost first
  std::span<const std::byte> bytes; // in the file
  std::string_view file;            // the path of the file or shard
  uint64_t offset;                  // of `bytes` in that file
};

/// The tensors of a file or folder. Cheap to copy: copies share the mappings, which live as long as one of
/// them.
class SafeTensors {
public:
  /// One file. Checks what the format demands: every tensor's bytes match its shape, they lie one after
  /// another without holes or overlaps and fill the file; no duplicate names.
  static Result<SafeTensors> open(const std::string &path);
  /// FOLDER/model.safetensors or, where there is none, the shards that model.safetensors.index.json lists.
  static Result<SafeTensors> openFolder(const std::string &folder);
  /// One file's bytes, which outlive the result; `name` stands for them in messages.
  static Result<SafeTensors> parse(std::span<const std::byte> bytes, std::string name);

  std::span<const SafeTensor> tensors() const; // sorted by name
  const SafeTensor *find(std::string_view name) const;
  /// `__metadata__` of the (first) file.
  std::span<const std::pair<std::string, std::string>> metadata() const;

private:
  struct Contents;
  explicit SafeTensors(std::shared_ptr<const Contents> contents) : contents(std::move(contents)) {}
  std::shared_ptr<const Contents> contents;
};

/// Writes one file: declare all tensors, then give their bytes in the same order, in pieces of any size.
/// Nothing appears at the target before commit().
class SafeTensorsWriter {
public:
  explicit SafeTensorsWriter(std::string path) : path(std::move(path)) {}

  void addMetadata(std::string key, std::string value);
  /// `format` is F32, F16 or BF16; names are unique.
  void declare(std::string name, const BlockFormat &format, std::vector<int64_t> shape);
  /// Creates the file and writes the header. Fails as AtomicFile does, or on a shape that does not fit.
  Result<> begin();
  Result<> append(std::span<const std::byte> bytes);
  /// Asserts that as many bytes as declared were given.
  Result<> commit(bool sync = false);

private:
  struct Declared {
    std::string name;
    const BlockFormat *format;
    std::vector<int64_t> shape;
  };
  std::string path;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Declared> declared;
  std::optional<AtomicFile> file;
  uint64_t expectedSize = 0;
};

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_SAFETENSORS_H
