// SPDX-License-Identifier: Apache-2.0
// Opens the driver's library, or the emulator's, and looks its functions up.
#include "runtime/device/CudaDriver.h"
#include "runtime/files/CodeFile.h"
#include <cstdlib>
#include <dlfcn.h>
#include <unistd.h>

namespace sinter::device::cuda {

Driver::~Driver() {
  if (library)
    dlclose(library);
}

Result<std::shared_ptr<Driver>> Driver::open(const std::string &path) {
  std::shared_ptr<Driver> driver(new Driver);
  driver->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!driver->library) {
    const char *reason = dlerror();
    return fail("no CUDA driver: {}", reason ? reason : path);
  }
  // First of all the version, so that a message about what is missing can name it.
  Code (*getVersion)(int *) = nullptr;
  getVersion = reinterpret_cast<decltype(getVersion)>(dlsym(driver->library, "cuDriverGetVersion"));
  if (!getVersion)
    return fail("{}: expected a CUDA driver, found a library without cuDriverGetVersion", path);
  getVersion(&driver->cudaVersion);
  const char *missing = nullptr;
#define SINTER_CUDA_LOOK_UP(member, symbol, parameters)                                                      \
  driver->member = reinterpret_cast<decltype(driver->member)>(dlsym(driver->library, #symbol));              \
  if (!driver->member && !missing)                                                                           \
    missing = #symbol;
  SINTER_CUDA_FUNCTIONS(SINTER_CUDA_LOOK_UP)
#undef SINTER_CUDA_LOOK_UP
  driver->tensorMapEncodeTiled = reinterpret_cast<decltype(driver->tensorMapEncodeTiled)>(
      dlsym(driver->library, "cuTensorMapEncodeTiled"));
  if (driver->cudaVersion < oldestVersion || missing)
    return fail("the CUDA driver is of CUDA {}{}: expected {} or newer", versionText(driver->cudaVersion),
                missing ? fmt::format(" and lacks {}", missing) : "", versionText(oldestVersion));
  const Code started = driver->init(0);
  if (started == Code::NoDevice)
    return fail("the CUDA driver finds no GPU");
  if (Result<void> ready = driver->check(started, "starting the CUDA driver"); !ready)
    return tl::unexpected(ready.error());
  return driver;
}

Result<void> Driver::check(Code code, std::string_view what) const {
  if (code == Code::Success)
    return {};
  const char *name = nullptr, *text = nullptr;
  getErrorName(code, &name);
  getErrorString(code, &text);
  return fail("{}: {} ({})", what, text ? text : "the CUDA driver gave an error",
              name ? name : std::to_string(int(code)));
}

std::string versionText(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

Result<std::string> findEmulator(const std::string &folder) {
  static const char anchor = 0;
  const std::string name = "libsinter-cuda-emulator.so";
  if (const char *given = std::getenv("SINTER_EMULATOR"); given && *given) {
    if (access(given, F_OK) == 0)
      return std::string(given);
    return fail("SINTER_EMULATOR: expected the path of {}, found no file '{}'", name, given);
  }
  const std::string self = fileOfCode(&anchor);
  const std::string beside = self.substr(0, self.rfind('/') + 1) + name;
  if (!self.empty() && access(beside.c_str(), F_OK) == 0)
    return beside;
  const std::string recorded = folder + "/" + name;
  if (!folder.empty() && access(recorded.c_str(), F_OK) == 0)
    return recorded;
  return fail("expected the emulator, found none: not in the environment (SINTER_EMULATOR is not set), not "
              "beside this "
              "program ({}), not where it was compiled ({})",
              self.empty() ? "whose place is unknown" : beside, folder.empty() ? "not recorded" : recorded);
}

} // namespace sinter::device::cuda
