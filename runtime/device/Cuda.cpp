// SPDX-License-Identifier: Apache-2.0
// A GPU as a device: opened through its driver or the emulator's, with the weights in its memory.
#include "runtime/device/CudaSession.h"
#include "runtime/device/WeightsMapping.h"
#include <algorithm>

namespace sinter::device {

using namespace cuda;

namespace {

/// Operations of multiply-adds of bf16 on tensor cores, a clock and multiprocessor (two a multiply-add,
/// dense), from NVIDIA's descriptions of the architectures; what is not listed counts as the least of them.
double tensorFlopsPerClock(int capability) {
  switch (capability) {
  case 80:
    return 2048;
  case 90:
    return 4096;
  case 100:
    return 8192;
  case 89:
    return 1024;
  default:
    return 512;
  }
}

class CudaDevice final : public Device {
public:
  CudaDevice(const sinter_model &model, bool emulated) : Device(model), emulated(emulated) {}
  ~CudaDevice() override;

  Result<void> open(const DeviceOptions &options);

  Result<std::unique_ptr<Session>> openSession(const SessionOptions &options) override;
  Limits measureLimits() override;
  const char *backend() const override { return emulated ? "emulator" : "cuda"; }
  const char *isaName() const override { return architectureText.c_str(); }
  std::string name() const override { return deviceName; }
  int threads() const override { return attribute(Attribute::Multiprocessors); }
  MemorySize memory() const override;

private:
  int attribute(Attribute which) const {
    int value = 0;
    shared->driver->deviceGetAttribute(&value, which, number);
    return value;
  }
  Result<void> upload(const std::byte *weights);

  const bool emulated;
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  DeviceNumber number = 0;
  std::string deviceName;
  int capability = 0;
  uint32_t architecture = 0; // of the code
  std::string architectureText;
};

CudaDevice::~CudaDevice() {
  // What is on the GPU goes before its context does.
  const std::shared_ptr<Driver> driver = shared->driver;
  const bool hasContext = shared->context;
  shared.reset();
  if (hasContext)
    driver->primaryContextRelease(number);
}

Result<void> CudaDevice::open(const DeviceOptions &options) {
  std::string path = "libcuda.so.1";
  if (emulated) {
    Result<std::string> found = findEmulator(options.emulatorFolder);
    if (!found)
      return tl::unexpected(found.error());
    path = *found;
  }
  Result<std::shared_ptr<Driver>> opened = Driver::open(path);
  if (!opened)
    return tl::unexpected(opened.error());
  Driver &driver = **opened;
  shared->driver = std::move(*opened);
  int count = 0;
  Result<void> done = driver.check(driver.deviceGetCount(&count), "counting GPUs");
  if (done && count == 0)
    return fail("the CUDA driver finds no GPU");
  if (done)
    done = driver.check(driver.deviceGet(&number, 0),
                        "opening the first GPU"); // CUDA_VISIBLE_DEVICES chooses another
  if (!done)
    return done;
  char text[256] = "";
  driver.deviceGetName(text, int(sizeof text), number);
  deviceName = text;
  shared->multiprocessors = threads();
  capability = 10 * attribute(Attribute::CapabilityMajor) + attribute(Attribute::CapabilityMinor);
  // Before anything large is done: whether this program has code for the device.
  const std::span<const sinter_gpu_image> images(model().gpu_images, model().gpu_image_count);
  Result<uint32_t> chosen = chooseArchitecture(images, capability, deviceName);
  if (!chosen)
    return tl::unexpected(chosen.error());
  architecture = *chosen;
  architectureText = architectureName(architecture);
  done = driver.check(driver.primaryContextRetain(&shared->context, number), "opening the GPU");
  if (done)
    done = driver.check(driver.contextSetCurrent(shared->context), "opening the GPU");
  if (!done)
    return done;
  Result<LoadedModule> module = LoadedModule::load(shared->driver, images, architecture, capability);
  if (!module)
    return tl::unexpected(module.error());
  shared->module.emplace(std::move(*module));
  Result<WeightsMapping> weights = WeightsMapping::open(model(), options.weightsPath);
  if (!weights)
    return tl::unexpected(weights.error());
  return upload(weights->data);
}

/// The whole image, in copies that are large enough to be fast and small enough to be given up at SIGINT.
Result<void> CudaDevice::upload(const std::byte *weights) {
  const uint64_t bytes = model().weights.size;
  Result<DeviceBuffer> buffer = DeviceBuffer::allocate(shared->driver, bytes, "the weights");
  if (!buffer) {
    const MemorySize size = memory();
    return fail("{}: expected {:.1f} MiB of free memory on the GPU, found {:.1f} MiB", buffer.error().message,
                double(bytes) / 0x1p20, double(size.available) / 0x1p20);
  }
  shared->weights = std::move(*buffer);
  Driver &driver = *shared->driver;
  Stream stream = nullptr;
  if (Result<void> made = driver.check(driver.streamCreate(&stream, 0), "making a stream"); !made)
    return made;
  constexpr uint64_t chunk = 64 << 20;
  Code code = Code::Success;
  for (uint64_t at = 0; at < bytes && code == Code::Success; at += chunk)
    code = driver.copyToDevice(shared->weights.address() + at, weights + at, std::min(chunk, bytes - at),
                               stream);
  if (code == Code::Success)
    code = driver.streamSynchronize(stream);
  driver.streamDestroy(stream);
  return driver.check(code, "uploading the weights");
}

MemorySize CudaDevice::memory() const {
  size_t available = 0, total = 0;
  shared->driver->memoryGetInfo(&available, &total);
  return {available, total};
}

Result<std::unique_ptr<Session>> CudaDevice::openSession(const SessionOptions &options) {
  const sinter_gpu_program *program = nullptr;
  std::string have;
  for (uint64_t i = 0; i < model().gpu_program_count; ++i) {
    const sinter_gpu_program &each = model().gpu_programs[i];
    if (each.architecture != architecture)
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

Limits CudaDevice::measureLimits() {
  // Two transfers a clock of the memory; multiply-adds at the highest clock.
  const double bytes =
      2e3 * attribute(Attribute::MemoryClockKilohertz) * attribute(Attribute::MemoryBusBits) / 8;
  const double flops =
      1e3 * attribute(Attribute::ClockKilohertz) * threads() * tensorFlopsPerClock(capability);
  return {std::max(bytes, 1.0), std::max(flops, 1.0), "bf16 tensor cores"};
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
