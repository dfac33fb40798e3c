// SPDX-License-Identifier: Apache-2.0
// mkdtemp, and the removal.
#include "runtime/files/ScratchFolder.h"

#include "runtime/files/Temporaries.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace sinter {

Result<ScratchFolder> ScratchFolder::create() {
  const char *given = std::getenv("TMPDIR");
  std::string path = std::string(given && *given ? given : "/tmp") + "/sinter-XXXXXX";
  if (!::mkdtemp(path.data()))
    return fail("cannot make a temporary folder {} (TMPDIR says where): {}", path, std::strerror(errno));
  rememberTemporary(path);
  return ScratchFolder(std::move(path));
}

ScratchFolder::~ScratchFolder() {
  if (folder.empty())
    return;
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  forgetTemporary(folder);
}

} // namespace sinter
