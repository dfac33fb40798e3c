// SPDX-License-Identifier: Apache-2.0
// kernel.lookup gives the numbers that the reference of each format gives.
#include "test/execute/MatmulCase.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sinter::test {
namespace {

TEST(Lookup, GivesRowsOfEveryFormat) {
  for (const char *format : {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k",
                             "q4_k", "q5_k", "q6_k"}) {
    MatmulCase c{.format = format, .outputs = 37, .inputs = 512};
    MatmulData data(c, 1);
    std::string text =
        fmt::format("kernel.func @lookup(%w: !kernel.weight<37x512, {0}>, %y: !kernel.rows<512xf32>) {{\n"
                    "kernel.rows over(rows) {{\n^bb0(%row: index):\n%t = kernel.token %row\n"
                    "%v = kernel.lookup %w[%t] : !kernel.weight<37x512, {0}>, vector<512xf32>\n"
                    "kernel.store %v, %y[%row] : vector<512xf32>, !kernel.rows<512xf32>\n}}\n}}\n",
                    format);
    for (Machine machine : {Machine(cpu::Isa::Avx2), Machine(cpu::Isa::Avx512), Machine(cpu::Isa::Avx512Bf16),
                            Machine(gpu::Architecture::Sm80)}) {
      if (!canRun(machine))
        continue;
      KernelRunner runner(text, machine);
      ASSERT_TRUE(runner);
      std::vector<int32_t> tokens = {0, 15, 16, 36, 7};
      AlignedBytes result(tokens.size() * 512 * 4, 0xff);
      sinter_step step{};
      step.rows = tokens.size();
      step.tokens = tokens.data();
      runner.run("lookup", {data.packed[0].data(), result.data()}, step, 0, tokens.size());
      EXPECT_TRUE(result.isIntact());
      for (size_t row = 0; row < tokens.size(); ++row)
        for (int64_t k = 0; k < 512; ++k) {
          float want = data.weights[0][tokens[row] * 512 + k], found = result.as<float>()[row * 512 + k];
          // scale * integer and the minimum may be one operation here: half a unit in the last place of
          // either.
          ASSERT_NEAR(found, want, 3e-7 * (1 + std::abs(want)))
              << format << " row " << tokens[row] << " column " << k;
        }
    }
  }
}

} // namespace
} // namespace sinter::test
