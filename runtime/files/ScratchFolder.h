// SPDX-License-Identifier: Apache-2.0
// A folder for files that one tool hands to another: it goes with what is in it.
#ifndef SINTER_RUNTIME_FILES_SCRATCHFOLDER_H
#define SINTER_RUNTIME_FILES_SCRATCHFOLDER_H

#include "runtime/Result.h"

#include <string>
#include <string_view>
#include <utility>

namespace sinter {

/// Removed with its files when this value dies, and by a signal that ends the process (Temporaries.h). It
/// holds no folders.
class ScratchFolder {
public:
  /// Makes a new folder in $TMPDIR, or in /tmp.
  static Result<ScratchFolder> create();

  ScratchFolder(ScratchFolder &&other) noexcept : folder(std::exchange(other.folder, {})) {}
  ScratchFolder &operator=(ScratchFolder &&) = delete;
  ~ScratchFolder();

  /// The path of the file `name` in it.
  std::string path(std::string_view name) const { return folder + "/" + std::string(name); }

private:
  explicit ScratchFolder(std::string folder) : folder(std::move(folder)) {}

  std::string folder; // empty: moved from
};

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_SCRATCHFOLDER_H
