// SPDX-License-Identifier: Apache-2.0
// Which kernels have code of their own for an instruction set, and that the others would be the lower one's.
#include "test/execute/MatmulCase.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sinter::test {
namespace {

/// Checks hasOwnCode for AVX512-BF16 and AMX.
void expectOwn(const std::string &text, bool forBf16, bool forAmx) {
  EXPECT_EQ(hasOwnCode(text, cpu::Isa::Avx512Bf16), forBf16) << text;
  EXPECT_EQ(hasOwnCode(text, cpu::Isa::Amx), forAmx) << text;
  std::string lower = loweredOf(text, cpu::Isa::Avx512), own = loweredOf(text, cpu::Isa::Avx512Bf16);
  EXPECT_FALSE(lower.empty());
  if (!forBf16)
    EXPECT_EQ(own, lower) << text;
  if (!forAmx)
    EXPECT_EQ(loweredOf(text, cpu::Isa::Amx), own) << text;
}

TEST(SharedCode, OfDecodeIsAllButWhatMentionsBf16) {
  for (const char *format : {"f32", "f16", "q8_0", "q4_1", "q6_k"})
    expectOwn(MatmulCase{.format = format, .outputs = 64, .inputs = 256}.text(), false, false);
  expectOwn(MatmulCase{.format = "bf16", .outputs = 64, .inputs = 256}.text(), true, false);
}

TEST(SharedCode, OfPrefillIsThatOfAvx512WithoutBf16AndNeverThatOfAmx) {
  for (const char *format : {"f32", "f16", "bf16", "q8_0", "q4_1", "q6_k"}) {
    MatmulCase c{.format = format, .outputs = 64, .inputs = 256};
    c.rowsPerTile = 16;
    c.schedule = "rows_per_tile = 16";
    expectOwn(c.text(), c.format == "bf16", true);
  }
}

TEST(SharedCode, OfRowsIsAllButWhatMentionsBf16) {
  for (const char *element : {"f32", "f16", "bf16"}) {
    std::string text = fmt::format(R"(
kernel.func @copy(%x: {0}, %out: {0}) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : {0}, vector<64xf32>
    kernel.store %a, %out[%row] : vector<64xf32>, {0}
  }}
}})",
                                   fmt::format("!kernel.rows<64x{}>", element));
    expectOwn(text, element == std::string("bf16"), false);
  }
}

} // namespace
} // namespace sinter::test
