// SPDX-License-Identifier: Apache-2.0
// Parses JSON text (RFC 8259, and the three non-finite numbers that Python writes) into a JsonDocument in one
// pass. Strings keep their place in the text; escapes are resolved there.
#include "runtime/files/JsonDocument.h"
#include "runtime/files/Utf8.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace sinter {
namespace {

class Parser {
public:
  explicit Parser(JsonDocument &document)
      : document(document), begin(document.text.data()), at(begin), end(begin + document.text.size()) {}

  Result<> parse() {
    document.nodes.reserve(std::min<size_t>(document.text.size() / 16, 256) + 1);
    if (Result<> value = parseValue(0, {}, 0); !value)
      return value;
    skipSpace();
    if (at != end)
      return unexpected("the end of the text after the outermost value");
    return {};
  }

private:
  JsonDocument &document;
  char *const begin;
  char *at;
  char *const end; // *end is NUL

  uint32_t offsetOf(const char *place) const { return static_cast<uint32_t>(place - begin); }

  tl::unexpected<Error> failAt(const char *place, std::string_view expected, std::string_view found) const {
    // Resolved escapes move bytes inside one string only, so lines before `place` are still countable.
    size_t line = 1, column = 1;
    for (const char *c = begin; c < place; ++c)
      *c == '\n' ? (++line, column = 1) : ++column;
    return fail("{}:{}:{} (byte {}): expected {}, found {}", document.name, line, column, offsetOf(place),
                expected, found);
  }

  tl::unexpected<Error> unexpected(std::string_view expected) const {
    if (at >= end)
      return failAt(at, expected, "the end of the text");
    unsigned char c = static_cast<unsigned char>(*at);
    return failAt(at, expected,
                  c >= 0x20 && c < 0x7F ? fmt::format("'{}'", *at) : fmt::format("byte 0x{:02X}", c));
  }

  void skipSpace() {
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
      ++at;
  }

  uint32_t add(JsonValue::Kind kind, uint32_t parent, JsonRange key) {
    JsonNode node;
    node.kind = kind;
    node.offset = offsetOf(at);
    node.parent = parent;
    node.key = key;
    node.integer = 0;
    document.nodes.push_back(node);
    return static_cast<uint32_t>(document.nodes.size() - 1);
  }

  bool acceptWord(std::string_view word) {
    if (static_cast<size_t>(end - at) < word.size() || std::memcmp(at, word.data(), word.size()) != 0)
      return false;
    at += word.size();
    return true;
  }

  Result<> parseValue(uint32_t parent, JsonRange key, int depth) {
    skipSpace();
    switch (*at) {
    case '{':
    case '[':
      return parseContainer(parent, key, depth + 1);
    case '"': {
      uint32_t node = add(JsonValue::Kind::String, parent, key);
      return parseString(document.nodes[node].string);
    }
    case 't':
    case 'f': {
      uint32_t node = add(JsonValue::Kind::Bool, parent, key);
      document.nodes[node].boolean = *at == 't';
      return acceptWord(*at == 't' ? "true" : "false") ? Result<>() : unexpected("a value");
    }
    case 'n':
      add(JsonValue::Kind::Null, parent, key);
      return acceptWord("null") ? Result<>() : unexpected("a value");
    default:
      return parseNumber(parent, key);
    }
  }

  /// An array or an object, from its opening bracket to its closing one.
  Result<> parseContainer(uint32_t parent, JsonRange key, int depth) {
    if (depth > Json::depthLimit)
      return failAt(at, fmt::format("at most {} nested arrays and objects", Json::depthLimit), "one more");
    bool isObject = *at == '{';
    char closing = isObject ? '}' : ']';
    uint32_t self = add(isObject ? JsonValue::Kind::Object : JsonValue::Kind::Array, parent, key);
    ++at;
    skipSpace();
    if (*at == closing) {
      ++at;
      return {};
    }
    uint32_t previous = 0;
    while (true) {
      JsonRange name{};
      if (isObject) {
        skipSpace();
        if (*at != '"')
          return unexpected("a member's name in quotes");
        if (Result<> parsed = parseString(name); !parsed)
          return parsed;
        skipSpace();
        if (*at != ':')
          return unexpected("':' after a member's name");
        ++at;
      }
      uint32_t child = static_cast<uint32_t>(document.nodes.size());
      if (previous)
        document.nodes[previous].next = child;
      previous = child;
      ++document.nodes[self].count;
      if (Result<> parsed = parseValue(self, name, depth); !parsed)
        return parsed;
      skipSpace();
      if (*at == closing) {
        ++at;
        return {};
      }
      if (*at != ',')
        return unexpected(isObject ? "',' or '}' after a member" : "',' or ']' after an element");
      ++at;
    }
  }

