// SPDX-License-Identifier: Apache-2.0
// The grammar of PTX, above all what breaks naive parsers, and the errors with their lines.
#include "test/runtime/device/emulator/PtxRunner.h"

namespace sinter::emulator {
namespace {

TEST(EmulatorParser, InlineAssemblyDeclaresTheSameNamesAgain) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    mov.u32 %r1, 0;
    { .reg .b32 t; .reg .pred p; mov.u32 t, 3;
    loop: add.u32 %r1, %r1, t; setp.lt.u32 p, %r1, 9; @p bra loop; }
    { .reg .b32 t; .reg .pred p; mov.u32 t, 5;
    loop: add.u32 %r1, %r1, t; setp.lt.u32 p, %r1, 20; @p bra.uni loop; }
    st.global.u32 [%d1], %r1;)"),
            "");
  EXPECT_EQ(runner.read<uint32_t>(out, 1)[0], 24u);
}

TEST(EmulatorParser, AddressesTakeNegativeOffsetsAndSymbols) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(33));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    mov.u32 %r1, table; ld.const.u32 %r2, [table+4];
    ld.const.u32 %r3, [table + 8];
    add.u32 %r2, %r2, %r3;
    add.s64 %d1, %d1, 16;
    st.global.u32 [%d1+-16], %r2;)",
                           "", ".const .align 4 .u32 table[3] = {1, 0x20, -2};"),
            "");
  EXPECT_EQ(runner.read<uint32_t>(out, 1)[0], 30u);
}

TEST(EmulatorParser, HexFloatsAndNegativeNumbersAsMasks) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<float>(32));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
    .pragma "nounroll";
    .loc 1 2 3
    mov.f32 %f1, 0f3FC00000; cvt.f32.f64 %f2, 0d4008000000000000;
    mov.b32 %r1, -1; and.b32 %r1, %r1, -8; cvt.rn.f32.s32 %f3, %r1;
    fma.rn.f32 %f1, %f1, %f2, %f3;
    st.global.f32 [%d1], %f1;)"),
            "");
  EXPECT_EQ(runner.read<float>(out, 1)[0], 1.5f * 3 - 8);
}

TEST(EmulatorParser, CallsByParamAreInlined) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(
      runner.runBody(
          threadPointers(1) + R"(
    mov.u32 %r1, %tid.x;
    setp.lt.u32 %p1, %r1, 10;
    mov.u32 %r2, 0;
    @%p1 bra $small;
    { .param .b32 param0; .param .b32 retval0;
      st.param.b32 [param0+0], %r1;
      call.uni (retval0), twice, (param0);
      ld.param.b32 %r2, [retval0+0]; }
    $small:
    st.global.u32 [%d1], %r2;)",
          "",
          ".func (.param .b32 out) twice(.param .b32 in) { .reg .b32 a; .reg .pred p; ld.param.b32 a, [in]; "
          "setp.eq.u32 p, a, 20; @p bra even;\n"
          "add.u32 a, a, a; st.param.b32 [out], a; ret; even: mov.u32 a, 7; st.param.b32 [out], a; ret; }"),
      "");
  const auto values = runner.read<uint32_t>(out, 32);
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(values[i], i < 10 ? 0 : i == 20 ? 7 : 2 * i) << i;
}

TEST(EmulatorParser, ErrorsNameTheLine) {
  PtxRunner runner;
  EXPECT_EQ(runner.run("hello"),
            "line 1: expected a directive such as .version, .global or .entry, found 'hello'");
  EXPECT_EQ(runner.run(""), "expected PTX text (a .version directive), found none");
  EXPECT_EQ(runner.run(kernelText("frobnicate.b32 %r1, %r2;", 0)),
            "line 13: 'frobnicate.b32': unknown instruction");
  EXPECT_EQ(runner.run(kernelText("add.fancy.s32 %r1, %r2, %r3;", 0)),
            "line 13: 'add.fancy.s32': unknown modifier .fancy");
  EXPECT_EQ(runner.run(kernelText("add.s32 %r1, %r2, %d3;\nadd.s64 %d1, %r1, 1;", 0)),
            "line 14: 'add.s64': expected a register of 8 bytes, found %r1 of 4");
  EXPECT_EQ(runner.run(kernelText("bra nowhere;", 0)),
            "line 13: expected a register, variable, function or label, found 'nowhere'");
  EXPECT_EQ(runner.run(kernelText("mov.u32 %r1, %nosuch;", 0)),
            "line 13: 'mov.u32': unknown special register %nosuch");
  EXPECT_EQ(runner.run(".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() { ret;"),
            "line 4: expected '}', found 'the end of the file'");
  EXPECT_EQ(runner.run(".version 8.0\n/* open"),
            "line 2: expected the end of a comment, found the end of the file");
}

