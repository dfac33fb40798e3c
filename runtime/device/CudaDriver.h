// SPDX-License-Identifier: Apache-2.0
// The CUDA driver's interface as far as the runtime uses it, opened when the program runs: by no header and
// no library of CUDA's, so that one executable serves machines with and without a GPU. Types have the
// driver's layouts (CUDA driver API, chapters "Data types" and "Execution control"); what opens is
// libcuda.so.1 or the emulator, which has the same functions.
#ifndef SINTER_RUNTIME_DEVICE_CUDADRIVER_H
#define SINTER_RUNTIME_DEVICE_CUDADRIVER_H

#include "runtime/Result.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace sinter::device::cuda {

/// CUresult; those that decide something here, by value.
enum class Code : int {
  Success = 0,
  OutOfMemory = 2,
  NoDevice = 100,
  NoBinaryForGpu = 209,
  InvalidPtx = 218,
  UnsupportedPtxVersion = 222,
};

using DeviceNumber = int;
using Address = uint64_t; ///< CUdeviceptr
using Context = struct ContextHandle *;
using Module = struct ModuleHandle *;
using Function = struct FunctionHandle *;
using Stream = struct StreamHandle *;
using Event = struct EventHandle *;
using Graph = struct GraphHandle *;
using GraphExec = struct GraphExecHandle *;

/// CUdevice_attribute.
enum class Attribute : int {
  ClockKilohertz = 13,
  Multiprocessors = 16,
  MemoryClockKilohertz = 36,
  MemoryBusBits = 37,
  CapabilityMajor = 75,
  CapabilityMinor = 76,
  CooperativeLaunch = 95,
};

/// CUfunction_attribute.
enum class FunctionAttribute : int { DynamicSharedMost = 8 };

/// CUjit_option.
enum class JitOption : int { ErrorLog = 5, ErrorLogBytes = 6 };

/// CUlaunchAttribute: an id, then a union of 64 bytes at offset 8.
struct LaunchAttribute {
  static constexpr int cooperative = 2; // CU_LAUNCH_ATTRIBUTE_COOPERATIVE
  static constexpr int cluster = 4;     // CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
  int id;
  char padding[4];
  union {
    char bytes[64];
    uint32_t dimensions[3];
    int flag;
  } value;
};

/// CUlaunchConfig.
struct LaunchConfig {
  uint32_t grid[3], block[3], dynamicShared;
  Stream stream;
  LaunchAttribute *attributes;
  uint32_t attributeCount;
};

/// CUtensorMap.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

static_assert(sizeof(LaunchAttribute) == 72 && offsetof(LaunchAttribute, value) == 8);
static_assert(sizeof(LaunchConfig) == 56 && offsetof(LaunchConfig, stream) == 32 &&
              offsetof(LaunchConfig, attributes) == 40 && offsetof(LaunchConfig, attributeCount) == 48);
static_assert(sizeof(TensorMap) == 128 && alignof(TensorMap) == 64);
static_assert(sizeof(Address) == 8 && sizeof(Code) == 4 && sizeof(Context) == 8);

