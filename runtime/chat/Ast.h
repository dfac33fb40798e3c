// SPDX-License-Identifier: Apache-2.0
// A parsed template: expressions and statements as plain trees.
#ifndef SINTER_RUNTIME_CHAT_AST_H
#define SINTER_RUNTIME_CHAT_AST_H

#include "runtime/chat/Value.h"
#include <memory>
#include <string>
#include <vector>

namespace sinter::chat {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

/// `children` by kind:
///   Constant    none, `constant`
///   Name        none, `name`
///   List, Tuple the items
///   Dict        key, value, key, value, ...
///   Attribute   the object, `name`
///   Subscript   the object, the key (which may be a Slice)
///   Slice       begin, end, step; null where left out
///   Call        the function, then positional arguments; `named` ones
///   Filter      the value (null at the head of a filter block), then arguments; `name`
///   Test        the value, then arguments; `name`, `negated`
///   Unary       the operand; `name` is +, - or not
///   Binary      two operands; `name` is + - * / // % **
///   Compare     first operand, then one for each of `operators`: == != < <= > >= in "not in"
///   And, Or     two operands
///   Concat      the operands of ~
///   Conditional condition, value, other value (null: undefined)
///   Spread      what * or ** (`name`) spreads among arguments
struct Expression {
  enum class Kind : uint8_t {
    Constant,
    Name,
    List,
    Tuple,
    Dict,
    Attribute,
    Subscript,
    Slice,
    Call,
    Filter,
    Test,
    Unary,
    Binary,
    Compare,
    And,
    Or,
    Concat,
    Conditional,
    Spread
  };
  Kind kind;
  int line;
  std::string name;
  Value constant;
  bool negated = false;
  int height = 1; ///< levels of the tree; limited, as trees are walked and freed by recursion
  std::vector<ExpressionPtr> children;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  std::vector<std::string> operators;
};

struct Statement;
using Body = std::vector<Statement>;

struct Parameter {
  std::string name;
  ExpressionPtr standard; ///< null: none
};

/// By kind:
///   Text      `name` is the text
///   Output    expressions[0]
///   If        expressions are the conditions, bodies their branches, then that of else if there is one
///   For       target, expressions[0] the items, expressions[1] the filter or null; bodies: loop, else
///   Set       target, expressions[0]
///   SetBlock  target, bodies[0], expressions[0] the filters around it or null
///   Macro     `name`, `parameters`, bodies[0]
///   CallBlock expressions[0] the call, `parameters` of caller, bodies[0]
///   Filter    expressions[0] the filters, bodies[0]
///   With      `parameters` with values, bodies[0]
///   Scope     bodies[0] (generation blocks)
///   Break, Continue
struct Statement {
  enum class Kind : uint8_t {
    Text,
    Output,
    If,
    For,
    Set,
    SetBlock,
    Macro,
    CallBlock,
    Filter,
    With,
    Scope,
    Break,
    Continue
  };
  Kind kind;
  int line;
  std::string name;
  ExpressionPtr target; ///< a Name, a Tuple of targets, or an Attribute of a Name (a namespace)
  std::vector<ExpressionPtr> expressions;
  std::vector<Body> bodies;
  std::vector<Parameter> parameters;
};

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_AST_H