  /// A string from its opening quote on; sets the range of its unescaped bytes.
  Result<> parseString(JsonRange &range) {
    char *start = ++at, *out = at;
    while (*at != '"') {
      char *run = at;
      at += skipPlain(at, end) - at;
      if (at != run) {
        if (out != run)
          std::memmove(out, run, static_cast<size_t>(at - run));
        out += at - run;
        continue;
      }
      unsigned char c = static_cast<unsigned char>(*at);
      if (at == end)
        return unexpected("the closing quote of a string");
      if (c < 0x20)
        return unexpected("control characters of a string written as escapes");
      if (c == '\\') {
        if (Result<> escape = parseEscape(out); !escape)
          return escape;
        continue;
      }
      if (c >= 0x80)
        return unexpected("valid UTF-8");
      *out++ = *at++; // DEL
    }
    ++at;
    range = {offsetOf(start), static_cast<uint32_t>(out - start)};
    return {};
  }

  /// The escape at `at`, written to `out`, both advanced.
  Result<> parseEscape(char *&out) {
    constexpr std::string_view names = "\"\\/bfnrt", values = "\"\\/\b\f\n\r\t";
    if (at[1] == 'u') {
      uint32_t codepoint = 0;
      if (Result<> digits = parseHex(codepoint); !digits)
        return digits;
      if (codepoint >= 0xD800 && codepoint < 0xDC00 && at[0] == '\\' && at[1] == 'u') {
        char *second = at;
        uint32_t low = 0;
        if (Result<> digits = parseHex(low); !digits)
          return digits;
        if (low >= 0xDC00 && low < 0xE000)
          codepoint = 0x10000 + ((codepoint - 0xD800) << 10) + (low - 0xDC00);
        else
          at = second;
      }
      if (codepoint >= 0xD800 && codepoint < 0xE000)
        codepoint = 0xFFFD;
      out = writeUtf8(out, codepoint);
      return {};
    }
    size_t which = at[1] ? names.find(at[1]) : std::string_view::npos;
    if (which == std::string_view::npos)
      return failAt(at, "one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u", "another");
    *out++ = values[which];
    at += 2;
    return {};
  }

  Result<> parseHex(uint32_t &codepoint) {
    for (int i = 2; i < 6; ++i) {
      char c = at[i];
      uint32_t digit = c >= '0' && c <= '9'   ? c - '0'
                       : c >= 'a' && c <= 'f' ? c - 'a' + 10
                       : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                              : 16;
      if (digit == 16)
        return failAt(at, "four hexadecimal digits after \\u", "fewer");
      codepoint = codepoint << 4 | digit;
    }
    at += 6;
    return {};
  }

  Result<> parseNumber(uint32_t parent, JsonRange key) {
    char *start = at;
    uint32_t self = add(JsonValue::Kind::Real, parent, key);
    JsonNode &node = document.nodes[self];
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (acceptWord("NaN") || acceptWord("Infinity") || acceptWord("-Infinity")) {
      node.real = *start == 'N'   ? std::numeric_limits<double>::quiet_NaN()
                  : *start == '-' ? -infinity
                                  : infinity;
      return {};
    }
    bool integral = true;
    if (*at == '-')
      ++at;
    if (*at == '0')
      ++at;
    else if (!skipDigits())
      return unexpected(start == at ? "a value" : "a digit");
    if (*at == '.') {
      integral = false;
      ++at;
      if (!skipDigits())
        return unexpected("a digit after the decimal point");
    }
    if (*at == 'e' || *at == 'E') {
      integral = false;
      ++at;
      if (*at == '+' || *at == '-')
        ++at;
      if (!skipDigits())
        return unexpected("a digit in the exponent");
    }
    if (integral && std::from_chars(start, at, node.integer).ec == std::errc()) {
      node.kind = JsonValue::Kind::Integer;
      return {};
    }
    // Too large or too small for a double: infinity or zero, as Python reads it.
    if (std::from_chars(start, at, node.real).ec != std::errc())
      node.real = std::strtod(start, nullptr);
    return {};
  }

  bool skipDigits() {
    char *start = at;
    while (*at >= '0' && *at <= '9')
      ++at;
    return at != start;
  }
};

} // namespace

Result<> parseJson(JsonDocument &document) {
  if (document.text.size() >= std::numeric_limits<uint32_t>::max())
    return fail("{}: expected JSON of less than 4 GiB, found {} bytes", document.name, document.text.size());
  return Parser(document).parse();
}

} // namespace sinter
