// SPDX-License-Identifier: Apache-2.0
// Scopes of strong operations and fences, and mbarriers that others use: kernels that commit each mistake,
// and their right forms.
#include "test/runtime/device/emulator/PtxRunner.h"

namespace sinter::emulator {
namespace {

/// Runs `body` over two blocks of a warp (one cluster, or two) with zeroed flags at %d2, data at %d1, the
/// block's number in %r2 and the thread's in %r1; the hazards in one text.
std::string hazardsOf(const std::string &body, bool oneCluster, const std::string &variables = "",
                      uint32_t threads = 32) {
  PtxRunner runner;
  runner.grid = {2, 1, 1}, runner.block = {threads, 1, 1}, runner.cluster = {oneCluster ? 2u : 1u, 1, 1};
  runner.options.races = true;
  runner.buffer(std::vector<uint32_t>(256, 7), "data");
  runner.buffer(std::vector<uint32_t>(64), "flags");
  EXPECT_EQ(
      runner.runBody(variables +
                     "\nld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; mov.u32 %r1, %tid.x; mov.u32 %r2, "
                     "%ctaid.x; setp.eq.u32 %p1, %r1, 0;\n" +
                     body),
      "");
  std::string all;
  for (const std::string &each : runner.hazards)
    all += each + "\n";
  return all;
}

/// The first block writes and signals, the second waits and reads.
std::string handOver(const std::string &signal, const std::string &wait) {
  return "@!%p1 ret; setp.ne.u32 %p2, %r2, 0; @%p2 bra reader;\n"
         "mov.u32 %r3, 5; st.global.u32 [%d1], %r3; mov.u32 %r4, 1;\n" +
         signal + "\nret;\nreader:\n" + wait + " setp.eq.u32 %p3, %r5, 0; @%p3 bra reader;\n" +
         "ld.global.u32 %r6, [%d1]; st.global.u32 [%d1+64], %r6;\n";
}
std::string byRelease(const std::string &out, const std::string &in) {
  return handOver("st.release." + out + ".global.u32 [%d2], %r4;",
                  "ld.acquire." + in + ".global.u32 %r5, [%d2];");
}
std::string byFences(const std::string &out, const std::string &in) {
  return handOver("fence.acq_rel." + out + "; st.relaxed.gpu.global.u32 [%d2], %r4;",
                  "ld.relaxed.gpu.global.u32 %r5, [%d2]; fence.acq_rel." + in + ";");
}

TEST(EmulatorScopes, ReleasesAndAcquiresReachAsFarAsTheirScopes) {
  for (const char *const wide : {"gpu", "sys"}) {
    EXPECT_EQ(hazardsOf(byRelease(wide, "gpu"), false), "");
    EXPECT_EQ(hazardsOf(byFences(wide, "gpu"), false), "");
  }
  for (const char *const wide : {"gpu", "cluster"}) {
    EXPECT_EQ(hazardsOf(byRelease(wide, "cluster"), true), "");
    EXPECT_EQ(hazardsOf(byRelease("cluster", wide), true), "");
    EXPECT_EQ(hazardsOf(byFences(wide, "cluster"), true), "");
  }
  for (const auto &[out, in] :
       {std::pair("cta", "gpu"), {"gpu", "cta"}, {"cluster", "gpu"}, {"gpu", "cluster"}}) {
    const std::string found = hazardsOf(byRelease(out, in), false);
    EXPECT_NE(found.find(std::string("warp 0 of block (1,0,0) with scope .") + in +
                         " reads byte 0 of 'flags' (256 bytes), written in line "),
              std::string::npos)
        << found;
    EXPECT_NE(found.find(std::string("by warp 0 of block (0,0,0) with scope .") + out + ": expected .gpu"),
              std::string::npos)
        << found;
    EXPECT_NE(found.find("without synchronisation reads byte 0 of 'data'"), std::string::npos) << found;
    EXPECT_NE(hazardsOf(byFences(out, in), false).find("without synchronisation reads byte 0 of 'data'"),
              std::string::npos);
  }
  EXPECT_NE(hazardsOf(byRelease("cluster", "cta"), true).find("expected .cluster"), std::string::npos);
  EXPECT_NE(hazardsOf(byFences("cta", "cluster"), true).find("without synchronisation reads"),
            std::string::npos);
}

TEST(EmulatorScopes, AtomicsOfTwoBlocksNeedAWideScope) {
  const auto add = [](const char *scope) {
    return std::string("@%p1 red.relaxed.") + scope + ".global.add.u32 [%d2], 1;";
  };
  EXPECT_EQ(hazardsOf(add("gpu"), false), "");
  EXPECT_EQ(hazardsOf(add("cluster"), true), "");
  EXPECT_NE(hazardsOf(add("cluster"), false).find("with scope .cluster: expected .gpu"), std::string::npos);
  EXPECT_NE(hazardsOf(add("cta"), true).find("with scope .cta: expected .cluster"), std::string::npos);
  // Each block on a place of its own; and reads alone.
  EXPECT_EQ(hazardsOf("mul.wide.u32 %d3, %r2, 4; add.s64 %d2, %d2, %d3;" + add("cta"), false), "");
  EXPECT_EQ(hazardsOf("@%p1 ld.relaxed.cta.global.u32 %r5, [%d2];", false), "");
  // One after the other, as a wide release and acquire say.
  const auto two = [](const char *scope) {
    return handOver("red.relaxed.cta.global.add.u32 [%d2+8], 1; st.release." + std::string(scope) +
                        ".global.u32 [%d2], %r4;",
                    "ld.acquire.gpu.global.u32 %r5, [%d2];") +
           "red.relaxed.cta.global.add.u32 [%d2+8], 1;";
  };
  EXPECT_EQ(hazardsOf(two("gpu"), false), "");
  EXPECT_NE(hazardsOf(two("cta"), false).find("byte 8 of 'flags'"), std::string::npos);
}

/// Warp 0 of each block hands over to warp 1 through `space`.
std::string withinABlock(const std::string &signal, const std::string &wait) {
  return "mul.wide.u32 %d3, %r2, 128; add.s64 %d1, %d1, %d3; add.s64 %d2, %d2, %d3; mov.u32 %r8, flag;\n"
         "setp.lt.u32 %p2, %r1, 32; @!%p2 bra reader; @!%p1 ret; mov.u32 %r4, 1; st.shared.u32 [%r8+8], %r4;"
         "st.global.u32 [%d1], %r4;\n" +
         signal + "\nret;\nreader:\n" + wait + " setp.ne.u32 %p3, %r5, 1; @%p3 bra reader;\n" +
         "ld.global.u32 %r6, [%d1]; st.global.u32 [%d1+64], %r6; ld.shared.u32 %r6, [%r8+8];\n";
}

TEST(EmulatorScopes, WarpsOfABlockNeedNoMoreThanCta) {
  const std::string flag = ".shared .align 8 .b8 flag[16];";
  EXPECT_EQ(hazardsOf(withinABlock("st.release.cta.global.u32 [%d2], %r4;",
                                   "ld.acquire.cta.global.u32 %r5, [%d2];"),
                      false, flag, 64),
            "");
  EXPECT_EQ(hazardsOf(withinABlock("st.release.cta.shared.u32 [%r8], %r4;",
                                   "ld.acquire.cta.shared.u32 %r5, [%r8];"),
                      false, flag, 64),
            "");
  EXPECT_EQ(hazardsOf(withinABlock("membar.cta; st.volatile.shared.u32 [%r8], %r4;",
                                   "ld.volatile.shared.u32 %r5, [%r8]; membar.cta;"),
                      false, flag, 64),
            "");
  EXPECT_NE(hazardsOf(withinABlock("st.volatile.shared.u32 [%r8], %r4;",
                                   "ld.volatile.shared.u32 %r5, [%r8]; membar.cta;"),
                      false, flag, 64)
                .find("without synchronisation reads"),
            std::string::npos);
}

TEST(EmulatorScopes, SharedMemoryOfAnotherBlockNeedsCluster) {
  const auto add = [](const char *scope) {
    return "mov.u32 %r8, flag; mapa.shared::cluster.u32 %r9, %r8, 0; @!%p1 bra out; mov.u32 %r4, 0; "
           "st.shared.u32 [%r8], %r4;\n"
           "out: barrier.cluster.arrive; barrier.cluster.wait;\n"
           "@%p1 red.relaxed." +
           std::string(scope) +
           ".shared::cluster.add.u32 [%r9], 1;\nbarrier.cluster.arrive; barrier.cluster.wait;";
  };
  const std::string flag = ".shared .align 8 .b8 flag[16];";
  EXPECT_EQ(hazardsOf(add("cluster"), true, flag), "");
  EXPECT_NE(hazardsOf(add("cta"), true, flag).find("with scope .cta: expected .cluster"), std::string::npos);
}

/// Block 1 arrives at the mbarrier that block 0 initialises; between stands what tells it so.
std::string remoteArrival(const std::string &between) {
  return "mov.u32 %r8, flag; mapa.shared::cluster.u32 %r9, %r8, 0; setp.eq.and.u32 %p2, %r2, 0, %p1;\n"
         "@%p1 mbarrier.init.shared::cta.b64 [%r8], 1;\n" +
         between +
         "\nsetp.eq.and.u32 %p3, %r2, 1, %p1; @%p3 mbarrier.arrive.release.cluster.shared::cluster.b64 _, "
         "[%r9];\n"
         "setp.ne.u32 %p5, %r2, 0; @%p5 bra done;\n"
         "wait: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p4, [%r8], 0; @!%p4 bra wait;\n"
         "done: barrier.cluster.arrive; barrier.cluster.wait;";
}

TEST(EmulatorScopes, AnotherBlocksMbarrierNeedsAFenceOrARelease) {
  const std::string flag = ".shared .align 8 .b8 flag[16];", wait = "barrier.cluster.wait;",
                    relaxed = "barrier.cluster.arrive.relaxed;" + wait;
  EXPECT_EQ(hazardsOf(remoteArrival("barrier.cluster.arrive;" + wait), true, flag), "");
  EXPECT_EQ(hazardsOf(remoteArrival("barrier.cluster.arrive.release;" + wait), true, flag), "");
  for (const char *const fence :
       {"fence.mbarrier_init.release.cluster;", "fence.acq_rel.cluster;", "fence.sc.gpu;"}) {
    EXPECT_EQ(hazardsOf(remoteArrival(fence + relaxed), true, flag), "");
    EXPECT_EQ(hazardsOf(remoteArrival("@%p1 " + (fence + relaxed)), true, flag), "");
  }
  for (const std::string &between :
       {relaxed, "fence.acq_rel.cta;" + relaxed, relaxed + "fence.mbarrier_init.release.cluster;"}) {
    const std::string found = hazardsOf(remoteArrival(between), true, flag);
    EXPECT_NE(found.find("block (1,0,0), warp 0 uses the mbarrier at 0x400 without synchronisation, "
                         "initialised by warp 0 of "
                         "block 0 in the cluster in line "),
              std::string::npos)
        << between << found;
    EXPECT_NE(found.find("expected fence.mbarrier_init or a release before barrier.cluster"),
              std::string::npos)
        << found;
  }
}

TEST(EmulatorScopes, DataBehindAFenceOfMbarriersAloneAreNotReleased) {
  const auto text = [](const char *fence) {
    return remoteArrival(
        std::string("@%p1 st.shared.u32 [%r8+8], %r1;") + fence +
        "barrier.cluster.arrive.relaxed; barrier.cluster.wait; ld.shared::cluster.u32 %r6, [%r9+8];");
  };
  const std::string flag = ".shared .align 8 .b8 flag[16];";
  EXPECT_EQ(hazardsOf(text("fence.acq_rel.cluster;"), true, flag), "");
  EXPECT_NE(hazardsOf(text("fence.mbarrier_init.release.cluster;"), true, flag)
                .find("without synchronisation reads shared"),
            std::string::npos);
}

TEST(EmulatorScopes, WarpsOfABlockLearnOfAnMbarrierByItsBarrier) {
  const auto text = [](const char *between) {
    return std::string("mov.u32 %r8, flag; @%p1 mbarrier.init.shared::cta.b64 [%r8], 64;\n") + between +
           "mbarrier.arrive.shared::cta.b64 _, [%r8];";
  };
  const std::string flag = ".shared .align 8 .b8 flag[16];";
  EXPECT_EQ(hazardsOf(text("bar.sync 0;"), false, flag, 64), "");
  EXPECT_NE(hazardsOf(text("bar.warp.sync -1;"), false, flag, 64)
                .find("warp 1 uses the mbarrier at 0x400 without synchronisation, initialised by warp 0"),
            std::string::npos);
}

} // namespace
} // namespace sinter::emulator
