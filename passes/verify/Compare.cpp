// SPDX-License-Identifier: Apache-2.0
// --lm-compare="pipeline=...": runs passes and checks that they kept the meaning. The test of a new fusion:
//
//   // RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-fuse-this)" | FileCheck %s
//
// The module that comes out is that of the pipeline.
#include "passes/Passes.h"
#include "passes/verify/RandomInputs.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

#include <cmath>
#include <fmt/format.h>
#include <numeric>

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_COMPAREPASS
#include "passes/Passes.h.inc"

namespace {

/// What a function is run on: rows with their inputs, and which rows are wanted of results that select.
struct Case {
  StepRows rows;
  std::vector<lm::Tensor> arguments; // of all rows
  std::vector<int64_t> wanted;
};

lm::Tensor gather(const lm::Tensor &tensor, ArrayRef<int64_t> rows) {
  lm::Tensor result = tensor;
  if (result.shape.empty())
    return result;
  result.shape[0] = static_cast<int64_t>(rows.size());
  result.values.clear();
  for (int64_t row : rows)
    result.values.insert(result.values.end(), tensor.row(row), tensor.row(row) + tensor.rowSize());
  return result;
}

bool hasRole(func::FuncOp function, Role role) {
  return llvm::any_of(function.getArguments(), [&](BlockArgument argument) {
    FailureOr<ArgumentUse> use = useOf(argument);
    return succeeded(use) && use->role == role;
  });
}

/// Runs the rows `step` of a case; takes and leaves the caches. Rows to select are given from last to first.
FailureOr<std::vector<lm::Tensor>> runStep(func::FuncOp function, const Case &inputs, ArrayRef<int64_t> step,
                                           ArrayRef<int64_t> wanted, std::vector<lm::Cache> &caches,
                                           const lm::Parameters &parameters) {
  std::vector<lm::Datum> arguments;
  auto next = inputs.arguments.begin();
  auto nextCache = caches.begin();
  for (BlockArgument argument : function.getArguments()) {
    Role role = useOf(argument)->role;
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (role == Role::Cache) {
      arguments.emplace_back(*nextCache++);
    } else if (role == Role::SelectedRows) {
      lm::Tensor selected({static_cast<int64_t>(wanted.size())});
      for (size_t i = 0; i < wanted.size(); ++i)
        selected.values[i] =
            static_cast<double>(llvm::find(step, wanted[wanted.size() - 1 - i]) - step.begin());
      arguments.emplace_back(std::move(selected));
    } else if (next == inputs.arguments.end()) {
      return function.emitError(
                 "expected the arguments of the function before, a cache and rows to select, found more"),
             failure();
    } else {
      bool hasRows = type.getRank() > 0 && type.isDynamicDim(0);
      arguments.emplace_back(hasRows ? gather(*next, step) : *next);
      ++next;
    }
  }
  FailureOr<std::vector<lm::Datum>> results = lm::evaluate(function, arguments, parameters);
  if (failed(results))
    return failure();
  std::vector<lm::Tensor> tensors;
  caches.clear();
  for (lm::Datum &result : *results)
    if (auto *cache = std::get_if<lm::Cache>(&result))
      caches.push_back(std::move(*cache));
    else
      tensors.push_back(std::move(std::get<lm::Tensor>(result)));
  return tensors;
}

/// The results of `function` for all rows of a case, or for the wanted ones if `selectRows`: by rows in their
/// order.
FailureOr<std::vector<lm::Tensor>> runCase(func::FuncOp function, const Case &inputs, bool selectRows,
                                           const lm::Parameters &parameters) {
  int64_t count = inputs.rows.size();
  std::vector<int64_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  std::vector<lm::Cache> caches(
      llvm::count_if(function.getArgumentTypes(), [](Type type) { return isa<lm::CacheType>(type); }));
  bool selects = hasRole(function, Role::SelectedRows);
  if (caches.empty() && !selects) {
    FailureOr<std::vector<lm::Tensor>> results = runStep(function, inputs, all, {}, caches, parameters);
    if (succeeded(results) && selectRows)
      for (lm::Tensor &result : *results)
        result = gather(result, inputs.wanted);
    return results;
  }

  // Two steps where there is a cache: the first half of each sequence, then the rest.
  std::vector<std::vector<int64_t>> steps(1);
  for (int64_t row : all) {
    bool isLate = !caches.empty() && 2 * inputs.rows.positions[row] >=
                                         llvm::count(inputs.rows.sequences, inputs.rows.sequences[row]);
    steps.resize(isLate ? 2 : steps.size());
    steps[isLate].push_back(row);
  }
  std::vector<lm::Tensor> results;
  ArrayRef<int64_t> expected =
      selects && selectRows ? ArrayRef<int64_t>(inputs.wanted) : ArrayRef<int64_t>(all);
  for (ArrayRef<int64_t> step : steps) {
    std::vector<int64_t> wanted;
    llvm::copy_if(expected, std::back_inserter(wanted),
                  [&](int64_t row) { return llvm::is_contained(step, row); });
    if (step.empty())
      continue;
    FailureOr<std::vector<lm::Tensor>> part = runStep(function, inputs, step, wanted, caches, parameters);
    if (failed(part))
      return failure();
    if (results.empty())
      for (const lm::Tensor &tensor : *part) {
        results.push_back(tensor);
        results.back().shape[0] = static_cast<int64_t>(expected.size());
        results.back().values.resize(expected.size() * tensor.shape.back());
      }
    for (auto [result, tensor] : llvm::zip_equal(results, *part)) {
      if (tensor.shape.size() != 2 || tensor.rows() != static_cast<int64_t>(wanted.size()))
        return function.emitError(
                   "expected results with a row for each selected row, or for each row of the step"),
               failure();
      for (auto [i, row] : llvm::enumerate(wanted)) {
        int64_t from = selects ? wanted.size() - 1 - i : i;
        std::copy_n(tensor.row(from), tensor.rowSize(),
                    result.values.begin() +
                        (llvm::find(expected, row) - expected.begin()) * tensor.rowSize());
      }
    }
  }
  return results;
}

struct ComparePass : impl::ComparePassBase<ComparePass> {
  using Base::Base;

