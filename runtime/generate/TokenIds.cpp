// SPDX-License-Identifier: Apache-2.0
// Reads lists of token ids.
#include "runtime/generate/TokenIds.h"
#include "runtime/files/Json.h"
#include <algorithm>
#include <charconv>

namespace sinter {

Result<std::vector<int32_t>> parseIdArray(std::string text, int64_t vocabulary) {
  const Result<Json> json = Json::parse(std::move(text), "standard input");
  if (!json)
    return tl::unexpected(json.error());
  if (!json->root().isArray())
    return fail("standard input: expected an array of token ids, found {}", json->root().describe());
  std::vector<int32_t> ids;
  ids.reserve(json->root().size());
  for (JsonValue element : json->root()) {
    const Result<int64_t> id = element.as<int64_t>();
    if (!id || *id < 0 || *id >= vocabulary)
      return fail("{}: expected token ids from 0 to {}, found {}", element.where(), vocabulary - 1,
                  element.describe());
    ids.push_back(int32_t(*id));
  }
  return ids;
}

Result<std::vector<int32_t>> parseIdList(std::string_view text) {
  std::vector<int32_t> ids;
  const std::string_view blank = " \t\n\r[]";
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (!item.empty() && blank.find(item.front()) != blank.npos)
      item.remove_prefix(1);
    while (!item.empty() && blank.find(item.back()) != blank.npos)
      item.remove_suffix(1);
    int32_t id = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), id);
    if (error != std::errc() || end != item.data() + item.size() || id < 0)
      return fail("expected token ids as 1,2,3, found '{}' as number {}", item,
                  ids.size() + 1);
    ids.push_back(id);
  }
  if (ids.empty())
    return fail("expected token ids as 1,2,3, found none");
  return ids;
}

} // namespace sinter
