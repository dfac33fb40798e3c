// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/CompiledProgram.h"
#include "runtime/device/Memory.h"
#include "runtime/training/CompiledStep.h"
#include "runtime/training/TrainerProgram.h"

namespace sinter::training {
namespace {

/// "1.25 GiB", "43.2 MiB".
std::string bytesText(uint64_t bytes) {
  const bool large = bytes >= uint64_t(1) << 30;
  return fmt::format("{:.{}f} {}", double(bytes) / (large ? 0x1p30 : 0x1p20), large ? 2 : 1,
                     large ? "GiB" : "MiB");
}

std::string describe(const MemoryUse &use) {
  const std::string frozen =
      use.frozen > 0 ? fmt::format("weights that stay {}, adapters", bytesText(use.frozen)) : "weights";
  return fmt::format("memory: {} ({} {}, gradients {}, optimizer {}, activations {}, scratch {})",
                     bytesText(use.total()), frozen, bytesText(use.parameters), bytesText(use.gradients),
                     bytesText(use.state), bytesText(use.activations), bytesText(use.scratch));
}

/// What to do about a step that does not fit: activations are what a smaller batch makes smaller.
std::string whatFits(const sinter_trainer &trainer, const MemoryUse &use, uint64_t available) {
  const uint64_t fixed = use.total() - use.activations;
  if (fixed >= available)
    return "weights, gradients and the optimizer's state alone are more: only a smaller model fits";
  const int64_t batch = int64_t(double(trainer.batch) * double(available - fixed) / double(use.activations));
  if (batch >= 1)
    return fmt::format("--batch {} with --grad-accum for the rest would fit{}",
                       std::min(batch, trainer.batch - 1), trainer.recomputes ? "" : ", or --recompute may");
  return fmt::format("not even one sequence of {} tokens fits: --seq {} would", trainer.sequence,
                     int64_t(double(trainer.sequence * trainer.batch) * double(available - fixed) /
                             double(use.activations)));
}

} // namespace

int runCompiledTrainer(const ::sinter_trainer &trainer, int argc, const char *const *argv) {
  StepProgram program;
  program.name = *trainer.name ? trainer.name : "a model";
  program.shape = shapeOf(trainer);
  program.tokenizer = {static_cast<const std::byte *>(trainer.tokenizer.data),
                       size_t(trainer.tokenizer.size)};
  for (uint64_t i = 0; i < trainer.file_count; ++i)
    program.files.push_back({trainer.files[i].name,
                             {static_cast<const char *>(trainer.files[i].contents.data),
                              size_t(trainer.files[i].contents.size)}});
  program.open = [&](const TrainingOptions &options,
                     const std::function<void(std::string)> &note) -> Result<std::unique_ptr<TrainingStep>> {
    const TrainerOptions wanted{options.threads, options.optimizer, options.labelSmoothing, options.zLoss};
    Result<MemoryUse> use = Trainer::memoryOf(trainer, wanted);
    if (!use)
      return fail("--optimizer: {}", use.error().message);
    const uint64_t available = device::availableMemory();
    if (use->total() > available)
      return fail("expected a step of at most {}, the free memory, found {} for --batch {} --seq {}; {}",
                  bytesText(available), bytesText(use->total()), trainer.batch, trainer.sequence,
                  whatFits(trainer, *use, available));
    Result<std::unique_ptr<Trainer>> opened = Trainer::open(trainer, wanted);
    if (!opened)
      return tl::unexpected(opened.error());
    note(fmt::format("{}: {:.2f} million weights, kernels for {}, {} threads", program.name,
                     double(trainer.parameter_total) / 1e6, (*opened)->isaName(), (*opened)->threads()));
    if (trainer.adapter_rank > 0)
      note(fmt::format("adapters of rank {}, alpha {}, on {}: these weights alone are trained",
                       trainer.adapter_rank, trainer.adapter_alpha, trainer.adapter_targets));
    note(describe(*use));
    if (*trainer.dropout_keys)
      note(fmt::format("dropout: {}", trainer.dropout_keys));
    return makeCompiledStep(trainer, std::move(*opened));
  };
  return runTrainingProgram(program, argc, argv);
}

} // namespace sinter::training
