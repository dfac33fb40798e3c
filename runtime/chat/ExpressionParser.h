// SPDX-License-Identifier: Apache-2.0
// Parses the expressions inside tags.
#ifndef SINTER_RUNTIME_CHAT_EXPRESSIONPARSER_H
#define SINTER_RUNTIME_CHAT_EXPRESSIONPARSER_H

#include "runtime/chat/Ast.h"
#include "runtime/chat/Lexer.h"
#include <initializer_list>
#include <string_view>
#include <vector>

namespace sinter::chat {

/// Walks over the tokens; the statement parser continues where an expression ends.
class ExpressionParser {
public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens(std::move(tokens)) {}

protected:
  const Token &peek(size_t ahead = 0) const { return tokens[std::min(position + ahead, tokens.size() - 1)]; }
  const Token &next() { return tokens[position < tokens.size() - 1 ? position++ : position]; }
  bool atOperator(std::string_view text) const {
    return peek().kind == Token::Kind::Operator && peek().text == text;
  }
  bool atName(std::string_view text) const { return peek().kind == Token::Kind::Name && peek().text == text; }
  bool skipOperator(std::string_view text) { return atOperator(text) && (next(), true); }
  bool skipName(std::string_view text) { return atName(text) && (next(), true); }
  void expectOperator(std::string_view text);
  std::string expectName(const char *what);
  [[noreturn]] void fail(std::string message) const;
  /// The current token in words.
  std::string found() const;

  ExpressionPtr make(Expression::Kind kind) const;
  /// A node whose children are complete: sets its height, throws beyond the limit.
  ExpressionPtr done(ExpressionPtr node) const;
  ExpressionPtr parseExpression(bool conditional = true);
  /// One expression, or several with commas as a Tuple. `conditional`: `a if b else c` is allowed; `ends`:
  /// names that end it.
  ExpressionPtr parseTuple(bool conditional = true, std::initializer_list<std::string_view> ends = {},
                           bool inParentheses = false);
  /// What for and set assign to.
  ExpressionPtr parseTarget(std::initializer_list<std::string_view> ends, bool allowAttribute);
  ExpressionPtr parseFilters(ExpressionPtr value, bool startInline);
  ExpressionPtr parseFilter(ExpressionPtr value);
  ExpressionPtr parsePostfix(ExpressionPtr value);
  ExpressionPtr parseUnary(bool withFilters = true);
  /// Arguments in parentheses, appended to a Call, Filter or Test.
  void parseArguments(Expression &call);

  /// Counts nesting of expressions and statements; throws beyond the limit.
  struct Nesting {
    explicit Nesting(ExpressionParser &parser);
    ~Nesting() { --parser.depth; }
    ExpressionParser &parser;
  };

  std::vector<Token> tokens;
  size_t position = 0;
  int depth = 0;

private:
  using Level = ExpressionPtr (ExpressionParser::*)();
  /// `a + b - c`: operands of the next tighter level, joined from the left.
  ExpressionPtr parseChain(Level operand, std::initializer_list<const char *> operators);
  /// The same with a name between: `a or b`.
  ExpressionPtr parseLogical(Level operand, const char *name, Expression::Kind kind);
  ExpressionPtr parseConditional();
  ExpressionPtr parseOr();
  ExpressionPtr parseAnd();
  ExpressionPtr parseNot();
  ExpressionPtr parseCompare();
  ExpressionPtr parseSum();
  ExpressionPtr parseConcat();
  ExpressionPtr parseProduct();
  ExpressionPtr parsePower();
  ExpressionPtr parseOperand() { return parseUnary(); }
  ExpressionPtr parsePrimary();
  ExpressionPtr parseBracketed();
  ExpressionPtr parseSubscript(ExpressionPtr value);
  ExpressionPtr parseSubscribed();
  ExpressionPtr parseTest(ExpressionPtr value);
};

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_EXPRESSIONPARSER_H
