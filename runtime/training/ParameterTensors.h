// SPDX-License-Identifier: Apache-2.0
// The parameters of a compiled training step as the tensors of a Hugging Face folder: between an image and
// model.safetensors, and the distributions that transformers starts from.
#ifndef SINTER_RUNTIME_TRAINING_PARAMETERTENSORS_H
#define SINTER_RUNTIME_TRAINING_PARAMETERTENSORS_H

#include "runtime/training/TrainingAbi.h"
#include "runtime/training/TrainingStep.h"
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sinter::training {

class ParameterTensors {
public:
  /// `trainer` must outlive this.
  explicit ParameterTensors(const sinter_trainer &trainer);

  /// In the order of the parameters; a tensor that several parameters are parts of comes once.
  std::span<const TensorShape> tensors() const { return list; }
  /// Copies a tensor out of an image of trainer.image_floats numbers, and into one.
  void gather(size_t tensor, std::span<const float> image, std::span<float> out) const;
  void scatter(size_t tensor, std::span<const float> in, std::span<float> image) const;

  /// Draws the parameters as transformers does for a bare configuration. A number depends on `seed`, the
  /// parameter's name and its place in it alone.
  void initialise(uint64_t seed, std::span<float> image) const;

private:
  struct Part {
    const sinter_parameter *parameter;
    const sinter_tensor_part *part;
  };
  template <typename Copy> void forEachElement(size_t tensor, Copy copy) const;

  const sinter_trainer &trainer;
  std::vector<TensorShape> list;
  std::vector<std::vector<Part>> parts; // of each tensor
};

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_PARAMETERTENSORS_H
