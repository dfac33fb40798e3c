// SPDX-License-Identifier: Apache-2.0
// A file that appears complete or not at all: written beside its target under another name, renamed at the
// end.
#ifndef SINTER_RUNTIME_FILES_ATOMICFILE_H
#define SINTER_RUNTIME_FILES_ATOMICFILE_H

#include "runtime/Result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sinter {

/// Every output goes through this class. Until commit() the target is untouched; an object that dies without
/// commit(), and a signal that ends the process (Temporaries.h), removes what it wrote. A target that is a
/// device or a pipe (/dev/null) is written straight through, since renaming would replace the device; a
/// symbolic link is followed, so that the link stays.
class AtomicFile {
public:
  /// Creates the temporary file in the target's folder. `mode` as for open(2), reduced by the umask (0777 for
  /// an executable). Fails with the path and the reason when the target is a directory, or its folder is
  /// missing or not writable.
  static Result<AtomicFile> create(std::string target, unsigned mode = 0666);

  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&other) noexcept;
  ~AtomicFile();

  /// Appends. Fails with how many bytes were expected and how many the disk took.
  Result<> write(std::span<const std::byte> bytes);
  Result<> write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

  /// Bytes written through write() so far.
  uint64_t size() const { return written; }
  const std::string &target() const { return targetPath; }

  /// For tools that open their output by name, such as the linker: they may rewrite or replace this file.
  const std::string &temporaryPath() const { return temporary; }

  /// Renames the temporary file to the target; with `sync` only after its bytes are on the disk. Call once.
  Result<> commit(bool sync = false);

private:
  AtomicFile() = default;

  std::string targetPath;
  std::string temporary; // equals the target for devices; empty when there is nothing to remove
  int descriptor = -1;
  uint64_t written = 0;
};

/// Removes the temporary files that killed processes left in `folder`, for targets whose names begin with
/// `of`. The caller is sure that no other process writes such (it holds a lock).
void removeLeftTemporaries(const std::string &folder, std::string_view of = "");

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_ATOMICFILE_H
