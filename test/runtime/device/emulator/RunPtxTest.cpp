// SPDX-License-Identifier: Apache-2.0
// sinter run-ptx from its arguments to the files it writes.
#include "runtime/device/emulator/RunPtx.h"
#include "runtime/files/Npy.h"
#include "test/TemporaryFolder.h"

#include <cstring>
#include <fstream>
#include <gtest/gtest.h>

namespace sinter::emulator {
namespace {

const char *const scale = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry scale(.param .u64 in, .param .u64 out, .param .f32 by, .param .u32 n) {
.reg .pred %p1; .reg .b32 %r<4>; .reg .b64 %d<4>; .reg .f32 %f<3>;
mov.u32 %r1, %tid.x; ld.param.u32 %r2, [n]; setp.ge.u32 %p1, %r1, %r2; @%p1 ret;
ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out]; mul.wide.u32 %d3, %r1, 4; add.s64 %d1, %d1, %d3; add.s64 %d2, %d2, %d3;
ld.param.f32 %f1, [by]; ld.global.f32 %f2, [%d1]; mul.f32 %f2, %f2, %f1; st.global.f32 [%d2], %f2; ret; }
)";

class EmulatorRunPtx : public testing::Test {
protected:
  void SetUp() override {
    folder = place.path();
    std::ofstream(folder + "scale.ptx") << scale;
    NpyArray array{"f4", {2, 20}, {}};
    array.data.resize(160);
    for (int i = 0; i < 40; ++i) {
      const float value = static_cast<float>(i);
      std::memcpy(array.data.data() + 4 * i, &value, 4);
    }
    ASSERT_TRUE(writeNpy(folder + "a.npy", array));
  }
  RunPtxOutcome run(std::vector<std::string> arguments) { return runPtx(arguments); }
  sinter::TemporaryFolder place;
  std::string folder;
};

TEST_F(EmulatorRunPtx, ReadsAndWritesNumpyFiles) {
  const RunPtxOutcome outcome = run({folder + "scale.ptx", "--grid", "1", "--block=64,1,1", "--arg",
                                     "in:" + folder + "a.npy", "--arg", "out:" + folder + "c.npy:f32[4,10]",
                                     "--arg", "f32:0.5", "--arg", "u32:40", "--races", "--counters"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.text.find("no hazards"), std::string::npos) << outcome.text;
  EXPECT_NE(outcome.text.find("global_load_sectors"), std::string::npos) << outcome.text;
  const auto result = readNpy(folder + "c.npy");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->shape, (std::vector<uint64_t>{4, 10}));
  for (int i = 0; i < 40; ++i) {
    float value = 0;
    std::memcpy(&value, result->data.data() + 4 * i, 4);
    EXPECT_EQ(value, static_cast<float>(i) / 2);
  }
}

TEST_F(EmulatorRunPtx, NamesAMissingWaitThatItWasNotAskedFor) {
  std::ofstream(folder + "wait.ptx") << R"(.version 8.0
.target sm_90a
.address_size 64
.visible .entry product(.param .u64 out) {
.reg .b32 %r<6>; .reg .b64 %d<4>; .reg .f32 %f<4>; .shared .align 1024 .b8 s[1024];
mov.u32 %r1, %tid.x; mov.u32 %r2, s; shl.b32 %r3, %r1, 3; add.u32 %r3, %r3, %r2; mov.u64 %d1, 0; st.shared.b64 [%r3], %d1;
fence.proxy.async; bar.sync 0;
mov.f32 %f0, 0f00000000; mov.f32 %f1, %f0; mov.f32 %f2, %f0; mov.f32 %f3, %f0; mov.u32 %r4, 0;
shr.u32 %r5, %r2, 4; cvt.u64.u32 %d2, %r5; add.s64 %d2, %d2, 34360262656; // 128 bytes between core matrices
wgmma.fence.sync.aligned;
wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, {%r4, %r4, %r4, %r4}, %d2, 0, 1, 1, 0;
wgmma.commit_group.sync.aligned;
ld.param.u64 %d1, [out]; mul.wide.u32 %d3, %r1, 4; add.s64 %d1, %d1, %d3; st.global.f32 [%d1], %f0; ret; }
)";
  std::vector<std::string> command = {
      folder + "wait.ptx", "--grid", "1", "--block", "128", "--arg", "out:" + folder + "c.npy:f32[128]"};
  for (const char *more : {"--counters", "--json"}) {
    command.push_back(more);
    const RunPtxOutcome outcome = run(command);
    EXPECT_EQ(outcome.code, 1) << outcome.error;
    EXPECT_NE(outcome.text.find("before wgmma.wait_group"), std::string::npos) << outcome.text;
  }
}

