// SPDX-License-Identifier: Apache-2.0
// Tensors are gathered from the parts of parameters that the compiler wrote down: a fused parameter (queries,
// keys and values) has several tensors, a fused tensor (phi3's) goes to several parameters.
#include "runtime/training/CompiledStep.h"
#include "runtime/device/Memory.h"
#include "runtime/training/ParameterTensors.h"

#include <algorithm>
#include <cmath>

namespace sinter::training {
namespace {

class CompiledStep final : public TrainingStep {
public:
  CompiledStep(const sinter_trainer &trainer, std::unique_ptr<Trainer> opened)
      : trainer(trainer), opened(std::move(opened)), parameters(trainer), stepShape(shapeOf(trainer)) {}

  const StepShape &shape() const override { return stepShape; }
  size_t images() const override { return 1 + opened->stateImages(); }
  std::span<float> image(size_t index) override {
    return index == 0 ? opened->parameters() : opened->state(index - 1);
  }
  std::span<const TensorShape> tensors() const override { return parameters.tensors(); }
  void exportTensor(size_t index, std::span<const float> image, std::span<float> tensor) const override {
    parameters.gather(index, image, tensor);
  }
  void importTensor(size_t index, std::span<const float> tensor, std::span<float> image) const override {
    parameters.scatter(index, tensor, image);
  }
  void initialise(uint64_t seed) override {
    std::span<float> image = opened->parameters();
    if (trainer.initial.data)
      device::copyFromFile(image.data(), trainer.initial.data, image.size_bytes());
    else
      parameters.initialise(seed, image);
  }

  double microStep(const MicroBatch &batch, int64_t counted, bool first, uint64_t seed) override {
    return opened->microStep({batch.tokens, batch.positions, batch.targets}, counted, !first, seed);
  }
  double evaluate(const MicroBatch &batch) override {
    return opened->evaluate({batch.tokens, batch.positions, batch.targets}, {});
  }
  const float *logits(const MicroBatch &batch, int64_t row) override {
    return opened->logits({batch.tokens, batch.positions, batch.targets}, row);
  }
  double routerLoss() override { return opened->routerLoss(); }
  double gradientNorm() override { return opened->gradientNorm(); }
  std::optional<size_t> findBadGradient() override {
    std::vector<float> tensor;
    for (size_t i = 0; i < tensors().size(); ++i) {
      tensor.resize(tensors()[i].elements());
      parameters.gather(i, opened->gradients(), tensor);
      if (!std::ranges::all_of(tensor, [](float value) { return std::isfinite(value); }))
        return i;
    }
    return std::nullopt;
  }
  void update(const UpdateSettings &s, double gradientNorm) override {
    Hyperparameters h;
    h.learningRate = s.rate;
    h.beta1 = s.beta1;
    h.beta2 = s.beta2;
    h.epsilon = s.epsilon;
    h.weightDecay = s.weightDecay;
    h.clip = s.clip;
    h.muonRate = s.muonRate;
    h.t = s.number;
    opened->update(h, gradientNorm);
  }
  double measurePeak() override { return opened->measureFlopsPerSecond(); }

private:
  const sinter_trainer &trainer;
  std::unique_ptr<Trainer> opened;
  ParameterTensors parameters;
  StepShape stepShape;
};

} // namespace

StepShape shapeOf(const sinter_trainer &trainer) {
  return {.batch = trainer.batch,
          .length = trainer.sequence,
          .vocabulary = trainer.vocabulary,
          .dtype = "f32",
          .flops = double(trainer.flops),
          .routerCoefficient = double(trainer.router_coefficient)};
}

std::unique_ptr<TrainingStep> makeCompiledStep(const sinter_trainer &trainer,
                                               std::unique_ptr<Trainer> opened) {
  return std::make_unique<CompiledStep>(trainer, std::move(opened));
}

} // namespace sinter::training
