// SPDX-License-Identifier: Apache-2.0
// Cuts a template into text and the tokens of its tags, with Jinja's whitespace control as transformers sets
// it: trim_blocks and lstrip_blocks.
#ifndef SINTER_RUNTIME_CHAT_LEXER_H
#define SINTER_RUNTIME_CHAT_LEXER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sinter::chat {

struct Token {
  enum class Kind : uint8_t {
    Data,
    BlockBegin,
    BlockEnd,
    VariableBegin,
    VariableEnd,
    Name,
    Integer,
    Float,
    String,
    Operator,
    End
  };
  Kind kind;
  int line;
  std::string text; ///< of data and strings the content, of operators and names their spelling
  int64_t integer = 0;
  double real = 0;
};

/// Throws TemplateError.
std::vector<Token> tokenize(std::string_view source);

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_LEXER_H
