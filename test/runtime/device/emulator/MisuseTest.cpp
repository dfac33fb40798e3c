// SPDX-License-Identifier: Apache-2.0
// Instructions used as the PTX ISA forbids, and addresses beyond everything: an error each, never a crash or
// a result.
#include "test/runtime/device/emulator/PtxRunner.h"

namespace sinter::emulator {
namespace {

const std::string variables =
    ".shared .align 128 .b8 s[1024];\n.local .align 8 .b8 l[32];\nld.param.u64 %d1, [p0];\n";

/// The error of a kernel of 64 threads with one buffer.
std::string errorOf(const std::string &body, const std::string &before = "", uint32_t threads = 64) {
  PtxRunner runner;
  runner.block = {threads, 1, 1};
  runner.buffer(std::vector<uint32_t>(64));
  return runner.runBody(variables + body, "", before);
}

#define EXPECT_ERROR(text, ...)                                                                              \
  do {                                                                                                       \
    const std::string found = errorOf(__VA_ARGS__);                                                          \
    EXPECT_NE(found.find(text), std::string::npos) << found;                                                 \
  } while (false)

TEST(EmulatorMisuse, AddressesAtTheEndOfTheAddressSpaceAreOutOfBounds) {
  for (const char *use : {"ld.global.u32 %r1, [%d2];", "ld.u32 %r1, [%d2];", "st.global.u32 [%d2], %r1;",
                          "red.global.add.u32 [%d2], 1;", "cp.async.ca.shared.global [s], [%d2], 4;",
                          "ld.shared.u32 %r1, [%d2];", "ld.local.u32 %r1, [%d2];"})
    EXPECT_NE(errorOf(std::string("mov.u64 %d2, -4;\n") + use), "") << use;
  EXPECT_ERROR("reads 16 bytes of global memory at 0xfffffffffffffff0: in no allocation",
               "mov.u64 %d2, -16;\nld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%d2];");
}

TEST(EmulatorMisuse, ParametersAreReadWithinTheirBytesAndNotWritten) {
  EXPECT_ERROR("expected bytes of a parameter of 8, found 8 from byte -8 on", "ld.param.u64 %d2, [p0+-8];");
  EXPECT_ERROR("expected bytes of a parameter of 8, found 4 from byte 8 on", "ld.param.u32 %r1, [p0+8];");
  EXPECT_EQ(errorOf("ld.param.u32 %r1, [p0+4];"), "");
  EXPECT_ERROR("expected memory that can be written", "st.param.u64 [p0], %d1;");
  EXPECT_ERROR("expected memory that can be written", "atom.add.u32 %r1, [p0], 1;");
}

TEST(EmulatorMisuse, VectorsNeedARegisterForEachPart) {
  EXPECT_ERROR("expected 2 registers in braces", "atom.global.v2.f32.add %f1, [%d1], {%f1, %f2};");
  EXPECT_ERROR("expected 4 registers in braces",
               "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [s], %r1, [s];");
  EXPECT_ERROR("expected 4 registers in braces", "ldmatrix.sync.aligned.m8n8.x4.shared.b16 %r1, [s];");
}

TEST(EmulatorMisuse, PartsOfRegistersBelongToVideoInstructions) {
  EXPECT_ERROR("expected whole registers, found part .b0 of one", "add.u32 %r1, %r2.b0, %r3;");
  EXPECT_ERROR("expected whole registers, found part .h1 of one", "mov.b64 %d1, {%r2, %r3.h1};");
  EXPECT_ERROR("expected part .b0 to .b3, .h0 or .h1, found .h2", "vadd.u32.u32.u32 %r1, %r2.h2, %r3;");
  EXPECT_ERROR("expected c with a part of d or with .add", "vadd.u32.u32.u32 %r1.b0, %r2, %r3;");
  EXPECT_ERROR("expected 2 numbers of elements below 4 after .h, found .h4",
               "vadd2.u32.u32.u32 %r1, %r2.h4, %r3, %r4;");
  EXPECT_ERROR("expected elements that are written, the highest first, as in .b10, found .b01",
               "vadd4.u32.u32.u32 %r1.b01, %r2, %r3, %r4;");
}

TEST(EmulatorMisuse, ShapesOfMmaBelongToTheirTypes) {
  EXPECT_ERROR("this shape is not supported for these types",
               "mma.sync.aligned.m16n8k32.row.col.f64.f64.f64.f64 {%g1, %g2}, {%g1}, {%g1}, {%g1, %g2};");
  EXPECT_ERROR("expected 2 registers in operand 1, found 1",
               "mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%g1, %g2, %g3, %g4}, {%g1}, {%g1}, {%g1, "
               "%g2, %g3, %g4};");
  EXPECT_ERROR("expected .xor.popc or .and.popc",
               "mma.sync.aligned.m8n8k128.row.col.s32.b1.b1.s32 {%r1, %r2}, {%r3}, {%r4}, {%r1, %r2};");
  EXPECT_ERROR("expected no .satfinite with floating-point types",
               "wgmma.mma_async.sync.aligned.m64n8k16.satfinite.f32.f16.f16 {%f0, %f1, %f2, %f3}, %d1, %d2, "
               "0, 1, 1, 0, 0;");
}

TEST(EmulatorMisuse, LanesBelongToTheirMemberMask) {
  for (const char *use : {"shfl.sync.idx.b32 %r1, %r2, 0, 31, 2;", "vote.sync.ballot.b32 %r1, %p1, 2;",
                          "match.any.sync.b32 %r1, %r2, 2;", "redux.sync.add.u32 %r1, %r2, 2;",
                          "elect.sync %r1|%p1, 2;", "bar.warp.sync 2;"})
    EXPECT_ERROR("expected lane 0 in its own member mask, found 0x2", use);
}

TEST(EmulatorMisuse, PartsOfAWarpVoteAndReduceApart) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(64));
  ASSERT_EQ(runner.runBody(threadPointers(1, 8) + R"(
mov.u32 %r1, %laneid;
setp.lt.u32 %p1, %r1, 8;
selp.b32 %r2, 0xff, 0xffffff00, %p1;
and.b32 %r3, %r1, 1;
setp.ne.u32 %p2, %r3, 0;
vote.sync.ballot.b32 %r4, %p2, %r2;
redux.sync.add.u32 %r5, %r1, %r2;
bar.warp.sync %r2;
st.global.v2.u32 [%d1], {%r4, %r5};)"),
            "");
  const std::vector<uint32_t> found = runner.read<uint32_t>(out, 64);
  for (size_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(found[2 * lane], lane < 8 ? 0xaau : 0xaaaaaa00u) << lane;
    EXPECT_EQ(found[2 * lane + 1], lane < 8 ? 28u : 496u - 28) << lane;
  }
}

