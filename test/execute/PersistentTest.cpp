// SPDX-License-Identifier: Apache-2.0
// A step as one kernel computes, bit for bit, what its launches compute one after another; and where a task
// does not wait for what it needs, that is a race.
#include "compiler/CudaTarget.h"
#include "compiler/PersistentTasks.h"
#include "dialects/kernel/Kernel.h"
#include "passes/lowering/GpuPipeline.h"
#include "runtime/device/emulator/Execution.h"
#include "runtime/device/emulator/Modules.h"
#include "test/execute/KernelRunner.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"

#include <array>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sinter::test {
namespace {

using namespace sinter::emulator;

constexpr int64_t rows = 13, mostRows = 16, columns = 1536, bufferBytes = mostRows * columns * 4;

/// One kernel of a warp a row, one of several warps, one that takes two buffers; buffers take each other's
/// places.
constexpr const char *text = R"(
kernel.func @scale(%x: !kernel.rows<{0}xf32>, %y: !kernel.rows<{0}xf32>) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<{0}xf32>, vector<{0}xf32>
    %s = arith.mulf %a, %a : vector<{0}xf32>
    %sum = vector.reduction <add>, %s : vector<{0}xf32> into f32
    %inv = math.rsqrt %sum : f32
    %iv = vector.broadcast %inv : f32 to vector<{0}xf32>
    %o = arith.mulf %a, %iv : vector<{0}xf32>
    kernel.store %o, %y[%row] : vector<{0}xf32>, !kernel.rows<{0}xf32>
  }}
}}
kernel.func @short(%x: !kernel.rows<32xf32>, %y: !kernel.rows<32xf32>) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<32xf32>, vector<32xf32>
    %sum = vector.reduction <add>, %a : vector<32xf32> into f32
    %s = vector.broadcast %sum : f32 to vector<32xf32>
    %o = arith.addf %a, %s : vector<32xf32>
    kernel.store %o, %y[%row] : vector<32xf32>, !kernel.rows<32xf32>
  }}
}}
kernel.func @add(%x: !kernel.rows<{0}xf32>, %y: !kernel.rows<{0}xf32>, %z: !kernel.rows<{0}xf32>) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<{0}xf32>, vector<{0}xf32>
    %b = kernel.load %y[%row] : !kernel.rows<{0}xf32>, vector<{0}xf32>
    %o = arith.addf %a, %b : vector<{0}xf32>
    kernel.store %o, %z[%row] : vector<{0}xf32>, !kernel.rows<{0}xf32>
  }}
}}
kernel.entry @decode_f32 rows {1} selected {1} arena {2} {{
  %0 = kernel.buffer arena offset 0 : !kernel.rows<{0}xf32>
  %1 = kernel.buffer arena offset {3} : !kernel.rows<{0}xf32>
  %2 = kernel.buffer arena offset {4} : !kernel.rows<{0}xf32>
  %3 = kernel.buffer arena offset {5} : !kernel.rows<{0}xf32>
  %4 = kernel.buffer arena offset 0 : !kernel.rows<32xf32>
  %5 = kernel.buffer arena offset {4} : !kernel.rows<32xf32>
)";

/// Of the entry's buffers, in bytes.
uint64_t offsetOf(int buffer) { return uint64_t(std::array{0, 1, 2, 3, 0, 2}[size_t(buffer)]) * bufferBytes; }

struct StepLaunch {
  std::string kernel;
  std::vector<int> buffers;
};

/// What follows what: 1 and 2 are independent; 3 reads both; 4 overwrites what 1 and 2 read; 5 overwrites
/// what 3 reads.
std::vector<StepLaunch> someLaunches() {
  std::vector<StepLaunch> all;
  for (int turn = 0; turn < 6; ++turn)
    for (const StepLaunch &each :
         {StepLaunch{"scale", {0, 1}}, StepLaunch{"scale", {0, 2}}, StepLaunch{"short", {4, 5}},
          StepLaunch{"add", {1, 2, 3}}, StepLaunch{"scale", {3, 0}}, StepLaunch{"add", {0, 3, 1}}})
      all.push_back(each);
  return all;
}

class Persistent : public testing::TestWithParam<gpu::Architecture> {
protected:
  void SetUp() override {
    std::string source =
        fmt::format(text, columns, mostRows, 4 * bufferBytes, bufferBytes, 2 * bufferBytes, 3 * bufferBytes);
    for (const StepLaunch &launch : launches) {
      std::string types;
      source += "  kernel.launch @" + launch.kernel + "(";
      for (size_t i = 0; i < launch.buffers.size(); ++i) {
        source += fmt::format("{}%{}", i ? ", " : "", launch.buffers[i]);
        types +=
            fmt::format("{}!kernel.rows<{}xf32>", i ? ", " : "", launch.kernel == "short" ? 32 : columns);
      }
      source += ") : " + types + "\n";
    }
    mlir::DialectRegistry registry;
    registerGpuLowering(registry);
    context.appendDialectRegistry(registry);
    module = mlir::parseSourceString<mlir::ModuleOp>(source + "}\n", &context);
    ASSERT_TRUE(module);
    auto compiled = compileCudaKernels(*module, {GetParam(), /*chooseSchedules=*/false, /*persistent=*/true});
    ASSERT_TRUE(succeeded(compiled));
    kernels = std::move(*compiled);
    persistent = kernels.persistent.at("decode_f32");
    tasks = planTasks(module->lookupSymbol<kernel::EntryOp>("decode_f32"), {}, kernels, persistent);
    auto opened = LoadedModule::load(kernels.ptx, memory);
    ASSERT_TRUE(opened) << opened.error().message;
    loaded = std::move(*opened);
    step.rows = rows;
    step.keys = 1;
  }

  uint64_t map(const void *address, uint64_t bytes, const char *name) {
    auto number = reinterpret_cast<uint64_t>(address);
    memory.map(number, bytes, name);
    mapped.push_back(number);
    return number;
  }

  /// What the arena holds after the step.
  std::vector<float> runLaunches() {
    std::vector<float> arena = first;
    const uint64_t at = map(arena.data(), arena.size() * 4, "arena"),
                   stepAt = map(&step, sizeof step, "step");
    for (const StepLaunch &each : launches) {
      const CudaKernel &facts = kernels.kernels.at(each.kernel);
      std::vector<uint64_t> arguments = {stepAt};
      for (int buffer : each.buffers)
        arguments.push_back(at + offsetOf(buffer));
      run(facts.function, 3, facts.threads, facts.sharedBytes, arguments.data(), arguments.size() * 8, 1);
    }
    unmap();
    return arena;
  }

  std::vector<float> runPersistent(uint32_t blocks, unsigned threads) {
    std::vector<float> arena = first;
    const uint64_t at = map(arena.data(), arena.size() * 4, "arena");
    std::vector<uint64_t> addresses;
    for (const StepLaunch &each : launches)
      for (int buffer : each.buffers)
        addresses.push_back(at + offsetOf(buffer));
    std::vector<uint32_t> finished(tasks.tasks.size() * SINTER_GPU_COUNTER_BYTES / 4);
    struct {
      uint64_t step, tasks, waits, addresses, finished;
      uint32_t count;
    } arguments = {map(&step, sizeof step, "step"),
                   map(tasks.tasks.data(), tasks.tasks.size() * sizeof(sinter_gpu_task), "tasks"),
                   map(tasks.waits.data(), tasks.waits.size() * 4, "waits"),
                   map(addresses.data(), addresses.size() * 8, "addresses"),
                   map(finished.data(), finished.size() * 4, "finished"),
                   uint32_t(tasks.tasks.size())};
    run(persistent.function, blocks, persistent.threads, persistent.sharedBytes, &arguments,
        offsetof(decltype(arguments), count) + 4, threads);
    unmap();
    for (size_t i = 0; i < tasks.tasks.size(); ++i)
      EXPECT_EQ(finished[i * SINTER_GPU_COUNTER_BYTES / 4], uint32_t(rows)) << "task " << i;
    return arena;
  }

  void run(const std::string &function, uint32_t blocks, uint32_t threads, uint32_t shared,
           const void *arguments, size_t bytes, unsigned cpuThreads) {
    auto program = loaded->kernel(function);
    ASSERT_TRUE(program) << program.error().message;
    Launch launch;
    launch.program = *program;
    launch.grid = {blocks, 1, 1};
    launch.block = {threads, 1, 1};
    launch.dynamicShared = shared;
    launch.memory = &memory;
    launch.options = {Schedule::latest, /*races=*/true, /*counters=*/false, cpuThreads};
    launch.parameters.resize(bytes);
    std::memcpy(launch.parameters.data(), arguments, bytes);
    auto done = execute(launch);
    ASSERT_TRUE(done) << done.error().message;
    for (std::string &hazard : launch.hazards.take())
      hazards.push_back(std::move(hazard));
  }

  void unmap() {
    for (uint64_t address : mapped)
      memory.unmap(address);
    mapped.clear();
  }

  const std::vector<StepLaunch> launches = someLaunches();
  const std::vector<float> first = randomFloats(4 * bufferBytes / 4, 7);
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  CudaKernels kernels;
  PersistentKernel persistent;
  PersistentTasks tasks;
  GlobalMemory memory;
  std::unique_ptr<LoadedModule> loaded;
  std::vector<uint64_t> mapped;
  std::vector<std::string> hazards;
  sinter_step step{};
};

TEST_P(Persistent, ComputesWhatTheLaunchesComputeWithAnyNumberOfBlocks) {
  const std::vector<float> expected = runLaunches();
  for (uint32_t blocks : {1u, 2u, 5u, 13u, 20u})
    for (unsigned threads : {1u, 2u}) {
      const std::vector<float> found = runPersistent(blocks, threads);
      EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * 4), 0) << blocks << " blocks";
      EXPECT_TRUE(hazards.empty()) << hazards.front();
    }
}

