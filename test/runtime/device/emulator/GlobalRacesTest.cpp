// SPDX-License-Identifier: Apache-2.0
// Order of accesses to global memory: kernels that commit each mistake, and their right forms.
#include "test/runtime/device/emulator/PtxRunner.h"

namespace sinter::emulator {
namespace {

/// Runs `body` over a buffer of data and a zeroed buffer of flags; the hazards in one text.
std::string hazardsOf(const std::string &body, uint32_t blocks, uint32_t threads) {
  PtxRunner runner;
  runner.grid = {blocks, 1, 1};
  runner.block = {threads, 1, 1};
  runner.options.races = true;
  runner.buffer(std::vector<uint32_t>(256, 7), "data");
  runner.buffer(std::vector<uint32_t>(64), "flags");
  EXPECT_EQ(
      runner.runBody(
          "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;\n" +
          body),
      "");
  std::string all;
  for (const std::string &each : runner.hazards)
    all += each + "\n";
  return all;
}

/// The first block writes and signals, the second waits and reads.
std::string handOver(const std::string &signal, const std::string &wait) {
  return "setp.ne.u32 %p1, %r1, 0; @%p1 ret; setp.ne.u32 %p2, %r2, 0; @%p2 bra reader;\n"
         "mov.u32 %r3, 5; st.global.u32 [%d1], %r3; mov.u32 %r4, 1;\n" +
         signal + "\nret;\nreader:\n" + wait + " setp.eq.u32 %p3, %r5, 0; @%p3 bra reader;\n" +
         "ld.global.u32 %r6, [%d1]; st.global.u32 [%d1+64], %r6;\n";
}

TEST(EmulatorGlobalRaces, BlocksThatWriteWhatAnotherReadsRace) {
  const std::string found = hazardsOf("setp.ne.u32 %p1, %r1, 0; @%p1 ret; mul.wide.u32 %d3, %r2, 4; add.s64 "
                                      "%d4, %d1, %d3; st.global.u32 [%d4], %r2;"
                                      "ld.global.u32 %r5, [%d1]; st.global.u32 [%d4+64], %r5;",
                                      2, 32);
  EXPECT_NE(
      found.find(
          "of block (1,0,0) without synchronisation reads byte 0 of 'data' (1024 bytes), written in line "),
      std::string::npos)
      << found;
}

TEST(EmulatorGlobalRaces, BlocksThatWriteTheSamePlaceRace) {
  const std::string found = hazardsOf("setp.ne.u32 %p1, %r1, 0; @%p1 ret; st.global.u32 [%d1], %r2;", 2, 32);
  EXPECT_NE(found.find("without synchronisation overwrites byte 0 of 'data'"), std::string::npos) << found;
  EXPECT_EQ(hazardsOf("setp.ne.u32 %p1, %r1, 0; @%p1 ret; mul.wide.u32 %d3, %r2, 4; add.s64 %d1, %d1, %d3;"
                      "st.global.u32 [%d1], %r2;",
                      4, 32),
            "");
}

TEST(EmulatorGlobalRaces, PartsOfAWordAreTheirOwn) {
  const std::string own =
      "setp.ne.u32 %p1, %r1, 0; @%p1 ret; mul.wide.u32 %d3, %r2, 1; add.s64 %d1, %d1, %d3;"
      "st.global.u8 [%d1], %r2;";
  EXPECT_EQ(hazardsOf(own, 4, 32), "");
  EXPECT_NE(
      hazardsOf("setp.ne.u32 %p1, %r1, 0; @%p1 ret; setp.eq.u32 %p2, %r2, 0; @%p2 st.global.u8 [%d1+1], %r2;"
                "@!%p2 ld.global.u32 %r5, [%d1]; @!%p2 st.global.u32 [%d1+64], %r5;",
                2, 32)
          .find("byte 1 of 'data'"),
      std::string::npos);
}

TEST(EmulatorGlobalRaces, WarpsOfABlockAreOrderedByItsBarrier) {
  for (const bool barrier : {true, false}) {
    const std::string found =
        hazardsOf(std::string("mul.wide.u32 %d3, %r1, 4; add.s64 %d4, %d1, %d3; st.global.u32 [%d4], %r1;") +
                      (barrier ? "bar.sync 0;" : "") +
                      "xor.b32 %r3, %r1, 32; mul.wide.u32 %d3, %r3, 4; add.s64 %d4, %d1, %d3; ld.global.u32 "
                      "%r5, [%d4];",
                  1, 64);
    EXPECT_EQ(found.find("without synchronisation") != std::string::npos, !barrier) << found;
  }
}

TEST(EmulatorGlobalRaces, ReleaseAndAcquireOrderBlocks) {
  EXPECT_EQ(
      hazardsOf(handOver("st.release.gpu.global.u32 [%d2], %r4;", "ld.acquire.gpu.global.u32 %r5, [%d2];"), 2,
                32),
      "");
  EXPECT_EQ(hazardsOf(handOver("atom.release.gpu.global.add.u32 %r7, [%d2], %r4;",
                               "atom.acquire.gpu.global.add.u32 %r5, [%d2], 0;"),
                      2, 32),
            "");
}

TEST(EmulatorGlobalRaces, FencesAroundStrongAccessesOrderBlocks) {
  EXPECT_EQ(hazardsOf(handOver("membar.gl; st.volatile.global.u32 [%d2], %r4;",
                               "ld.volatile.global.u32 %r5, [%d2]; membar.gl;"),
                      2, 32),
            "");
  EXPECT_EQ(hazardsOf(handOver("fence.acq_rel.gpu; red.relaxed.gpu.global.add.u32 [%d2], %r4;",
                               "ld.relaxed.gpu.global.u32 %r5, [%d2]; fence.acq_rel.gpu;"),
                      2, 32),
            "");
}

TEST(EmulatorGlobalRaces, AFenceThatIsMissingOrTooNarrowIsFound) {
  for (const auto &[signal, wait] : {
           std::pair("st.volatile.global.u32 [%d2], %r4;", "ld.volatile.global.u32 %r5, [%d2]; membar.gl;"),
           std::pair("membar.gl; st.volatile.global.u32 [%d2], %r4;", "ld.volatile.global.u32 %r5, [%d2];"),
           std::pair("membar.cta; st.volatile.global.u32 [%d2], %r4;",
                     "ld.volatile.global.u32 %r5, [%d2]; membar.gl;"),
           std::pair("st.relaxed.gpu.global.u32 [%d2], %r4;", "ld.acquire.gpu.global.u32 %r5, [%d2];"),
       }) {
    const std::string found = hazardsOf(handOver(signal, wait), 2, 32);
    EXPECT_NE(found.find("without synchronisation reads byte 0 of 'data'"), std::string::npos)
        << signal << wait << found;
  }
}

TEST(EmulatorGlobalRaces, WhatABarrierBroughtTogetherIsReleasedByOne) {
  // All threads of a block write; after its barrier one of them signals. The other block's warps learn it by
  // theirs.
  const auto text = [](bool second) {
    return std::string(
               "mul.wide.u32 %d3, %r1, 4; add.s64 %d4, %d1, %d3; setp.ne.u32 %p1, %r1, 0;\n"
               "setp.ne.u32 %p2, %r2, 0; @%p2 bra reader;\n"
               "st.global.u32 [%d4], %r1; bar.sync 0; @%p1 ret; mov.u32 %r4, 1;\n"
               "st.release.gpu.global.u32 [%d2], %r4; ret;\nreader:\n@%p1 bra waits;\nagain:\n"
               "ld.acquire.gpu.global.u32 %r5, [%d2]; setp.eq.u32 %p3, %r5, 0; @%p3 bra again;\nwaits:\n") +
           (second ? "bar.sync 0;\n" : "") + "ld.global.u32 %r6, [%d4]; st.global.u32 [%d4+512], %r6;\n";
  };
  EXPECT_EQ(hazardsOf(text(true), 2, 64), "");
  EXPECT_NE(hazardsOf(text(false), 2, 64).find("without synchronisation"), std::string::npos);
}

TEST(EmulatorGlobalRaces, AtomicsDoNotRace) {
  EXPECT_EQ(hazardsOf("red.global.add.u32 [%d1], 1; atom.global.max.u32 %r5, [%d1+4], %r2;", 4, 64), "");
}

/// Each of two blocks stores a box of 8 rows at row `step` times its number, or does `operation`.
std::string hazardsOfBoxes(int step, const std::string &operation) {
  PtxRunner runner;
  runner.options = {Schedule::earliest, true, false, 1};
  runner.grid = {2, 1, 1}, runner.block = {32, 1, 1};
  const uint64_t data = runner.memory.allocate(64 * 64, "tensor");
  const uint64_t sizes[] = {16, 64}, strides[] = {64};
  const uint32_t box[] = {8, 8}, ones[] = {1, 1};
  const auto map = encodeTiled(2, 2, data, sizes, strides, box, ones, 0, 0, false);
  EXPECT_TRUE(map) << map.error().message;
  runner.map(*map);
  runner.arguments.push_back(data);
  EXPECT_EQ(
      runner.run(".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .align 64 .b8 "
                 "map[128], .param .u64 data) {\n"
                 ".reg .pred %p<9>; .reg .b32 %r<20>; .reg .b64 %d<9>; .shared .align 128 .b8 tile[256];\n"
                 "mov.u32 %r2, tile; mov.u32 %r3, %tid.x; setp.eq.u32 %p1, %r3, 0; mov.u32 %r9, %ctaid.x;\n"
                 "mov.b64 %d1, map; cvta.param.u64 %d1, %d1; ld.param.u64 %d2, [data];\n"
                 "shl.b32 %r4, %r3, 3; add.u32 %r4, %r4, %r2; st.shared.v2.u32 [%r4], {%r3, %r3};\n"
                 "fence.proxy.async.shared::cta; bar.sync 0; mul.lo.u32 %r5, %r9, " +
                 std::to_string(step) + "; mov.u32 %r6, 4;\n" + operation +
                 "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; ret; }"),
      "");
  std::string all;
  for (const std::string &each : runner.hazards)
    all += each + "\n";
  return all;
}

TEST(EmulatorGlobalRaces, BoxesOfTensorMapsRaceWhereTheyOverlap) {
  const std::string store =
      "@%p1 cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%d1, {%r6, %r5}], [%r2];\n";
  EXPECT_EQ(hazardsOfBoxes(8, store), "");
  EXPECT_NE(hazardsOfBoxes(7, store).find("'tensor'"), std::string::npos);
  // Sums of boxes do not race with each other.
  EXPECT_EQ(hazardsOfBoxes(7, "@%p1 cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%d1, "
                              "{%r6, %r5}], [%r2];\n"),
            "");
  // Block 1 reads one word of row 7: inside of block 0's box, and beside it.
  for (const int column : {4, 3}) {
    const std::string text = "setp.ne.u32 %p2, %r9, 0; and.pred %p3, %p1, %p2; not.pred %p4, %p2; and.pred "
                             "%p4, %p4, %p1; mov.u32 %r5, 0;\n@%p4 " +
                             store.substr(store.find("cp.")) + "@%p3 ld.global.u32 %r7, [%d2+" +
                             std::to_string(7 * 64 + 4 * column) + "];\n";
    EXPECT_EQ(hazardsOfBoxes(0, text).empty(), column == 3) << hazardsOfBoxes(0, text);
  }
}

} // namespace
} // namespace sinter::emulator
