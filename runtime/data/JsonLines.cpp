// SPDX-License-Identifier: Apache-2.0
// The two shapes of a line: a text, or a list of messages.
#include "runtime/data/JsonLines.h"
#include "runtime/files/Json.h"
#include "runtime/files/Utf8.h"

namespace sinter::data {
namespace {

JsonValue lookUp(JsonValue value, std::string_view path) {
  if (value.has(path))
    return value[path];
  size_t dot = path.find('.');
  if (dot == path.npos)
    return value[path];
  return lookUp(value[path.substr(0, dot)], path.substr(dot + 1));
}

Result<std::string> readMessages(JsonValue messages) {
  std::string text;
  for (JsonValue message : messages) {
    Result<std::string_view> role = message.get<std::string_view>("role");
    if (!role)
      return tl::unexpected(role.error());
    Result<std::string_view> content = message.get<std::string_view>("content");
    if (!content)
      return tl::unexpected(content.error());
    if (!text.empty())
      text += "\n\n";
    text.append(*role).append(": ").append(*content);
  }
  return text;
}

} // namespace

Result<JsonLine> readJsonLine(std::string_view line, std::string_view field, const std::string &where) {
  Result<Json> json = Json::parse(std::string(line), where);
  // The parser wants valid UTF-8; repairing keeps a line that has one bad byte.
  if (!json && validUtf8Prefix(line) != line.size()) {
    std::string repaired;
    appendRepairedUtf8(repaired, line);
    json = Json::parse(std::move(repaired), where);
  }
  if (!json)
    return tl::unexpected(json.error());
  JsonValue root = json->root();
  JsonLine result;
  JsonValue id = root["id"];
  if (id.isString())
    result.id = *id.as<std::string_view>();
  else if (id.kind() == JsonValue::Kind::Integer)
    result.id = std::to_string(*id.as<int64_t>());
  JsonValue text = lookUp(root, field);
  JsonValue messages = text.isArray() ? text : root["messages"];
  if (!text.isString() && messages.isArray()) {
    Result<std::string> chat = readMessages(messages);
    if (!chat)
      return tl::unexpected(chat.error());
    result.text = std::move(*chat);
    return result;
  }
  Result<std::string_view> plain = text.as<std::string_view>();
  if (!plain)
    return tl::unexpected(plain.error());
  result.text = *plain;
  return result;
}

} // namespace sinter::data
