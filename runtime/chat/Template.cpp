// SPDX-License-Identifier: Apache-2.0
// The border of the interpreter: exceptions become error values here.
#include "runtime/chat/Template.h"
#include "runtime/chat/Interpreter.h"
#include "runtime/chat/Parser.h"

namespace sinter::chat {

namespace {
tl::unexpected<Error> failure(const TemplateError &error) {
  return fail("chat template, line {}: {}", error.line, error.message);
}
} // namespace

Result<Template> Template::parse(std::string_view source) {
  try {
    return Template(parseTemplate(source));
  } catch (const TemplateError &error) {
    return failure(error);
  }
}

Result<std::string> Template::render(const Entries &variables, std::time_t now) const {
  try {
    return Interpreter(variables, now).render(*body);
  } catch (const TemplateError &error) {
    return failure(error);
  }
}

Result<std::string> Template::render(const std::vector<Message> &messages,
                                     const std::vector<std::pair<std::string, std::string>> &names,
                                     bool addGenerationPrompt) const {
  List list;
  for (const Message &message : messages)
    list.push_back(Value::dict({{Value::string("role"), Value::string(message.role)},
                                {Value::string("content"), Value::string(message.content)}}));
  Entries variables = {{Value::string("messages"), Value::list(std::move(list))},
                       {Value::string("tools"), Value::none()},
                       {Value::string("documents"), Value::none()},
                       {Value::string("add_generation_prompt"), Value::boolean(addGenerationPrompt)}};
  for (const auto &[name, text] : names)
    variables.emplace_back(Value::string(name), Value::string(text));
  return render(variables, std::time(nullptr));
}

Value fromJson(const JsonValue &json) {
  switch (json.kind()) {
  case JsonValue::Kind::Bool:
    return Value::boolean(*json.as<bool>());
  case JsonValue::Kind::Integer:
    if (const Result<int64_t> number = json.as<int64_t>())
      return Value::integer(*number);
    return Value::real(*json.as<double>());
  case JsonValue::Kind::Real:
    return Value::real(*json.as<double>());
  case JsonValue::Kind::String:
    return Value::string(*json.as<std::string>());
  case JsonValue::Kind::Array: {
    List items;
    for (JsonValue each : json)
      items.push_back(fromJson(each));
    return Value::list(std::move(items));
  }
  case JsonValue::Kind::Object: {
    Entries entries;
    for (JsonValue each : json)
      setEntry(entries, Value::string(std::string(each.key())), fromJson(each));
    return Value::dict(std::move(entries));
  }
  default:
    return Value::none();
  }
}

} // namespace sinter::chat
