// SPDX-License-Identifier: Apache-2.0
// Reads /proc/self/maps, which static programs have too.
#include "runtime/files/CodeFile.h"
#include <cinttypes>
#include <climits>
#include <cstdio>

namespace sinter {

std::string fileOfCode(const void *address) {
  FILE *maps = std::fopen("/proc/self/maps", "re");
  if (!maps)
    return {};
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  char line[PATH_MAX + 128];
  std::string found;
  while (found.empty() && std::fgets(line, sizeof line, maps)) {
    uintptr_t begin, end;
    char path[PATH_MAX + 1];
    // begin-end permissions offset device inode path
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %*s %4096[^\n]", &begin, &end, path) == 3 &&
        begin <= wanted && wanted < end && path[0] == '/')
      found = path;
  }
  std::fclose(maps);
  return found;
}

} // namespace sinter
