// SPDX-License-Identifier: Apache-2.0
// Checkpoints: everything that training needs to go on as if it had never stopped. A checkpoint is a folder
// RUN/checkpoints/step-00000100 with
//   model.safetensors       the weights, f32, under their names in model.safetensors of the run
//   optimizer-1.safetensors what the optimizer remembers, a file an image
//   average.safetensors     the average of the weights, where one is kept
//   state.json              how far the run was, its flags, and checksums of it all
// (of adapters adapter_model.safetensors and adapter_config.json, as PEFT has them, in the place of the
// first) and links to the run's configuration and tokenizer, so that it is a model folder, too. It is written
// under another name and renamed when all of it is on the disk.
#ifndef SINTER_RUNTIME_TRAINING_CHECKPOINT_H
#define SINTER_RUNTIME_TRAINING_CHECKPOINT_H

#include "runtime/training/TrainingStep.h"

#include <limits>
#include <string_view>
#include <utility>

namespace sinter::training {

/// What a run is besides its images.
struct RunState {
  int64_t step = 0;      ///< steps done: the next one has this number
  int64_t updates = 0;   ///< of them that moved the weights
  uint64_t data = 0;     ///< fingerprint of the tokens
  uint64_t base = 0;     ///< of the weights beside which adapters are trained
  double recentLoss = 0; ///< running mean, and of how many steps: what a spike is measured by
  int64_t recentSteps = 0;
  std::optional<double> validation;                       ///< loss on held-out tokens at this step
  std::vector<std::pair<std::string, std::string>> flags; ///< names and values
};

/// An image of a step under the name of its file.
struct NamedImage {
  std::string file; ///< "model.safetensors"
  std::span<float> image;
};

/// The images of a step: the weights, what the optimizer remembers, and the average.
std::vector<NamedImage> imagesOf(TrainingStep &step);

/// Writes an image's tensors to a safetensors file; `type`: f32, bf16, f16. Gives the checksum of the
/// tensors' bytes.
Result<uint64_t> writeImage(const TrainingStep &step, std::span<const float> image, const std::string &path,
                            std::string_view type);

/// Writes the model that an image makes: of adapters the weights with them.
Result<> writeModel(const TrainingStep &step, std::span<const float> image, const std::string &path,
                    std::string_view type);

/// The checkpoint folders of RUN, newest first.
struct FoundCheckpoint {
  std::string folder;
  int64_t step;
};
std::vector<FoundCheckpoint> findCheckpoints(const std::string &run);

/// What is left of a run that ends by an error, in words. `bad`: a step that went wrong; the weights of a
/// checkpoint at this step are those it went wrong with.
std::string describeLastCheckpoint(const std::string &run, int64_t bad = std::numeric_limits<int64_t>::max());

/// Writes a checkpoint of `state` and `images`, with links to `linked` (names in RUN). Gives its folder. When
/// that fails (a full disk), nothing of it stays and older ones are as they were.
Result<std::string> writeCheckpoint(const std::string &run, const TrainingStep &step, const RunState &state,
                                    std::span<const NamedImage> images, std::span<const std::string> linked);

/// A state.json's text; `name` stands for it. Fails when its checksum or a value is wrong. Any bytes may be
/// given.
struct StoredState {
  RunState state;
  std::vector<std::pair<std::string, uint64_t>> checksums; ///< by file
};
Result<StoredState> parseState(std::string_view text, const std::string &name);
std::string stateText(const StoredState &stored);

Result<StoredState> readState(const std::string &folder);

/// Reads the images of a checkpoint. Fails when a file is missing or damaged, or has other tensors than the
/// step.
Result<> readImages(const std::string &folder, const StoredState &stored, const TrainingStep &step,
                    std::span<const NamedImage> images);

/// Removes checkpoints but the newest `keep` and the one with the lowest validation loss, and what a killed
/// process left half-written.
void pruneCheckpoints(const std::string &run, int64_t keep);
void removeUnfinishedCheckpoints(const std::string &run);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_CHECKPOINT_H
