// SPDX-License-Identifier: Apache-2.0
// The library as a program sees it: opened by name, asked for the driver's functions.
#include <array>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

class EmulatorDriver : public testing::Test {
protected:
  void SetUp() override {
    library = dlopen(SINTER_BINARY_DIR "/lib/libsinter-cuda-emulator.so", RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    ASSERT_EQ(call<int(unsigned)>("cuInit", 0u), 0);
    void *context = nullptr;
    ASSERT_EQ((call<int(void **, int)>("cuDevicePrimaryCtxRetain", &context, 0)), 0);
  }
  void TearDown() override {
    for (void *module : modules)
      EXPECT_EQ(call<int(void *)>("cuModuleUnload", module), 0);
  }
  template <typename F, typename... A> int call(const char *name, A... arguments) {
    auto *function = reinterpret_cast<F *>(dlsym(library, name));
    EXPECT_NE(function, nullptr) << name;
    return function ? function(arguments...) : -1;
  }
  std::string errorText(int code) {
    const char *text = nullptr;
    call<int(int, const char **)>("cuGetErrorString", code, &text);
    return text ? text : "";
  }
  uint64_t allocate(size_t bytes) {
    uint64_t address = 0;
    EXPECT_EQ((call<int(uint64_t *, size_t)>("cuMemAlloc_v2", &address, bytes)), 0);
    return address;
  }
  void *function(const std::string &text, const char *name) {
    void *module = nullptr, *result = nullptr;
    EXPECT_EQ((call<int(void **, const void *)>("cuModuleLoadData", &module, text.c_str())), 0)
        << errorText(218);
    EXPECT_EQ((call<int(void **, void *, const char *)>("cuModuleGetFunction", &result, module, name)), 0)
        << errorText(218);
    modules.push_back(module);
    return result;
  }
  int launch(void *kernel, unsigned blocks, unsigned threads, void *stream, void **parameters) {
    return call<int(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                    void **, void **)>("cuLaunchKernel", kernel, blocks, 1u, 1u, threads, 1u, 1u, 0u, stream,
                                       parameters, static_cast<void **>(nullptr));
  }

  void *library = nullptr;
  std::vector<void *> modules; // of function(), unloaded at the end
};

const std::string addOne = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry addOne(.param .u64 p, .param .u32 n) {
.reg .pred %p1; .reg .b32 %r<8>; .reg .b64 %d<4>;
mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r4, %r1, %r2, %r3;
ld.param.u32 %r5, [n]; setp.ge.u32 %p1, %r4, %r5; @%p1 ret;
ld.param.u64 %d1, [p]; mul.wide.u32 %d2, %r4, 4; add.s64 %d1, %d1, %d2;
ld.global.u32 %r6, [%d1]; add.u32 %r6, %r6, 1; st.global.u32 [%d1], %r6; ret; }
)";

TEST_F(EmulatorDriver, CopiesLaunchesAndCopiesBack) {
  std::vector<uint32_t> values(1000, 41);
  uint64_t address = allocate(4000);
  ASSERT_EQ(
      (call<int(uint64_t, const void *, size_t)>("cuMemcpyHtoD_v2", address, values.data(), size_t(4000))),
      0);
  uint32_t n = 1000;
  void *parameters[] = {&address, &n};
  ASSERT_EQ(launch(function(addOne, "addOne"), 8, 128, nullptr, parameters), 0) << errorText(719);
  ASSERT_EQ((call<int(void *, uint64_t, size_t)>("cuMemcpyDtoH_v2", values.data(), address, size_t(4000))),
            0);
  EXPECT_EQ(values, std::vector<uint32_t>(1000, 42));
  EXPECT_EQ(call<int(uint64_t)>("cuMemFree_v2", address), 0);
}

