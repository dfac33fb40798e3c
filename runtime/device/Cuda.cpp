// SPDX-License-Identifier: Apache-2.0
// A GPU as a device: opened through its driver or the emulator's, with the weights in its memory.
#include "runtime/device/CudaSession.h"
#include "runtime/device/WeightsMapping.h"

namespace sinter::device {

using namespace cuda;

namespace {

class CudaDevice final : public Device {
public:
  CudaDevice(const sinter_model &model, bool emulated) : Device(model), emulated(emulated) {}

  Result<void> open(const DeviceOptions &options);

  Result<std::unique_ptr<Session>> openSession(const SessionOptions &options) override;
  Limits measureLimits() override { return gpu().limits(); }
  const char *backend() const override { return emulated ? "emulator" : "cuda"; }
  const char *isaName() const override { return gpu().architectureText().c_str(); }
  std::string name() const override { return gpu().name(); }
  int threads() const override { return gpu().multiprocessors(); }
  MemorySize memory() const override { return gpu().memory(); }

private:
  const Gpu &gpu() const { return *shared->gpu; }

  const bool emulated;
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
};

Result<void> CudaDevice::open(const DeviceOptions &options) {
  Result<std::shared_ptr<Gpu>> opened = Gpu::open({model().gpu_images, model().gpu_image_count}, options);
  if (!opened)
    return tl::unexpected(opened.error());
  shared->gpu = std::move(*opened);
  Result<WeightsMapping> weights = WeightsMapping::open(model(), options.weightsPath);
  if (!weights)
    return tl::unexpected(weights.error());
  Result<DeviceBuffer> uploaded = gpu().upload(weights->data, model().weights.size, "the weights");
  if (!uploaded)
    return tl::unexpected(uploaded.error());
  shared->weights = std::move(*uploaded);
  return {};
}

Result<std::unique_ptr<Session>> CudaDevice::openSession(const SessionOptions &options) {
  const sinter_gpu_program *program = nullptr;
  std::string have;
  for (uint64_t i = 0; i < model().gpu_program_count; ++i) {
    const sinter_gpu_program &each = model().gpu_programs[i];
    if (each.architecture != gpu().architecture())
      continue;
    have += (have.empty() ? "" : ", ") + std::string(dtypeName(each.cache_dtype));
    if (!program && (!options.cacheDtype || each.cache_dtype == uint32_t(*options.cacheDtype)))
      program = &each;
  }
  if (!program) {
    return fail("this program's GPU code was compiled for keys and values in {}, not in {}", have,
                options.cacheDtype ? dtypeName(*options.cacheDtype) : "any type");
  }
  auto session = std::make_unique<CudaSession>(model(), *program, shared, options);
  if (Result<void> ready = session->prepare(); !ready)
    return tl::unexpected(ready.error());
  return session;
}

Result<std::unique_ptr<Device>> openCuda(const sinter_model &model, const DeviceOptions &options) {
  if (!model.gpu_image_count)
    return fail("this program was compiled for the processor alone (sinter compile --target=cuda makes code "
                "for GPUs)");
  auto device = std::make_unique<CudaDevice>(model, options.emulated);
  if (Result<void> opened = device->open(options); !opened)
    return tl::unexpected(opened.error());
  return device;
}

} // namespace

} // namespace sinter::device

const sinter::device::CudaOpener sinter_cuda_opener = sinter::device::openCuda;
