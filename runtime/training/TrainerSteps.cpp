// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/TrainerSteps.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sinter::training {

int64_t keysOf(const Batch &batch) {
  assert(batch.positions.size() == batch.tokens.size() && batch.targets.size() == batch.tokens.size() &&
         "of each as many as there are rows");
  return 1 + *std::ranges::max_element(batch.positions);
}

sinter_step stepOf(const StepKind &kind, int64_t keys, int64_t counted, bool adds, uint64_t seed) {
  sinter_step step = {};
  step.rows = kind.rows;
  step.selected = kind.rows;
  step.keys = keys;
  step.target_weight = counted > 0 ? float(1.0 / double(counted)) : 0.0f;
  step.adds = adds || kind.adds;
  step.seed = seed;
  return step;
}

sinter_update lossSettings(const TrainerOptions &options) {
  sinter_update update = {};
  update.label_smoothing = float(options.labelSmoothing);
  update.z_loss = float(options.zLoss);
  update.dropout = 1;
  return update;
}

float routerWeight(const Batch &batch, int64_t counted) {
  const auto own = std::ranges::count_if(batch.targets, [](int32_t target) { return target >= 0; });
  return counted > 0 ? float(double(own) / double(counted)) : 0.0f;
}

void setUpdate(sinter_update &update, const Hyperparameters &h, double gradientNorm) {
  update.learning_rate = float(h.learningRate);
  update.beta1 = float(h.beta1);
  update.beta2 = float(h.beta2);
  update.epsilon = float(h.epsilon);
  update.weight_decay = float(h.weightDecay);
  update.correction1 = float(1 - std::pow(h.beta1, double(h.t)));
  update.correction2 = float(1 - std::pow(h.beta2, double(h.t)));
  // As torch.nn.utils.clip_grad_norm_.
  update.gradient_scale = h.clip > 0 ? float(std::min(1.0, h.clip / (gradientNorm + 1e-6))) : 1.0f;
  update.muon_rate = float(h.muonRate);
  update.average_share = float(h.averageShare);
}

double sumOf(std::span<const float> numbers) {
  double sum = 0;
  for (float number : numbers)
    sum += number;
  return sum;
}

double balanceLoss(const sinter_trainer &trainer, std::span<const float> votes) {
  const size_t experts = size_t(trainer.experts);
  double sum = 0;
  for (size_t i = 0; i < experts; ++i)
    sum += double(votes[i]) * double(votes[experts + i]);
  const double all = double(trainer.batch * trainer.sequence * trainer.routers);
  return all > 0 ? double(experts) * sum / (all * all) : 0;
}

Result<size_t> findOptimizer(const sinter_trainer &trainer, std::string_view name) {
  std::string list;
  for (uint64_t i = 0; i < trainer.optimizer_count; ++i) {
    if (trainer.optimizers[i].name == name)
      return size_t(i);
    list += (i ? ", " : "") + std::string(trainer.optimizers[i].name);
  }
  return fail("expected an optimizer that this trainer was compiled with ({}), found '{}'", list, name);
}

} // namespace sinter::training
