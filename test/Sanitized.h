// SPDX-License-Identifier: Apache-2.0
// Whether this is a build with sanitizers, where tests of speed and of statistics do less.
#ifndef SINTER_TEST_SANITIZED_H
#define SINTER_TEST_SANITIZED_H

namespace sinter {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SINTER_SANITIZED
#endif
#endif

#ifdef SINTER_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

} // namespace sinter

#endif // SINTER_TEST_SANITIZED_H
