// SPDX-License-Identifier: Apache-2.0
// Looks beside the file that this code is mapped from: the executable, or the shared library in any program.
#include "runtime/generate/WeightsFile.h"
#include <cinttypes>
#include <climits>
#include <cstdio>
#include <unistd.h>

namespace sinter {

namespace {

/// The file that `address` is mapped from, by /proc/self/maps; empty when there is none.
std::string fileOf(const void *address) {
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

const char anchor = 0;

} // namespace

std::string findWeightsFile(const std::string &given, const std::string &recorded) {
  if (!given.empty() || recorded.empty())
    return given;
  const std::string self = fileOf(&anchor);
  if (self.empty())
    return recorded;
  const std::string beside = self.substr(0, self.rfind('/') + 1) + recorded.substr(recorded.rfind('/') + 1);
  return access(beside.c_str(), F_OK) == 0 ? beside : recorded;
}

} // namespace sinter
