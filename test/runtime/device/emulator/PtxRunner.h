// SPDX-License-Identifier: Apache-2.0
// Runs PTX text in the emulator: buffers from and to vectors, one launch, its error or its hazards.
#ifndef SINTER_TEST_RUNTIME_DEVICE_EMULATOR_PTXRUNNER_H
#define SINTER_TEST_RUNTIME_DEVICE_EMULATOR_PTXRUNNER_H

#include "runtime/device/emulator/Execution.h"
#include "runtime/device/emulator/Modules.h"
#include "runtime/device/emulator/TensorMap.h"
#include <cstring>
#include <gtest/gtest.h>

namespace sinter::emulator {

/// `body` as the kernel `k` with a 64-bit pointer parameter for each buffer (p0, p1, ...), and many
/// registers.
inline std::string kernelText(const std::string &body, int pointers, const std::string &attributes = "",
                              const std::string &before = "") {
  std::string parameters;
  for (int i = 0; i < pointers; ++i)
    parameters += (i ? ", .param .u64 p" : ".param .u64 p") + std::to_string(i);
  return ".version 8.7\n.target sm_90a\n.address_size 64\n" + before + "\n.visible .entry k(" + parameters +
         ") " + attributes +
         "\n{\n.reg .pred %p<20>;\n.reg .b16 %h<20>;\n.reg .b32 %r<60>;\n.reg .b64 %d<60>;\n.reg .f32 "
         "%f<80>;\n.reg .f64 %g<20>;\n" +
         body + "\nret;\n}\n";
}

class PtxRunner {
public:
  std::array<uint32_t, 3> grid{1, 1, 1}, block{32, 1, 1}, cluster{1, 1, 1};
  uint64_t shared = 0;
  ExecutionOptions options{Schedule::earliest, false, true, 1};
  KernelCounters counters;
  std::vector<std::string> hazards;

  template <typename T> uint64_t buffer(const std::vector<T> &values, const std::string &name = "buffer") {
    const uint64_t address = memory.allocate(values.size() * sizeof(T), name);
    std::memcpy(reinterpret_cast<void *>(address), values.data(), values.size() * sizeof(T));
    arguments.push_back(address);
    return address;
  }
  template <typename T> std::vector<T> read(uint64_t address, size_t count) const {
    std::vector<T> values(count);
    std::memcpy(values.data(), reinterpret_cast<const void *>(address), count * sizeof(T));
    return values;
  }
  /// A tensor map argument of 128 bytes.
  void map(const TensorMap &map) {
    std::array<uint64_t, 16> bytes{};
    std::memcpy(bytes.data(), &map, sizeof map);
    arguments.insert(arguments.end(), bytes.begin(), bytes.end());
  }

  /// "" or the error.
  std::string run(const std::string &text) {
    auto module = LoadedModule::load(text, memory);
    if (!module)
      return module.error().message;
    const auto program = (*module)->kernel("");
    if (!program)
      return program.error().message;
    Launch launch;
    launch.program = *program;
    launch.grid = grid, launch.block = block, launch.cluster = cluster;
    launch.dynamicShared = shared;
    launch.memory = &memory;
    launch.options = options;
    launch.parameters.resize(arguments.size() * 8);
    if (!arguments.empty())
      std::memcpy(launch.parameters.data(), arguments.data(), launch.parameters.size());
    launch.parameters.resize((*program)->parameterBytes);
    auto done = execute(launch);
    hazards = launch.hazards.take();
    if (!done)
      return done.error().message;
    counters = std::move(*done);
    return "";
  }
  /// The body of a kernel over the buffers made so far.
  std::string runBody(const std::string &body, const std::string &attributes = "",
                      const std::string &before = "") {
    return run(kernelText(body, static_cast<int>(arguments.size()), attributes, before));
  }

  GlobalMemory memory;
  std::vector<uint64_t> arguments;
};

/// Register %d<i+1> holds pointer i, advanced by the thread's number times `bytes`.
inline std::string threadPointers(int count, int bytes = 4) {
  std::string text = "mov.u32 %r50, %tid.x;\nmul.wide.u32 %d50, %r50, " + std::to_string(bytes) + ";\n";
  for (int i = 0; i < count; ++i) {
    const std::string reg = "%d" + std::to_string(i + 1);
    text += "ld.param.u64 " + reg + ", [p" + std::to_string(i) + "];\ncvta.to.global.u64 " + reg + ", " +
            reg + ";\nadd.s64 " + reg + ", " + reg + ", %d50;\n";
  }
  return text;
}

} // namespace sinter::emulator

#endif // SINTER_TEST_RUNTIME_DEVICE_EMULATOR_PTXRUNNER_H
