// SPDX-License-Identifier: Apache-2.0
// One training step as the loop sees it: gradients are added up over micro-batches, measured, then applied.
// The loop owns order, schedule, checkpoints and metrics; the step owns the numbers and runs the generated
// code.
#ifndef SINTER_RUNTIME_TRAINING_TRAININGSTEP_H
#define SINTER_RUNTIME_TRAINING_TRAININGSTEP_H

#include "runtime/Result.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sinter::training {

/// A tensor as Hugging Face files hold it.
struct TensorShape {
  std::string name;
  std::vector<int64_t> shape; ///< outermost first

  size_t elements() const {
    size_t product = 1;
    for (int64_t length : shape)
      product *= size_t(length);
    return product;
  }
};

/// What the step was compiled for.
struct StepShape {
  int64_t batch = 0, length = 0; ///< sequences of a micro-batch, tokens of a sequence
  int64_t vocabulary = 0;        ///< every token is below
  std::string dtype = "f32";     ///< what is computed with
  double flops = 0;              ///< of one micro-batch, forward and backward
  double routerCoefficient = 0;  ///< weight of the balance loss of experts; 0: there is none
  int64_t adapterRank = 0;       ///< of low-rank adapters, which alone are trained then; 0: there are none
  double adapterAlpha = 0;
  std::string adapterTargets; ///< modules with adapters, as --lora-targets has them
  std::string dropout = "0";  ///< as --dropout says it
  bool recomputes = false;    ///< activations, in the backward pass

  int64_t rows() const { return batch * length; }
};

/// `rows` of each; rows of one sequence stand behind each other.
struct MicroBatch {
  std::vector<int32_t> tokens;
  std::vector<int32_t> positions; ///< in the document, from 0; a row attends to those back to position 0
  std::vector<int32_t> targets;   ///< the next token; -1 counts for nothing
  int64_t counted = 0;            ///< targets that count
};

struct UpdateSettings {
  double rate;         ///< learning rate of this step
  double beta1, beta2; ///< AdamW's; beta1 is the momentum of SGD and Muon
  double epsilon;
  double weightDecay;      ///< of matrices and embeddings
  double clip;             ///< largest global norm; 0: any
  double muonRate;         ///< learning rate of the matrices that Muon moves
  int64_t number;          ///< of this update, from 1: AdamW's bias correction
  double averageShare = 0; ///< of the moved weights in their average, where one is kept
};

/// Elements of a tensor that are made at once.
inline constexpr size_t pieceElements = size_t(1) << 20;

/// Calls make(first, piece), which fills a piece, and take(piece) -> Result<> for the pieces of a tensor, in
/// order, until one fails.
template <typename Make, typename Take> Result<> forEachPiece(size_t elements, Make make, Take take) {
  std::vector<float> piece;
  for (size_t first = 0; first < elements; first += piece.size()) {
    piece.resize(std::min(pieceElements, elements - first));
    make(first, std::span(piece));
    if (Result<> taken = take(std::span<const float>(piece)); !taken)
      return taken;
  }
  return {};
}

class TrainingStep {
public:
  virtual ~TrainingStep() = default;

  virtual const StepShape &shape() const = 0;

  /// What must be kept to go on: image 0 is the weights, others are what the optimizer remembers, with a
  /// number for each weight; the last one is the average of the weights where one is kept. An image is the
  /// step's own memory, in the step's own order; of a step on another device it is the host's copy, into
  /// which `fetch` brings the numbers, and `store` takes them from there.
  virtual size_t images() const = 0;
  virtual std::span<float> image(size_t index) = 0;
  virtual bool averages() const { return false; }
  /// The image that is the average, where one is kept.
  std::optional<size_t> averageImage() const {
    return averages() ? std::optional(images() - 1) : std::nullopt;
  }
  [[nodiscard]] virtual Result<> fetch(size_t) { return {}; }
  [[nodiscard]] virtual Result<> store(size_t) { return {}; }

  /// The tensors that are trained, in the order in which they are to be written: those of model.safetensors,
  /// or those of adapters.
  virtual std::span<const TensorShape> tensors() const = 0;
  /// Copies one of an image (with a number for each weight) to `out`, from element `first` of the tensor on,
  /// and a whole one back.
  virtual void exportTensor(size_t index, std::span<const float> image, size_t first,
                            std::span<float> out) const = 0;
  virtual void importTensor(size_t index, std::span<const float> tensor, std::span<float> image) const = 0;

  /// The tensors of model.safetensors, and one of them made of an image: of adapters the weight with them.
  virtual std::span<const TensorShape> modelTensors() const { return tensors(); }
  virtual void exportModelTensor(size_t index, std::span<const float> image, size_t first,
                                 std::span<float> out) const {
    exportTensor(index, image, first, out);
  }
  /// adapter_config.json where adapters are trained, else empty.
  virtual std::string_view adapterConfig() const { return {}; }
  /// A hash of the weights beside which adapters are trained; 0 without adapters.
  virtual uint64_t baseFingerprint() const { return 0; }

  /// Sets the weights that training begins with: those of the model, or drawn by `seed` as transformers draws
  /// them.
  [[nodiscard]] virtual Result<> initialise(uint64_t seed) = 0;

  /// Forward and backward: adds the gradient of the mean loss over `counted` targets, those of all
  /// micro-batches of this update, to the gradients, or sets them to it when the batch is the update's first.
  /// `seed` decides what dropout drops. Gives the sum of the losses of this batch in nats. This and the
  /// others fail when the device does.
  [[nodiscard]] virtual Result<double> microStep(const MicroBatch &batch, int64_t counted, bool first,
                                                 uint64_t seed) = 0;
  /// The sum of the losses alone.
  [[nodiscard]] virtual Result<double> evaluate(const MicroBatch &batch) = 0;
  /// The balance loss of the last micro-step's experts, not weighted.
  virtual double routerLoss() { return 0; }
  /// Logits (vocabulary) after a row of the batch's first sequence, valid until the next call of anything;
  /// null where the step cannot give them.
  [[nodiscard]] virtual Result<const float *> logits(const MicroBatch &, int64_t /*row*/) { return nullptr; }
  /// Global L2 norm of the gradients; not finite when one of them is not.
  [[nodiscard]] virtual Result<double> gradientNorm() = 0;
  /// A tensor whose gradient is not finite.
  virtual std::optional<size_t> findBadGradient() = 0;
  /// Moves the weights, then their average.
  [[nodiscard]] virtual Result<> update(const UpdateSettings &settings, double gradientNorm) = 0;
  /// Weights and their average, where one is kept, change places.
  [[nodiscard]] virtual Result<> exchangeAverage() { return {}; }

  /// Floating-point operations a second that the step's device reaches at best (a processor: its threads).
  virtual double measurePeak() = 0;
};

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_TRAININGSTEP_H
