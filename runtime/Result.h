// SPDX-License-Identifier: Apache-2.0
// What a function of the runtime returns when it can fail: the value, or an Error that says what was
// expected, what was found and where. The runtime neither prints nor exits; the mains do. (tl::expected is
// std::expected for C++20: the compiler's sources include this file, and MLIR 22 does not compile as C++23.)
#ifndef SINTER_RUNTIME_RESULT_H
#define SINTER_RUNTIME_RESULT_H

#include <fmt/format.h>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>

namespace sinter {

struct Error {
  std::string message;
};

template <typename T = void> using Result = tl::expected<T, Error>;

/// `text` as messages show it: of more than 1 KiB, both ends and how many bytes are left out between them.
/// Names in a model file and arguments of a command may be of any length.
std::string shortened(std::string_view text);

/// What `fail` shows of an argument: text shortened, anything else as it is.
template <typename T> decltype(auto) inMessage(const T &value) {
  if constexpr (std::is_convertible_v<const T &, std::string_view>)
    return shortened(value);
  else
    return (value);
}

/// `return fail("{}: expected {}, found {}", path, want, got);`
template <typename... Args> tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args &&...args) {
  return tl::unexpected<Error>(Error{fmt::vformat(format, fmt::make_format_args(inMessage(args)...))});
}

} // namespace sinter

#endif // SINTER_RUNTIME_RESULT_H