/// The functions: member, symbol, parameters. All give a Code.
#define SINTER_CUDA_FUNCTIONS(F)                                                                             \
  F(init, cuInit, (unsigned flags))                                                                          \
  F(driverGetVersion, cuDriverGetVersion, (int *version))                                                    \
  F(getErrorName, cuGetErrorName, (Code, const char **text))                                                 \
  F(getErrorString, cuGetErrorString, (Code, const char **text))                                             \
  F(deviceGetCount, cuDeviceGetCount, (int *count))                                                          \
  F(deviceGet, cuDeviceGet, (DeviceNumber *, int ordinal))                                                   \
  F(deviceGetName, cuDeviceGetName, (char *name, int length, DeviceNumber))                                  \
  F(deviceGetAttribute, cuDeviceGetAttribute, (int *value, Attribute, DeviceNumber))                         \
  F(primaryContextRetain, cuDevicePrimaryCtxRetain, (Context *, DeviceNumber))                               \
  F(primaryContextRelease, cuDevicePrimaryCtxRelease_v2, (DeviceNumber))                                     \
  F(contextSetCurrent, cuCtxSetCurrent, (Context))                                                           \
  F(moduleLoadDataEx, cuModuleLoadDataEx,                                                                    \
    (Module *, const void *image, unsigned optionCount, JitOption *options, void **values))                  \
  F(moduleUnload, cuModuleUnload, (Module))                                                                  \
  F(moduleGetFunction, cuModuleGetFunction, (Function *, Module, const char *name))                          \
  F(functionSetAttribute, cuFuncSetAttribute, (Function, FunctionAttribute, int value))                      \
  F(occupancy, cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                  \
    (int *blocks, Function, int threads, size_t dynamicShared))                                              \
  F(memoryGetInfo, cuMemGetInfo_v2, (size_t *available, size_t *total))                                      \
  F(allocate, cuMemAlloc_v2, (Address *, size_t bytes))                                                      \
  F(free, cuMemFree_v2, (Address))                                                                           \
  F(hostAllocate, cuMemHostAlloc, (void **, size_t bytes, unsigned flags))                                   \
  F(hostFree, cuMemFreeHost, (void *))                                                                       \
  F(copyToDevice, cuMemcpyHtoDAsync_v2, (Address to, const void *from, size_t bytes, Stream))                \
  F(copyToHost, cuMemcpyDtoHAsync_v2, (void *to, Address from, size_t bytes, Stream))                        \
  F(copyOnDevice, cuMemcpyDtoDAsync_v2, (Address to, Address from, size_t bytes, Stream))                    \
  F(fillBytes, cuMemsetD8Async, (Address, unsigned char value, size_t count, Stream))                        \
  F(streamCreate, cuStreamCreate, (Stream *, unsigned flags))                                                \
  F(streamDestroy, cuStreamDestroy_v2, (Stream))                                                             \
  F(streamSynchronize, cuStreamSynchronize, (Stream))                                                        \
  F(streamBeginCapture, cuStreamBeginCapture_v2, (Stream, int mode))                                         \
  F(streamEndCapture, cuStreamEndCapture, (Stream, Graph *))                                                 \
  F(graphInstantiate, cuGraphInstantiateWithFlags, (GraphExec *, Graph, unsigned long long flags))           \
  F(graphLaunch, cuGraphLaunch, (GraphExec, Stream))                                                         \
  F(graphDestroy, cuGraphDestroy, (Graph))                                                                   \
  F(graphExecDestroy, cuGraphExecDestroy, (GraphExec))                                                       \
  F(eventCreate, cuEventCreate, (Event *, unsigned flags))                                                   \
  F(eventDestroy, cuEventDestroy_v2, (Event))                                                                \
  F(eventRecord, cuEventRecord, (Event, Stream))                                                             \
  F(eventElapsedTime, cuEventElapsedTime, (float *milliseconds, Event begin, Event end))                     \
  F(launchKernelEx, cuLaunchKernelEx, (const LaunchConfig *, Function, void **parameters, void **extra))

/// An open driver. Closed with the last reference.
class Driver {
public:
  /// Opens the library `path`, looks its functions up and initialises it. Fails when there is no such library
  /// ("no CUDA driver"), when it is too old to have a function, and when it does not start (no GPU, no
  /// permission).
  static Result<std::shared_ptr<Driver>> open(const std::string &path);
  ~Driver();
  Driver(const Driver &) = delete;
  Driver &operator=(const Driver &) = delete;

  /// Of CUDA 12 on; null in older drivers.
  Code (*tensorMapEncodeTiled)(TensorMap *, int dataType, unsigned rank, void *address, const uint64_t *sizes,
                               const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                               int interleave, int swizzle, int promotion, int fill) = nullptr;
#define SINTER_CUDA_DECLARE(member, symbol, parameters) Code(*member) parameters = nullptr;
  SINTER_CUDA_FUNCTIONS(SINTER_CUDA_DECLARE)
#undef SINTER_CUDA_DECLARE

  /// The CUDA version that the driver is of: 12040 for 12.4.
  int version() const { return cudaVersion; }

  /// An Error with the driver's own words when `code` is not Success; `what` was asked for: "uploading the
  /// weights".
  Result<void> check(Code code, std::string_view what) const;

private:
  Driver() = default;

  void *library = nullptr;
  int cudaVersion = 0;
};

/// The oldest driver that has all functions (cuLaunchKernelEx is of CUDA 11.8).
inline constexpr int oldestVersion = 11080;

/// "12.4" of 12040.
std::string versionText(int version);

/// The path of libsinter-cuda-emulator.so: $SINTER_EMULATOR, else beside the executable, else in `folder`,
/// which the compiler has recorded (may be empty). The error names all three.
Result<std::string> findEmulator(const std::string &folder);

} // namespace sinter::device::cuda

#endif // SINTER_RUNTIME_DEVICE_CUDADRIVER_H
