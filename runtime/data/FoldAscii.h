// SPDX-License-Identifier: Apache-2.0
// Text as it is compared: ASCII letters in lower case, no white space.
#ifndef SINTER_RUNTIME_DATA_FOLDASCII_H
#define SINTER_RUNTIME_DATA_FOLDASCII_H

#include <cstddef>
#include <string_view>

namespace sinter::data {

/// Bytes behind the text's size that foldAscii may write to.
inline constexpr size_t foldSlack = 8;

/// Writes `text` in lower case and without ASCII white space (isAsciiSpace) to `out`; gives its bytes.
size_t foldAscii(std::string_view text, char *out);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_FOLDASCII_H