TEST(EmulatorMisuse, ShufflesFromLanesThatTakeNoPartGiveNaN) {
  PtxRunner runner;
  const uint64_t out = runner.buffer(std::vector<uint32_t>(32));
  ASSERT_EQ(runner.runBody(threadPointers(1) + R"(
mov.u32 %r1, %laneid;
mov.u32 %r2, 0;
setp.lt.u32 %p1, %r1, 24;
@%p1 shfl.sync.down.b32 %r2, %r1, 4, 31, 0xffffff;
st.global.u32 [%d1], %r2;)"),
            "");
  const std::vector<uint32_t> found = runner.read<uint32_t>(out, 32);
  for (uint32_t lane = 0; lane < 32; ++lane)
    EXPECT_EQ(found[lane], lane < 20 ? lane + 4 : lane < 24 ? ~0u : 0u) << lane;
}

TEST(EmulatorMisuse, LanesOfSeveralMasksThatNeverComeAreADeadlock) {
  EXPECT_ERROR("waits for lanes", R"(
mov.u32 %r1, %laneid;
setp.eq.u32 %p1, %r1, 3;
setp.eq.u32 %p2, %r1, 20;
@%p1 bra never;
@%p2 bra never;
setp.lt.u32 %p3, %r1, 16;
selp.b32 %r2, 0xffff, 0xffff0000, %p3;
bar.warp.sync %r2;
bra done;
never:
bar.sync 1, 64;
done:)");
}

