// SPDX-License-Identifier: Apache-2.0
// Memory, copies and tensor maps of the driver's interface.
#include "runtime/device/emulator/Driver.h"
#include "runtime/device/emulator/TensorMap.h"

#include <cstdlib>
#include <cstring>

using namespace sinter::emulator;

namespace {

GlobalMemory &memory() { return DriverState::get().memory; }

CUresult notDevice(const char *function, CUdeviceptr address, size_t bytes) {
  return driverError(CUDA_ERROR_INVALID_VALUE,
                     fmt::format("{}: {} bytes of device memory at {:#x}: {}", function, bytes, address,
                                 memory().describe(address)));
}

bool isDevice(CUdeviceptr address, size_t bytes) {
  GlobalMemory::Allocation found;
  return !bytes || memory().find(address, bytes, found);
}

CUresult copy(const char *function, CUstream stream, void *to, const void *from, size_t bytes, bool toDevice,
              bool fromDevice) {
  if (toDevice && !isDevice(reinterpret_cast<CUdeviceptr>(to), bytes))
    return notDevice(function, reinterpret_cast<CUdeviceptr>(to), bytes);
  if (fromDevice && !isDevice(reinterpret_cast<CUdeviceptr>(from), bytes))
    return notDevice(function, reinterpret_cast<CUdeviceptr>(from), bytes);
  return enqueue(stream, [=] {
    std::memmove(to, from, bytes);
    return CUDA_SUCCESS;
  });
}

template <typename T>
CUresult fill(const char *function, CUstream stream, CUdeviceptr address, T value, size_t count) {
  if (!isDevice(address, count * sizeof(T)))
    return notDevice(function, address, count * sizeof(T));
  return enqueue(stream, [=] {
    std::fill_n(reinterpret_cast<T *>(address), count, value);
    return CUDA_SUCCESS;
  });
}

void *pointer(CUdeviceptr address) { return reinterpret_cast<void *>(address); }

} // namespace

SINTER_DRIVER_API cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  static std::atomic<int> number{0};
  const DriverState &state = DriverState::get();
  if (!bytes)
    return driverError(CUDA_ERROR_INVALID_VALUE, "cuMemAlloc: expected at least one byte");
  if (bytes > state.totalMemory - std::min(state.totalMemory, memory().allocatedBytes()))
    return driverError(CUDA_ERROR_OUT_OF_MEMORY,
                       fmt::format("cuMemAlloc: {} bytes asked for, {} of {} in use", bytes,
                                   memory().allocatedBytes(), state.totalMemory));
  *address = memory().allocate(bytes, fmt::format("allocation {}", ++number));
  return *address ? CUDA_SUCCESS
                  : driverError(CUDA_ERROR_OUT_OF_MEMORY, "cuMemAlloc: the host has no more memory");
}
SINTER_DRIVER_API cuMemFree_v2(CUdeviceptr address) {
  if (!address || memory().free(address))
    return CUDA_SUCCESS;
  return driverError(CUDA_ERROR_INVALID_VALUE,
                     fmt::format("cuMemFree: expected the start of an allocation, found {:#x}: {}", address,
                                 memory().describe(address)));
}
SINTER_DRIVER_API cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream) {
  return cuMemAlloc_v2(address, bytes);
}
SINTER_DRIVER_API cuMemFreeAsync(CUdeviceptr address, CUstream) { return cuMemFree_v2(address); }
SINTER_DRIVER_API cuMemGetInfo_v2(size_t *available, size_t *total) {
  *total = DriverState::get().totalMemory;
  *available = *total - std::min<uint64_t>(*total, memory().allocatedBytes());
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuMemHostAlloc(void **address, size_t bytes, unsigned) {
  *address = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (!*address)
    return driverError(CUDA_ERROR_OUT_OF_MEMORY, "cuMemHostAlloc: the host has no more memory");
  memory().map(reinterpret_cast<uint64_t>(*address), bytes, "pinned host memory");
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuMemAllocHost_v2(void **address, size_t bytes) {
  return cuMemHostAlloc(address, bytes, 0);
}
SINTER_DRIVER_API cuMemFreeHost(void *address) {
  memory().unmap(reinterpret_cast<uint64_t>(address));
  std::free(address);
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuMemHostRegister_v2(void *address, size_t bytes, unsigned) {
  memory().map(reinterpret_cast<uint64_t>(address), bytes, "registered host memory");
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuMemHostUnregister(void *address) {
  memory().unmap(reinterpret_cast<uint64_t>(address));
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *host, unsigned) {
  *address = reinterpret_cast<CUdeviceptr>(host);
  return CUDA_SUCCESS;
}

SINTER_DRIVER_API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  return copy("cuMemcpyHtoD", stream, pointer(to), from, bytes, true, false);
}
SINTER_DRIVER_API cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy("cuMemcpyDtoH", stream, to, pointer(from), bytes, false, true);
}
SINTER_DRIVER_API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy("cuMemcpyDtoD", stream, pointer(to), pointer(from), bytes, true, true);
}
SINTER_DRIVER_API cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  return cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr);
}
SINTER_DRIVER_API cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr);
}
SINTER_DRIVER_API cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return cuMemcpyDtoDAsync_v2(to, from, bytes, nullptr);
}
SINTER_DRIVER_API cuMemsetD8Async(CUdeviceptr at, unsigned char value, size_t count, CUstream stream) {
  return fill("cuMemsetD8", stream, at, value, count);
}
SINTER_DRIVER_API cuMemsetD16Async(CUdeviceptr at, unsigned short value, size_t count, CUstream stream) {
  return fill("cuMemsetD16", stream, at, value, count);
}
SINTER_DRIVER_API cuMemsetD32Async(CUdeviceptr at, unsigned value, size_t count, CUstream stream) {
  return fill("cuMemsetD32", stream, at, value, count);
}
SINTER_DRIVER_API cuMemsetD8_v2(CUdeviceptr at, unsigned char value, size_t count) {
  return cuMemsetD8Async(at, value, count, nullptr);
}
SINTER_DRIVER_API cuMemsetD16_v2(CUdeviceptr at, unsigned short value, size_t count) {
  return cuMemsetD16Async(at, value, count, nullptr);
}
SINTER_DRIVER_API cuMemsetD32_v2(CUdeviceptr at, unsigned value, size_t count) {
  return cuMemsetD32Async(at, value, count, nullptr);
}

SINTER_DRIVER_API cuTensorMapEncodeTiled(CUtensorMap *result, int dataType, unsigned rank, void *address,
                                         const uint64_t *sizes, const uint64_t *strides, const unsigned *box,
                                         const unsigned *elementStrides, int interleave, int swizzle,
                                         int l2Promotion, int outOfBounds) {
  if (reinterpret_cast<uintptr_t>(result) % 64 || l2Promotion < 0 || l2Promotion > 3 || outOfBounds < 0 ||
      outOfBounds > 1)
    return driverError(CUDA_ERROR_INVALID_VALUE,
                       "cuTensorMapEncodeTiled: expected a map aligned to 64 bytes and known enumerators");
  const auto map = encodeTiled(static_cast<uint8_t>(dataType), rank, reinterpret_cast<uint64_t>(address),
                               sizes, strides, box, elementStrides, static_cast<uint32_t>(interleave),
                               static_cast<uint32_t>(swizzle), outOfBounds == 1);
  if (!map)
    return driverError(CUDA_ERROR_INVALID_VALUE, map.error().message);
  std::memset(result, 0, sizeof *result);
  std::memcpy(result, &*map, sizeof *map);
  return CUDA_SUCCESS;
}
