// SPDX-License-Identifier: Apache-2.0
// Template text to tree, by the grammar of Jinja 3.1's parser with the extensions that transformers loads
// (loopcontrols and generation blocks).
#ifndef SINTER_RUNTIME_CHAT_PARSER_H
#define SINTER_RUNTIME_CHAT_PARSER_H

#include "runtime/chat/Ast.h"
#include <string_view>

namespace sinter::chat {

/// Throws TemplateError with the line; what Jinja knows and this does not is named.
Body parseTemplate(std::string_view source);

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_PARSER_H
