// SPDX-License-Identifier: Apache-2.0
// A model's chat template: Jinja, as transformers' apply_chat_template renders it (an immutable sandbox with
// trim_blocks, lstrip_blocks, loop controls, tojson, raise_exception, strftime_now). The compiler parses it
// too, so that an unsupported construct is named before anybody chats.
#ifndef SINTER_RUNTIME_CHAT_TEMPLATE_H
#define SINTER_RUNTIME_CHAT_TEMPLATE_H

#include "runtime/Result.h"
#include "runtime/chat/Ast.h"
#include "runtime/files/Json.h"
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

namespace sinter::chat {

struct Message {
  std::string role, content;
};

class Template {
public:
  /// Fails with line and reason on malformed text and on constructs that are not supported.
  static Result<Template> parse(std::string_view source);

  /// Renders with these variables (string keys). Fails with line and reason: the template's own
  /// raise_exception, operations on wrong types, more than 64 MiB of text or five million steps.
  Result<std::string> render(const Entries &variables, std::time_t now) const;

  /// A conversation as apply_chat_template(messages, add_generation_prompt) renders it; `names` are the
  /// model's special tokens: ("bos_token", "<s>"), ...
  Result<std::string> render(const std::vector<Message> &messages,
                             const std::vector<std::pair<std::string, std::string>> &names,
                             bool addGenerationPrompt) const;

private:
  explicit Template(Body body) : body(std::make_shared<Body>(std::move(body))) {}
  std::shared_ptr<const Body> body;
};

/// JSON as Python's json.loads gives it to a template. Integers beyond 64 bits become floats.
Value fromJson(const JsonValue &json);

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_TEMPLATE_H
