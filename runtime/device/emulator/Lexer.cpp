// SPDX-License-Identifier: Apache-2.0
// PTX text to tokens.
#include "runtime/device/emulator/Lexer.h"

#include <bit>
#include <cctype>
#include <cstdlib>
#include <string>

namespace sinter::emulator {

namespace {

bool startsName(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%';
}
bool continuesName(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$'; }

class Lexer {
public:
  explicit Lexer(std::string_view source) : text(source) {}

  Result<std::vector<Token>> run() {
    while (true) {
      if (!skipBlank())
        return fail("line {}: expected the end of a comment, found the end of the file", line);
      Token token;
      token.line = line;
      if (at >= text.size()) {
        tokens.push_back(token);
        return std::move(tokens);
      }
      const char c = text[at];
      if (c == '"') {
        if (!string(token))
          return fail("line {}: expected the end of a string", token.line);
      } else if (startsName(c)) {
        token.kind = Token::identifier;
        token.text = name(at);
      } else if (c == '.' && at + 1 < text.size() && (startsName(text[at + 1]) || startsRank(at + 1))) {
        dotted(token);
      } else if (std::isdigit(static_cast<unsigned char>(c)) || c == '.') {
        if (!number(token))
          return fail("line {}: expected a number, found '{}'", line,
                      text.substr(token.text.data() - text.data(), 20));
      } else {
        token.kind = Token::punctuation;
        token.symbol = c;
        token.text = text.substr(at++, 1);
      }
      tokens.push_back(token);
    }
  }

private:
  bool skipBlank() {
    while (at < text.size()) {
      const char c = text[at];
      if (c == '\n') {
        ++line;
        ++at;
      } else if (std::isspace(static_cast<unsigned char>(c)) || c == '\0') {
        ++at;
      } else if (text.substr(at, 2) == "//") {
        while (at < text.size() && text[at] != '\n')
          ++at;
      } else if (text.substr(at, 2) == "/*") {
        const size_t close = text.find("*/", at + 2);
        if (close == std::string_view::npos)
          return false;
        for (; at < close + 2; ++at)
          line += text[at] == '\n';
      } else {
        break;
      }
    }
    return true;
  }

  /// .1d to .5d are modifiers, not numbers.
  bool startsRank(size_t start) const {
    return start + 1 < text.size() && text[start] >= '1' && text[start] <= '5' && text[start + 1] == 'd' &&
           (start + 2 == text.size() || !continuesName(text[start + 2]));
  }

  std::string_view name(size_t start) {
    at = start + 1;
    while (at < text.size() && continuesName(text[at]))
      ++at;
    return text.substr(start, at - start);
  }

  /// A directive or modifier with its qualifiers: .mbarrier::complete_tx::bytes is one token.
  void dotted(Token &token) {
    const size_t start = at + 1;
    name(start);
    while (text.substr(at, 2) == "::" && at + 2 < text.size() && continuesName(text[at + 2]))
      name(at + 2);
    token.kind = Token::dotted;
    token.text = text.substr(start, at - start);
  }

  bool string(Token &token) {
    const size_t start = ++at;
    for (; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\n')
        ++line;
      if (text[at] == '\\')
        ++at;
    }
    if (at >= text.size())
      return false;
    token.kind = Token::string;
    token.text = text.substr(start, at - start);
    ++at;
    return true;
  }

  bool number(Token &token) {
    const size_t start = at;
    token.text = text.substr(start, 1);
    const char second = at + 1 < text.size() ? text[at + 1] : '\0';
    if (text[at] == '0' && (second == 'f' || second == 'F' || second == 'd' || second == 'D')) {
      const size_t digits = second == 'f' || second == 'F' ? 8 : 16;
      const std::string hex(text.substr(at + 2, digits));
      char *stop = nullptr;
      token.bits = std::strtoull(hex.c_str(), &stop, 16);
      token.kind = digits == 8 ? Token::single : Token::real;
      at += 2 + digits;
      token.text = text.substr(start, 2 + digits);
      return hex.size() == digits && !*stop;
    }
    size_t stop = at;
    const bool hexadecimal = text[at] == '0' && (second == 'x' || second == 'X');
    while (stop < text.size() && (std::isalnum(static_cast<unsigned char>(text[stop])) || text[stop] == '.' ||
                                  (!hexadecimal && (text[stop] == '+' || text[stop] == '-') &&
                                   (text[stop - 1] == 'e' || text[stop - 1] == 'E'))))
      ++stop;
    std::string digits(text.substr(at, stop - at));
    token.text = text.substr(at, stop - at);
    char *end = nullptr;
    if (!hexadecimal && digits.find_first_of(".eE") != std::string::npos) {
      token.kind = Token::real;
      token.bits = std::bit_cast<uint64_t>(std::strtod(digits.c_str(), &end));
    } else {
      token.kind = Token::integer;
      if (digits.back() == 'U')
        digits.pop_back();
      const bool binary = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'b' || digits[1] == 'B');
      token.bits =
          binary ? std::strtoull(digits.c_str() + 2, &end, 2) : std::strtoull(digits.c_str(), &end, 0);
    }
    at = stop;
    return !*end;
  }

  std::string_view text;
  size_t at = 0;
  uint32_t line = 1;
  std::vector<Token> tokens;
};

} // namespace

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

} // namespace sinter::emulator