TEST_P(Persistent, WaitsForLessThanAllEarlierTasksAndForNoneThatAnotherOneWaitedFor) {
  const auto waitsOf = [&](size_t task) {
    auto begin = tasks.waits.begin() + tasks.tasks[task].first_wait;
    return std::vector<uint32_t>(begin, begin + tasks.tasks[task].wait_count);
  };
  EXPECT_EQ(waitsOf(0), std::vector<uint32_t>{});
  EXPECT_EQ(waitsOf(1), std::vector<uint32_t>{});
  EXPECT_EQ(waitsOf(2), std::vector<uint32_t>{1}); // both write buffer 2
  EXPECT_EQ(waitsOf(3), (std::vector<uint32_t>{2, 0}));
  EXPECT_EQ(waitsOf(4), std::vector<uint32_t>{3}); // overwrites what 0 to 2 read
  EXPECT_EQ(waitsOf(5), std::vector<uint32_t>{4});
  EXPECT_EQ(waitsOf(6), std::vector<uint32_t>{5}); // overwrites what 5 wrote, and reads what 4 did
  EXPECT_EQ(waitsOf(7), std::vector<uint32_t>{4}); // 5 and 6 do not touch its memory, 4 did
}

TEST_P(Persistent, ReadsWhatOthersWroteByTheCoherentPath) {
  int64_t launches = 0, tasks = 0;
  int64_t *where = nullptr;
  for (llvm::StringRef line : llvm::split(kernels.ptx, '\n')) {
    if (line.starts_with(".func") || line.starts_with(".visible .entry persistent"))
      where = &tasks;
    else if (line.starts_with(".visible .entry"))
      where = &launches;
    if (where && line.contains("ld.global.nc"))
      ++*where;
  }
  EXPECT_GT(launches, 0); // where nobody writes in the same kernel
  EXPECT_EQ(tasks, 0);
}

TEST_P(Persistent, AWaitThatIsMissingIsARace) {
  tasks.tasks[3].wait_count = 0;
  runPersistent(13, 1);
  ASSERT_FALSE(hazards.empty());
  EXPECT_NE(hazards.front().find("without synchronisation"), std::string::npos) << hazards.front();
}

INSTANTIATE_TEST_SUITE_P(Architectures, Persistent,
                         testing::Values(gpu::Architecture::Sm80, gpu::Architecture::Sm90),
                         [](const auto &param) { return gpu::nameOf(param.param).str(); });

} // namespace
} // namespace sinter::test
