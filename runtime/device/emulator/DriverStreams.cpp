// SPDX-License-Identifier: Apache-2.0
// Streams, events, graphs and launches of the driver's interface.
#include "runtime/device/emulator/Driver.h"

#include <cstring>

using namespace sinter::emulator;

namespace sinter::emulator {

CUresult enqueue(CUstream stream, std::function<CUresult()> work) {
  // 0, 1 and 2 are the default streams.
  CUstream_st &target = reinterpret_cast<uintptr_t>(stream) < 3 ? DriverState::get().defaultStream : *stream;
  if (!target.capture)
    return work();
  target.capture->nodes.push_back(std::move(work));
  return CUDA_SUCCESS;
}

} // namespace sinter::emulator

namespace {

CUresult launch(const CUlaunchConfig &config, CUfunction function, void **parameters, void **extra) {
  if (!function)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "launch: expected a function");
  const Program &program = *function->program;
  auto work = std::make_shared<Launch>();
  work->program = &program;
  work->grid = {config.gridDimX, config.gridDimY, config.gridDimZ};
  work->block = {config.blockDimX, config.blockDimY, config.blockDimZ};
  work->dynamicShared = config.sharedMemBytes;
  if (program.requiredCluster[0])
    work->cluster = program.requiredCluster;
  for (unsigned i = 0; i < config.numAttrs; ++i)
    if (config.attrs[i].id == launchAttributeCluster)
      work->cluster = {config.attrs[i].value.cluster.x, config.attrs[i].value.cluster.y,
                       config.attrs[i].value.cluster.z};
  if (config.sharedMemBytes > function->dynamicSharedLimit)
    return driverError(
        CUDA_ERROR_INVALID_VALUE,
        fmt::format(
            "kernel '{}': {} bytes of dynamic shared memory, {} allowed (cuFuncSetAttribute raises it)",
            program.name, config.sharedMemBytes, function->dynamicSharedLimit));
  work->parameters.resize(program.parameterBytes);
  if (parameters) {
    for (size_t i = 0; i < program.parameters.size(); ++i) {
      if (!parameters[i])
        return driverError(CUDA_ERROR_INVALID_VALUE,
                           fmt::format("kernel '{}': expected a value for argument {}, found a null pointer",
                                       program.name, i));
      std::memcpy(work->parameters.data() + program.parameters[i].offset, parameters[i],
                  program.parameters[i].size);
    }
  } else if (extra) { // CU_LAUNCH_PARAM_BUFFER_POINTER 1, _SIZE 2, _END 0
    const void *buffer = nullptr;
    size_t size = 0;
    for (void **at = extra; *at; at += 2) {
      if (*at == reinterpret_cast<void *>(1))
        buffer = at[1];
      else if (*at == reinterpret_cast<void *>(2))
        size = *static_cast<size_t *>(at[1]);
    }
    if (size != work->parameters.size())
      return driverError(CUDA_ERROR_INVALID_VALUE,
                         fmt::format("kernel '{}' takes {} bytes of parameters, found {}", program.name,
                                     work->parameters.size(), size));
    std::memcpy(work->parameters.data(), buffer, size);
  } else if (program.parameterBytes) {
    return driverError(CUDA_ERROR_INVALID_VALUE,
                       fmt::format("kernel '{}' takes {} bytes of parameters, found none", program.name,
                                   program.parameterBytes));
  }
  work->memory = &DriverState::get().memory;
  work->options = DriverState::get().options;
  if (const auto checked = checkLaunch(*work); !checked)
    return driverError(CUDA_ERROR_INVALID_VALUE, checked.error().message);
  for (unsigned i = 0; i < config.numAttrs; ++i)
    if (config.attrs[i].id == launchAttributeCooperative && config.attrs[i].value.cooperative) {
      const uint64_t blocks = uint64_t(config.gridDimX) * config.gridDimY * config.gridDimZ,
                     resident = residentBlocks(program, work->threadsOfBlock(), config.sharedMemBytes) *
                                DriverState::get().multiprocessors;
      if (blocks > resident)
        return driverError(
            CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
            fmt::format("kernel '{}': expected at most {} blocks of a cooperative launch, as many as are "
                        "resident at once, found {}",
                        program.name, resident, blocks));
    }
  return enqueue(config.hStream, [work] {
    work->stopped = false;
    const auto done = execute(*work);
    if (!done)
      return driverError(CUDA_ERROR_LAUNCH_FAILED, done.error().message);
    if (DriverCounters &counters = DriverState::get().counters)
      counters.add(*work->program, *done);
    if (const std::vector<std::string> hazards = work->hazards.take(); !hazards.empty())
      return driverError(
          CUDA_ERROR_LAUNCH_FAILED,
          fmt::format("kernel '{}': {} hazards: {}", work->program->name, hazards.size(), hazards.front()));
    return CUDA_SUCCESS;
  });
}

