// SPDX-License-Identifier: Apache-2.0
// --lm-check-gradients: runs --lm-differentiate and compares every gradient with (loss(w + h) - loss(w - h))
// / 2h.
#include "passes/Passes.h"
#include "passes/verify/RandomInputs.h"

#include "mlir/Pass/PassManager.h"

#include <cmath>
#include <fmt/format.h>

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_CHECKGRADIENTSPASS
#include "passes/Passes.h.inc"

namespace {

/// Central differences err by h^2 of the third derivative and by rounding, 1e-16 / h: both are about 1e-11
/// here.
constexpr double step = 1e-5;

struct CheckGradientsPass : impl::CheckGradientsPassBase<CheckGradientsPass> {
  using Base::Base;

  void runOnOperation() override {
    OwningOpRef<ModuleOp> before = getOperation().clone();
    OpPassManager passes(ModuleOp::getOperationName());
    passes.addPass(createDifferentiatePass());
    if (failed(runPipeline(passes, getOperation())) ||
        failed(check(before->lookupSymbol<func::FuncOp>("forward"))))
      signalPassFailure();
  }

  LogicalResult check(func::FuncOp loss) {
    auto differentiated = getOperation().lookupSymbol<func::FuncOp>("forward");
    FailureOr<std::vector<lm::Tensor>> inputs = randomArguments(loss, makeRows(17), seed);
    if (failed(inputs))
      return failure();
    std::vector<lm::Datum> arguments(inputs->begin(), inputs->end());
    lm::Parameters parameters = randomParameters(getOperation(), seed);
    FailureOr<std::vector<lm::Datum>> results = lm::evaluate(differentiated, arguments, parameters);
    if (failed(results))
      return failure();
    double greatest = 0;
    for (size_t i = 1; i < results->size(); ++i) {
      auto name = differentiated.getResultAttrOfType<FlatSymbolRefAttr>(i, "lm.gradient").getValue();
      FailureOr<double> difference =
          checkParameter(loss, arguments, parameters, name, std::get<lm::Tensor>((*results)[i]));
      if (failed(difference))
        return failure();
      greatest = std::max(greatest, *difference);
    }
    emitRemark(differentiated.getLoc())
        << "gradients of " << results->size() - 1
        << " parameters agree with central differences, greatest relative difference "
        << fmt::format("{:.1e}", greatest);
    return success();
  }

  /// Checks one parameter's gradient and gives its greatest relative difference.
  FailureOr<double> checkParameter(func::FuncOp loss, ArrayRef<lm::Datum> arguments,
                                   lm::Parameters &parameters, StringRef name, const lm::Tensor &gradient) {
    std::shared_ptr<const lm::Datum> original = parameters.lookup(name);
    int64_t count = static_cast<int64_t>(gradient.values.size());
    double scale = 0, greatest = 0;
    for (double value : gradient.values)
      scale = std::max(scale, std::abs(value));
    if (scale == 0)
      return loss.emitError() << "expected a loss that changes with " << name
                              << ", found a gradient of zeros",
             failure();
    std::mt19937_64 generator(seed);
    for (int64_t n = 0; n < std::min<int64_t>(count, elements); ++n) {
      int64_t i = count <= elements ? n : static_cast<int64_t>(generator() % count);
      double losses[2];
      for (int side : {0, 1}) {
        lm::Tensor moved = std::get<lm::Tensor>(*original);
        moved.values[i] += side ? step : -step;
        parameters[name] = std::make_shared<const lm::Datum>(std::move(moved));
        FailureOr<std::vector<lm::Datum>> results = lm::evaluate(loss, arguments, parameters);
        if (failed(results))
          return failure();
        losses[side] = std::get<lm::Tensor>(results->front()).values[0];
      }
      double expected = (losses[1] - losses[0]) / (2 * step), found = gradient.values[i];
      double difference = std::abs(expected - found) / scale;
      if (!(difference <= tolerance))
        return loss.emitError() << "expected gradient " << fmt::format("{:.9g}", expected) << " at element "
                                << i << " of " << name << ", found " << fmt::format("{:.9g}", found),
               failure();
      greatest = std::max(greatest, difference);
    }
    parameters[name] = original;
    return greatest;
  }
};

} // namespace
} // namespace sinter
