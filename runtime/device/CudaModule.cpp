// SPDX-License-Identifier: Apache-2.0
// Looks at what the driver is about to be given, so that the message is ours: a driver only says "invalid
// image".
#include "runtime/device/CudaModule.h"
#include <cstdio>
#include <cstring>
#include <set>

namespace sinter::device::cuda {

namespace {

/// Code for sm_90a is for 9.0 alone; PTX of others runs on newer devices, machine code on those of its major
/// version.
bool runsOn(const sinter_gpu_image &image, int device) {
  const int capability = int(image.architecture);
  if (capability == 90)
    return device == capability;
  return device >= capability && (image.code == SINTER_GPU_PTX || device / 10 == capability / 10);
}

} // namespace

std::string architectureName(uint32_t architecture) {
  return fmt::format("sm_{}{}", architecture, architecture == 90 ? "a" : "");
}

Result<uint32_t> chooseArchitecture(std::span<const sinter_gpu_image> images, int device,
                                    const std::string &deviceName) {
  uint32_t newest = 0;
  std::set<uint32_t> all;
  for (const sinter_gpu_image &image : images) {
    all.insert(image.architecture);
    if (image.architecture > newest && runsOn(image, device))
      newest = image.architecture;
  }
  if (newest)
    return newest;
  std::string have;
  for (uint32_t each : all)
    have += (have.empty() ? "" : " and ") + architectureName(each);
  return fail("this program has {}; the device ({}) is sm_{}", have.empty() ? "no GPU code" : have,
              deviceName, device);
}

Result<int> neededVersion(const char *ptx) {
  const char *const at = std::strstr(ptx, ".version ");
  int major = 0, minor = 0;
  if (!at || std::sscanf(at, ".version %d.%d", &major, &minor) != 2)
    return fail("this program's PTX: expected a line '.version MAJOR.MINOR', found none");
  // PTX ISA, "Release notes": 7.x came with CUDA 11.x, 8.0 to 8.5 with 12.0 to 12.5, later ones out of step.
  if (major < 8)
    return 11000 + 10 * minor;
  if (major == 8 && minor <= 5)
    return 12000 + 10 * minor;
  if (major == 8)
    return minor == 6 ? 12070 : minor == 7 ? 12080 : 12090;
  return 1000 * (major + 4) + 10 * minor;
}

Result<LoadedModule> LoadedModule::load(std::shared_ptr<Driver> driver,
                                        std::span<const sinter_gpu_image> images, uint32_t architecture,
                                        int device) {
  const std::string name = architectureName(architecture);
  const sinter_gpu_image *cubin = nullptr, *ptx = nullptr;
  for (const sinter_gpu_image &image : images)
    if (image.architecture == architecture && runsOn(image, device))
      (image.code == SINTER_GPU_CUBIN ? cubin : ptx) = &image;
  Module module = nullptr;
  if (cubin) {
    const Code code = driver->moduleLoadDataEx(&module, cubin->blob.data, 0, nullptr, nullptr);
    if (code == Code::Success)
      return LoadedModule(std::move(driver), module);
    if (!ptx) // nothing to fall back on
      return tl::unexpected(driver->check(code, fmt::format("loading machine code for {}", name)).error());
  }
  const char *const text = static_cast<const char *>(ptx->blob.data);
  const Result<int> needed = neededVersion(text);
  if (!needed)
    return tl::unexpected(needed.error());
  if (driver->version() < *needed)
    return fail("the CUDA driver is of CUDA {}: expected {} or newer for this program's PTX",
                versionText(driver->version()), versionText(*needed));
  char log[8192] = "";
  JitOption options[] = {JitOption::ErrorLog, JitOption::ErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  const Code code = driver->moduleLoadDataEx(&module, text, 2, options, values);
  if (Result<void> loaded = driver->check(code, fmt::format("compiling PTX for {}", name)); !loaded) {
    log[sizeof log - 1] = '\0';
    return fail("{}{}{}", loaded.error().message, *log ? "\n" : "", log);
  }
  return LoadedModule(std::move(driver), module);
}

LoadedModule::~LoadedModule() {
  if (module)
    driver->moduleUnload(module);
}

Result<Function> LoadedModule::function(const char *name) const {
  Function function = nullptr;
  if (Result<void> found = driver->check(driver->moduleGetFunction(&function, module, name),
                                         fmt::format("looking up the kernel '{}'", name));
      !found)
    return tl::unexpected(found.error());
  return function;
}

} // namespace sinter::device::cuda
