// SPDX-License-Identifier: Apache-2.0
// Tensors are gathered from the parts of parameters that the compiler wrote down: a fused parameter (queries,
// keys and values) has several tensors, a fused tensor (phi3's) goes to several parameters.
#include "runtime/training/CompiledStep.h"
#include "runtime/data/Hash.h"
#include "runtime/device/Memory.h"
#include "runtime/training/ParameterTensors.h"

#include <algorithm>
#include <cmath>

namespace sinter::training {
namespace {

class CompiledStep final : public TrainingStep {
public:
  CompiledStep(const sinter_trainer &trainer, std::unique_ptr<Trainer> opened, const TrainerOptions &options)
      : trainer(trainer), opened(std::move(opened)), hasAverage(options.averages), threads(options.threads),
        model(trainer, ParameterTensors::Which::Model), adapters(trainer, ParameterTensors::Which::Adapters),
        parameters(hasAdapters() ? adapters : model), stepShape(shapeOf(trainer)) {}

  const StepShape &shape() const override { return stepShape; }
  size_t images() const override { return opened->images(); }
  std::span<float> image(size_t index) override { return opened->image(index); }
  bool averages() const override { return hasAverage; }
  Result<> fetch(size_t index) override { return opened->fetch(index); }
  Result<> store(size_t index) override { return opened->store(index); }
  std::span<const TensorShape> tensors() const override { return parameters.tensors(); }
  void exportTensor(size_t index, std::span<const float> image, size_t first,
                    std::span<float> out) const override {
    parameters.gather(index, image.data(), first, out);
  }
  void importTensor(size_t index, std::span<const float> tensor, std::span<float> image) const override {
    parameters.scatter(index, tensor, image);
  }
  std::span<const TensorShape> modelTensors() const override { return model.tensors(); }
  void exportModelTensor(size_t index, std::span<const float> image, size_t first,
                         std::span<float> out) const override {
    model.gather(index, hasAdapters() ? opened->initial() : image.data(), first, out);
    if (hasAdapters())
      model.addAdapters(index, image, first, out);
  }
  std::string_view adapterConfig() const override {
    return {static_cast<const char *>(trainer.adapter_config.data), size_t(trainer.adapter_config.size)};
  }
  uint64_t baseFingerprint() const override {
    if (!hasAdapters())
      return 0;
    return data::hash64({static_cast<const char *>(trainer.initial.data), size_t(trainer.initial.size)});
  }
  Result<> initialise(uint64_t seed) override {
    std::span<float> image = opened->image(0);
    if (hasAdapters())
      adapters.initialise(seed, image, threads);
    else if (const float *initial = opened->initial())
      device::copyFromFile(image.data(), initial, image.size_bytes());
    else
      model.initialise(seed, image, threads);
    return opened->store(0);
  }

  Result<double> microStep(const MicroBatch &batch, int64_t counted, bool first, uint64_t seed) override {
    return opened->microStep({batch.tokens, batch.positions, batch.targets}, counted, !first, seed);
  }
  Result<double> evaluate(const MicroBatch &batch) override {
    return opened->evaluate({batch.tokens, batch.positions, batch.targets});
  }
  Result<const float *> logits(const MicroBatch &batch, int64_t row) override {
    return opened->logits({batch.tokens, batch.positions, batch.targets}, row);
  }
  double routerLoss() override { return opened->routerLoss(); }
  Result<double> gradientNorm() override { return opened->gradientNorm(); }
  std::optional<size_t> findBadGradient() override {
    const Result<std::span<const float>> gradients = opened->gradients();
    if (!gradients)
      return std::nullopt;
    for (size_t i = 0; i < tensors().size(); ++i) {
      bool finite = true;
      (void)forEachPiece(
          tensors()[i].elements(),
          [&](size_t first, std::span<float> piece) {
            parameters.gather(i, gradients->data(), first, piece);
          },
          [&](std::span<const float> piece) {
            finite = finite && std::ranges::all_of(piece, [](float value) { return std::isfinite(value); });
            return Result<>();
          });
      if (!finite)
        return i;
    }
    return std::nullopt;
  }
  Result<> update(const UpdateSettings &s, double gradientNorm) override {
    Hyperparameters h;
    h.learningRate = s.rate;
    h.beta1 = s.beta1;
    h.beta2 = s.beta2;
    h.epsilon = s.epsilon;
    h.weightDecay = s.weightDecay;
    h.clip = s.clip;
    h.muonRate = s.muonRate;
    h.averageShare = s.averageShare;
    h.t = s.number;
    return opened->update(h, gradientNorm);
  }
  Result<> exchangeAverage() override { return hasAverage ? opened->exchangeAverage() : Result<>(); }
  double measurePeak() override { return opened->measureFlopsPerSecond(); }

private:
  bool hasAdapters() const { return trainer.adapter_rank > 0; }

  const sinter_trainer &trainer;
  std::unique_ptr<Trainer> opened;
  const bool hasAverage;
  const int threads; // that draw weights; 0: one a core
  const ParameterTensors model, adapters;
  const ParameterTensors &parameters; // those that are trained
  StepShape stepShape;
};

} // namespace

StepShape shapeOf(const sinter_trainer &trainer) {
  return {.batch = trainer.batch,
          .length = trainer.sequence,
          .vocabulary = trainer.vocabulary,
          .dtype = trainer.dtype,
          .flops = double(trainer.flops),
          .routerCoefficient = double(trainer.router_coefficient),
          .adapterRank = trainer.adapter_rank,
          .adapterAlpha = double(trainer.adapter_alpha),
          .adapterTargets = trainer.adapter_targets,
          .dropout = trainer.dropout,
          .recomputes = trainer.recomputes != 0};
}

std::unique_ptr<TrainingStep> makeCompiledStep(const sinter_trainer &trainer, std::unique_ptr<Trainer> opened,
                                               const TrainerOptions &options) {
  return std::make_unique<CompiledStep>(trainer, std::move(opened), options);
}

} // namespace sinter::training
