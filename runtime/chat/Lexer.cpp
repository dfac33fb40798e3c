// SPDX-License-Identifier: Apache-2.0
// The rules of Jinja 3.1's lexer for the default delimiters. `-` beside a delimiter strips all whitespace on
// that side, `+` keeps it; otherwise a newline after a block or comment goes, and blanks before one on its
// line.
#include "runtime/chat/Lexer.h"
#include "runtime/chat/Text.h"
#include "runtime/chat/Value.h"
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fmt/format.h>

namespace sinter::chat {

namespace {

/// Line ends become \n, and the last one goes, as Jinja does with a template's text.
std::string normalizeLineEnds(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      i += i + 1 < source.size() && source[i + 1] == '\n';
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n')
    out.pop_back();
  return out;
}

bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
public:
  explicit Lexer(std::string_view source) : source(source) {}
  std::vector<Token> run();

private:
  char at(size_t i) const { return i < source.size() ? source[i] : '\0'; }
  bool looking(std::string_view what) const { return source.substr(position).starts_with(what); }
  [[noreturn]] void fail(std::string message) const { throw TemplateError{std::move(message), line}; }
  void advance(size_t end) {
    line += int(std::count(source.begin() + ptrdiff_t(position), source.begin() + ptrdiff_t(end), '\n'));
    if (end > position)
      lineStarting = source[end - 1] == '\n';
    position = end;
  }
  void add(Token::Kind kind, std::string text) { tokens.push_back({kind, line, std::move(text)}); }

  size_t findTag() const;
  void data(size_t end, char sign, bool isVariable);
  void comment();
  bool raw(size_t begin);
  size_t blockClose(size_t at) const;
  void tag(bool isVariable);
  void insideToken(std::string &open);
  void string();
  void number();
  size_t skipSpace(size_t from) const { return source.size() - stripLeft(source.substr(from)).size(); }

