// SPDX-License-Identifier: Apache-2.0
// Random parameters and inputs for the reference evaluator.
#include "passes/verify/RandomInputs.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/xxhash.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace sinter {

/// What one use says about an argument; nothing for operations that do not care what the integers mean.
static std::optional<ArgumentUse> useOf(OpOperand &use) {
  Operation *op = use.getOwner();
  Value value = use.get();
  if (auto embedding = dyn_cast<lm::EmbeddingOp>(op)) {
    int64_t rows = cast<RankedTensorType>(embedding.getTable().getType()).getDimSize(0);
    return ArgumentUse{Role::Ids, rows - static_cast<int64_t>(embedding.getOffset())};
  }
  if (auto embedding = dyn_cast<lm::EmbeddingBackwardOp>(op)) {
    int64_t rows = cast<RankedTensorType>(embedding.getResult().getType()).getDimSize(0);
    return ArgumentUse{Role::Ids, rows - static_cast<int64_t>(embedding.getOffset())};
  }
  if (isa<lm::RopeAnglesOp, lm::SinusoidsOp>(op))
    return ArgumentUse{Role::Positions};
  if (isa<lm::SelectRowsOp, lm::SelectRowsBackwardOp>(op))
    return ArgumentUse{Role::SelectedRows};
  if (auto loss = dyn_cast<lm::CrossEntropyOp>(op))
    return ArgumentUse{Role::Targets, lm::width(loss.getLogits())};
  if (auto loss = dyn_cast<lm::CrossEntropyBackwardOp>(op))
    return ArgumentUse{Role::Targets, lm::width(loss.getLogits())};
  if (auto linear = dyn_cast<lm::ExpertLinearOp>(op))
    return ArgumentUse{Role::Experts, cast<RankedTensorType>(linear.getWeight().getType()).getDimSize(0)};
  if (auto type = dyn_cast<RankedTensorType>(value.getType()); type && type.hasStaticShape())
    return ArgumentUse{Role::Seed, int64_t(1) << 32};
  std::optional<ArgumentUse> found;
  llvm::TypeSwitch<Operation *>(op)
      .Case<lm::AttentionOp, lm::AppendOp, lm::CachedAttentionOp, lm::AttentionBackwardOp>(
          [&](auto attention) {
            found = ArgumentUse{attention.getPositions() == value ? Role::Positions : Role::Sequences};
          });
  return found;
}

FailureOr<ArgumentUse> useOf(BlockArgument argument) {
  ArgumentUse sum;
  if (isa<lm::CacheType>(argument.getType()))
    return ArgumentUse{Role::Cache};
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type)
    return emitError(argument.getLoc()) << "expected a tensor or a cache, found " << argument.getType(),
           failure();
  if (!type.getElementType().isInteger(32))
    return sum;
  for (OpOperand &operand : argument.getUses())
    if (std::optional<ArgumentUse> use = useOf(operand)) {
      // Learned positions are ids of rows too, and any tensor may serve to select: the other use says more.
      bool saysLess = use->role == Role::Ids || use->role == Role::SelectedRows;
      sum.role = saysLess && sum.role != Role::Numbers ? sum.role : use->role;
      sum.limit = std::min(sum.limit, use->limit);
    }
  if (sum.role == Role::Numbers && !argument.use_empty())
    return emitError(argument.getLoc()) << "expected a use that says what the integers of argument "
                                        << argument.getArgNumber() << " mean, found none",
           failure();
  return sum;
}

StepRows makeRows(int64_t count) {
  StepRows rows;
  int64_t first = (count + 1) / 2, second = std::min(count - first, (count + 3) / 4);
  for (auto [sequence, length] : llvm::enumerate(std::array{first, second, count - first - second}))
    for (int64_t position = 0; position < length; ++position) {
      rows.sequences.push_back(static_cast<int64_t>(sequence));
      rows.positions.push_back(position);
    }
  return rows;
}

/// Normally distributed numbers, by Box and Muller: std::normal_distribution may differ between libraries.
static double normal(std::mt19937_64 &generator) {
  double u = (static_cast<double>(generator() >> 11) + 1) / 9007199254740993.0;
  double v = static_cast<double>(generator() >> 11) / 9007199254740992.0;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * v);
}

lm::Parameters randomParameters(ModuleOp module, uint64_t seed) {
  lm::Parameters parameters;
  for (auto parameter : module.getOps<lm::ParameterOp>()) {
    if (parameter.getParts())
      continue;
    // By name: the order in which a pass leaves the parameters does not matter.
    std::mt19937_64 generator(seed ^ llvm::xxh3_64bits(parameter.getSymName()));
    auto shape = cast<RankedTensorType>(parameter.getType()).getShape();
    lm::Tensor value(shape);
    double scale = shape.size() > 1 ? 1 / std::sqrt(static_cast<double>(shape.back())) : 0.5;
    for (double &element : value.values)
      element = scale * normal(generator) + (shape.size() > 1 ? 0 : 0.5);
    parameters[parameter.getSymName()] = std::make_shared<const lm::Datum>(std::move(value));
  }
  return parameters;
}

FailureOr<std::vector<lm::Tensor>> randomArguments(func::FuncOp function, const StepRows &rows,
                                                   uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<lm::Tensor> arguments;
  for (BlockArgument argument : function.getArguments()) {
    FailureOr<ArgumentUse> use = useOf(argument);
    if (failed(use))
      return failure();
    if (use->role == Role::Cache || use->role == Role::SelectedRows)
      continue;
    lm::Tensor value = lm::Evaluation::zeros(argument, rows.size());
    for (size_t i = 0; i < value.values.size(); ++i) {
      int64_t row = static_cast<int64_t>(i) / std::max<int64_t>(1, value.rowSize());
      switch (use->role) {
      case Role::Positions:
        value.values[i] = static_cast<double>(rows.positions[row]);
        break;
      case Role::Sequences:
        value.values[i] = static_cast<double>(rows.sequences[row]);
        break;
      case Role::Targets: // every fifth row has none
        value.values[i] = row % 5 == 4 ? -1 : static_cast<double>(generator() % use->limit);
        break;
      case Role::Ids:
      case Role::Experts:
      case Role::Seed:
        value.values[i] = static_cast<double>(generator() % use->limit);
        break;
      default:
        value.values[i] = normal(generator);
      }
      if (use->role != Role::Numbers && value.values[i] >= static_cast<double>(use->limit))
        return emitError(argument.getLoc())
                   << "expected a table of more than " << value.values[i] << " rows for argument "
                   << argument.getArgNumber() << ", found " << use->limit,
               failure();
    }
    arguments.push_back(std::move(value));
  }
  return arguments;
}

} // namespace sinter
