// SPDX-License-Identifier: Apache-2.0
// The two tables that findFilter looks in.
#ifndef SINTER_RUNTIME_CHAT_FILTERS_H
#define SINTER_RUNTIME_CHAT_FILTERS_H

#include "runtime/chat/Builtins.h"
#include <span>

namespace sinter::chat {

struct NamedFilter {
  std::string_view name;
  Filter filter;
};

std::span<const NamedFilter> scalarFilters();   // of text and numbers
std::span<const NamedFilter> sequenceFilters(); // of lists and dictionaries

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_FILTERS_H
