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
  enum class Which { Model, Adapters };
  /// Those of model.safetensors, or of adapters as PEFT names them. `trainer` must outlive this.
  ParameterTensors(const sinter_trainer &trainer, Which which);

  /// In the order of the parameters; a tensor that several parameters are parts of comes once.
  std::span<const TensorShape> tensors() const { return list; }
  /// Copies a tensor out of an image that has its parameters, from element `first` on, and one into an image.
  void gather(size_t tensor, const float *image, size_t first, std::span<float> out) const;
  void scatter(size_t tensor, std::span<const float> in, std::span<float> image) const;
  /// Adds the products of the adapters in `image` to a tensor of the model, from element `first` on.
  void addAdapters(size_t tensor, std::span<const float> image, size_t first, std::span<float> out) const;

  /// Draws the parameters as transformers does for a bare configuration, adapters as PEFT does. A number
  /// depends on `seed`, the parameter's name and its place in it alone, not on `threads` (0: one a core).
  void initialise(uint64_t seed, std::span<float> image, int threads) const;

private:
  struct Part {
    const sinter_parameter *parameter;
    const sinter_tensor_part *part;
  };
  template <typename Copy> void forEachElement(size_t tensor, size_t first, size_t count, Copy copy) const;

  const sinter_trainer &trainer;
  const Which which;
  std::vector<TensorShape> list;
  std::vector<std::vector<Part>> parts; // of each tensor
};

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_PARAMETERTENSORS_H
