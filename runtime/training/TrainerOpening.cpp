// SPDX-License-Identifier: Apache-2.0
// Which device trains: the GPU first, where there may be one.
#include "runtime/training/Trainer.h"

namespace sinter::training {

Result<std::unique_ptr<Trainer>> openTrainer(const sinter_trainer &trainer, const TrainerOptions &options,
                                             std::string &said) {
  if (trainer.abi_version != SINTER_TRAINING_ABI_VERSION)
    return fail("the trainer was compiled for version {} of the runtime, this is version {}",
                trainer.abi_version, SINTER_TRAINING_ABI_VERSION);
  const CudaTrainerOpener openCuda = &sinter_cuda_trainer_opener ? sinter_cuda_trainer_opener : nullptr;
  if (options.device == DeviceChoice::Cpu || (options.device == DeviceChoice::Auto && !openCuda))
    return openCpuTrainer(trainer, options);
  const char *const wanted = options.device == DeviceChoice::Emulator ? "emulator" : "cuda";
  if (!openCuda)
    return fail("--device {}: this trainer was compiled for the processor alone (sinter compile --train "
                "--target=cuda makes one for GPUs too)",
                wanted);
  Result<std::unique_ptr<Trainer>> gpu = openCuda(trainer, options);
  if (gpu)
    said = fmt::format("device: {}, {}", wanted, (*gpu)->runsOn());
  if (gpu)
    return gpu;
  if (options.device != DeviceChoice::Auto)
    return fail("--device {}: {}", wanted, gpu.error().message);
  said = fmt::format("device: cpu, because {}", gpu.error().message);
  return openCpuTrainer(trainer, options);
}

} // namespace sinter::training
