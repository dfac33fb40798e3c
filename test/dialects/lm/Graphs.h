// SPDX-License-Identifier: Apache-2.0
// Functions of the dialect lm for tests: parsed from text, and run on made-up numbers.
#ifndef SINTER_TEST_DIALECTS_LM_GRAPHS_H
#define SINTER_TEST_DIALECTS_LM_GRAPHS_H

#include "dialects/lm/Reference.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <cmath>
#include <gtest/gtest.h>

namespace sinter::lm {

/// A module with one function `f` of the given signature and body; keeps the diagnostics.
struct Graph {
  explicit Graph(const std::string &text)
      : handler(&context, [this](mlir::Diagnostic &d) { message = d.str(); }) {
    context.loadDialect<mlir::func::FuncDialect, LmDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module) << message;
  }
  static std::string function(const std::string &signature, const std::string &body) {
    return "func.func @f" + signature + " {\n" + body + "\n}\n";
  }
  mlir::func::FuncOp f() { return module->lookupSymbol<mlir::func::FuncOp>("f"); }

  /// The first result on `arguments`, or nothing and `message`.
  std::vector<double> run(const std::vector<Datum> &arguments, const Parameters &parameters = {}) {
    auto results = evaluate(f(), arguments, parameters);
    return mlir::succeeded(results) ? std::get<Tensor>(results->front()).values : std::vector<double>();
  }

  mlir::MLIRContext context;
  std::string message;
  mlir::ScopedDiagnosticHandler handler;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// sin(0.7 i + phase), which the expected numbers were computed on too.
inline Tensor wave(llvm::ArrayRef<int64_t> shape, double phase) {
  Tensor tensor(shape);
  for (size_t i = 0; i < tensor.values.size(); ++i)
    tensor.values[i] = std::sin(0.7 * static_cast<double>(i) + phase);
  return tensor;
}

inline Tensor ids(std::vector<double> values) {
  Tensor tensor({static_cast<int64_t>(values.size())});
  tensor.values = std::move(values);
  return tensor;
}

/// Expects `row` of width `expected.size()` of a result, to ten digits.
inline void expectRow(const std::vector<double> &result, size_t row, const std::vector<double> &expected) {
  ASSERT_GE(result.size(), (row + 1) * expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(result[row * expected.size() + i], expected[i], 1e-10) << "column " << i;
}

} // namespace sinter::lm

#endif // SINTER_TEST_DIALECTS_LM_GRAPHS_H