  void getDependentDialects(DialectRegistry &registry) const override {
    OpPassManager passes(ModuleOp::getOperationName());
    if (succeeded(parsePassPipeline(pipeline, passes, llvm::nulls())))
      passes.getDependentDialects(registry);
  }

  void runOnOperation() override {
    OpPassManager passes(ModuleOp::getOperationName());
    std::string message;
    llvm::raw_string_ostream stream(message);
    if (failed(parsePassPipeline(pipeline, passes, stream))) {
      getOperation().emitError() << "expected a pipeline of passes, found \"" << pipeline
                                 << "\": " << message;
      return signalPassFailure();
    }
    OwningOpRef<ModuleOp> before = getOperation().clone();
    if (failed(runPipeline(passes, getOperation())))
      return signalPassFailure();

    parameters = randomParameters(*before, seed);
    for (auto after : getOperation().getOps<func::FuncOp>()) {
      auto original = before->lookupSymbol<func::FuncOp>(after.getName());
      if (!original && llvm::hasSingleElement(before->getOps<func::FuncOp>()))
        original = *before->getOps<func::FuncOp>().begin(); // entries are made of one function
      if (after.isExternal() || !original)
        continue;
      if (failed(compare(original, after)))
        return signalPassFailure();
    }
  }

  LogicalResult compare(func::FuncOp before, func::FuncOp after) {
    double greatest = 0;
    bool selects = hasRole(before, Role::SelectedRows) || hasRole(after, Role::SelectedRows);
    for (int64_t count : {1, 3, 17}) {
      Case inputs{.rows = makeRows(count), .arguments = {}, .wanted = {}};
      for (int64_t row = count - 1; row >= 0; row -= 2)
        inputs.wanted.insert(inputs.wanted.begin(), row);
      FailureOr<std::vector<lm::Tensor>> arguments = randomArguments(before, inputs.rows, seed + count);
      if (failed(arguments))
        return failure();
      inputs.arguments = std::move(*arguments);
      FailureOr<std::vector<lm::Tensor>> expected = runCase(before, inputs, selects, parameters);
      FailureOr<std::vector<lm::Tensor>> found = runCase(after, inputs, selects, parameters);
      if (failed(expected) || failed(found))
        return failure();
      if (expected->size() != found->size())
        return after.emitError() << "expected " << expected->size() << " results that are tensors, found "
                                 << found->size();
      for (auto [i, tensors] : llvm::enumerate(llvm::zip_equal(*expected, *found)))
        if (failed(compare(after, count, i, std::get<0>(tensors), std::get<1>(tensors), greatest)))
          return failure();
    }
    emitRemark(after.getLoc()) << "same: 1, 3 and 17 rows, greatest relative difference " << text(greatest);
    return success();
  }

  /// Compares result `index`; `greatest` becomes the greatest difference so far.
  LogicalResult compare(func::FuncOp after, int64_t rows, size_t index, const lm::Tensor &expected,
                        const lm::Tensor &found, double &greatest) {
    if (expected.shape != found.shape)
      return after.emitError() << "expected result " << index << " of " << expected.values.size()
                               << " elements, found " << found.values.size();
    double scale = 0;
    for (double value : expected.values)
      scale = std::max(scale, std::abs(value));
    for (size_t i = 0; i < expected.values.size(); ++i) {
      double difference = std::abs(expected.values[i] - found.values[i]);
      difference = difference == 0 ? 0 : difference / scale;
      if (!(difference <= tolerance)) // NaN too
        return after.emitError() << "expected " << text(expected.values[i]) << " at element " << i
                                 << " of result " << index << " with " << rows << " rows, found "
                                 << text(found.values[i]);
      greatest = std::max(greatest, difference);
    }
    return success();
  }

  static std::string text(double value) { return fmt::format("{:.9g}", value); }

  lm::Parameters parameters;
};

} // namespace
} // namespace sinter
