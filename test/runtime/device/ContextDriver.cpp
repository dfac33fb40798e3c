// SPDX-License-Identifier: Apache-2.0
// A driver that stands before the emulated one, and refuses what CUDA's does when the calling thread has no
// current context. All else is the emulator's: a library's dependencies are searched behind it.
#include <cstddef>
#include <cstdint>
#include <dlfcn.h>

namespace {
constexpr int invalidContext = 201; // CUDA_ERROR_INVALID_CONTEXT
thread_local void *current = nullptr;
} // namespace

#define NEXT(symbol) reinterpret_cast<decltype(&(symbol))>(dlsym(RTLD_NEXT, #symbol))
#define WANTS_CONTEXT(symbol, parameters, arguments)                                                         \
  extern "C" __attribute__((visibility("default"))) int symbol parameters {                                  \
    return current ? NEXT(symbol) arguments : invalidContext;                                                \
  }

extern "C" __attribute__((visibility("default"))) int cuCtxSetCurrent(void *context) {
  current = context;
  return NEXT(cuCtxSetCurrent)(context);
}
WANTS_CONTEXT(cuModuleLoadDataEx, (void *to, const void *image, unsigned count, int *options, void **values),
              (to, image, count, options, values))
WANTS_CONTEXT(cuMemGetInfo_v2, (size_t *available, size_t *total), (available, total))
WANTS_CONTEXT(cuMemAlloc_v2, (uint64_t *address, size_t bytes), (address, bytes))
WANTS_CONTEXT(cuMemFree_v2, (uint64_t address), (address))
WANTS_CONTEXT(cuMemHostAlloc, (void **address, size_t bytes, unsigned flags), (address, bytes, flags))
WANTS_CONTEXT(cuMemcpyHtoDAsync_v2, (uint64_t to, const void *from, size_t bytes, void *stream),
              (to, from, bytes, stream))
WANTS_CONTEXT(cuMemcpyDtoHAsync_v2, (void *to, uint64_t from, size_t bytes, void *stream),
              (to, from, bytes, stream))
WANTS_CONTEXT(cuMemcpyDtoDAsync_v2, (uint64_t to, uint64_t from, size_t bytes, void *stream),
              (to, from, bytes, stream))
WANTS_CONTEXT(cuStreamCreate, (void **stream, unsigned flags), (stream, flags))
WANTS_CONTEXT(cuStreamSynchronize, (void *stream), (stream))
WANTS_CONTEXT(cuEventCreate, (void **event, unsigned flags), (event, flags))
WANTS_CONTEXT(cuGraphLaunch, (void *graph, void *stream), (graph, stream))
WANTS_CONTEXT(cuLaunchKernelEx, (const void *config, void *function, void **parameters, void **extra),
              (config, function, parameters, extra))
