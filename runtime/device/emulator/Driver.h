// SPDX-License-Identifier: Apache-2.0
// The CUDA driver's interface, as far as the emulator has it: types with the driver's layouts (CUDA driver
// API, chapter "Data types"), and the emulator's own state behind the handles.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_DRIVER_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_DRIVER_H

#include "runtime/device/emulator/DriverCounters.h"
#include "runtime/device/emulator/Execution.h"
#include "runtime/device/emulator/Memory.h"
#include "runtime/device/emulator/Modules.h"
#include <chrono>
#include <functional>

#define SINTER_DRIVER_API extern "C" __attribute__((visibility("default"))) CUresult

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_INVALID_CONTEXT = 201,
  CUDA_ERROR_INVALID_PTX = 218,
  CUDA_ERROR_FILE_NOT_FOUND = 301,
  CUDA_ERROR_INVALID_HANDLE = 400,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
  CUDA_ERROR_NOT_SUPPORTED = 801,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
};

using CUdevice = int;
using CUdeviceptr = uint64_t;
struct CUctx_st;
using CUcontext = CUctx_st *;

namespace sinter::emulator {

/// A stream does its work when it is given: that is one of the orders CUDA allows. While it is captured, it
/// is kept.
struct Graph {
  std::vector<std::function<CUresult()>> nodes;
};

} // namespace sinter::emulator

struct CUmod_st {
  std::unique_ptr<sinter::emulator::LoadedModule> module;
  std::vector<std::unique_ptr<struct CUfunc_st>> functions;
};
struct CUfunc_st {
  CUmod_st *module;
  const sinter::emulator::Program *program;
  uint64_t dynamicSharedLimit = 48 * 1024; // until cuFuncSetAttribute raises it
};
struct CUstream_st {
  std::unique_ptr<sinter::emulator::Graph> capture;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point time;
  bool recorded = false;
};
struct CUgraph_st {
  sinter::emulator::Graph graph;
};
struct CUgraphExec_st {
  sinter::emulator::Graph graph;
};
using CUmodule = CUmod_st *;
using CUfunction = CUfunc_st *;
using CUstream = CUstream_st *;
using CUevent = CUevent_st *;
using CUgraph = CUgraph_st *;
using CUgraphExec = CUgraphExec_st *;

struct alignas(64) CUtensorMap {
  uint64_t opaque[16];
};

/// CUlaunchAttribute: an id, then a union of 64 bytes at offset 8.
struct CUlaunchAttribute {
  int id;
  char pad[4];
  union {
    char bytes[64];
    struct {
      unsigned x, y, z;
    } cluster;
    int cooperative;
  } value;
};
inline constexpr int launchAttributeCooperative = 2, launchAttributeCluster = 4;

struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute *attrs;
  unsigned numAttrs;
};

namespace sinter::emulator {

/// Everything behind the interface: one device, one context.
struct DriverState {
  GlobalMemory memory;
  bool initialized = false;
  int computeCapability = 90;         // SINTER_EMULATOR_SM
  uint64_t totalMemory = 80ull << 30; // SINTER_EMULATOR_MEMORY
  uint64_t multiprocessors = 132;     // SINTER_EMULATOR_SMS
  ExecutionOptions options;           // SINTER_EMULATOR_SCHEDULE, _RACES, _MAX_INSTRUCTIONS
  DriverCounters counters;            // SINTER_EMULATOR_COUNTERS
  CUstream_st defaultStream;
  std::string lastError;

  static DriverState &get();
};

/// Blocks of a kernel that a multiprocessor holds, by threads and shared memory; PTX does not say how many
/// registers it takes.
uint64_t residentBlocks(const Program &program, uint64_t threads, uint64_t dynamicShared);

/// Remembers a message for cuGetErrorString, and gives the code.
CUresult driverError(CUresult code, std::string message);

/// Does the work now, or keeps it while the stream is captured.
CUresult enqueue(CUstream stream, std::function<CUresult()> work);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_DRIVER_H