TEST(EmulatorMisuse, MbarriersAreUsedAsTheirBlockMay) {
  const std::string init = "mbarrier.init.shared.b64 [s], 3;\n";
  const auto one = [](const std::string &body) { return errorOf(body, "", 1); };
  EXPECT_NE(
      one(init + "mbarrier.arrive.shared.b64 _, [s], 0;").find("expected 1 to 1048575 arrivals, found 0"),
      std::string::npos);
  EXPECT_NE(one(init + "mbarrier.arrive.expect_tx.shared.b64 _, [s], -1;")
                .find("at most 1048575 bytes outstanding"),
            std::string::npos);
  EXPECT_EQ(one(init + "mbarrier.arrive.noComplete.shared.b64 %d2, [s], 2;"), "");
  EXPECT_NE(one(init + "mbarrier.arrive.noComplete.shared.b64 %d2, [s], 3;")
                .find("the arrival completes the phase"),
            std::string::npos);
  for (const char *use : {"mbarrier.init.shared::cta.b64 [%r2], 1;", "mbarrier.arrive.shared.b64 %d2, [%r2];",
                          "mbarrier.try_wait.parity.shared.b64 %p1, [%r2], 1;",
                          "mbarrier.test_wait.parity.shared.b64 %p1, [%r2], 1;"}) {
    PtxRunner runner;
    runner.grid = runner.cluster = {2, 1, 1};
    runner.block = {1, 1, 1};
    const std::string found = runner.runBody(variables.substr(0, variables.find("ld.param")) + R"(
mbarrier.init.shared.b64 [s], 1;
barrier.cluster.arrive;
barrier.cluster.wait;
mov.u32 %r1, s;
mapa.shared::cluster.u32 %r2, %r1, 1;
)" + use + "\nbarrier.cluster.arrive;\nbarrier.cluster.wait;");
    EXPECT_NE(found.find("expected an mbarrier of its own block, found one of block 1"), std::string::npos)
        << found;
  }
}

TEST(EmulatorMisuse, BarriersSayWhatTheyNeed) {
  EXPECT_ERROR("expected the number of threads", "bar.arrive 0;");
  EXPECT_ERROR("lanes that come to several barriers at once",
               "mov.u32 %r1, %laneid;\nand.b32 %r1, %r1, 1;\nbarrier.sync %r1, 32;");
  EXPECT_ERROR(" waits, but has not arrived", "barrier.cluster.wait;");
  EXPECT_ERROR(" waits, but has not arrived",
               "barrier.cluster.arrive;\nbarrier.cluster.wait;\nbarrier.cluster.wait;");
}

TEST(EmulatorMisuse, RelaxedArrivalsOrderNothing) {
  for (const bool relaxed : {false, true}) {
    PtxRunner runner;
    runner.grid = runner.cluster = {2, 1, 1};
    runner.options.races = true;
    ASSERT_EQ(runner.runBody(
                  ".shared .align 4 .b32 s[32];\n"
                  "mov.u32 %r1, %cluster_ctarank;\nmov.u32 %r2, s;\nmov.u32 %r5, %laneid;\n"
                  "mad.lo.u32 %r2, %r5, 4, %r2;\nst.shared.u32 [%r2], %r1;\n"
                  "barrier.cluster.arrive" +
                  std::string(relaxed ? ".relaxed" : "") +
                  ";\nbarrier.cluster.wait;\nxor.b32 %r3, %r1, 1;\nmapa.shared::cluster.u32 %r4, %r2, %r3;\n"
                  "ld.shared::cluster.u32 %r6, [%r4];\nbarrier.cluster.arrive;\nbarrier.cluster.wait;"),
              "");
    EXPECT_EQ(runner.hazards.empty(), !relaxed);
  }
}