TEST_F(EmulatorDriver, AGraphReplaysWhatAStreamCaptured) {
  uint64_t address = allocate(400);
  uint32_t n = 100;
  void *parameters[] = {&address, &n}, *kernel = function(addOne, "addOne"), *stream = nullptr,
       *graph = nullptr, *executable = nullptr;
  ASSERT_EQ((call<int(void **, unsigned)>("cuStreamCreate", &stream, 1u)), 0);
  ASSERT_EQ((call<int(void *, int)>("cuStreamBeginCapture_v2", stream, 0)), 0);
  ASSERT_EQ(launch(kernel, 1, 128, stream, parameters), 0);
  ASSERT_EQ(launch(kernel, 1, 128, stream, parameters), 0);
  ASSERT_EQ((call<int(void *, void **)>("cuStreamEndCapture", stream, &graph)), 0);
  ASSERT_EQ((call<int(void **, void *, unsigned long long)>("cuGraphInstantiateWithFlags", &executable, graph,
                                                            0ull)),
            0);
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ((call<int(void *, void *)>("cuGraphLaunch", executable, stream)), 0);
  std::vector<uint32_t> values(100);
  ASSERT_EQ((call<int(void *, uint64_t, size_t)>("cuMemcpyDtoH_v2", values.data(), address, size_t(400))), 0);
  EXPECT_EQ(values, std::vector<uint32_t>(100, 6));
  EXPECT_EQ(call<int(void *)>("cuGraphExecDestroy", executable), 0);
  EXPECT_EQ(call<int(void *)>("cuGraphDestroy", graph), 0);
  EXPECT_EQ(call<int(void *)>("cuStreamDestroy_v2", stream), 0);
}

TEST_F(EmulatorDriver, ErrorsHaveNamesAndSayWhatHappened) {
  uint64_t address = allocate(64);
  uint32_t n = 100;
  void *parameters[] = {&address, &n};
  ASSERT_EQ(launch(function(addOne, "addOne"), 1, 128, nullptr, parameters), 719);
  EXPECT_NE(errorText(719).find("line 9: block (0,0,0), thread (16,0,0) reads 4 bytes of global memory"),
            std::string::npos)
      << errorText(719);
  const char *name = nullptr;
  ASSERT_EQ((call<int(int, const char **)>("cuGetErrorName", 719, &name)), 0);
  EXPECT_STREQ(name, "CUDA_ERROR_LAUNCH_FAILED");
  void *module = nullptr;
  EXPECT_EQ((call<int(void **, const void *)>("cuModuleLoadData", &module, "nonsense")), 218);
  EXPECT_NE(errorText(218).find("expected a directive"), std::string::npos);
  EXPECT_EQ((call<int(void **, const void *)>("cuModuleLoadData", &module,
                                              "\x7f"
                                              "ELF")),
            200);
  std::string other = addOne;
  other.replace(other.find("sm_80"), 5, "sm_100"); // the device is of 9.0
  EXPECT_EQ((call<int(void **, const void *)>("cuModuleLoadData", &module, other.c_str())), 218);
  EXPECT_NE(errorText(218).find("PTX of sm_100 does not run on a device of compute capability 9.0"),
            std::string::npos);
  EXPECT_EQ((call<int(uint64_t, const void *, size_t)>("cuMemcpyHtoD_v2", address, "x", size_t(65))), 1);
  EXPECT_EQ(call<int(uint64_t)>("cuMemFree_v2", address + 4), 1);
  uint64_t large = 0;
  EXPECT_EQ((call<int(uint64_t *, size_t)>("cuMemAlloc_v2", &large, size_t(1) << 45)), 2);
}