TEST_F(EmulatorRunPtx, PutsAddressesIntoArrays) {
  std::ofstream(folder + "follow.ptx") << R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry follow(.param .u64 in, .param .u64 out) {
.reg .b64 %d<4>; .reg .f32 %f<3>;
ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out]; ld.global.u64 %d3, [%d1+8]; ld.global.f32 %f1, [%d3+12];
st.global.f32 [%d2], %f1; ret; }
)";
  ASSERT_TRUE(writeNpy(folder + "p.npy", NpyArray{"u1", {16}, std::vector<uint8_t>(16)}));
  auto follow = [&](const std::string &in) {
    return run({folder + "follow.ptx", "--grid", "1", "--block", "1", "--races", "--arg", in, "--arg",
                "out:" + folder + "c.npy:f32[1]"});
  };
  const std::string in = "in:" + folder + "p.npy";
  const RunPtxOutcome outcome = follow(in + ":8=" + folder + "a.npy");
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  const auto result = readNpy(folder + "c.npy");
  ASSERT_TRUE(result) << result.error().message;
  float value = 0;
  std::memcpy(&value, result->data.data(), 4);
  EXPECT_EQ(value, 3.0f);
  for (const char *wrong : {":16=", ":4=", ":x=", ":8"})
    EXPECT_NE(follow(in + wrong + folder + "a.npy").error.find("expected OFFSET=FILE"), std::string::npos);
}

TEST_F(EmulatorRunPtx, MapsMayBeViewsOfTheirBuffers) {
  std::ofstream(folder + "view.ptx") << R"(.version 8.0
.target sm_90a
.address_size 64
.shared .align 128 .b8 s[256];
.visible .entry view(.param .u64 out, .param .align 64 .b8 map[128]) {
.reg .b64 %d<4>; .reg .b32 %r<4>;
mov.u32 %r1, 0x40003c00; st.shared.u32 [s], %r1; st.shared.u32 [s+4], %r1; st.shared.u32 [s+8], %r1; st.shared.u32 [s+12], %r1;
fence.proxy.async.shared::cta; mov.u64 %d1, map;
cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%d1, {8, 1}], [s];
cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; ret; }
)";
  const std::string out = folder + "e.npy";
  const RunPtxOutcome outcome =
      run({folder + "view.ptx", "--grid", "1", "--block", "1", "--races", "--arg", "out:" + out + ":f32[3,8]",
           "--arg", "map:out:" + out + ":f16[3,16]:box=1,8"});
  ASSERT_EQ(outcome.code, 0) << outcome.error << outcome.text;
  const auto array = readNpy(out);
  ASSERT_TRUE(array) << array.error().message;
  EXPECT_EQ(array->type, "f4");
  EXPECT_EQ(array->shape, (std::vector<uint64_t>{3, 8}));
  std::vector<uint32_t> words(24);
  std::memcpy(words.data(), array->data.data(), 96);
  for (size_t i = 0; i < 24; ++i) // the second row's second half
    EXPECT_EQ(words[i], i >= 12 && i < 16 ? 0x40003c00u : 0u) << i;
}

TEST_F(EmulatorRunPtx, PrintsJson) {
  const RunPtxOutcome outcome =
      run({folder + "scale.ptx", "--entry", "scale", "--grid", "1", "--block", "64", "--arg",
           "in:" + folder + "a.npy", "--arg", "out:" + folder + "d.npy:f32[40]", "--arg", "f32:2", "--arg",
           "u32:40", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(outcome.text.find(R"({"counters":{"kernel":"scale","instructions":{"integer":)"), 0u)
      << outcome.text;
}

TEST_F(EmulatorRunPtx, FoldersAndEmptyFilesInTheirPlacesAreErrors) {
  const std::vector<std::string> launch = {"--grid", "1", "--block", "64"};
  const auto error = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), launch.begin(), launch.end());
    const RunPtxOutcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 1);
    return outcome.error;
  };
  const std::string file = folder + "scale.ptx", empty = folder + "empty";
  std::ofstream(empty).flush();
  const auto found = [](const std::string &message, const char *what) {
    return message.find(what) != message.npos;
  };
  EXPECT_PRED2(found, error({folder}), ": expected a file, found a ");
  EXPECT_PRED2(found, error({empty}), ": expected a file with content, found an empty one");
  for (const char *kind : {"in:", "inout:", "map:"})
    EXPECT_PRED2(found, error({file, "--arg", kind + folder}), "expected ") << kind;
  EXPECT_PRED2(found, error({file, "--arg", "in:" + folder}), ": expected a file, found a ");
  EXPECT_PRED2(found, error({file, "--arg", "in:" + empty}),
               ": expected a file with content, found an empty one");
}

