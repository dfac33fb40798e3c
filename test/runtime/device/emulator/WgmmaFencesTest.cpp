// SPDX-License-Identifier: Apache-2.0
// wgmma.fence: kernels that forget it, and right ones with what compilers leave between.
#include "test/runtime/device/emulator/PtxRunner.h"

namespace sinter::emulator {
namespace {

const std::string fence = "wgmma.fence.sync.aligned;\n", commit = "wgmma.commit_group.sync.aligned;\n",
                  wait = "wgmma.wait_group.sync.aligned 0;\n", sums = "{%f0, %f1, %f2, %f3}";

std::string product(const std::string &accumulators = sums, const std::string &a = "{%r4, %r5, %r6, %r7}",
                    int n = 8) {
  return "wgmma.mma_async.sync.aligned.m64n" + std::to_string(n) + "k16.f32.f16.f16 " + accumulators + ", " +
         a + ", %d2, %p1, 1, 1, 0;\n";
}

/// The hazards of `body`, run with B in shared memory, A in %r4 to %r7, sums in %f0 to %f3, and %p1 true.
std::string hazardsOf(const std::string &body) {
  PtxRunner runner;
  runner.block = {128, 1, 1};
  runner.options = {Schedule::latest, true, false, 1};
  EXPECT_EQ(runner.runBody(R"(
.shared .align 1024 .b8 b[2048];
mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 4; mov.u32 %r3, b; add.u32 %r2, %r3, %r2; mov.u32 %r4, 0;
st.shared.v4.b32 [%r2], {%r4, %r4, %r4, %r4};
fence.proxy.async; bar.sync 0; setp.lt.u32 %p1, %r1, 1000;
shr.u32 %r3, %r3, 4; cvt.u64.u32 %d2, %r3;
add.u32 %r4, %r1, 1; add.u32 %r5, %r1, 2; add.u32 %r6, %r1, 3; add.u32 %r7, %r1, 4;
cvt.rn.f32.u32 %f0, %r1; cvt.rn.f32.u32 %f1, %r1; cvt.rn.f32.u32 %f2, %r1; cvt.rn.f32.u32 %f3, %r1;
)" + body),
            "");
  std::string all;
  for (const std::string &each : runner.hazards)
    all += each + "\n";
  return all;
}

#define EXPECT_FOUND(text, body) EXPECT_NE(hazardsOf(body).find(text), std::string::npos) << hazardsOf(body)

TEST(EmulatorWgmmaFences, TheFirstWgmmaNeedsOne) {
  EXPECT_FOUND("line 21: block (0,0,0), warp 3 executes its first wgmma before any wgmma.fence",
               product() + commit + wait);
  EXPECT_EQ(hazardsOf(fence + product() + commit + wait), "");
}

TEST(EmulatorWgmmaFences, WritesOfAccumulatorsNeedOne) {
  const std::string first = fence + product() + commit + wait, change = "mul.f32 %f2, %f2, 0f3F000000;\n";
  EXPECT_FOUND("warp 3 without wgmma.fence takes an accumulator that an instruction in line 25 wrote",
               first + change + product() + commit + wait);
  EXPECT_EQ(hazardsOf(first + change + fence + product() + commit + wait), "");
  // In the next turn of a loop, too.
  const std::string loop = "mov.u32 %r9, 0;\n" + fence + "again:\n" + product() + commit + wait,
                    end = "add.u32 %r9, %r9, 1; setp.lt.u32 %p2, %r9, 3; @%p2 bra again;\n";
  EXPECT_FOUND("takes an accumulator that an instruction in line 27 wrote", loop + change + end);
  EXPECT_EQ(hazardsOf(loop + end), "");
}

TEST(EmulatorWgmmaFences, WritesOfFragmentsOfANeedOne) {
  const std::string first = fence + product() + commit + wait, change = "add.u32 %r6, %r6, 1;\n";
  EXPECT_FOUND("without wgmma.fence takes a fragment of A that an instruction in line 25 wrote",
               first + change + product() + commit + wait);
  EXPECT_FOUND("takes a fragment of A that an instruction in line 25 wrote", // through a packed register
               first + "add.u16 %h1, %h2, 1;\nmov.b32 %r6, {%h1, %h2};\n" + product() + commit + wait);
  EXPECT_EQ(hazardsOf(first + change + fence + product() + commit + wait), "");
  // An instruction that no lane executes, and one that another register has.
  EXPECT_EQ(hazardsOf(first + "@!%p1 " + change + "add.u32 %r8, %r6, 1;\n" + product() + commit + wait), "");
}

TEST(EmulatorWgmmaFences, AccumulatorsOfAnotherShapeNeedOne) {
  const std::string wide = "{%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7}",
                    first = fence + product() + commit + wait;
  EXPECT_FOUND("takes an accumulator that the wgmma of another shape or operand in line 22 wrote",
               first + product(wide, "{%r4, %r5, %r6, %r7}", 16) + commit + wait);
  EXPECT_EQ(hazardsOf(first + fence + product(wide, "{%r4, %r5, %r6, %r7}", 16) + commit + wait), "");
  EXPECT_EQ(hazardsOf(first + product() + product() + commit + product() + commit + wait), "");
}

TEST(EmulatorWgmmaFences, CopiesAndConstantsBehindOneAreRenames) {
  const std::string chain = fence + product() +
                            "mov.f32 %f10, %f0; mov.f32 %f11, %f1; mov.b32 %f12, %f2; mov.f32 %f13, %f3;\n" +
                            product("{%f10, %f11, %f12, %f13}");
  EXPECT_EQ(hazardsOf(chain + commit + wait), "");
  EXPECT_EQ(hazardsOf(fence + "mov.f32 %f0, 0f00000000; mov.b32 %r4, 0; mov.b32 %r5, %r6;\n" + product() +
                      commit + wait),
            "");
  // A copy of what was computed behind the fence is no better than that.
  EXPECT_FOUND("takes an accumulator that an instruction in line 22 wrote",
               fence + "add.f32 %f10, %f0, %f0;\nmov.f32 %f0, %f10;\n" + product() + commit + wait);
}

} // namespace
} // namespace sinter::emulator
