// SPDX-License-Identifier: Apache-2.0
// compileCudaKernels, then the emulator.
#include "test/execute/GpuKernels.h"

#include "compiler/CudaTarget.h"
#include "runtime/device/emulator/Execution.h"
#include "runtime/device/emulator/LaunchParameters.h"
#include "runtime/device/emulator/Modules.h"
#include "runtime/training/TrainingAbi.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <malloc.h>
#include <map>

namespace sinter::test {
namespace {

using namespace sinter::emulator;

std::map<const void *, size_t> &hostRanges() {
  static std::map<const void *, size_t> ranges;
  return ranges;
}

class EmulatedKernels : public GpuKernels {
public:
  explicit EmulatedKernels(CudaKernels compiled) : kernels(std::move(compiled)) {}

  bool load() {
    auto loaded = LoadedModule::load(kernels.ptx, memory);
    if (!loaded) {
      ADD_FAILURE() << loaded.error().message << "\n" << kernels.ptx;
      return false;
    }
    module = std::move(*loaded);
    return true;
  }

  void run(const std::string &kernel, const std::vector<void *> &buffers, const sinter_step &step,
           unsigned blocks) override {
    const CudaKernel &facts = kernels.kernels.at(kernel);
    auto program = module->kernel(facts.function);
    if (!program) {
      ADD_FAILURE() << program.error().message << "\n" << kernels.ptx;
      return;
    }
    map(&step, sizeof step, "step");
    for (const int32_t *array : {step.tokens, step.positions, step.slots, step.select, step.targets})
      if (array)
        map(array, malloc_usable_size(const_cast<int32_t *>(array)), "array of the step");
    if (step.update)
      map(step.update, sizeof *step.update, "update of the step");
    if (step.sampling)
      map(step.sampling, step.draws * sizeof *step.sampling, "sampling of the step");
    if (step.adjustments)
      map(step.adjustments, malloc_usable_size(const_cast<sinter_adjustment *>(step.adjustments)),
          "adjustments of the step");
    std::vector<uint64_t> arguments = {reinterpret_cast<uint64_t>(&step)};
    for (void *buffer : buffers) {
      auto range = hostRanges().find(buffer);
      if (buffer)
        map(buffer, range != hostRanges().end() ? range->second : malloc_usable_size(buffer),
            "buffer " + std::to_string(arguments.size() - 1));
      arguments.push_back(reinterpret_cast<uint64_t>(buffer));
    }
    const bool isSelected = facts.grid.domain == kernel::Domain::Selected;
    const int64_t stepRows = isSelected ? step.selected : step.rows;
    // Sums of parts of K: not numbers, behind counters of 0.
    const size_t counters = size_t(facts.split.tiles(stepRows));
    std::vector<uint32_t> split(counters + size_t(facts.split.bytes(stepRows)) / 4 + 4, 0x7fc00001);
    if (counters) {
      const size_t padded = (counters + 3) / 4 * 4;
      std::fill_n(split.begin(), padded, 0);
      map(split.data(), split.size() * 4, "sums of parts of K");
      arguments.push_back(reinterpret_cast<uint64_t>(split.data() + padded));
    }
    Launch launch;
    launch.program = *program;
    launch.grid = {(blocks + facts.cluster - 1) / facts.cluster * facts.cluster, 1, 1};
    launch.cluster = {facts.cluster, 1, 1};
    launch.block = {facts.threads, 1, 1};
    launch.dynamicShared = facts.sharedBytes;
    launch.memory = &memory;
    launch.options = {Schedule::latest, /*races=*/true, /*counters=*/false, /*threads=*/1};
    int64_t slots = step.slots ? 1 + *std::max_element(step.slots, step.slots + step.rows) : 0;
    auto parameters =
        launchParameters(arguments, facts.maps, {stepRows, step.cache_tokens, step.cache_slot_bytes, slots});
    ASSERT_TRUE(parameters) << parameters.error().message;
    launch.parameters = std::move(*parameters);
    auto done = execute(launch);
    if (!done)
      ADD_FAILURE() << done.error().message;
    for (const std::string &hazard : launch.hazards.take())
      ADD_FAILURE() << kernel << ": " << hazard;
    for (size_t i = 0; i < counters; ++i)
      EXPECT_EQ(split[(counters + 3) / 4 * 4 - 1 - i], 0u)
          << kernel << ": counter " << i << " after the launch";
    for (uint64_t address : mapped)
      memory.unmap(address);
    mapped.clear();
  }

private:
  void map(const void *address, uint64_t bytes, std::string name) {
    auto number = reinterpret_cast<uint64_t>(address);
    if (std::find(mapped.begin(), mapped.end(), number) != mapped.end())
      return;
    memory.map(number, bytes, std::move(name));
    mapped.push_back(number);
  }

  CudaKernels kernels;
  GlobalMemory memory;
  std::unique_ptr<LoadedModule> module;
  std::vector<uint64_t> mapped;
};

} // namespace

void addHostRange(const void *address, size_t bytes) { hostRanges()[address] = bytes; }
void removeHostRange(const void *address) { hostRanges().erase(address); }

std::unique_ptr<GpuKernels> GpuKernels::compile(mlir::ModuleOp module, gpu::Architecture architecture) {
  auto kernels = compileCudaKernels(module, {architecture, /*chooseSchedules=*/false});
  if (failed(kernels))
    return nullptr;
  auto made = std::make_unique<EmulatedKernels>(std::move(*kernels));
  if (!made->load())
    return nullptr;
  return made;
}

} // namespace sinter::test