CUresult runGraph(const Graph &graph) {
  for (const auto &node : graph.nodes)
    if (const CUresult result = node(); result != CUDA_SUCCESS)
      return result;
  return CUDA_SUCCESS;
}

} // namespace

SINTER_DRIVER_API cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                                 unsigned by, unsigned bz, unsigned shared, CUstream stream,
                                 void **parameters, void **extra) {
  return launch({gx, gy, gz, bx, by, bz, shared, stream, nullptr, 0}, function, parameters, extra);
}
SINTER_DRIVER_API cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters,
                                   void **extra) {
  return launch(*config, function, parameters, extra);
}
SINTER_DRIVER_API cuLaunchCooperativeKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz,
                                            unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                            CUstream stream, void **parameters) {
  CUlaunchAttribute cooperative = {};
  cooperative.id = launchAttributeCooperative;
  cooperative.value.cooperative = 1;
  return launch({gx, gy, gz, bx, by, bz, shared, stream, &cooperative, 1}, function, parameters, nullptr);
}

SINTER_DRIVER_API cuStreamCreate(CUstream *stream, unsigned) {
  *stream = new CUstream_st;
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int) {
  return cuStreamCreate(stream, flags);
}
SINTER_DRIVER_API cuStreamDestroy_v2(CUstream stream) {
  delete stream;
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuStreamSynchronize(CUstream) { return CUDA_SUCCESS; }
SINTER_DRIVER_API cuStreamQuery(CUstream) { return CUDA_SUCCESS; }
SINTER_DRIVER_API cuStreamWaitEvent(CUstream, CUevent, unsigned) { return CUDA_SUCCESS; }

SINTER_DRIVER_API cuStreamBeginCapture_v2(CUstream stream, int) {
  if (reinterpret_cast<uintptr_t>(stream) < 3 || stream->capture)
    return driverError(CUDA_ERROR_INVALID_VALUE,
                       "cuStreamBeginCapture: expected a stream of one's own that is not captured");
  stream->capture = std::make_unique<Graph>();
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  if (reinterpret_cast<uintptr_t>(stream) < 3 || !stream->capture)
    return driverError(CUDA_ERROR_INVALID_VALUE, "cuStreamEndCapture: expected a stream that is captured");
  *graph = new CUgraph_st{std::move(*stream->capture)};
  stream->capture.reset();
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuGraphInstantiateWithFlags(CUgraphExec *result, CUgraph graph, unsigned long long) {
  *result = new CUgraphExec_st{graph->graph};
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuGraphLaunch(CUgraphExec graph, CUstream stream) {
  const Graph &nodes = graph->graph;
  return enqueue(stream, [&nodes] { return runGraph(nodes); });
}
SINTER_DRIVER_API cuGraphDestroy(CUgraph graph) {
  delete graph;
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuGraphExecDestroy(CUgraphExec graph) {
  delete graph;
  return CUDA_SUCCESS;
}

SINTER_DRIVER_API cuEventCreate(CUevent *event, unsigned) {
  *event = new CUevent_st;
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuEventDestroy_v2(CUevent event) {
  delete event;
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuEventRecord(CUevent event, CUstream stream) {
  return enqueue(stream, [event] {
    event->time = std::chrono::steady_clock::now();
    event->recorded = true;
    return CUDA_SUCCESS;
  });
}
SINTER_DRIVER_API cuEventSynchronize(CUevent) { return CUDA_SUCCESS; }
SINTER_DRIVER_API cuEventQuery(CUevent) { return CUDA_SUCCESS; }
SINTER_DRIVER_API cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
  if (!start->recorded || !end->recorded)
    return driverError(CUDA_ERROR_INVALID_HANDLE, "cuEventElapsedTime: expected two recorded events");
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return CUDA_SUCCESS;
}
SINTER_DRIVER_API cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  return cuEventElapsedTime_v2(milliseconds, start, end);
}
