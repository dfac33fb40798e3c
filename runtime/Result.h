// SPDX-License-Identifier: Apache-2.0
// What a function of the runtime returns when it can fail: the value, or an Error that says what was
// expected, what was found and where. The runtime neither prints nor exits; the mains do. (tl::expected is
// std::expected for C++20: the compiler's sources include this file, and MLIR 22 does not compile as C++23.)
#ifndef SINTER_RUNTIME_RESULT_H
#define SINTER_RUNTIME_RESULT_H

#include <fmt/format.h>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace sinter {

struct Error {
  std::string message;
};

template <typename T = void> using Result = tl::expected<T, Error>;

/// `return fail("{}: expected {}, found {}", path, want, got);`
template <typename... Args> tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args &&...args) {
  return tl::unexpected<Error>(Error{fmt::format(format, std::forward<Args>(args)...)});
}

} // namespace sinter

#endif // SINTER_RUNTIME_RESULT_H