  std::string_view source;
  size_t position = 0;
  int line = 1;
  bool lineStarting = true;
  std::vector<Token> tokens;
};

/// The next {{, {% or {#, or the end.
size_t Lexer::findTag() const {
  for (size_t i = position; i + 1 < source.size(); ++i)
    if (source[i] == '{' && (source[i + 1] == '{' || source[i + 1] == '%' || source[i + 1] == '#'))
      return i;
  return source.size();
}

/// Text up to a tag at `end` whose delimiter is followed by `sign`.
void Lexer::data(size_t end, char sign, bool isVariable) {
  std::string_view text = source.substr(position, end - position);
  if (sign == '-') {
    text = stripRight(text);
  } else if (sign != '+' && !isVariable) {
    const size_t newline = text.rfind('\n');
    const size_t begin = newline == text.npos ? 0 : newline + 1;
    if ((begin > 0 || lineStarting) && stripLeft(text.substr(begin)).empty())
      text = text.substr(0, begin);
  }
  if (!text.empty())
    add(Token::Kind::Data, std::string(text));
  advance(end);
}

/// The end of a block's closing delimiter at `i` with what it swallows; 0 when there is none.
size_t Lexer::blockClose(size_t i) const {
  if (at(i) == '-' && source.substr(i + 1).starts_with("%}"))
    return skipSpace(i + 3);
  if (at(i) == '+' && source.substr(i + 1).starts_with("%}"))
    return i + 3;
  if (source.substr(i).starts_with("%}"))
    return i + 2 + (at(i + 2) == '\n');
  return 0;
}

void Lexer::comment() {
  const size_t begin = position + 2 + (at(position + 2) == '-' || at(position + 2) == '+');
  const size_t close = source.find("#}", begin);
  if (close == source.npos)
    fail("expected #} at the end of a comment");
  const char sign = close > begin ? source[close - 1] : '\0';
  if (sign == '-')
    advance(skipSpace(close + 2));
  else
    advance(close + 2 + (sign != '+' && at(close + 2) == '\n'));
}

/// {% raw %} at `begin`, behind the delimiter and its sign: takes all up to {% endraw %} as text.
bool Lexer::raw(size_t begin) {
  const size_t word = skipSpace(begin);
  if (!source.substr(word).starts_with("raw"))
    return false;
  size_t end = skipSpace(word + 3);
  if (source.substr(end).starts_with("-%}"))
    end = skipSpace(end + 3);
  else if (source.substr(end).starts_with("%}"))
    end += 2;
  else
    return false;
  advance(end);
  for (size_t i = source.find("{%", position); i != source.npos; i = source.find("{%", i + 1)) {
    const char sign = at(i + 2) == '-' || at(i + 2) == '+' ? at(i + 2) : '\0';
    const size_t inner = skipSpace(i + 2 + (sign != '\0'));
    if (!source.substr(inner).starts_with("endraw"))
      continue;
    if (const size_t close = blockClose(skipSpace(inner + 6))) {
      data(i, sign, false);
      advance(close);
      return true;
    }
  }
  fail("expected {% endraw %} after {% raw %}");
}

void Lexer::tag(bool isVariable) {
  add(isVariable ? Token::Kind::VariableBegin : Token::Kind::BlockBegin, "");
  advance(position + 2 + (at(position + 2) == '-' || at(position + 2) == '+'));
  std::string open; // brackets that wait for their partners
  while (true) {
    if (open.empty()) {
      size_t close = 0;
      if (isVariable)
        close = looking("-}}") ? skipSpace(position + 3) : looking("}}") ? position + 2 : 0;
      else
        close = blockClose(position);
      if (close) {
        add(isVariable ? Token::Kind::VariableEnd : Token::Kind::BlockEnd, "");
        advance(close);
        return;
      }
    }
    const size_t next = skipSpace(position);
    if (next > position) {
      advance(next);
      continue;
    }
    if (position >= source.size())
      fail(isVariable ? "expected }} at the end of an expression" : "expected %} at the end of a block");
    insideToken(open);
  }
}

void Lexer::insideToken(std::string &open) {
  const char c = at(position);
  if (isNameStart(c)) {
    size_t end = position;
    while (isNameStart(at(end)) || isDigit(at(end)))
      ++end;
    add(Token::Kind::Name, std::string(source.substr(position, end - position)));
    return advance(end);
  }
  if (isDigit(c))
    return number();
  if (c == '"' || c == '\'')
    return string();
  constexpr std::string_view two[] = {"//", "**", "==", "!=", ">=", "<="};
  for (std::string_view each : two)
    if (looking(each)) {
      add(Token::Kind::Operator, std::string(each));
      return advance(position + 2);
    }
  if (std::string_view("+-/*%~[](){}<>=.:|,;").find(c) == std::string_view::npos) {
    size_t end = position;
    nextCodepoint(source, end);
    fail(fmt::format("unexpected character '{}'", source.substr(position, end - position)));
  }
  if (c == '(' || c == '[' || c == '{') {
    open += c == '(' ? ')' : c == '[' ? ']' : '}';
  } else if (c == ')' || c == ']' || c == '}') {
    if (open.empty() || open.back() != c)
      fail(open.empty() ? fmt::format("unexpected '{}'", c)
                        : fmt::format("expected '{}', found '{}'", open.back(), c));
    open.pop_back();
  }
  add(Token::Kind::Operator, std::string(1, c));
  advance(position + 1);
}

void Lexer::number() {
  std::string digits;
  size_t end = position;
  const auto run = [&](auto accept) {
    while (accept(at(end)) || (at(end) == '_' && accept(at(end + 1)))) {
      if (at(end) != '_')
        digits += at(end);
      ++end;
    }
  };
  int base = 10;
  if (at(position) == '0' && std::string_view("xXbBoO").find(at(position + 1)) != std::string_view::npos &&
      at(position + 1)) {
    base = (at(position + 1) | 32) == 'x' ? 16 : (at(position + 1) | 32) == 'b' ? 2 : 8;
    end = position + 2;
    run([](char c) { return std::isxdigit(uint8_t(c)) != 0; });
  } else {
    run(isDigit);
  }
  bool real = false;
  if (base == 10 && at(end) == '.' && isDigit(at(end + 1))) {
    real = true;
    digits += at(end++);
    run(isDigit);
  }
  if (base == 10 && (at(end) | 32) == 'e') {
    const size_t sign = at(end + 1) == '+' || at(end + 1) == '-';
    if (isDigit(at(end + 1 + sign))) {
      real = true;
      digits += source.substr(end, 1 + sign);
      end += 1 + sign;
      run(isDigit);
    }
  }
  add(real ? Token::Kind::Float : Token::Kind::Integer, digits);
  Token &token = tokens.back();
  if (real) {
    token.real = std::strtod(digits.c_str(), nullptr);
  } else {
    const auto [rest, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), token.integer, base);
    if (error != std::errc() || rest != digits.data() + digits.size())
      fail(
          fmt::format("expected an integer below 2^63, found '{}'", source.substr(position, end - position)));
  }
  advance(end);
}

