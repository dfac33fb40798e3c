// SPDX-License-Identifier: Apache-2.0
// Command-line flags as a table. Every compiled model carries this code: it uses no streams and no locales,
// which would be larger than the rest of the program.
#ifndef SINTER_RUNTIME_GENERATE_FLAGS_H
#define SINTER_RUNTIME_GENERATE_FLAGS_H

#include "runtime/Result.h"
#include <charconv>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sinter {

struct Flag {
  std::string_view names; ///< "-n,--predict"; empty: what is no flag, as it stands in argv
  std::string_view value; ///< what --help calls it; empty: the flag has none
  std::string_view help;
  std::function<Result<void>(std::string_view value)> set; ///< messages begin behind the flag's name
  bool optional = false; ///< the value may be left out: the next argument is one when it begins with a digit
};

struct FlagGroup {
  std::string_view title;
  std::vector<Flag> flags;
};

/// Calls `set` for each argument from argv[1] on. Values stand in the next argument ("-n 5", whatever it
/// begins with) or behind a sign of equality ("--predict=5"), with short names also without ("-n5"). An error
/// names the flag.
Result<void> parseFlags(std::span<const FlagGroup> groups, int argc, const char *const *argv);

/// A line a flag, under the titles of the groups.
std::string describeFlags(std::span<const FlagGroup> groups);

/// Parses all of `text` as a number.
template <typename Number> bool parseNumber(std::string_view text, Number &out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

/// What sets a number from `least` to `most`; NaN is none.
template <typename Number> auto numberBetween(Number least, Number most, Number &target) {
  return [least, most, &target](std::string_view text) -> Result<void> {
    Number number;
    if (!parseNumber(text, number) || !(number >= least && number <= most))
      return fail("expected a {}number from {} to {}, found '{}'", std::is_integral_v<Number> ? "whole " : "",
                  least, most, text);
    target = number;
    return {};
  };
}

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_FLAGS_H
