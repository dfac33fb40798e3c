// SPDX-License-Identifier: Apache-2.0
// Which kernels have code of their own for an instruction set, that the others would be the lower one's, and
// that their functions run it.
#include "test/execute/MatmulCase.h"

#include <cstring>
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

/// Runs a kernel through its function for AMX, which must be a jump, and through `owner`, whose code that is.
void expectJump(const MatmulCase &c, cpu::Isa owner) {
  if (!canRun(owner))
    GTEST_SKIP() << "this machine does not run " << Machine(owner).name();
  KernelRunner own(c.text(), owner),
      shared(c.text(), cpu::Isa::Amx, {cpu::Isa::Avx2, cpu::Isa::Avx512, cpu::Isa::Avx512Bf16});
  ASSERT_TRUE(own && shared);
  constexpr unsigned char jump = 0xe9;
  auto code = reinterpret_cast<const unsigned char *>(shared.find("matmul"));
  ASSERT_NE(code, nullptr);
  EXPECT_EQ(*code, jump) << c.format;
  MatmulData data(c, 1);
  std::vector<float> expected = data.run(own), found = data.run(shared, /*pieces=*/3);
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.size() * sizeof(float)), 0) << c.format;
  data.check(shared);
}

TEST(SharedCode, OfAvx512RunsThroughJumpsOfWhatIsAbove) {
  for (const char *format : {"f32", "f16", "q8_0", "q4_1", "q6_k"})
    expectJump({.format = format, .rows = 3, .outputs = 136, .inputs = 256}, cpu::Isa::Avx512);
}

TEST(SharedCode, OfAvx512Bf16RunsThroughJumpsOfWhatIsAbove) {
  expectJump({.format = "bf16", .rows = 3, .outputs = 136, .inputs = 256}, cpu::Isa::Avx512Bf16);
}

} // namespace
} // namespace sinter::test
