// SPDX-License-Identifier: Apache-2.0
// Decodes the parameters of an imported module for the reference evaluator, straight from what lm.source
// says.
#ifndef SINTER_TEST_FRONTEND_PARAMETERVALUES_H
#define SINTER_TEST_FRONTEND_PARAMETERVALUES_H

#include "dialects/lm/Reference.h"
#include "frontend/Model.h"

namespace sinter {

/// The values of all parameters of `module` that have a source, under their symbols.
lm::Parameters readParameters(mlir::ModuleOp module, const WeightSource &weights);

} // namespace sinter

#endif // SINTER_TEST_FRONTEND_PARAMETERVALUES_H
