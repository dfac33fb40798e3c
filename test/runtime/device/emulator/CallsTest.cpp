// SPDX-License-Identifier: Apache-2.0
// Calls that are not inlined: through registers, with tables of functions, and recursive ones.
#include "test/runtime/device/emulator/PtxRunner.h"

namespace sinter::emulator {
namespace {

const std::string functions = R"(
.func (.param .b32 r) twice(.param .b32 a) {
.reg .b32 %x<3>; ld.param.u32 %x1, [a]; add.u32 %x2, %x1, %x1; st.param.u32 [r], %x2; ret; }
.func (.param .b32 r) square(.param .b32 a) {
.reg .b32 %x<3>; ld.param.u32 %x1, [a]; mul.lo.u32 %x2, %x1, %x1; st.param.u32 [r], %x2; ret; }
.func (.param .b32 r) lower(.param .b32 a) {
.reg .b32 %x<3>; .reg .pred %q; ld.param.u32 %x1, [a]; setp.lt.u32 %q, %x1, 8;
@%q bra small; add.u32 %x1, %x1, -8; small: st.param.u32 [r], %x1; ret; }
.func (.param .b64 r) wide(.param .b64 a) { .reg .b64 %x; ld.param.u64 %x, [a]; st.param.u64 [r], %x; ret; }
.func nobody(.param .b32 a);
.global .align 8 .u64 table[4] = {twice, square, lower, 0};
)";

/// %r<target> = the function at the address in %d<address> of %r<argument>.
std::string callOf(const std::string &address, const std::string &argument, const std::string &target,
                   const std::string &prototype = "p: .callprototype (.param .b32 _) _ (.param .b32 _);") {
  return "{ .param .b32 in; .param .b32 out; st.param.b32 [in], " + argument + "; " + prototype +
         "\ncall (out), " + address + ", (in), p;\nld.param.b32 " + target + ", [out]; }\n";
}

/// What `body` leaves in %r2 of each of 64 threads, numbered by %r1.
std::vector<uint32_t> resultsOf(const std::string &body, const std::string &before = functions) {
  PtxRunner runner;
  runner.block = {64, 1, 1};
  runner.options.races = true;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(64));
  EXPECT_EQ(runner.runBody("mov.u32 %r1, %tid.x; mov.u32 %r2, 0;\n" + body + threadPointers(1) +
                               "st.global.u32 [%d1], %r2;\n",
                           "", before),
            "");
  EXPECT_TRUE(runner.hazards.empty()) << runner.hazards.front();
  return runner.read<uint32_t>(out, 64);
}
std::string errorOf(const std::string &body, const std::string &before = functions) {
  PtxRunner runner;
  return runner.runBody("mov.u32 %r1, %tid.x;\n" + body, "", before);
}

TEST(EmulatorCalls, ARegisterNamesTheFunction) {
  const auto found = resultsOf("mov.u64 %d1, square;\n" + callOf("%d1", "%r1", "%r2"));
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(found[i], i * i);
}

TEST(EmulatorCalls, LanesCallDifferentFunctionsOfATable) {
  const auto found =
      resultsOf("mov.u64 %d1, table; rem.u32 %r3, %r1, 3; mul.wide.u32 %d2, %r3, 8; add.s64 %d1, %d1, %d2;\n"
                "ld.global.u64 %d3, [%d1]; setp.gt.u32 %p1, %r1, 50; @%p1 bra none;\n" +
                callOf("%d3", "%r1", "%r4") + callOf("%d3", "%r4", "%r5") +
                "add.u32 %r2, %r5, 1;\nnone: bar.sync 0;\n");
  for (uint32_t i = 0; i < 64; ++i) {
    const auto once = [&](uint32_t x) { return i % 3 == 0 ? 2 * x : i % 3 == 1 ? x * x : x < 8 ? x : x - 8; };
    EXPECT_EQ(found[i], i > 50 ? 0 : once(once(i)) + 1) << i;
  }
}

