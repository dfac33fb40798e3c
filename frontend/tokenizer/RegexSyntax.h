// SPDX-License-Identifier: Apache-2.0
// Rewrites regular expressions from Oniguruma's syntax (that of Ruby), which tokenizer.json uses, to PCRE2's.
#ifndef SINTER_FRONTEND_TOKENIZER_REGEXSYNTAX_H
#define SINTER_FRONTEND_TOKENIZER_REGEXSYNTAX_H

#include "runtime/Result.h"
#include <string>
#include <string_view>

namespace sinter {

/// The same expression for PCRE2 with UTF, UCP and MULTILINE. What differs and is rewritten:
/// - sets inside sets; classes whose characters differ: \s, \w, \b, \h (a hexadecimal digit), [[:alpha:]] and
///   the like, scripts (\p{Han} holds no script extensions);
/// - \v (one character), \O, \uHHHH and letters that are no escape, such as \Q;
/// - repeats: {n,m}+ repeats {n,m} where PCRE2 makes it possessive (?+, *+ and ++ are possessive in both),
///   {n}? may be absent where PCRE2 makes it lazy, {,n} is {0,n}, and repeats may be repeated;
/// - the option m (dot matches newlines); options without a group, (?i), reach to the end of the group they
///   stand in, over alternatives.
/// An error names what has no equivalent: && in sets, negated classes and sets inside sets, \C-x, \M-x, \X,
/// \y, and text without case that one character and several spell (ss and \u00DF). Not rewritten: characters
/// new in Unicode 15 and 16 have no category in PCRE2 10.42.
Result<std::string> translateRegex(std::string_view pattern);

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_REGEXSYNTAX_H
