// SPDX-License-Identifier: Apache-2.0
// Writes GGUF version 3 files, for tests and tools.
#ifndef SINTER_RUNTIME_FILES_GGUFWRITER_H
#define SINTER_RUNTIME_FILES_GGUFWRITER_H

#include "runtime/Result.h"
#include "runtime/files/Gguf.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// Collects metadata and tensors, then gives the file's bytes. Nothing is checked: tests write wrong files
/// too.
class GgufWriter {
public:
  /// T as GGUF stores it: bool or a number of 8 to 64 bits.
  template <typename T> GgufWriter &add(std::string_view key, T value);
  GgufWriter &add(std::string_view key, std::string_view value);
  GgufWriter &add(std::string_view key, const char *value) { return add(key, std::string_view(value)); }
  template <typename T> GgufWriter &addArray(std::string_view key, const std::vector<T> &values);
  GgufWriter &addArray(std::string_view key, const std::vector<std::string> &values);

  /// `shape` is outermost first; `bytes` are copied.
  GgufWriter &addTensor(std::string_view name, const BlockFormat &format, std::vector<int64_t> shape,
                        std::span<const std::byte> bytes);

  /// The whole file.
  std::string bytes() const;
  /// Writes it to `path`, whole or not at all.
  Result<> write(const std::string &path) const;

private:
  struct Tensor {
    std::string name;
    const BlockFormat *format;
    std::vector<int64_t> shape;
    std::string bytes;
  };
  std::string metadata;
  uint64_t metadataCount = 0;
  uint64_t alignment = 32;
  std::vector<Tensor> tensors;
};

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_GGUFWRITER_H