TEST(EmulatorCalls, ABarrierInAFunctionIsTheBlocks) {
  const auto found = resultsOf("mov.u64 %d1, meets;\n" + callOf("%d1", "%r1", "%r2"), R"(
.func (.param .b32 r) meets(.param .b32 a) {
.reg .b32 %x<9>; .shared .align 4 .b8 s[256]; ld.param.u32 %x1, [a]; mov.u32 %x2, s; shl.b32 %x3, %x1, 2;
add.u32 %x4, %x2, %x3; st.shared.u32 [%x4], %x1; bar.sync 0; xor.b32 %x3, %x3, 252; add.u32 %x4, %x2, %x3;
ld.shared.u32 %x5, [%x4]; st.param.u32 [r], %x5; ret; }
)");
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(found[i], 63 - i);
}

/// Each level has an array, which the next one reads by its address; registers and predicates live across the
/// call.
const std::string recursion = R"(
.func (.param .b32 r) sums(.param .b32 n, .param .b64 above) {
.local .align 8 .b8 own[16]; .reg .b32 %x<9>; .reg .b64 %y<9>; .reg .pred %q<3>;
ld.param.u32 %x1, [n]; ld.param.u64 %y1, [above]; mov.u64 %y2, own; cvta.local.u64 %y3, %y2;
ld.u32 %x2, [%y1+4]; add.u32 %x3, %x1, %x2; st.local.u32 [own+4], %x3; setp.eq.u32 %q1, %x1, 0; and.b32 %x6, %x1, 1;
setp.eq.u32 %q2, %x6, 1; mov.u32 %x4, 100; @%q1 bra done;
add.u32 %x5, %x1, -1;
{ .param .b32 a; .param .b64 b; .param .b32 c; st.param.b32 [a], %x5; st.param.b64 [b], %y3;
call (c), sums, (a, b); ld.param.b32 %x4, [c]; }
ld.local.u32 %x7, [%y2+4]; add.u32 %x4, %x4, %x7; @%q2 add.u32 %x4, %x4, 1000;
done: st.param.u32 [r], %x4; ret; }
.func (.param .b32 r) odd(.param .b32 n);
.func (.param .b32 r) even(.param .b32 n) {
.reg .b32 %x<4>; .reg .pred %q; ld.param.u32 %x1, [n]; mov.u32 %x2, 1; setp.eq.u32 %q, %x1, 0; @%q bra done;
add.u32 %x1, %x1, -1; { .param .b32 a; .param .b32 c; st.param.b32 [a], %x1; call (c), odd, (a); ld.param.b32 %x2, [c]; }
done: st.param.u32 [r], %x2; ret; }
.func (.param .b32 r) odd(.param .b32 n) {
.reg .b32 %x<4>; .reg .pred %q; ld.param.u32 %x1, [n]; mov.u32 %x2, 0; setp.eq.u32 %q, %x1, 0; @%q bra done;
add.u32 %x1, %x1, -1; { .param .b32 a; .param .b32 c; st.param.b32 [a], %x1; call (c), even, (a); ld.param.b32 %x2, [c]; }
done: st.param.u32 [r], %x2; ret; }
.func (.param .b32 r) binary(.param .b32 n) {
.reg .b32 %x<6>; .reg .pred %q; ld.param.u32 %x1, [n]; mov.u32 %x4, %x1; setp.lt.u32 %q, %x1, 2; @%q bra done;
add.u32 %x2, %x1, -1; { .param .b32 a; .param .b32 c; st.param.b32 [a], %x2; call (c), binary, (a); ld.param.b32 %x3, [c]; }
add.u32 %x2, %x1, -2; { .param .b32 a; .param .b32 c; st.param.b32 [a], %x2; call (c), binary, (a); ld.param.b32 %x4, [c]; }
add.u32 %x4, %x3, %x4;
done: st.param.u32 [r], %x4; ret; }
)";
std::string named(const std::string &name) {
  return "{ .param .b32 in; .param .b32 out; st.param.b32 [in], %r3; call (out), " + name +
         ", (in); ld.param.b32 %r2, [out]; }\n";
}

TEST(EmulatorCalls, RecursionHasVariablesAndRegistersOfItsOwn) {
  const auto found = resultsOf(
      ".local .align 8 .b8 first[16];\nst.local.u32 [first+4], 7; mov.u64 %d1, first; cvta.local.u64 "
      "%d1, %d1; and.b32 %r3, %r1, 15;\n"
      "{ .param .b32 a; .param .b64 b; .param .b32 c; st.param.b32 [a], %r3; st.param.b64 [b], %d1;\n"
      "call (c), sums, (a, b); ld.param.b32 %r2, [c]; }\n",
      recursion);
  for (uint32_t i = 0; i < 64; ++i) {
    uint32_t expected = 100, above = 7;
    for (uint32_t n = i % 16; n > 0; --n) {
      above += n;
      expected += above + (n % 2 ? 1000 : 0);
    }
    EXPECT_EQ(found[i], expected) << i;
  }
}