TEST(EmulatorParser, WhatIsTooLargeOrTooDeepIsAnErrorWithItsLine) {
  const auto says = [](const std::string &text, const std::string &part) {
    const std::string found = PtxRunner().run(text);
    EXPECT_NE(found.find(part), std::string::npos) << found;
  };
  const std::string deep(100000, '{'), negations(100000, '!');
  says(kernelText("mov.b32 %r1, " + deep + ";", 0),
       "line 13: expected at most 64 levels of operands or values");
  says(kernelText("@" + negations + "%p1 ret;", 0), "at most 64 levels");
  says(kernelText("", 0, "", ".global .b32 x[2] = " + deep + ";"), "line 4: expected at most 64 levels");
  says(kernelText("", 0, "", ".global .b8 x[1099511627776][16777216];"), "a variable of at most 1 TiB");
  says(kernelText("", 0, "", ".global .b8 x[1099511627776];"),
       "no memory for variable 'x' of 1099511627776 bytes");
  says(kernelText(".shared .b8 s[1099511627776]; mov.b32 %r1, s;", 0), "bytes of shared memory, found 10995");
  says(kernelText(".local .b8 s[1099511627776]; mov.b64 %d1, s;", 0), "variable 's': expected at most");
  PtxRunner wide;
  wide.block = {1024, 1, 1};
  EXPECT_NE(wide.runBody(".local .b8 s[1073741824]; mov.b64 %d1, s;")
                .find("bytes for the registers and local memory of a cluster"),
            std::string::npos);
  says(kernelText(".reg .b32 %x<1048576>;", 0), "at most 1048576 registers in a function");
  says(".version 1e300", "expected a version such as 8.7");
  says(kernelText("@%r1 ret;", 0), "line 13: expected a predicate after '@'");
  says(kernelText("", 0, "", ".shared .b64 x = x;"), "initial values of .global and .const variables only");
}

TEST(EmulatorParser, CallsThatGrowWithoutEndAreErrors) {
  // Each function calls the next twice: 2^30 copies of the last.
  std::string functions = ".func f0() { ret; }\n", chain = functions;
  for (int i = 1; i <= 30; ++i)
    functions += fmt::format(".func f{}() {{ call f{}; call f{}; ret; }}\n", i, i - 1, i - 1);
  EXPECT_NE(PtxRunner()
                .run(kernelText("call f30;", 0, "", functions))
                .find("expected at most 16384 calls in a kernel"),
            std::string::npos);
  for (int i = 1; i <= 1000; ++i)
    chain += fmt::format(".func f{}() {{ call f{}; ret; }}\n", i, i - 1);
  EXPECT_NE(PtxRunner().run(kernelText("call f1000;", 0, "", chain)).find("to a depth of at most 64"),
            std::string::npos);
  EXPECT_NE(PtxRunner()
                .run(kernelText("{ .param .b32 a; call f, (a); }", 0, "",
                                ".func f(.param .align 16 .b8 x[64]) { ret; }"))
                .find("expected a variable of 64 bytes for 'f', found 'a' of 4"),
            std::string::npos);
}

TEST(EmulatorParser, OffsetsOfAddressesWrapAround) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(threadPointers(1) +
                           "mov.u32 %r1, 7;\n"
                           "st.global.u32 [%d1+9223372036854775807+9223372036854775807+2], %r1;"),
            "");
  EXPECT_EQ(runner.read<uint32_t>(out, 1)[0], 7u);
}

TEST(EmulatorParser, AnyPrefixOfAModuleIsAnErrorAndNotACrash) {
  const std::string text =
      kernelText("{ .reg .b32 t; mov.b32 t, 1; }\n@%p1 ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%d1+-16];", 1);
  for (size_t length = 0; length + 2 < text.size(); ++length)
    EXPECT_NE(PtxRunner().run(text.substr(0, length)), "") << length;
}

} // namespace
} // namespace sinter::emulator
