// SPDX-License-Identifier: Apache-2.0
// A file mapped read-only into memory for as long as the object lives.
#ifndef SINTER_RUNTIME_FILES_MAPPEDFILE_H
#define SINTER_RUNTIME_FILES_MAPPEDFILE_H

#include "runtime/Result.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace sinter {

/// Maps a regular, non-empty file. The bytes come from the page cache: nothing is copied. Whoever truncates
/// the file while it is mapped makes later reads fault, as with every mapping.
class MappedFile {
public:
  /// Fails with the path and the reason when the file is missing, unreadable, a directory or another special
  /// file, or empty.
  static Result<MappedFile> open(std::string path);

  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  const std::string &path() const { return filePath; }
  size_t size() const { return mapped.size(); }
  std::span<const std::byte> bytes() const { return mapped; }
  std::string_view text() const { return {reinterpret_cast<const char *>(mapped.data()), mapped.size()}; }

private:
  std::string filePath;
  std::span<const std::byte> mapped;
};

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_MAPPEDFILE_H
