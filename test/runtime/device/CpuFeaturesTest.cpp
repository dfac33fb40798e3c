// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/CpuFeatures.h"
#include "runtime/abi.h"
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

using namespace sinter::device;

// The kernel's own reading of the feature bits is an independent witness.
TEST(CpuFeaturesTest, AgreesWithTheKernelsList) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && line.rfind("flags", 0) != 0) {
  }
  if (line.empty())
    GTEST_SKIP() << "/proc/cpuinfo has no flags";
  std::istringstream words(line);
  std::string word, all = " ";
  while (words >> word)
    all += word + " ";
  const auto has = [&](const char *flag) {
    return all.find(" " + std::string(flag) + " ") != std::string::npos;
  };
  int expected = -1;
  if (has("avx2") && has("fma") && has("f16c") && has("bmi1") && has("bmi2") && has("movbe"))
    expected = SINTER_ISA_AVX2;
  if (expected == SINTER_ISA_AVX2 && has("avx512f") && has("avx512bw") && has("avx512cd") &&
      has("avx512dq") && has("avx512vl") && has("avx512_vnni"))
    expected = SINTER_ISA_AVX512;
  if (expected == SINTER_ISA_AVX512 && has("avx512_bf16"))
    expected = SINTER_ISA_AVX512BF16;
  if (expected == SINTER_ISA_AVX512BF16 && has("amx_tile") && has("amx_int8") && has("amx_bf16"))
    expected = SINTER_ISA_AMX;
  EXPECT_EQ(detectIsa(), expected);
}

TEST(CpuFeaturesTest, NamesGoBothWays) {
  for (int isa = 0; isa < SINTER_ISA_COUNT; ++isa)
    EXPECT_EQ(isaOfName(isaName(isa)), isa);
  EXPECT_EQ(isaOfName("sse"), -1);
}