TEST(EmulatorMisuse, BlocksStayUntilTheirSharedMemoryIsUsedNoMore) {
  const auto hazardsOf = [](const std::string &body, const std::string &end) {
    PtxRunner runner;
    runner.block = {1, 1, 1};
    runner.options.schedule = Schedule::latest;
    runner.options.races = true;
    runner.buffer(std::vector<uint32_t>(64));
    EXPECT_EQ(runner.runBody(variables + "mov.u32 %r1, 16;\n" + body + end), "");
    return runner.hazards;
  };
  const std::string
      store = "st.shared.v4.u32 [s+128], {%r1, %r1, %r1, %r1};\nfence.proxy.async.shared::cta;\n"
              "cp.async.bulk.global.shared::cta.bulk_group [%d1], [s+128], %r1;\n"
              "cp.async.bulk.commit_group;\n",
      load = "mbarrier.init.shared.b64 [s], 1;\nmbarrier.arrive.expect_tx.shared.b64 _, [s], 16;\n"
             "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s+128], [%d1], %r1, [s];\n";
  for (const auto &[body, end, does] :
       {std::tuple(store, "cp.async.bulk.wait_group.read 0;",
                   "exits while a copy still reads its shared memory"),
        std::tuple(load, "again: mbarrier.try_wait.parity.shared.b64 %p1, [s], 0;\n@!%p1 bra again;",
                   "exits while a copy still writes its shared memory")}) {
    EXPECT_EQ(hazardsOf(body, end), std::vector<std::string>());
    const std::vector<std::string> found = hazardsOf(body, "");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_NE(found[0].find(does), std::string::npos) << found[0];
  }
  for (const char *use : {"ld.shared::cluster.u32 %r4, [%r3];",
                          "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r3];"}) {
    PtxRunner runner;
    runner.grid = runner.cluster = {2, 1, 1};
    const std::string found = runner.runBody(
        ".shared .align 8 .b8 s[64];\nmov.u32 %r1, %cluster_ctarank;\nsetp.eq.u32 %p1, %r1, 0;\n"
        "@%p1 ret;\nmov.u32 %r2, s;\nmov.u32 %r1, 0;\nmapa.shared::cluster.u32 %r3, %r2, %r1;\n" +
        std::string(use));
    EXPECT_NE(found.find("shared memory of block 0 of its cluster, which has exited"), std::string::npos)
        << found;
  }
}

TEST(EmulatorMisuse, CopiesGoToSomeBlock) {
  EXPECT_ERROR("expected a multicast to one block or more", R"(
mbarrier.init.shared.b64 [s], 1;
mov.b16 %h1, 0;
mov.u32 %r1, 16;
cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [s+128], [%d1], %r1, [s], %h1;)",
               "", 1);
}

/// The error of a thread that copies the box at `place` of a tensor of bytes to the end of `shared` bytes of
/// shared memory, all but the first 1024 of them.
std::string errorOfBox(const std::vector<uint64_t> &sizes, const std::vector<uint64_t> &strides,
                       const std::vector<uint32_t> &box, int swizzle, const std::string &place,
                       uint32_t shared) {
  PtxRunner runner;
  runner.block = {1, 1, 1};
  runner.shared = shared;
  const uint64_t data = runner.buffer(std::vector<uint8_t>(64 * 64));
  const std::vector<uint32_t> each(box.size(), 1);
  const auto map = encodeTiled(0, uint32_t(box.size()), data, sizes.data(), strides.data(), box.data(),
                               each.data(), 0, swizzle, false);
  if (!map)
    return "no map: " + map.error().message;
  runner.arguments.clear();
  runner.map(*map);
  return runner.run(R"(.version 8.0
.target sm_90a
.address_size 64
.extern .shared .align 1024 .b8 dynamic[];
.visible .entry k(.param .align 64 .b8 m[128]) {
.reg .b32 %r<4>; .reg .b64 %d<4>;
mov.u32 %r1, dynamic; mbarrier.init.shared.b64 [%r1], 1;
mov.u64 %d1, m;
add.u32 %r2, %r1, 1024;
cp.async.bulk.tensor.)" +
                    std::to_string(box.size()) +
                    "d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1, {" + place +
                    "}], [%r1];\nret; }");
}

