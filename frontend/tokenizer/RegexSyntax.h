// SPDX-License-Identifier: Apache-2.0
// Rewrites regular expressions from Oniguruma's syntax, which tokenizer.json uses, to PCRE2's.
#ifndef SINTER_FRONTEND_TOKENIZER_REGEXSYNTAX_H
#define SINTER_FRONTEND_TOKENIZER_REGEXSYNTAX_H

#include "runtime/Result.h"
#include <string>
#include <string_view>

namespace sinter {

/// The same expression for PCRE2 with UTF, UCP and MULTILINE. What differs and is rewritten: sets inside
/// sets, \s and
/// \w (PCRE2's hold other characters), \h (a hexadecimal digit), \uHHHH, the option m (dot matches newlines).
/// An error names what has no equivalent: && in sets, negated sets inside sets, \S or \W inside sets.
/// Not rewritten: characters new in Unicode 15 and 16 have no category in PCRE2 10.42, and \b follows PCRE2's
/// \w.
Result<std::string> translateRegex(std::string_view pattern);

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_REGEXSYNTAX_H
