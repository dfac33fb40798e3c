// SPDX-License-Identifier: Apache-2.0
// Pieces of the pages that reports are.
#ifndef SINTER_RUNTIME_FILES_HTML_H
#define SINTER_RUNTIME_FILES_HTML_H

#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// `text` as the content of an element or of a quoted attribute.
std::string escapeHtml(std::string_view text);

/// A table of texts; the first row is its head.
std::string htmlTable(const std::vector<std::vector<std::string>> &rows);

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_HTML_H
