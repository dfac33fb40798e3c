// SPDX-License-Identifier: Apache-2.0
// One run at a time in a folder.
#ifndef SINTER_RUNTIME_DATA_FOLDERLOCK_H
#define SINTER_RUNTIME_DATA_FOLDERLOCK_H

#include "runtime/Result.h"

#include <string>

namespace sinter::data {

/// A file that one process at a time holds; it is let go with the object, or when the process dies.
class FolderLock {
public:
  FolderLock() = default;
  FolderLock(const FolderLock &) = delete;
  FolderLock &operator=(const FolderLock &) = delete;
  ~FolderLock();

  /// Makes the file `path` and locks it. An error, which names `folder`, where another process holds it.
  Result<> take(const std::string &path, const std::string &folder);

private:
  int descriptor = -1;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_FOLDERLOCK_H
