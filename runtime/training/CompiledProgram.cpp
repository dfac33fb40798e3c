// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/CompiledProgram.h"
#include "runtime/training/CompiledStep.h"
#include "runtime/training/TrainerMemory.h"
#include "runtime/training/TrainerProgram.h"
#include "runtime/training/TrainerSteps.h"

namespace sinter::training {

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
    TrainerOptions wanted{options.threads, options.optimizer, options.labelSmoothing, options.zLoss};
    wanted.averages = options.average > 0;
    readDeviceChoice(options.device, wanted.device);
    if (Result<size_t> known = findOptimizer(trainer, options.optimizer); !known)
      return fail("--optimizer: {}", known.error().message);
    std::string said;
    Result<std::unique_ptr<Trainer>> opened = openTrainer(trainer, wanted, said);
    if (!said.empty())
      note(said);
    if (!opened)
      return tl::unexpected(opened.error());
    note(fmt::format("{}: {:.2f} million weights, {}", program.name, double(trainer.parameter_total) / 1e6,
                     (*opened)->runsOn()));
    if (trainer.adapter_rank > 0)
      note(fmt::format("adapters of rank {}, alpha {}, on {}: these weights alone are trained",
                       trainer.adapter_rank, trainer.adapter_alpha, trainer.adapter_targets));
    note(describe((*opened)->memory()));
    if (*trainer.dropout_keys)
      note(fmt::format("dropout: {}", trainer.dropout_keys));
    return makeCompiledStep(trainer, std::move(*opened), wanted);
  };
  return runTrainingProgram(program, argc, argv);
}

} // namespace sinter::training
