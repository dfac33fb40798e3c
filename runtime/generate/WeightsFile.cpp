// SPDX-License-Identifier: Apache-2.0
// Looks beside the file that this code is mapped from: the executable, or the shared library in any program.
#include "runtime/generate/WeightsFile.h"
#include "runtime/files/CodeFile.h"
#include <unistd.h>

namespace sinter {

std::string findWeightsFile(const std::string &given, const std::string &recorded) {
  static const char anchor = 0;
  if (!given.empty() || recorded.empty())
    return given;
  const std::string self = fileOfCode(&anchor);
  if (self.empty())
    return recorded;
  const std::string beside = self.substr(0, self.rfind('/') + 1) + recorded.substr(recorded.rfind('/') + 1);
  return access(beside.c_str(), F_OK) == 0 ? beside : recorded;
}

} // namespace sinter
