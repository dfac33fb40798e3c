// SPDX-License-Identifier: Apache-2.0
// Reads lists of token ids.
#include "runtime/generate/TokenIds.h"
#include "runtime/files/Json.h"
#include "runtime/generate/Flags.h"
#include <algorithm>

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

static std::string_view trim(std::string_view text) {
  const std::string_view blank = " \t\n\r";
  const size_t begin = std::min(text.find_first_not_of(blank), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(blank) + 1);
}

Result<std::vector<int32_t>> parseIdList(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    text = trim(text.substr(1, text.size() - 2));
  if (text.empty())
    return fail("expected token ids as 1,2,3, found none");
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view item = trim(text.substr(begin, comma - begin));
    int32_t id = 0;
    if (!parseNumber(item, id) || id < 0)
      return fail("expected token ids as 1,2,3, found '{}' as number {}", item, ids.size() + 1);
    ids.push_back(id);
    begin = comma + 1;
  }
  return ids;
}

} // namespace sinter
