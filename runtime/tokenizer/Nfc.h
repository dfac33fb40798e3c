// SPDX-License-Identifier: Apache-2.0
// Unicode's normal form C.
#ifndef SINTER_RUNTIME_TOKENIZER_NFC_H
#define SINTER_RUNTIME_TOKENIZER_NFC_H

#include <string>
#include <string_view>

namespace sinter {

/// Appends the normal form C of well-formed UTF-8 to `out`; or, when `text` is in that form already, appends
/// nothing and gives false.
bool composeCanonical(std::string_view text, std::string &out);

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_NFC_H