/// A quoted string with Python's escapes.
void Lexer::string() {
  const char quote = at(position);
  std::string text;
  size_t i = position + 1;
  const auto hex = [&](size_t digits) {
    uint32_t code = 0;
    for (size_t k = 0; k < digits; ++k, ++i) {
      if (!std::isxdigit(uint8_t(at(i))))
        fail(fmt::format("expected {} hexadecimal digits after a backslash", digits));
      code = code * 16 + uint32_t(isDigit(at(i)) ? at(i) - '0' : (at(i) | 32) - 'a' + 10);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      fail(fmt::format("expected a character's code, found {:x}", code));
    appendCodepoint(text, code);
  };
  while (at(i) != quote) {
    if (i >= source.size())
      fail(fmt::format("expected {} at the end of a string", quote));
    if (at(i) != '\\') {
      text += at(i++);
      continue;
    }
    const char c = at(i + 1);
    i += 2;
    constexpr std::string_view from = "ntrabfv\\'\"", to = "\n\t\r\a\b\f\v\\'\"";
    if (const size_t k = from.find(c); k != from.npos && c) {
      text += to[k];
    } else if (c == 'x') {
      hex(2);
    } else if (c == 'u') {
      hex(4);
    } else if (c == 'U') {
      hex(8);
    } else if (c >= '0' && c <= '7') {
      uint32_t code = uint32_t(c - '0');
      for (int k = 0; k < 2 && at(i) >= '0' && at(i) <= '7'; ++k)
        code = code * 8 + uint32_t(at(i++) - '0');
      appendCodepoint(text, code);
    } else if (c == 'N') {
      fail("characters by name (\\N{...}) are not supported: expected \\u and four digits");
    } else if (c != '\n') { // a backslash before a line's end joins the lines
      text += '\\';
      if (c)
        text += c;
    }
  }
  add(Token::Kind::String, std::move(text));
  advance(i + 1);
}

std::vector<Token> Lexer::run() {
  while (position < source.size()) {
    const size_t begin = findTag();
    if (begin == source.size()) {
      data(begin, '+', true);
      break;
    }
    const char sign = at(begin + 2);
    const char type = source[begin + 1];
    data(begin, sign, type == '{');
    const size_t inner = begin + 2 + (sign == '-' || sign == '+');
    if (type == '#')
      comment();
    else if (type == '{' || !raw(inner))
      tag(type == '{');
  }
  add(Token::Kind::End, "");
  return std::move(tokens);
}

} // namespace

std::vector<Token> tokenize(std::string_view source) {
  const std::string text = normalizeLineEnds(source);
  return Lexer(text).run();
}

} // namespace sinter::chat
