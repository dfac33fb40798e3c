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

/// router_aux_loss_coef where output_router_logits is true, else 0.
Result<double> routerCoefficientOf(const Model &model);

} // namespace sinter

#endif // SINTER_COMPILER_CONFIGOFTRAINING_H
