// SPDX-License-Identifier: Apache-2.0
// Random parameters and inputs for the reference evaluator, the same for the same seed on every machine.
#ifndef SINTER_PASSES_VERIFY_RANDOMINPUTS_H
#define SINTER_PASSES_VERIFY_RANDOMINPUTS_H

#include "dialects/lm/Reference.h"

#include <random>

namespace sinter {

/// What an argument of integers (or a cache) means.
enum class Role { Numbers, Ids, Positions, Sequences, Targets, Experts, SelectedRows, Seed, Cache };

/// An argument's role, from its uses in the function (also inside of groups), and the greatest value it may
/// have.
struct ArgumentUse {
  Role role = Role::Numbers;
  int64_t limit = std::numeric_limits<int64_t>::max(); ///< values are in [0, limit)
};
mlir::FailureOr<ArgumentUse> useOf(mlir::BlockArgument argument);

/// The rows of a step: the sequence and the position of each.
struct StepRows {
  std::vector<int64_t> sequences, positions;
  int64_t size() const { return static_cast<int64_t>(sequences.size()); }
};

/// `count` rows of up to three sequences of different lengths, each from position 0 on, one after the other.
StepRows makeRows(int64_t count);

/// Random values of all parameters of the module but those made of parts: normal, matrices scaled by the root
/// of their input width, vectors around 0.5, so that no term is close to 0 or 1 everywhere.
lm::Parameters randomParameters(mlir::ModuleOp module, uint64_t seed);

/// Random values for the arguments of `function` that are not caches and do not select rows, in order.
/// Dynamic dimensions are the number of rows.
mlir::FailureOr<std::vector<lm::Tensor>> randomArguments(mlir::func::FuncOp function, const StepRows &rows,
                                                         uint64_t seed);

} // namespace sinter

#endif // SINTER_PASSES_VERIFY_RANDOMINPUTS_H