TEST(EmulatorMisuse, BoxesLieInSharedMemoryWithTheLinesThatTheirSwizzleMovesThemIn) {
  // A line and 16 bytes, which the swizzle would move behind the end.
  const std::string found = errorOfBox({64, 64}, {64}, {48, 3}, 3, "0, 0", 1024 + 3 * 48);
  EXPECT_NE(found.find("256 bytes of shared memory"), std::string::npos) << found;
}

TEST(EmulatorMisuse, TensorsLargerThanAllMemoryAreNotThere) {
  // (2^32 - 1) * 2^36 twice, and 2^37: 2^69 bytes, 64 of them when cut to 64 bits.
  constexpr uint64_t many = uint64_t(1) << 32, far = uint64_t(1) << 36;
  const std::string found =
      errorOfBox({64, many, many, 3}, {far, far, far}, {16, 1, 1, 1}, 0, "0, 4, 0, 0", 1024 + 128);
  EXPECT_NE(found.find("bytes of global memory"), std::string::npos) << found;
}

TEST(EmulatorMisuse, WgmmaIsOfOneWarpgroupAndOfTypesThatExist) {
  const std::string registers = "wgmma.mma_async.sync.aligned.m64n8k16.f32.",
                    four = " {%f1, %f2, %f3, %f4}, %d2, %d3, 1, ";
  const auto mma = [&](const std::string &types, const std::string &flags) {
    return errorOf("mov.u64 %d2, 0;\nmov.u64 %d3, "
                   "0;\nwgmma.fence.sync.aligned;\nwgmma.mma_async.sync.aligned.m64n8k16." +
                       types + four + flags +
                       ";\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;",
                   "", 128);
  };
  EXPECT_EQ(mma("f32.f16.f16", "1, -1, 0, 0"), "");
  EXPECT_NE(mma("f32.f16.f16", "5, 1, 0, 0").find("expected a scale of 1 or -1, found 5"), std::string::npos);
  EXPECT_NE(mma("f32.f16.f16", "1, 1, 0, 2").find("expected 0 or 1"), std::string::npos);
  EXPECT_NE(mma("f32.f16.bf16", "1, 1, 0, 0").find("not supported for these types"), std::string::npos);
  EXPECT_NE(mma("f16.bf16.bf16", "1, 1, 0, 0").find("not supported for these types"), std::string::npos);
  EXPECT_ERROR("base offsets of matrix descriptors",
               "mov.u64 %d2, 0x0002000000000000;\nmov.u64 %d3, 0;\n" + registers + "f16.f16" + four +
                   "1, 1, 0, 0;",
               "", 128);
  // A warpgroup that lacks warps, and one of which two warps do something else.
  EXPECT_ERROR("warps 0 to 3 are a warpgroup", "wgmma.fence.sync.aligned;", "", 96);
  EXPECT_ERROR("warps 0 to 3 are a warpgroup",
               "mov.u32 %r1, %tid.x;\nsetp.lt.u32 %p1, %r1, 64;\n@%p1 wgmma.fence.sync.aligned;", "", 128);
  EXPECT_ERROR("warps 4 to 7 are a warpgroup",
               "mov.u32 %r1, %tid.x;\nsetp.lt.u32 %p1, %r1, 160;\n@%p1 setmaxnreg.dec.sync.aligned.u32 40;",
               "", 256);
}

