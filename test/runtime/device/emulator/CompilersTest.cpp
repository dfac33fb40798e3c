// SPDX-License-Identifier: Apache-2.0
// PTX that no part of this project wrote: nvcc's for test/cuda/*.cu and LLVM's for IR below, compiled here
// and compared with the same in C++. Skipped, with the reason, where a compiler is missing.
#include "runtime/device/emulator/Floats.h"
#include "test/runtime/device/emulator/PtxRunner.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace sinter::emulator {
namespace {

/// Output of a command, or the reason why there is none.
std::string compiled(const std::string &command, const std::string &output, std::string &reason) {
  if (std::system((command + " >" + output + ".log 2>&1").c_str()) != 0) {
    std::ifstream log(output + ".log");
    reason = command + ": " + std::string(std::istreambuf_iterator<char>(log), {});
    return "";
  }
  std::ifstream file(output);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string nvcc() {
  if (std::filesystem::exists("/usr/local/cuda/bin/nvcc"))
    return "/usr/local/cuda/bin/nvcc";
  return std::system("command -v nvcc >/dev/null 2>&1") == 0 ? "nvcc" : "";
}

std::string ofCuda(const std::string &name, const std::string &architecture, std::string &reason) {
  const std::string compiler = nvcc();
  if (compiler.empty()) {
    reason = "nvcc is not installed";
    return "";
  }
  return compiled(compiler + " -ptx -O3 -arch=" + architecture + " " SINTER_SOURCE_DIR "/test/cuda/" + name +
                      ".cu -o " + testing::TempDir() + name + architecture + ".ptx",
                  testing::TempDir() + name + architecture + ".ptx", reason);
}

/// Only one entry of the module is called.
std::string runEntry(PtxRunner &runner, const std::string &text, const std::string &entry,
                     const std::vector<uint8_t> &parameters) {
  auto module = LoadedModule::load(text, runner.memory);
  if (!module)
    return module.error().message;
  const auto program = (*module)->kernel(entry);
  if (!program)
    return program.error().message;
  Launch launch;
  launch.program = *program;
  launch.grid = runner.grid, launch.block = runner.block;
  launch.dynamicShared = runner.shared;
  launch.memory = &runner.memory;
  launch.options = runner.options;
  launch.parameters = parameters;
  auto done = execute(launch);
  runner.hazards = launch.hazards.take();
  return done ? "" : done.error().message;
}

struct Parameters {
  std::vector<uint8_t> bytes;
  template <typename T> Parameters &add(T value) {
    bytes.resize((bytes.size() + sizeof(T) - 1) / sizeof(T) * sizeof(T) + sizeof(T));
    std::memcpy(bytes.data() + bytes.size() - sizeof(T), &value, sizeof(T));
    return *this;
  }
};

std::vector<float> randoms(size_t count) {
  std::mt19937 random(7);
  std::vector<float> values(count);
  for (float &each : values)
    each = std::uniform_real_distribution<float>(-2, 2)(random);
  return values;
}

class EmulatorCompilers : public testing::TestWithParam<const char *> {};

TEST_P(EmulatorCompilers, NvccsSaxpyWithDivisionsAndCalls) {
  std::string reason;
  const std::string text = ofCuda("saxpy", GetParam(), reason);
  if (text.empty())
    GTEST_SKIP() << reason;
  PtxRunner runner;
  const int n = 1000;
  const auto x = randoms(n), y = randoms(n);
  const uint64_t px = runner.buffer(x, "x"), py = runner.buffer(y, "y"),
                 out = runner.buffer(std::vector<float>(n), "out");
  runner.grid = {8, 1, 1}, runner.block = {128, 1, 1};
  ASSERT_EQ(runEntry(runner, text, "saxpy", Parameters().add(px).add(py).add(out).add(1.5f).add(n).bytes),
            "");
  const auto found = runner.read<float>(out, n);
  for (int i = 0; i < n; ++i)
    ASSERT_NEAR(found[i], 1.5f * std::pow(x[i], float(i % 4)) + y[i] + float(x[i] / 3.0 + i / 7 + i % 5),
                1e-4)
        << i;
}

TEST_P(EmulatorCompilers, NvccsReductionAndSoftmax) {
  std::string reason;
  const std::string text = ofCuda("reduce", GetParam(), reason);
  if (text.empty())
    GTEST_SKIP() << reason;
  const int n = 5000;
  const auto x = randoms(n);
  PtxRunner runner;
  runner.options.races = true;
  const uint64_t px = runner.buffer(x, "x"), total = runner.buffer(std::vector<float>(1), "total");
  runner.grid = {3, 1, 1}, runner.block = {256, 1, 1};
  ASSERT_EQ(runEntry(runner, text, "sum", Parameters().add(px).add(total).add(n).bytes), "");
  EXPECT_TRUE(runner.hazards.empty()) << runner.hazards.front();
  double expected = 0;
  for (const float each : x)
    expected += each;
  EXPECT_NEAR(runner.read<float>(total, 1)[0], expected, 1e-2);

  const int columns = 100, rows = 50;
  const uint64_t out = runner.buffer(std::vector<float>(n), "out");
  runner.grid = {rows, 1, 1}, runner.block = {32, 1, 1}, runner.shared = columns * 4;
  ASSERT_EQ(runEntry(runner, text, "softmax", Parameters().add(px).add(out).add(columns).bytes), "");
  const auto found = runner.read<float>(out, n);
  for (int row = 0; row < rows; ++row) {
    double sum = 0;
    for (int i = 0; i < columns; ++i)
      sum += std::exp(double(x[row * columns + i]));
    for (int i = 0; i < columns; ++i)
      ASSERT_NEAR(found[row * columns + i], std::exp(double(x[row * columns + i])) / sum, 1e-5);
  }
}

TEST_P(EmulatorCompilers, NvccsTablesOfFunctionsAndVirtualOnes) {
  std::string reason;
  const std::string text = ofCuda("calls", GetParam(), reason);
  if (text.empty())
    GTEST_SKIP() << reason;
  PtxRunner runner;
  const int n = 200;
  std::vector<int> which(n), a(n), b(n);
  for (int i = 0; i < n; ++i)
    which[size_t(i)] = i * i % 3, a[size_t(i)] = 7 * i - 300, b[size_t(i)] = i % 13;
  const uint64_t pw = runner.buffer(which), pa = runner.buffer(a), pb = runner.buffer(b),
                 out = runner.buffer(std::vector<int>(n));
  runner.grid = {2, 1, 1}, runner.block = {128, 1, 1};
  ASSERT_EQ(runEntry(runner, text, "table", Parameters().add(pw).add(pa).add(pb).add(out).add(n).bytes), "");
  const auto found = runner.read<int>(out, n);
  for (size_t i = 0; i < n; ++i)
    ASSERT_EQ(found[i], which[i] == 0 ? a[i] + b[i] : which[i] == 1 ? a[i] - b[i] : a[i] * b[i]) << i;

  const auto sizes = randoms(n);
  const uint64_t ps = runner.buffer(sizes), areas = runner.buffer(std::vector<float>(n));
  ASSERT_EQ(runEntry(runner, text, "shapes", Parameters().add(ps).add(areas).add(n).bytes), "");
  const auto area = runner.read<float>(areas, n);
  for (size_t i = 0; i < n; ++i)
    ASSERT_NEAR(area[i], i % 3 ? sizes[i] * 2 * 3.25f : sizes[i] * sizes[i] * 2.5f, 1e-4) << i;
}

/// test/cuda/calls.cu, in C++.
int digits(int n, const int *above, int depth) {
  int own[4];
  for (int i = 0; i < 4; ++i)
    own[i] = n % 10 + i + (above ? above[(i + depth) % 4] : 0);
  return n < 10 ? own[n % 4] : digits(n / 10, own, depth + 1) * 3 + own[depth % 4];
}

TEST_P(EmulatorCompilers, NvccsRecursion) {
  std::string reason;
  const std::string text = ofCuda("calls", GetParam(), reason);
  if (text.empty())
    GTEST_SKIP() << reason;
  PtxRunner runner;
  const int n = 200, fibonacci[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89};
  const uint64_t out = runner.buffer(std::vector<int>(3 * n));
  runner.grid = {2, 1, 1}, runner.block = {128, 1, 1};
  ASSERT_EQ(runEntry(runner, text, "recursion", Parameters().add(out).add(n).bytes), "");
  const auto found = runner.read<int>(out, 3 * n);
  for (int i = 0; i < n; ++i) {
    ASSERT_EQ(found[size_t(3 * i)], digits(i * 7919, nullptr, 0)) << i;
    ASSERT_EQ(found[size_t(3 * i + 1)], i % 40 % 2 == 0) << i;
    ASSERT_EQ(found[size_t(3 * i + 2)], fibonacci[i % 12]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, EmulatorCompilers, testing::Values("sm_80", "sm_90a"),
                         [](const auto &info) { return std::string(info.param); });

TEST(EmulatorCompilersLlvm, ALoopOverVectorsOfHalves) {
  if (std::system("command -v llc-22 >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "llc-22 is not installed";
  const std::string path = testing::TempDir() + "halves";
  std::ofstream(path + ".ll") << R"(
target triple = "nvptx64-nvidia-cuda"
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
define ptx_kernel void @scale(ptr addrspace(1) %x, ptr addrspace(1) %y, i32 %n) {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  br label %loop
loop:
  %i = phi i32 [ %tid, %entry ], [ %next, %body ]
  %more = icmp slt i32 %i, %n
  br i1 %more, label %body, label %done
body:
  %w = sext i32 %i to i64
  %px = getelementptr <8 x half>, ptr addrspace(1) %x, i64 %w
  %v = load <8 x half>, ptr addrspace(1) %px, align 16
  %f = fpext <8 x half> %v to <8 x float>
  %g = fmul <8 x float> %f, splat (float 3.0)
  %b = fptrunc <8 x float> %g to <8 x bfloat>
  %py = getelementptr <8 x bfloat>, ptr addrspace(1) %y, i64 %w
  store <8 x bfloat> %b, ptr addrspace(1) %py, align 16
  %next = add i32 %i, 32
  br label %loop
done:
  ret void
}
)";
  std::string reason;
  const std::string text = compiled(
      "llc-22 -march=nvptx64 -mcpu=sm_90a -O3 " + path + ".ll -o " + path + ".ptx", path + ".ptx", reason);
  ASSERT_NE(text, "") << reason;
  PtxRunner runner;
  std::vector<uint16_t> x(8 * 100);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = floatToHalf(double(i) / 8 - 40);
  const uint64_t px = runner.buffer(x, "x"), py = runner.buffer(std::vector<uint16_t>(x.size()), "y");
  ASSERT_EQ(runEntry(runner, text, "scale", Parameters().add(px).add(py).add(100).bytes), "");
  const auto found = runner.read<uint16_t>(py, x.size());
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(found[i], floatToBfloat(halfToFloat(x[i]) * 3.0)) << i;
}

} // namespace
} // namespace sinter::emulator