TEST_F(EmulatorDriver, LaunchesWithoutWhatTheyNeedAreRefused) {
  uint64_t address = allocate(64);
  uint32_t n = 16;
  void *kernel = function(addOne, "addOne"), *missing[] = {&address, nullptr}, *none = nullptr;
  EXPECT_EQ(launch(kernel, 1, 32, nullptr, missing), 1);
  EXPECT_NE(errorText(1).find("expected a value for argument 1, found a null pointer"), std::string::npos);
  EXPECT_EQ(launch(kernel, 1, 32, nullptr, nullptr), 1);
  EXPECT_NE(errorText(1).find("takes 12 bytes of parameters, found none"), std::string::npos);
  void *parameters[] = {&address, &n};
  EXPECT_EQ(launch(nullptr, 1, 32, nullptr, parameters), 400);
  EXPECT_EQ((call<int(void **, void *, const char *)>("cuModuleGetFunction", &kernel, none, "addOne")), 400);
  EXPECT_EQ((call<int(void *, int, int)>("cuFuncSetAttribute", none, 8, 0)), 400);
  kernel = function(addOne, "addOne");
  EXPECT_EQ((call<int(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                      void **)>("cuLaunchCooperativeKernel", kernel, 1u, 1u, 1u, 0u, 1u, 1u, 0u, none,
                                static_cast<void **>(parameters))),
            1);
  for (const size_t size : {size_t(8), size_t(16)}) { // of a buffer with all parameters
    uint64_t buffer[2] = {address, n};
    size_t bytes = size;
    void *extra[] = {reinterpret_cast<void *>(1), buffer, reinterpret_cast<void *>(2), &bytes, nullptr};
    EXPECT_EQ((call<int(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                        void **, void **)>("cuLaunchKernel", kernel, 1u, 1u, 1u, 32u, 1u, 1u, 0u, none,
                                           static_cast<void **>(nullptr), static_cast<void **>(extra))),
              1);
    EXPECT_NE(errorText(1).find("takes 12 bytes of parameters, found "), std::string::npos);
  }
}

TEST_F(EmulatorDriver, NonsenseInTheEnvironmentIsRefused) {
  const std::pair<const char *, const char *> wrong[] = {
      {"SINTER_EMULATOR_SM", "80x"},
      {"SINTER_EMULATOR_SM", "abc"},
      {"SINTER_EMULATOR_SMS", "12abc"},
      {"SINTER_EMULATOR_MEMORY", "-5"},
      {"SINTER_EMULATOR_MEMORY", "99999999999"},
      {"SINTER_EMULATOR_SCHEDULE", "x"},
      {"SINTER_EMULATOR_MAX_INSTRUCTIONS", "many"},
      {"SINTER_EMULATOR_COUNTERS", "/nowhere/counters.json"}};
  for (const auto &[name, value] : wrong) {
    setenv(name, value, 1);
    EXPECT_EQ(call<int(unsigned)>("cuInit", 0u), 1) << name << " " << value;
    EXPECT_EQ(errorText(1).find(std::string(name) + ": expected "), 0u) << errorText(1);
    unsetenv(name);
  }
}

TEST_F(EmulatorDriver, BlocksThatCannotBeResidentAtOnceAreNoCooperativeLaunch) {
  uint64_t address = allocate(400);
  uint32_t n = 100;
  void *parameters[] = {&address, &n}, *kernel = function(addOne, "addOne");
  const auto launchTogether = [&](unsigned blocks) {
    return call<int(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                    void **)>("cuLaunchCooperativeKernel", kernel, blocks, 1u, 1u, 128u, 1u, 1u, 0u,
                              static_cast<void *>(nullptr), static_cast<void **>(parameters));
  };
  EXPECT_EQ(launchTogether(132 * 16), 0);
  EXPECT_EQ(launchTogether(132 * 16 + 1), 720);
  EXPECT_NE(errorText(720).find(
                "kernel 'addOne': expected at most 2112 blocks of a cooperative launch, as many as are "
                "resident at once, found 2113"),
            std::string::npos)
      << errorText(720);
}

TEST_F(EmulatorDriver, ThePropertiesOfAHopper) {
  int value = 0;
  ASSERT_EQ((call<int(int *, int, int)>("cuDeviceGetAttribute", &value, 75, 0)), 0);
  EXPECT_EQ(value, 9);
  ASSERT_EQ((call<int(int *, int, int)>("cuDeviceGetAttribute", &value, 97, 0)), 0);
  EXPECT_EQ(value, 232448);
  void *found = nullptr;
  int status = 0;
  EXPECT_EQ((call<int(const char *, void **, int, uint64_t, int *)>("cuGetProcAddress_v2", "cuInit", &found,
                                                                    12000, uint64_t(0), &status)),
            0);
}

} // namespace