TEST(EmulatorMisuse, InstructionsNeedTheirArchitecture) {
  const auto said = [](const std::string &target, const std::string &instruction) {
    PtxRunner runner;
    std::string text = kernelText(".shared .align 8 .b8 s[64];\n" + instruction, 0);
    text.replace(text.find("sm_90a"), 6, target);
    return runner.run(text);
  };
  EXPECT_NE(said("sm_80", "barrier.cluster.arrive;").find("expected .target sm_90 or later, found sm_80"),
            std::string::npos);
  EXPECT_NE(said("sm_90", "setmaxnreg.dec.sync.aligned.u32 40;").find("expected .target sm_90a, found sm_90"),
            std::string::npos);
  EXPECT_NE(
      said("sm_80",
           "mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%g1, %g2, %g3, %g4}, {%g1, %g2}, {%g1}, {%g1, "
           "%g2, %g3, %g4};")
          .find("expected .target sm_90 or later, found sm_80"),
      std::string::npos);
  EXPECT_NE(said("sm_75", "cp.async.wait_all;").find("expected .target sm_80 or later, found sm_75"),
            std::string::npos);
  EXPECT_NE(said("sm_80", "mbarrier.try_wait.parity.shared.b64 %p1, [s], 0;").find("sm_90"),
            std::string::npos);
  EXPECT_EQ(said("sm_80", "cp.async.wait_all;"), "");
  EXPECT_EQ(said("sm_86", "cp.async.wait_all;"), "");
}

TEST(EmulatorMisuse, PrintfTakesNothingButNumbersAndTexts) {
  const auto print = [](const std::string &format) {
    std::string bytes;
    for (const char c : format)
      bytes += std::to_string(int(c)) + ", ";
    testing::internal::CaptureStdout();
    const std::string error = errorOf(R"(mov.u64 %d2, f;
mov.u64 %d3, l;
cvta.local.u64 %d3, %d3;
mov.u32 %r1, -5;
st.local.u32 [l], %r1;
mov.u64 %d4, 0x4009000000000000;
st.local.u64 [l+8], %d4;
{ .param .b64 p; .param .b64 q; .param .b32 o;
st.param.b64 [p], %d2; st.param.b64 [q], %d3;
call.uni (o), vprintf, (p, q); })",
                                      ".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);\n"
                                      ".global .b8 f[" +
                                          std::to_string(format.size() + 1) + "] = {" + bytes + "0};\n",
                                      1);
    return testing::internal::GetCapturedStdout() + error;
  };
  EXPECT_EQ(print("%d %f"), "-5 3.125000");
  EXPECT_EQ(print("%hd|%5.1f%%"), "-5|  3.1%");
  EXPECT_EQ(print("%n d"), "%n d");
  EXPECT_EQ(print("%*d"), "%*d");
  EXPECT_EQ(print("%999999999d"), "%999999999d");
  EXPECT_ERROR("expected parameters of 8, 8 bytes for 'vprintf'", "call.uni vprintf;",
               ".extern .func vprintf();\n");
  EXPECT_ERROR("expected parameters of 8 bytes for 'malloc'",
               "{ .param .b8 p; .param .b8 o; call.uni (o), malloc, (p); }",
               ".extern .func (.param .b8 r) malloc(.param .b8 a);\n");
}

TEST(EmulatorMisuse, KernelsFreeWhatTheirMallocGave) {
  EXPECT_ERROR("free: expected what malloc gave",
               "{ .param .b64 p; st.param.b64 [p], %d1; call.uni free, (p); }",
               ".extern .func free(.param .b64 a);\n", 1);
}

TEST(EmulatorMisuse, SizesOfClustersThatOverflowAreRefused) {
  PtxRunner runner;
  runner.grid = runner.cluster = {131072, 32768, 1};
  EXPECT_NE(runner.runBody("").find("expected at most 16 blocks, found 4294967296"), std::string::npos);
}

} // namespace
} // namespace sinter::emulator
