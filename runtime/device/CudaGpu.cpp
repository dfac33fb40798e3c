// SPDX-License-Identifier: Apache-2.0
// Opens what a GPU needs in the order in which something can be missing, so that the first message is the
// right one.
#include "runtime/device/CudaGpu.h"
#include <algorithm>

namespace sinter::device::cuda {

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

} // namespace

Gpu::~Gpu() {
  // What is on the GPU goes before its context does.
  (void)makeCurrent();
  code.reset();
  if (context)
    opened->primaryContextRelease(number);
}

Result<std::shared_ptr<Gpu>> Gpu::open(std::span<const sinter_gpu_image> images,
                                       const DeviceOptions &options) {
  std::string path = "libcuda.so.1";
  if (options.emulated) {
    Result<std::string> found = findEmulator(options.emulatorFolder);
    if (!found)
      return tl::unexpected(found.error());
    path = *found;
  }
  Result<std::shared_ptr<Driver>> library = Driver::open(path);
  if (!library)
    return tl::unexpected(library.error());
  std::shared_ptr<Gpu> gpu(new Gpu);
  gpu->opened = std::move(*library);
  Driver &driver = *gpu->opened;
  int count = 0;
  Result<void> done = driver.check(driver.deviceGetCount(&count), "counting GPUs");
  if (done && count == 0)
    return fail("the CUDA driver finds no GPU");
  if (done)
    done = driver.check(driver.deviceGet(&gpu->number, 0), "opening the first GPU");
  if (!done)
    return tl::unexpected(done.error());
  char text[256] = "";
  driver.deviceGetName(text, int(sizeof text), gpu->number);
  gpu->deviceName = text;
  gpu->multiprocessorCount = gpu->attribute(Attribute::Multiprocessors);
  gpu->capability =
      10 * gpu->attribute(Attribute::CapabilityMajor) + gpu->attribute(Attribute::CapabilityMinor);
  // Before anything large is done: whether this program has code for the device.
  Result<uint32_t> architecture = chooseArchitecture(images, gpu->capability, gpu->deviceName);
  if (!architecture)
    return tl::unexpected(architecture.error());
  gpu->chosen = *architecture;
  gpu->chosenText = architectureName(*architecture);
  done = driver.check(driver.primaryContextRetain(&gpu->context, gpu->number), "opening the GPU");
  if (done)
    done = gpu->makeCurrent();
  if (!done)
    return tl::unexpected(done.error());
  Result<LoadedModule> module = LoadedModule::load(gpu->opened, images, gpu->chosen, gpu->capability);
  if (!module)
    return tl::unexpected(module.error());
  gpu->code.emplace(std::move(*module));
  return gpu;
}

Result<void> Gpu::makeCurrent() const {
  return opened->check(opened->contextSetCurrent(context), "making the GPU the calling thread's");
}

MemorySize Gpu::memory() const {
  size_t available = 0, total = 0;
  if (makeCurrent())
    opened->memoryGetInfo(&available, &total);
  return {available, total};
}

Limits Gpu::limits() const {
  // Two transfers a clock of the memory; multiply-adds at the highest clock.
  const double bytes =
      2e3 * attribute(Attribute::MemoryClockKilohertz) * attribute(Attribute::MemoryBusBits) / 8;
  const double flops =
      1e3 * attribute(Attribute::ClockKilohertz) * multiprocessorCount * tensorFlopsPerClock(capability);
  return {std::max(bytes, 1.0), std::max(flops, 1.0), "bf16 tensor cores"};
}

Result<DeviceBuffer> Gpu::upload(const void *data, uint64_t bytes, const char *purpose) const {
  Result<DeviceBuffer> buffer = DeviceBuffer::allocate(opened, bytes, purpose);
  if (!buffer)
    return fail("{}: expected {:.1f} MiB of free memory on the GPU, found {:.1f} MiB", buffer.error().message,
                double(bytes) / 0x1p20, double(memory().available) / 0x1p20);
  Result<OwnedStream> stream = makeStream(opened);
  if (!stream)
    return tl::unexpected(stream.error());
  constexpr uint64_t chunk = 64 << 20;
  const auto *const from = static_cast<const std::byte *>(data);
  Code code = Code::Success;
  for (uint64_t at = 0; at < bytes && code == Code::Success; at += chunk)
    code = opened->copyToDevice(buffer->address() + at, from + at, std::min(chunk, bytes - at), *stream);
  const Code ended = opened->streamSynchronize(*stream); // whatever happened: the buffer may be given back
  if (code == Code::Success)
    code = ended;
  if (Result<void> done = opened->check(code, fmt::format("uploading {}", purpose)); !done)
    return tl::unexpected(done.error());
  return buffer;
}

} // namespace sinter::device::cuda
