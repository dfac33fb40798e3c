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

/// Dropout as `wanted` says: "0", a share for every place where transformers drops something in this
/// architecture, or "config". `keys` are the configuration's keys with their shares: "attn_pdrop 0.1,
/// embd_pdrop 0.1".
struct TrainingDropout {
  DropoutRates rates;
  std::string keys;
};
Result<TrainingDropout> dropoutOf(const Model &model, const std::string &wanted);

} // namespace sinter

#endif // SINTER_COMPILER_CONFIGOFTRAINING_H