TEST(EmulatorCalls, FunctionsCallEachOtherAndThemselvesTwice) {
  const auto even = resultsOf("add.u32 %r3, %r1, 3;\n" + named("even"), recursion),
             binary = resultsOf("rem.u32 %r3, %r1, 11;\n" + named("binary"), recursion);
  const uint32_t fibonacci[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55};
  for (uint32_t i = 0; i < 64; ++i) {
    EXPECT_EQ(even[i], (i + 1) % 2 ^ 1) << i;
    EXPECT_EQ(binary[i], fibonacci[i % 11]) << i;
  }
}

TEST(EmulatorCalls, WhatTheDriverProvidesIsCalledFromAnyDepth) {
  const auto found = resultsOf("rem.u32 %r3, %r1, 5;\n" + named("chain"), R"(
.extern .func (.param .b64 r) malloc(.param .b64 n);
.extern .func free(.param .b64 p);
.func (.param .b32 r) chain(.param .b32 n) {
.reg .b32 %x<6>; .reg .b64 %y<3>; .reg .pred %q; ld.param.u32 %x1, [n]; mov.u64 %y1, 16;
{ .param .b64 a; .param .b64 c; st.param.b64 [a], %y1; call (c), malloc, (a); ld.param.b64 %y2, [c]; }
st.u32 [%y2], %x1; mov.u32 %x3, 0; setp.eq.u32 %q, %x1, 0; @%q bra done;
add.u32 %x2, %x1, -1; { .param .b32 a; .param .b32 c; st.param.b32 [a], %x2; call (c), chain, (a); ld.param.b32 %x3, [c]; }
done: ld.u32 %x4, [%y2]; add.u32 %x3, %x3, %x4;
{ .param .b64 a; st.param.b64 [a], %y2; call free, (a); }
st.param.u32 [r], %x3; ret; }
)");
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(found[i], i % 5 * (i % 5 + 1) / 2) << i;
}

TEST(EmulatorCalls, MistakesAreErrorsWithTheirLine) {
  const auto expectError = [](const std::string &part, const std::string &error) {
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  expectError("thread (0,0,0) calls 0x0: expected the address of a function with a body",
              errorOf("ld.global.u64 %d1, [table+24];\n" + callOf("%d1", "%r1", "%r2")));
  expectError("calls 'wide' with parameters of 4 bytes and results of 4: expected 8 and 8",
              errorOf("mov.u64 %d1, wide;\n" + callOf("%d1", "%r1", "%r2")));
  EXPECT_EQ(errorOf("mov.u64 %d1, square;\n" + callOf("%d1", "%r1", "%r2", "p: .calltargets twice, square;")),
            "");
  expectError("calls 'square', which .calltargets does not list",
              errorOf("mov.u64 %d1, square;\n" + callOf("%d1", "%r1", "%r2", "p: .calltargets twice;")));
  expectError("expected the name of a function, found 'other'",
              errorOf("mov.u64 %d1, square;\n" + callOf("%d1", "%r1", "%r2", "p: .calltargets other;")));
  expectError("expected functions whose addresses the module takes, found none",
              errorOf("mov.u64 %d1, 0;\n" + callOf("%d1", "%r1", "%r2"), ""));
  expectError("expected the label of a .callprototype or .calltargets",
              errorOf("mov.u64 %d1, square; { .param .b32 in; .param .b32 out; call (out), %d1, (in); }"));
  expectError("calls 'even' at a depth of ", errorOf("mov.u32 %r3, 100000;\n" + named("even"), recursion));
  expectError("expected calls that take at most 32768 bytes and a depth of 4096",
              errorOf("mov.u32 %r3, 100000;\n" + named("even"), recursion));
  expectError("bytes of global memory at 0x3",
              errorOf("mov.u64 %d1, square; ld.u32 %r2, [%d1];")); // not data
}

} // namespace
} // namespace sinter::emulator
