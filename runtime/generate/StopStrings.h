// SPDX-License-Identifier: Apache-2.0
// Watches a stream of text for strings that end it. Text that may turn out to be the beginning of one is held
// back until that is decided.
#ifndef SINTER_RUNTIME_GENERATE_STOPSTRINGS_H
#define SINTER_RUNTIME_GENERATE_STOPSTRINGS_H

#include <string>
#include <string_view>
#include <vector>

namespace sinter {

class StopStrings {
public:
  explicit StopStrings(std::vector<std::string> strings);

  /// Takes the next piece and appends to `out` what can be shown now. True when a stop string is complete;
  /// then `out` has got all text before it, and the string and what follows are dropped.
  bool push(std::string_view piece, std::string &out);

  /// The stream has ended without a stop string: appends what was held back.
  void flush(std::string &out);

private:
  std::vector<std::string> strings;
  std::string held;
};

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_STOPSTRINGS_H
