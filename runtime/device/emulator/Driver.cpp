// SPDX-License-Identifier: Apache-2.0
// Initialisation, device, context, errors, modules and functions of the driver's interface.
#include "runtime/device/emulator/Driver.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <sstream>

using namespace sinter::emulator;

namespace sinter::emulator {

DriverState &DriverState::get() {
  static DriverState state;
  return state;
}

CUresult driverError(CUresult code, std::string message) {
  DriverState::get().lastError = std::move(message);
  return code;
}

} // namespace sinter::emulator

namespace {

constexpr int driverVersion = 13000;

struct ErrorName {
  CUresult code;
  const char *name, *text;
};
constexpr ErrorName errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {CUDA_ERROR_FILE_NOT_FOUND, "CUDA_ERROR_FILE_NOT_FOUND", "file not found"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE",
     "too many blocks in cooperative launch"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
};

/// A number in text that is nothing else; 0 otherwise.
uint64_t numberIn(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

/// CUdevice_attribute -> value, of an H100 where PTX programs can tell.
int attributeOf(int attribute, int capability) {
  switch (attribute) {
  case 1:
    return 1024; // MAX_THREADS_PER_BLOCK
  case 2:
  case 3:
    return 1024; // MAX_BLOCK_DIM_X, Y
  case 4:
    return 64; // MAX_BLOCK_DIM_Z
  case 5:
    return 0x7fffffff; // MAX_GRID_DIM_X
  case 6:
  case 7:
    return 65535; // MAX_GRID_DIM_Y, Z
  case 8:
    return 48 * 1024; // MAX_SHARED_MEMORY_PER_BLOCK
  case 9:
    return 64 * 1024; // TOTAL_CONSTANT_MEMORY
  case 10:
    return 32; // WARP_SIZE
  case 12:
    return 65536; // MAX_REGISTERS_PER_BLOCK
  case 13:
    return 1755000; // CLOCK_RATE
  case 16:
    return static_cast<int>(DriverState::get().multiprocessors); // MULTIPROCESSOR_COUNT
  case 31:
  case 32:
  case 41:
  case 95:
  case 115:
    return 1; // concurrent kernels, ECC, unified addressing, cooperative, memory pools
  case 36:
    return 2619000; // MEMORY_CLOCK_RATE
  case 37:
    return 5120; // GLOBAL_MEMORY_BUS_WIDTH
  case 38:
    return 50 * 1024 * 1024; // L2_CACHE_SIZE
  case 39:
    return 2048; // MAX_THREADS_PER_MULTIPROCESSOR
  case 75:
    return capability / 10; // COMPUTE_CAPABILITY_MAJOR
  case 76:
    return capability % 10;
  case 81:
    return capability >= 90 ? 228 * 1024 : 164 * 1024; // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
  case 82:
    return 65536; // MAX_REGISTERS_PER_MULTIPROCESSOR
  case 97:
    return capability >= 90 ? 227 * 1024 : 163 * 1024; // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
  case 106:
    return 32; // MAX_BLOCKS_PER_MULTIPROCESSOR
  case 111:
    return 1024; // RESERVED_SHARED_MEMORY_PER_BLOCK
  case 120:
    return capability >= 90; // CLUSTER_LAUNCH
  case 127:
    return capability >= 90; // TENSOR_MAP_ACCESS_SUPPORTED
  default:
    return 0;
  }
}

} // namespace

SINTER_DRIVER_API cuInit(unsigned flags) {
  DriverState &state = DriverState::get();
  if (flags)
    return driverError(CUDA_ERROR_INVALID_VALUE, "cuInit: expected flags 0");
  if (const char *value = std::getenv("SINTER_EMULATOR_SM"); value && *value) {
    const uint64_t found = numberIn(value);
    if (found < 50 || found > 120)
      return driverError(
          CUDA_ERROR_INVALID_VALUE,
          fmt::format("SINTER_EMULATOR_SM: expected a number such as 80 or 90, found '{}'", value));
    state.computeCapability = static_cast<int>(found);
  }
  for (const auto &[name, target, unit] :
       {std::tuple("SINTER_EMULATOR_MEMORY", &state.totalMemory, uint64_t(1) << 20),
        std::tuple("SINTER_EMULATOR_SMS", &state.multiprocessors, uint64_t(1))})
    if (const char *value = std::getenv(name); value && *value) {
      const uint64_t found = numberIn(value);
      if (found < 1 || found > 1 << 22)
        return driverError(
            CUDA_ERROR_INVALID_VALUE,
            fmt::format("{}: expected a number from 1 to {}, found '{}'", name, 1 << 22, value));
      *target = found * unit;
    }
  if (const char *value = std::getenv("SINTER_EMULATOR_MAX_INSTRUCTIONS"); value && *value) {
    state.options.maxInstructions = numberIn(value);
    if (!state.options.maxInstructions)
      return driverError(
          CUDA_ERROR_INVALID_VALUE,
          fmt::format("SINTER_EMULATOR_MAX_INSTRUCTIONS: expected a number from 1 on, found '{}'", value));
  }
  if (const char *value = std::getenv("SINTER_EMULATOR_SCHEDULE"); value && *value) {
    if (std::strcmp(value, "earliest") && std::strcmp(value, "latest"))
      return driverError(
          CUDA_ERROR_INVALID_VALUE,
          fmt::format("SINTER_EMULATOR_SCHEDULE: expected earliest or latest, found '{}'", value));
    state.options.schedule = value[0] == 'l' ? Schedule::latest : Schedule::earliest;
  }
  if (const char *value = std::getenv("SINTER_EMULATOR_RACES"); value && *value)
    state.options.races = std::strcmp(value, "0") != 0;
  if (const char *value = std::getenv("SINTER_EMULATOR_COUNTERS"); value && *value) {
    if (const auto opened = state.counters.writeTo(value); !opened)
      return driverError(CUDA_ERROR_INVALID_VALUE, opened.error().message);
    state.options.counters = true;
  }
  state.initialized = true;
  return CUDA_SUCCESS;
}

SINTER_DRIVER_API cuDriverGetVersion(int *version) {
  *version = driverVersion;
  return CUDA_SUCCESS;
}

SINTER_DRIVER_API cuGetErrorName(CUresult code, const char **text) {
  for (const ErrorName &each : errors)
    if (each.code == code) {
      *text = each.name;
      return CUDA_SUCCESS;
    }
  *text = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

/// The emulator's own message, when the last error had one: it says which thread did what in which line.
SINTER_DRIVER_API cuGetErrorString(CUresult code, const char **text) {
  for (const ErrorName &each : errors)
    if (each.code == code) {
      const std::string &last = DriverState::get().lastError;
      *text = code != CUDA_SUCCESS && !last.empty() ? last.c_str() : each.text;
      return CUDA_SUCCESS;
    }
  *text = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

SINTER_DRIVER_API cuDeviceGetCount(int *count) {
  *count = 1;
  return DriverState::get().initialized ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}
SINTER_DRIVER_API cuDeviceGet(CUdevice *device, int ordinal) {
  if (!DriverState::get().initialized)
    return CUDA_ERROR_NOT_INITIALIZED;
  *device = 0;
  return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
SINTER_DRIVER_API cuDeviceGetName(char *name, int length, CUdevice) {
  if (length < 1)
    return CUDA_ERROR_INVALID_VALUE;
  std::strncpy(name, "Sinter emulator", static_cast<size_t>(length));
  name[length - 1] = '\0';
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
  *bytes = DriverState::get().totalMemory;
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuDeviceGetAttribute(int *value, int attribute, CUdevice) {
  *value = attributeOf(attribute, DriverState::get().computeCapability);
  return CUDA_SUCCESS;
}

// One context: its handle is the state's address.
static CUcontext theContext() { return reinterpret_cast<CUcontext>(&DriverState::get()); }
SINTER_DRIVER_API cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
  if (!DriverState::get().initialized)
    return CUDA_ERROR_NOT_INITIALIZED;
  *context = theContext();
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuDevicePrimaryCtxRelease_v2(CUdevice) {
  if (const auto written = DriverState::get().counters.write(); !written)
    return driverError(CUDA_ERROR_INVALID_VALUE, written.error().message);
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuCtxCreate_v2(CUcontext *context, unsigned, CUdevice device) {
  return cuDevicePrimaryCtxRetain(context, device);
}
SINTER_DRIVER_API cuCtxDestroy_v2(CUcontext) { return CUDA_SUCCESS; }
SINTER_DRIVER_API cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
SINTER_DRIVER_API cuCtxPushCurrent_v2(CUcontext) { return CUDA_SUCCESS; }
SINTER_DRIVER_API cuCtxPopCurrent_v2(CUcontext *context) {
  if (context)
    *context = theContext();
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuCtxGetCurrent(CUcontext *context) {
  *context = theContext();
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuCtxGetDevice(CUdevice *device) {
  *device = 0;
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuCtxSynchronize() { return CUDA_SUCCESS; }

// --- modules ---

SINTER_DRIVER_API cuModuleLoadData(CUmodule *module, const void *image) {
  const char *text = static_cast<const char *>(image);
  if (!text || !std::memcmp(text,
                            "\x7f"
                            "ELF",
                            4))
    return driverError(CUDA_ERROR_INVALID_IMAGE,
                       "the emulator runs PTX text; it was given a cubin or nothing");
  auto loaded = LoadedModule::load(text, DriverState::get().memory);
  if (!loaded)
    return driverError(CUDA_ERROR_INVALID_PTX, loaded.error().message);
  if (const int device = DriverState::get().computeCapability;
      !(*loaded)->runsOn(static_cast<uint32_t>(device)))
    return driverError(CUDA_ERROR_INVALID_PTX,
                       fmt::format("PTX of {} does not run on a device of compute capability {}.{}",
                                   (*loaded)->target(), device / 10, device % 10));
  *module = new CUmod_st{std::move(*loaded), {}};
  return CUDA_SUCCESS;
}
/// Of the options the log: what the error says goes there too. CU_JIT_ERROR_LOG_BUFFER 5, _SIZE_BYTES 6.
SINTER_DRIVER_API cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, int *options,
                                     void **values) {
  const CUresult result = cuModuleLoadData(module, image);
  char *log = nullptr;
  size_t room = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == 5)
      log = static_cast<char *>(values[i]);
    if (options[i] == 6)
      room = reinterpret_cast<size_t>(values[i]);
  }
  if (log && room && result != CUDA_SUCCESS) {
    std::strncpy(log, DriverState::get().lastError.c_str(), room - 1);
    log[room - 1] = '\0';
  }
  return result;
}
SINTER_DRIVER_API cuModuleLoad(CUmodule *module, const char *path) {
  std::ifstream file(path);
  if (!file)
    return driverError(CUDA_ERROR_FILE_NOT_FOUND, fmt::format("cannot read '{}'", path));
  std::stringstream text;
  text << file.rdbuf();
  return cuModuleLoadData(module, text.str().c_str());
}
SINTER_DRIVER_API cuModuleUnload(CUmodule module) {
  delete module;
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  if (!module || !name)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "cuModuleGetFunction: expected a module and a name");
  const auto program = module->module->kernel(name);
  if (!program)
    return driverError(program.error().message.starts_with("line") ? CUDA_ERROR_INVALID_PTX
                                                                   : CUDA_ERROR_NOT_FOUND,
                       program.error().message);
  for (const auto &each : module->functions)
    if (each->program == *program) {
      *function = each.get();
      return CUDA_SUCCESS;
    }
  module->functions.push_back(std::make_unique<CUfunc_st>(CUfunc_st{module, *program}));
  *function = module->functions.back().get();
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule module,
                                       const char *name) {
  uint64_t found = 0, size = 0;
  if (!module->module->variable(name, found, size))
    return driverError(CUDA_ERROR_NOT_FOUND, fmt::format("the module has no variable '{}'", name));
  if (address)
    *address = found;
  if (bytes)
    *bytes = size;
  return CUDA_SUCCESS;
}

/// CUfunction_attribute: 0 max threads, 1 static shared, 3 local, 4 registers, 8 max dynamic shared.
SINTER_DRIVER_API cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  const Program &program = *function->program;
  switch (attribute) {
  case 0:
    *value = program.maxThreads[0]
                 ? static_cast<int>(program.maxThreads[0] * program.maxThreads[1] * program.maxThreads[2])
                 : 1024;
    break;
  case 1:
    *value = static_cast<int>(program.staticShared - Program::sharedReserved);
    break;
  case 3:
    *value = static_cast<int>(program.localBytes);
    break;
  case 4:
    *value = static_cast<int>(program.maxRegisters ? program.maxRegisters : 32);
    break;
  case 8:
    *value = static_cast<int>(function->dynamicSharedLimit);
    break;
  default:
    *value = 0;
  }
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  if (!function)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "cuFuncSetAttribute: expected a function");
  if (attribute == 8) {
    const int limit = attributeOf(97, DriverState::get().computeCapability);
    if (value < 0 || value > limit)
      return driverError(
          CUDA_ERROR_INVALID_VALUE,
          fmt::format("expected at most {} bytes of dynamic shared memory, found {}", limit, value));
    function->dynamicSharedLimit = static_cast<uint64_t>(value);
  }
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuFuncSetCacheConfig(CUfunction, int) { return CUDA_SUCCESS; }

uint64_t sinter::emulator::residentBlocks(const Program &program, uint64_t threads, uint64_t dynamicShared) {
  const auto shared = static_cast<uint64_t>(attributeOf(81, DriverState::get().computeCapability));
  return std::min<uint64_t>({32, 2048 / threads, shared / (program.dynamicSharedAt + dynamicShared)});
}

SINTER_DRIVER_API cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int threads,
                                                              size_t dynamicShared) {
  if (threads < 1 || threads > 1024)
    return CUDA_ERROR_INVALID_VALUE;
  *blocks =
      static_cast<int>(residentBlocks(*function->program, static_cast<uint64_t>(threads), dynamicShared));
  return CUDA_SUCCESS;
}

SINTER_DRIVER_API cuGetProcAddress_v2(const char *symbol, void **function, int, uint64_t, int *status) {
  *function = dlsym(RTLD_DEFAULT, symbol);
  for (const char *version : {"_v2", "_v3"})
    if (void *found = dlsym(RTLD_DEFAULT, (std::string(symbol) + version).c_str()))
      *function = found;
  if (status)
    *status = *function ? 0 : 1;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
