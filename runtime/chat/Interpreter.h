// SPDX-License-Identifier: Apache-2.0
// Runs a parsed template.
#ifndef SINTER_RUNTIME_CHAT_INTERPRETER_H
#define SINTER_RUNTIME_CHAT_INTERPRETER_H

#include "runtime/chat/Ast.h"
#include <ctime>
#include <deque>
#include <string>
#include <string_view>

namespace sinter::chat {

class Interpreter {
public:
  /// `variables`: what the template sees by name. `now`: the time that strftime_now tells.
  Interpreter(const Entries &variables, std::time_t now) : variables(variables), now(now) {}

  /// The template's text. Throws TemplateError.
  std::string render(const Body &body);

private:
  enum class Flow { Next, Break, Continue };
  struct Scope { // names set inside a loop's round, a macro, ...
    Scope *parent;
    std::vector<std::pair<std::string, Value>> names;
    bool captured = false; // a macro was defined in it or further in, and refers to it
    void set(const std::string &name, Value value);
  };
  /// A scope while this lives; one that a macro refers to stays until the end.
  class Inner {
  public:
    Inner(Interpreter &interpreter, Scope &parent)
        : interpreter(interpreter), scope(interpreter.scopes.emplace_back(Scope{&parent, {}})) {}
    ~Inner() {
      if (!scope.captured && &interpreter.scopes.back() == &scope)
        interpreter.scopes.pop_back();
    }
    operator Scope &() { return scope; }
    Scope *operator->() { return &scope; }

  private:
    Interpreter &interpreter;
    Scope &scope;
  };

  Flow run(const Body &body, Scope &scope, std::string &out);
  Flow runOne(const Statement &statement, Scope &scope, std::string &out);
  Flow runFor(const Statement &statement, Scope &scope, std::string &out);
  std::string capture(const Body &body, Scope &scope);
  Value makeMacro(const std::string &name, const Statement &statement, Scope &scope);
  Value callMacro(const std::string &name, const Statement &statement, Scope &scope,
                  const Arguments &arguments);
  void assign(const Expression &target, const Value &value, Scope &scope);

  Value evaluate(const Expression &expression, Scope &scope);
  Value evaluateOrNone(const ExpressionPtr &expression, Scope &scope);
  Value lookUp(const std::string &name, const Scope &scope) const;
  Value evaluateCall(const Expression &call, Scope &scope, const Value *caller = nullptr);
  Value evaluateCompare(const Expression &compare, Scope &scope);
  Value applyFilters(const Expression *filters, Value value, Scope &scope);
  Arguments evaluateArguments(const Expression &call, size_t first, Scope &scope);
  void countSteps(int64_t count);

  const Entries &variables;
  const std::time_t now;
  std::deque<Scope> scopes; // does not move them
  int64_t steps = 0;
  int depth = 0;
};

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_INTERPRETER_H
