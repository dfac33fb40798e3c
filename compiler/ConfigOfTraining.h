// SPDX-License-Identifier: Apache-2.0
// What config.json says about training alone, with transformers' defaults.
#ifndef SINTER_COMPILER_CONFIGOFTRAINING_H
#define SINTER_COMPILER_CONFIGOFTRAINING_H

#include "compiler/TrainerTable.h"
#include "frontend/Model.h"
#include "runtime/Result.h"

namespace sinter {

/// What transformers' _init_weights does with this configuration.
Result<Initialisation> initialisationOf(const Model &model);

} // namespace sinter

#endif // SINTER_COMPILER_CONFIGOFTRAINING_H
