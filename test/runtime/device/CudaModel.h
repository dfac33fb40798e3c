// SPDX-License-Identifier: Apache-2.0
// A small model of a few kernels in PTX, for tests of the runtime's GPU side on the emulated GPU.
#ifndef SINTER_TEST_RUNTIME_DEVICE_CUDAMODEL_H
#define SINTER_TEST_RUNTIME_DEVICE_CUDAMODEL_H

#include "runtime/device/Device.h"
#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace sinter::test {

using namespace device;

inline constexpr int vocabulary = 7;

// store: one value a token and slot, token * weight. head: the sum of the values up to the row's own, plus
// the logit's number. draw: the first logit of the draw's row, rounded down, plus the draw's index.
inline const char ptx[] = R"(.version 7.0
.target sm_80
.address_size 64
.visible .entry store(.param .u64 step, .param .u64 weights, .param .u64 values)
{
  .reg .pred %p<3>;
  .reg .b32 %r<8>;
  .reg .b64 %d<13>;
  .reg .f32 %f<3>;
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 ret;
  ld.param.u64 %d1, [step];
  ld.param.u64 %d2, [weights];
  ld.param.u64 %d3, [values];
  ld.global.u64 %d4, [%d1];
  ld.global.u64 %d5, [%d1+16];
  ld.global.u64 %d6, [%d1+24];
  ld.global.u64 %d7, [%d1+32];
  ld.global.u64 %d8, [%d1+72];
  ld.global.f32 %f1, [%d2];
  cvt.u32.u64 %r4, %d4;
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %nctaid.x;
next:
  setp.ge.u32 %p2, %r2, %r4;
  @%p2 bra done;
  mul.wide.u32 %d9, %r2, 4;
  add.s64 %d10, %d5, %d9;
  ld.global.u32 %r5, [%d10];
  add.s64 %d10, %d6, %d9;
  ld.global.u32 %r6, [%d10];
  add.s64 %d10, %d7, %d9;
  ld.global.u32 %r7, [%d10];
  cvt.rn.f32.s32 %f2, %r5;
  mul.rn.f32 %f2, %f2, %f1;
  cvt.u64.u32 %d11, %r7;
  mad.lo.s64 %d11, %d11, %d8, %d3;
  mul.wide.u32 %d12, %r6, 4;
  add.s64 %d11, %d11, %d12;
  st.global.f32 [%d11], %f2;
  add.u32 %r2, %r2, %r3;
  bra next;
done:
  ret;
}
.visible .entry head(.param .u64 step, .param .u64 values, .param .u64 logits)
{
  .reg .pred %p<4>;
  .reg .b32 %r<12>;
  .reg .b64 %d<16>;
  .reg .f32 %f<4>;
  mov.u32 %r1, %tid.x;
  setp.ge.u32 %p1, %r1, 7;
  @%p1 ret;
  ld.param.u64 %d1, [step];
  ld.param.u64 %d2, [values];
  ld.param.u64 %d3, [logits];
  ld.global.u64 %d4, [%d1+8];
  ld.global.u64 %d6, [%d1+24];
  ld.global.u64 %d7, [%d1+32];
  ld.global.u64 %d8, [%d1+40];
  ld.global.u64 %d9, [%d1+72];
  cvt.u32.u64 %r4, %d4;
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %nctaid.x;
next:
  setp.ge.u32 %p2, %r2, %r4;
  @%p2 bra done;
  mul.wide.u32 %d10, %r2, 4;
  add.s64 %d10, %d8, %d10;
  ld.global.u32 %r5, [%d10];
  mul.wide.u32 %d10, %r5, 4;
  add.s64 %d11, %d6, %d10;
  ld.global.u32 %r6, [%d11];
  add.s64 %d11, %d7, %d10;
  ld.global.u32 %r7, [%d11];
  cvt.u64.u32 %d12, %r7;
  mad.lo.s64 %d12, %d12, %d9, %d2;
  cvt.rn.f32.u32 %f1, %r1;
  mov.u32 %r8, 0;
more:
  ld.global.f32 %f2, [%d12];
  add.rn.f32 %f1, %f1, %f2;
  add.s64 %d12, %d12, 4;
  add.u32 %r8, %r8, 1;
  setp.le.u32 %p3, %r8, %r6;
  @%p3 bra more;
  mad.lo.u32 %r9, %r2, 7, %r1;
  mul.wide.u32 %d13, %r9, 4;
  add.s64 %d13, %d3, %d13;
  st.global.f32 [%d13], %f1;
  add.u32 %r2, %r2, %r3;
  bra next;
done:
  ret;
}
.visible .entry draw(.param .u64 step, .param .u64 logits, .param .u64 drawn)
{
  .reg .pred %p<4>;
  .reg .b32 %r<8>;
  .reg .b64 %d<10>;
  .reg .f32 %f<2>;
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 ret;
  ld.param.u64 %d1, [step];
  ld.param.u64 %d2, [logits];
  ld.param.u64 %d3, [drawn];
  ld.global.u32 %r4, [%d1+112];
  ld.global.u64 %d4, [%d1+120];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %nctaid.x;
next:
  setp.ge.u32 %p2, %r2, %r4;
  @%p2 bra done;
  mad.wide.u32 %d5, %r2, 112, %d4;
  ld.global.u32 %r5, [%d5+24];
  ld.global.u32 %r6, [%d5+16];
  mad.wide.u32 %d6, %r5, 28, %d2;
  ld.global.f32 %f1, [%d6];
  cvt.rzi.s32.f32 %r7, %f1;
  add.s32 %r7, %r7, %r6;
  ld.global.u64 %d8, [%d1+128];
  setp.eq.u64 %p3, %d8, 0;
  @%p3 bra unadjusted;
  mad.wide.u32 %d8, %r2, 16, %d8;
  ld.global.u32 %r6, [%d8];
  add.s32 %r7, %r7, %r6;
unadjusted:
  mad.wide.u32 %d7, %r2, 4, %d3;
  st.global.u32 [%d7], %r7;
  add.u32 %r2, %r2, %r3;
  bra next;
done:
  ret;
}
)";

