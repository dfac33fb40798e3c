// SPDX-License-Identifier: Apache-2.0
// {fmt}, compiled once: Debian packages it as headers and as a shared library, and executables are static.
// The instantiations are those that the headers leave to the library.
#include <fmt/format-inl.h>

namespace fmt {
inline namespace v9 {
namespace detail {
template auto dragonbox::to_decimal(float) noexcept -> dragonbox::decimal_fp<float>;
template auto dragonbox::to_decimal(double) noexcept -> dragonbox::decimal_fp<double>;
template auto thousands_sep_impl(locale_ref) -> thousands_sep_result<char>;
template auto decimal_point_impl(locale_ref) -> char;
} // namespace detail
} // namespace v9
} // namespace fmt