TEST_F(EmulatorRunPtx, ALoopThatNeverEndsEndsAtTheLimit) {
  std::ofstream(folder + "loop.ptx") << R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry loop(.param .u32 n) {
.reg .pred %p<3>; .reg .b32 %r<4>;
mov.u32 %r1, %tid.x; ld.param.u32 %r2, [n]; setp.lt.u32 %p2, %r1, 32;
@%p2 ret;
again: add.u32 %r2, %r2, -1;
setp.ne.u32 %p1, %r2, 0;
@%p1 bra again;
ret; }
)";
  const auto after = [&](const char *turns, const char *limit) {
    return run(
        {folder + "loop.ptx", "--grid", "1", "--block", "64", "--arg", turns, "--max-instructions", limit});
  };
  EXPECT_EQ(after("u32:0", "1000000").error,
            "error: " + folder +
                "loop.ptx: kernel 'loop', line 8: block (0,0,0), warp 1 has executed 1000000 "
                "instructions, the limit, and has not ended\n");
  EXPECT_EQ(after("u32:100", "305").error, ""); // 4, three a turn, and the last
  EXPECT_NE(
      after("u32:100", "304").error.find("line 11: block (0,0,0), warp 1 has executed 304 instructions"),
      std::string::npos)
      << after("u32:100", "304").error;
}

TEST_F(EmulatorRunPtx, BadArgumentsSayWhatWasExpected) {
  const std::string file = folder + "scale.ptx", in = "in:" + folder + "a.npy";
  const auto error = [&](std::vector<std::string> more, int code) {
    std::vector<std::string> arguments{file, "--grid", "1", "--block", "64"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const RunPtxOutcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code);
    return outcome.error;
  };
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({file}).error, "sinter run-ptx: expected --grid and --block\n");
  EXPECT_EQ(error({"--grid", "1,x"}, 2),
            "sinter run-ptx: --grid: expected X, X,Y or X,Y,Z, numbers from 1 to 2147483647, found '1,x'\n");
  EXPECT_EQ(error({"--block", "0"}, 2),
            "sinter run-ptx: --block: expected X, X,Y or X,Y,Z, numbers from 1 to 2147483647, found '0'\n");
  EXPECT_EQ(error({"--schedule", "never"}, 2),
            "sinter run-ptx: --schedule: expected earliest or latest, found 'never'\n");
  EXPECT_EQ(error({"--max-instructions", "0"}, 2),
            "sinter run-ptx: --max-instructions: expected a number from 1 on, found '0'\n");
  EXPECT_EQ(error({"--what"}, 2), "sinter run-ptx: unknown flag '--what'\n");
  EXPECT_EQ(error({"--arg", "u64:-1"}, 1), "error: u64:-1: expected no negative number\n");
  EXPECT_EQ(
      error({"--arg", "out:x:f32[4]", "--arg", "out:x:f32[2,2]"}, 1),
      "error: argument 'out:x:f32[2,2]': expected the type and shape that 'x' has in an earlier argument\n");
  EXPECT_EQ(error({"--arg", "out:x:f32[4]", "--arg", "map:x:f16[3,8]:box=1,8"}, 1),
            "error: map:x:f16[3,8]:box=1,8: expected a view of at most 16 bytes, found one of 48\n");
  EXPECT_EQ(error({"--arg", "u32:5"}, 1), "error: kernel 'scale' takes 4 arguments, found 1\n");
  EXPECT_EQ(error({"--arg", "u8:500"}, 1), "error: u8:500: expected a number from 0 to 255\n");
  EXPECT_EQ(error({"--arg", "what"}, 1),
            "error: argument 'what': expected in:, out:, inout:, map:, ptr: or a type such as u32:\n");
  EXPECT_EQ(error({"--arg", in, "--arg", in, "--arg", "u64:1", "--arg", "u32:40"}, 1),
            "error: kernel 'scale': argument 2 has 4 bytes, found 'u64:1' of 8\n");
  EXPECT_EQ(error({"--arg", "in:" + folder + "scale.ptx"}, 1),
            "error: " + folder + "scale.ptx: expected a .npy file, found something else\n");
  EXPECT_EQ(error({"--entry", "other"}, 1),
            "error: " + file + ": expected one of the kernels scale, found 'other'\n");
  EXPECT_EQ(error({"--arg", "map:" + folder + "a.npy:box=4"}, 1).find("error: map:"), 0u);
  EXPECT_EQ(error({"--arg", "out:x:f32[1099511627776,16777216]"}, 1),
            "error: out:x: expected at most 2^40 bytes, found shape 'f32[1099511627776,16777216]'\n");
  EXPECT_EQ(error({"--arg", "out:x:f32[274877906944]"}, 1), "error: x: no memory for 1099511627776 bytes\n");
  const std::vector<std::string> four = {"--arg", in, "--arg", in, "--arg", "f32:1", "--arg", "u32:40"};
  std::vector<std::string> shared = four;
  shared.insert(shared.end(), {"--shared", "18446744073709551615"});
  EXPECT_NE(error(shared, 1).find("bytes of shared memory; a block has 232448"), std::string::npos);
}

} // namespace
} // namespace sinter::emulator
