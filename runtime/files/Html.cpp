// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/Html.h"

#include <fmt/format.h>

namespace sinter {

std::string escapeHtml(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string htmlTable(const std::vector<std::vector<std::string>> &rows) {
  std::string html = "<table>\n";
  for (size_t r = 0; r < rows.size(); ++r) {
    html += "<tr>";
    for (const std::string &cell : rows[r])
      html += fmt::format("<{0}>{1}</{0}>", r == 0 ? "th" : "td", escapeHtml(cell));
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

} // namespace sinter
