// SPDX-License-Identifier: Apache-2.0
// Whether a name is taken.
#ifndef SINTER_RUNTIME_FILES_PRESENCE_H
#define SINTER_RUNTIME_FILES_PRESENCE_H

#include <cerrno>
#include <string>
#include <sys/stat.h>

namespace sinter {

/// Whether something lies at `path`, be it something that cannot be opened (a link that leads nowhere or
/// around in a circle, what may not be looked at): opening it says why not.
inline bool isThere(const std::string &path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_PRESENCE_H
