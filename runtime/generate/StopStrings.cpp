// SPDX-License-Identifier: Apache-2.0
// The held text is at most one byte shorter than the longest stop string, so searching it anew is cheap.
#include "runtime/generate/StopStrings.h"
#include <algorithm>

namespace sinter {

StopStrings::StopStrings(std::vector<std::string> given) : strings(std::move(given)) {
  std::erase_if(strings, [](const std::string &each) { return each.empty(); });
  held.reserve(4096);
}

bool StopStrings::push(std::string_view piece, std::string &out) {
  held += piece;
  size_t first = std::string::npos;
  for (const std::string &stop : strings)
    first = std::min(first, held.find(stop));
  if (first != std::string::npos) {
    out.append(held, 0, first);
    held.clear();
    return true;
  }
  size_t keep = 0; // the longest end of `held` that begins a stop string
  for (const std::string &stop : strings)
    for (size_t length = std::min(stop.size() - 1, held.size()); length > keep; --length)
      if (held.compare(held.size() - length, length, stop, 0, length) == 0)
        keep = length;
  out.append(held, 0, held.size() - keep);
  held.erase(0, held.size() - keep);
  return false;
}

void StopStrings::flush(std::string &out) {
  out += held;
  held.clear();
}

} // namespace sinter