// A whole step as one kernel: the first logit is the number of tasks, the second what their first counter
// was, which it counts up; the token is the number of tasks.
inline const char stepPtx[] = R"(
.visible .entry step(.param .u64 step, .param .u64 tasks, .param .u64 waits, .param .u64 addresses,
                     .param .u64 finished, .param .u32 count)
{
  .reg .pred %p<2>;
  .reg .b32 %r<8>;
  .reg .b64 %d<8>;
  .reg .f32 %f<3>;
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  or.b32 %r1, %r1, %r2;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 ret;
  ld.param.u64 %d1, [addresses];
  ld.param.u64 %d2, [finished];
  ld.param.u32 %r3, [count];
  ld.global.u64 %d3, [%d1+24];
  ld.global.u64 %d4, [%d1+40];
  atom.global.add.u32 %r4, [%d2], 1;
  cvt.rn.f32.u32 %f1, %r3;
  cvt.rn.f32.u32 %f2, %r4;
  st.global.f32 [%d3], %f1;
  st.global.f32 [%d3+4], %f2;
  st.global.u32 [%d4], %r3;
  ret;
}
)";

inline const float weights[2] = {0, 0.5f};

struct Model {
  std::string text = ptx;
  sinter_buffer stored[2] = {{SINTER_SPACE_WEIGHT, 0, 4}, {SINTER_SPACE_CACHE_V, 0, 0}};
  sinter_buffer headed[2] = {{SINTER_SPACE_CACHE_V, 0, 0}, {SINTER_SPACE_LOGITS, 0, 0}};
  sinter_gpu_launch launches[2] = {
      {"store", "store", {1, 1, 0, SINTER_DOMAIN_ROWS, 0}, stored, 2, 32, 0, 1, 1, 8, 1},
      {"head", "head", {1, 1, 0, SINTER_DOMAIN_SELECTED, 0}, headed, 2, 32, 64 << 10, 1, 0, 0, 0}};
  sinter_gpu_entry prefill = {"prefill", launches, 2, 1, 300, 4, 64},
                   decode = {"decode", launches, 2, 1, 4, 4, 64};
  sinter_buffer drawn[2] = {{SINTER_SPACE_LOGITS, 0, 0}, {SINTER_SPACE_DRAWN, 0, 0}};
  sinter_gpu_launch drawing[1] = {
      {"draw", "draw", {1, 1, 0, SINTER_DOMAIN_DRAWS, 0}, drawn, 2, 32, 0, 1, 1, 0, 0}};
  sinter_gpu_entry sample = {"sample", drawing, 1, 0, 4, 4, 0};
  sinter_gpu_program gpuPrograms[1] = {{80, SINTER_F32, prefill, decode, sample}};
  sinter_gpu_image images[2] = {{80, SINTER_GPU_PTX, {text.c_str(), text.size()}}, {}};
  sinter_cache_layer layer = {1, 1, 1, 0};
  sinter_model model = {
      SINTER_ABI_VERSION,        0, "t", vocabulary, 100,    nullptr, 0,           &layer, 1, 0, 0,
      {weights, sizeof weights}, 0, {},  {},         images, 1,       gpuPrograms, 1,      0, 0};

  std::string whyNot() const {
    const Result<std::unique_ptr<Device>> device = open();
    return device ? "it opens" : device.error().message;
  }

  Result<std::unique_ptr<Device>> open() const {
    DeviceOptions options;
    options.emulated = true;
    options.emulatorFolder = SINTER_BINARY_DIR "/lib";
    return sinter_cuda_opener(model, options);
  }
};

/// Sets variables of the environment that the emulator reads when it starts, for one test.
class CudaTest : public testing::Test {
protected:
  void set(const char *name, const char *value) {
    setenv(name, value, 1);
    names.push_back(name);
  }
  void SetUp() override {
    set("SINTER_EMULATOR_SM", "90");
    set("SINTER_EMULATOR_MEMORY", "80000");
    unsetenv("SINTER_EMULATOR");
  }
  void TearDown() override {
    for (const char *name : names)
      unsetenv(name);
  }
  std::vector<const char *> names;
};

/// A sequence as a session has it: what its logits must be.
struct Expected {
  float sum = 0;
  void add(int32_t token) { sum += 0.5f * float(token); }
  void check(const float *logits) const {
    for (int i = 0; i < vocabulary; ++i)
      EXPECT_EQ(logits[i], sum + float(i));
  }
};

} // namespace sinter::test

#endif // SINTER_TEST_RUNTIME_DEVICE_CUDAMODEL_H
