// SPDX-License-Identifier: Apache-2.0
#include "test/runtime/training/BigramStep.h"
#include "runtime/generate/Random.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <unistd.h>

namespace sinter::training {
namespace {

constexpr std::string_view configuration = "{\n  \"model_type\": \"bigram\"\n}\n";

int64_t environment(const char *name) {
  const char *text = std::getenv(name);
  return text ? std::atoll(text) : -1;
}

class BigramStep final : public TrainingStep {
public:
  explicit BigramStep(const BigramShape &s) : bigram(s) {
    stepShape = {.batch = s.batch,
                 .length = s.length,
                 .vocabulary = s.vocabulary,
                 .dtype = "f32",
                 .flops = double(s.batch * s.length * s.vocabulary * s.width * 6)};
    shapes = {{"embedding.weight", {s.vocabulary, s.width}},
              {"head.weight", {s.vocabulary, s.width}},
              {"head.bias", {s.vocabulary}}};
    const size_t total = size_t(s.vocabulary * (2 * s.width + 1));
    weights.resize(total);
    gradients.resize(total);
    states.assign((s.optimizer == "adamw" ? 2 : 1) + s.averages, std::vector<float>(total));
  }

  const StepShape &shape() const override { return stepShape; }
  size_t images() const override { return 1 + states.size(); }
  std::span<float> image(size_t index) override { return index == 0 ? weights : states[index - 1]; }
  bool averages() const override { return bigram.averages; }
  std::span<const TensorShape> tensors() const override { return shapes; }

  // The image has each column behind the other, the bias first: an order of its own.
  void exportTensor(size_t index, std::span<const float> image, size_t first,
                    std::span<float> out) const override {
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = image[place(index, first + i)];
  }
  void importTensor(size_t index, std::span<const float> tensor, std::span<float> image) const override {
    for (size_t i = 0; i < tensor.size(); ++i)
      image[place(index, i)] = tensor[i];
  }

  Result<> initialise(uint64_t seed) override {
    for (size_t i = 0; i < weights.size(); ++i)
      weights[i] = i < size_t(bigram.vocabulary) ? 0 : float(uniform(seed, 0, i) - 0.5);
    return {};
  }

  Result<double> microStep(const MicroBatch &batch, int64_t counted, bool first, uint64_t) override {
    if (first)
      std::ranges::fill(gradients, 0.0f);
    if (const int64_t delay = environment("BIGRAM_DELAY_US"); delay > 0)
      ::usleep(useconds_t(delay));
    const double sum = walk(batch, 1 / double(counted));
    const int64_t badFrom = environment("BIGRAM_BAD_FROM");
    if (calls == environment("BIGRAM_BAD_STEP") || (badFrom >= 0 && calls >= badFrom))
      gradients[place(1, 3)] = std::nanf("");
    const bool big = calls++ == environment("BIGRAM_BIG_STEP");
    return big ? 1000 * double(batch.counted) : sum;
  }

  Result<double> evaluate(const MicroBatch &batch) override {
    if (evaluations++ == environment("BIGRAM_BAD_BATCH"))
      return fail("the device has failed");
    return walk(batch, 0);
  }

  Result<double> gradientNorm() override {
    double sum = 0;
    for (float g : gradients)
      sum += double(g) * double(g);
    return std::sqrt(sum);
  }

  std::optional<size_t> findBadGradient() override {
    for (size_t t = 0; t < shapes.size(); ++t)
      for (size_t i = 0; i < shapes[t].elements(); ++i)
        if (!std::isfinite(gradients[place(t, i)]))
          return t;
    return std::nullopt;
  }

  Result<> update(const UpdateSettings &s, double norm) override {
    const double scale = s.clip > 0 ? std::min(1.0, s.clip / (norm + 1e-6)) : 1;
    const double c1 = 1 - std::pow(s.beta1, double(s.number)), c2 = 1 - std::pow(s.beta2, double(s.number));
    for (size_t i = 0; i < weights.size(); ++i) {
      const double g = scale * gradients[i];
      const double decay = i < size_t(bigram.vocabulary) ? 0 : s.weightDecay; // not the bias
      const double w = weights[i] * (1 - s.rate * decay);
      float &m = states[0][i];
      if (bigram.optimizer == "sgd") {
        m = float(s.beta1 * m + g);
        weights[i] = float(w - s.rate * m);
      } else {
        float &v = states[1][i];
        m = float(s.beta1 * m + (1 - s.beta1) * g);
        v = float(s.beta2 * v + (1 - s.beta2) * g * g);
        weights[i] = float(w - s.rate * (m / c1) / (std::sqrt(v / c2) + s.epsilon));
      }
      if (bigram.averages) {
        float &average = states.back()[i];
        average += float(s.averageShare) * (weights[i] - average);
      }
    }
    return {};
  }

  Result<> exchangeAverage() override {
    if (bigram.averages)
      std::ranges::swap_ranges(weights, states.back());
    return {};
  }

  double measurePeak() override { return 1e10; }

private:
  size_t place(size_t tensor, size_t i) const {
    const size_t v = size_t(bigram.vocabulary), w = size_t(bigram.width);
    return tensor == 2 ? i : v + tensor * v * w + i % w * v + i / w;
  }

  /// The sum of losses; adds the gradient times `scale` when that is not 0.
  double walk(const MicroBatch &batch, double scale) {
    const size_t v = size_t(bigram.vocabulary), d = size_t(bigram.width);
    std::vector<double> logits(v);
    double sum = 0;
    for (size_t row = 0; row < batch.tokens.size(); ++row) {
      if (batch.targets[row] < 0)
        continue;
      const size_t token = size_t(batch.tokens[row]), target = size_t(batch.targets[row]);
      double most = -1e300, total = 0;
      for (size_t j = 0; j < v; ++j) {
        logits[j] = weights[place(2, j)];
        for (size_t k = 0; k < d; ++k)
          logits[j] += double(weights[place(1, j * d + k)]) * double(weights[place(0, token * d + k)]);
        most = std::max(most, logits[j]);
      }
      for (size_t j = 0; j < v; ++j)
        total += std::exp(logits[j] - most);
      sum += most + std::log(total) - logits[target];
      for (size_t j = 0; scale != 0 && j < v; ++j) {
        const double g = scale * (std::exp(logits[j] - most) / total - (j == target ? 1 : 0));
        gradients[place(2, j)] += float(g);
        for (size_t k = 0; k < d; ++k) {
          gradients[place(1, j * d + k)] += float(g * weights[place(0, token * d + k)]);
          gradients[place(0, token * d + k)] += float(g * weights[place(1, j * d + k)]);
        }
      }
    }
    return sum;
  }

  BigramShape bigram;
  StepShape stepShape;
  std::vector<TensorShape> shapes;
  std::vector<float> weights, gradients;
  std::vector<std::vector<float>> states;
  int64_t calls = 0, evaluations = 0;
};

} // namespace

std::unique_ptr<TrainingStep> makeBigramStep(const BigramShape &shape) {
  return std::make_unique<BigramStep>(shape);
}

StepProgram bigramProgram(const BigramShape &shape) {
  StepProgram program;
  program.name = "bigram";
  program.shape = makeBigramStep(shape)->shape();
  program.files = {{"config.json", configuration}};
  program.open = [shape](const TrainingOptions &options, const std::function<void(std::string)> &) {
    BigramShape chosen = shape;
    chosen.optimizer = options.optimizer;
    chosen.averages = options.average > 0;
    return Result<std::unique_ptr<TrainingStep>>(makeBigramStep(chosen));
  };
  return program;
}

} // namespace sinter::training
