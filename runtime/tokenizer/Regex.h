// SPDX-License-Identifier: Apache-2.0
// A regular expression for splitting and replacing, by PCRE2 with its just-in-time compiler. For expressions
// that have no splitter of their own; frontend/tokenizer rewrites Oniguruma's syntax to PCRE2's.
#ifndef SINTER_RUNTIME_TOKENIZER_REGEX_H
#define SINTER_RUNTIME_TOKENIZER_REGEX_H

#include "runtime/Result.h"
#include <cstddef>
#include <memory>
#include <string_view>

namespace sinter {

class Regex {
public:
  /// An error gives PCRE2's message and the offset in the pattern.
  static Result<Regex> compile(std::string_view pattern);

  /// The least number of bytes that a match can have.
  size_t shortest() const;

  struct Match {
    size_t begin, end;
    bool found;
  };
  /// The first match at or after `from`. Needs valid UTF-8. Safe from several threads at once.
  Match find(std::string_view text, size_t from) const;

  /// Calls use(begin, end) for all matches in order, empty ones as Oniguruma's find_iter gives them.
  template <typename Use> void forEach(std::string_view text, Use use) const {
    size_t from = 0, last = static_cast<size_t>(-1);
    while (from <= text.size()) {
      Match match = find(text, from);
      if (!match.found)
        return;
      if (match.begin == match.end) {
        from = match.end + charSizeAt(text, match.end);
        if (match.end == last)
          continue;
      } else {
        from = match.end;
      }
      last = match.end;
      use(match.begin, match.end);
    }
  }

private:
  static size_t charSizeAt(std::string_view text, size_t at);
  struct Code;
  std::shared_ptr<const Code> code;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_REGEX_H
