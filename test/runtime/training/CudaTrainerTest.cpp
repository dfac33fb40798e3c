// SPDX-License-Identifier: Apache-2.0
// A small training step of four kernels in PTX, on the emulated GPU: what the loop is given by micro-steps,
// evaluations, norms, updates and logits, and what is said when something is not what it should be.
#include "runtime/training/TrainerMemory.h"
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>

using namespace sinter;
using namespace sinter::training;

namespace {

// A model of four weights. forward: the loss of a row is the weight of its token plus its target (0 where
// that does not count), its logits are all weights times the token. backward: the gradient of a weight is
// target_weight for each row that counts with its token; votes get 3 and the router's weight. norms: the sum
// of squares. move: SGD with momentum. average: moves by average_share. exchange: weights and their average.
const char ptx[] = R"(.version 7.0
.target sm_80
.address_size 64
.visible .entry forward(.param .u64 p0, .param .u64 p1, .param .u64 p2, .param .u64 p3)
{
  .reg .pred %p<6>;
  .reg .b32 %r<17>;
  .reg .b64 %rd<24>;
  ld.param.b64 %rd10, [p0];
  ld.param.b64 %rd11, [p1];
  cvta.to.global.u64 %rd1, %rd10;
  ld.param.b64 %rd12, [p2];
  ld.param.b64 %rd13, [p3];
  cvta.to.global.u64 %rd2, %rd11;
  cvta.to.global.u64 %rd3, %rd12;
  cvta.to.global.u64 %rd4, %rd13;
  mov.u32 %r5, %tid.x;
  mov.u32 %r6, %ctaid.x;
  or.b32 %r7, %r5, %r6;
  setp.ne.b32 %p1, %r7, 0;
  @%p1 bra $L__BB0_8;
  ld.global.b32 %r1, [%rd1];
  setp.lt.s32 %p2, %r1, 1;
  @%p2 bra $L__BB0_8;
  ld.global.b64 %rd5, [%rd1+16];
  ld.global.b64 %rd6, [%rd1+80];
  mov.b32 %r14, 0;
  mov.b32 %r15, %r14;
$L__BB0_3:
  mul.wide.u32 %rd15, %r15, 4;
  add.s64 %rd16, %rd5, %rd15;
  ld.b32 %r2, [%rd16];
  add.s64 %rd17, %rd6, %rd15;
  ld.b32 %r8, [%rd17];
  setp.lt.s32 %p3, %r8, 0;
  mov.b32 %r16, 0f00000000;
  @%p3 bra $L__BB0_5;
  mul.wide.s32 %rd18, %r2, 4;
  add.s64 %rd9, %rd2, %rd18;
  cvt.rn.f32.u32 %r3, %r8;
  ld.global.b32 %r9, [%rd9];
  add.rn.f32 %r16, %r9, %r3;
$L__BB0_5:
  mul.wide.u32 %rd14, %r14, 4;
  add.s64 %rd7, %rd4, %rd14;
  cvt.u64.u32 %rd8, %r15;
  shl.b64 %rd19, %rd8, 2;
  add.s64 %rd20, %rd3, %rd19;
  st.global.b32 [%rd20], %r16;
  cvt.rn.f32.s32 %r4, %r2;
  mov.b64 %rd23, 0;
$L__BB0_6:
  add.s64 %rd21, %rd2, %rd23;
  ld.global.b32 %r10, [%rd21];
  mul.rn.f32 %r11, %r10, %r4;
  add.s64 %rd22, %rd7, %rd23;
  st.global.b32 [%rd22], %r11;
  add.s64 %rd23, %rd23, 4;
  cvt.u32.u64 %r12, %rd23;
  setp.eq.b32 %p4, %r12, 16;
  @%p4 bra $L__BB0_7;
  bra.uni $L__BB0_6;
$L__BB0_7:
  cvt.u32.u64 %r13, %rd8;
  add.s32 %r15, %r13, 1;
  add.s32 %r14, %r14, 4;
  setp.eq.b32 %p5, %r15, %r1;
  @%p5 bra $L__BB0_8;
  bra.uni $L__BB0_3;
$L__BB0_8:
  ret;
}
.visible .entry backward(.param .u64 p0, .param .u64 p1, .param .u64 p2)
{
  .reg .pred %p<8>;
  .reg .b32 %r<17>;
  .reg .b64 %rd<15>;
  ld.param.b64 %rd6, [p0];
  ld.param.b64 %rd7, [p1];
  cvta.to.global.u64 %rd1, %rd6;
  ld.param.b64 %rd8, [p2];
  cvta.to.global.u64 %rd2, %rd7;
  cvta.to.global.u64 %rd3, %rd8;
  mov.u32 %r3, %tid.x;
  mov.u32 %r4, %ctaid.x;
  or.b32 %r5, %r3, %r4;
  setp.ne.b32 %p1, %r5, 0;
  @%p1 bra $L__BB1_12;
  ld.global.b32 %r1, [%rd1+92];
  ld.global.b32 %r2, [%rd1];
  mov.b32 %r14, 0;
  setp.eq.b32 %p2, %r1, 0;
  setp.lt.s32 %p3, %r2, 1;
  bra.uni $L__BB1_2;
$L__BB1_10:
  st.global.b32 [%rd4], %r16;
  add.s32 %r14, %r14, 1;
  setp.eq.b32 %p7, %r14, 4;
  @%p7 bra $L__BB1_11;
$L__BB1_2:
  mul.wide.u32 %rd9, %r14, 4;
  add.s64 %rd4, %rd2, %rd9;
  mov.b32 %r16, 0f00000000;
  @%p2 bra $L__BB1_4;
  ld.global.b32 %r16, [%rd4];
$L__BB1_4:
  @%p3 bra $L__BB1_10;
  ld.global.b64 %rd5, [%rd1+80];
  mov.b64 %rd14, 0;
  mov.b32 %r15, %r2;
  bra.uni $L__BB1_6;
$L__BB1_9:
  add.s32 %r15, %r15, -1;
  add.s64 %rd14, %rd14, 4;
  setp.eq.b32 %p6, %r15, 0;
  @%p6 bra $L__BB1_10;
$L__BB1_6:
  add.s64 %rd10, %rd5, %rd14;
  ld.b32 %r6, [%rd10];
  setp.lt.s32 %p4, %r6, 0;
  @%p4 bra $L__BB1_9;
  ld.global.b64 %rd11, [%rd1+16];
  add.s64 %rd12, %rd11, %rd14;
  ld.b32 %r7, [%rd12];
  setp.ne.b32 %p5, %r7, %r14;
  @%p5 bra $L__BB1_9;
  ld.global.b32 %r8, [%rd1+88];
  add.rn.f32 %r16, %r16, %r8;
  bra.uni $L__BB1_9;
$L__BB1_11:
  ld.global.b32 %r9, [%rd3];
  add.rn.f32 %r10, %r9, 0f40400000;
  st.global.b32 [%rd3], %r10;
  ld.global.b64 %rd13, [%rd1+104];
  ld.b32 %r11, [%rd13+44];
  ld.global.b32 %r12, [%rd3+4];
  add.rn.f32 %r13, %r11, %r12;
  st.global.b32 [%rd3+4], %r13;
$L__BB1_12:
  ret;
}
.visible .entry norms(.param .u64 p0, .param .u64 p1, .param .u64 p2)
{
  .reg .pred %p<3>;
  .reg .b32 %r<7>;
  .reg .b64 %rd<7>;
  ld.param.b64 %rd3, [p1];
  cvta.to.global.u64 %rd1, %rd3;
  ld.param.b64 %rd4, [p2];
  cvta.to.global.u64 %rd2, %rd4;
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  or.b32 %r3, %r1, %r2;
  setp.ne.b32 %p1, %r3, 0;
  @%p1 bra $L__BB2_4;
  mov.b32 %r6, 0f00000000;
  mov.b64 %rd6, 0;
$L__BB2_2:
  add.s64 %rd5, %rd1, %rd6;
  ld.global.b32 %r4, [%rd5];
  fma.rn.f32 %r6, %r4, %r4, %r6;
  add.s64 %rd6, %rd6, 4;
  cvt.u32.u64 %r5, %rd6;
  setp.eq.b32 %p2, %r5, 16;
  @%p2 bra $L__BB2_3;
  bra.uni $L__BB2_2;
$L__BB2_3:
  st.global.b32 [%rd2], %r6;
$L__BB2_4:
  ret;
}
.visible .entry move(.param .u64 p0, .param .u64 p1, .param .u64 p2, .param .u64 p3)
{
  .reg .pred %p<3>;
  .reg .b32 %r<15>;
  .reg .b64 %rd<14>;
  ld.param.b64 %rd6, [p1];
  cvta.to.global.u64 %rd1, %rd6;
  ld.param.b64 %rd7, [p2];
  ld.param.b64 %rd8, [p3];
  cvta.to.global.u64 %rd2, %rd7;
  cvta.to.global.u64 %rd3, %rd8;
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  or.b32 %r3, %r1, %r2;
  setp.ne.b32 %p1, %r3, 0;
  @%p1 bra $L__BB3_3;
  ld.param.b64 %rd5, [p0];
  cvta.to.global.u64 %rd9, %rd5;
  ld.global.b64 %rd4, [%rd9+104];
  mov.b64 %rd13, 0;
$L__BB3_2:
  ld.b32 %r4, [%rd4+4];
  add.s64 %rd10, %rd3, %rd13;
  ld.global.b32 %r5, [%rd10];
  ld.b32 %r6, [%rd4+28];
  add.s64 %rd11, %rd2, %rd13;
  ld.global.b32 %r7, [%rd11];
  mul.rn.f32 %r8, %r6, %r7;
  fma.rn.f32 %r9, %r4, %r5, %r8;
  st.global.b32 [%rd10], %r9;
  ld.b32 %r10, [%rd4];
  add.s64 %rd12, %rd1, %rd13;
  ld.global.b32 %r11, [%rd12];
  neg.f32 %r12, %r10;
  fma.rn.f32 %r13, %r12, %r9, %r11;
  st.global.b32 [%rd12], %r13;
  add.s64 %rd13, %rd13, 4;
  cvt.u32.u64 %r14, %rd13;
  setp.ne.b32 %p2, %r14, 16;
  @%p2 bra $L__BB3_2;
$L__BB3_3:
  ret;
}
.visible .entry average(.param .u64 p0, .param .u64 p1, .param .u64 p2)
{
  .reg .pred %p<2>;
  .reg .b32 %r<10>;
  .reg .b64 %rd<12>;
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  or.b32 %r3, %r1, %r2;
  setp.gt.u32 %p1, %r3, 3;
  @%p1 bra $L__BB4_1;
  ld.param.b64 %rd1, [p0];
  cvta.to.global.u64 %rd2, %rd1;
  ld.global.b64 %rd3, [%rd2+104];
  ld.b32 %r4, [%rd3+52];
  ld.param.b64 %rd4, [p1];
  cvta.to.global.u64 %rd5, %rd4;
  ld.param.b64 %rd6, [p2];
  cvta.to.global.u64 %rd7, %rd6;
  mul.wide.u32 %rd8, %r1, 4;
  add.s64 %rd9, %rd5, %rd8;
  add.s64 %rd10, %rd7, %rd8;
  ld.global.b32 %r5, [%rd9];
  ld.global.b32 %r6, [%rd10];
  sub.rn.f32 %r7, %r5, %r6;
  fma.rn.f32 %r8, %r4, %r7, %r6;
  st.global.b32 [%rd10], %r8;
$L__BB4_1:
  ret;
}
.visible .entry exchange(.param .u64 p0, .param .u64 p1, .param .u64 p2)
{
  .reg .pred %p<2>;
  .reg .b32 %r<6>;
  .reg .b64 %rd<8>;
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  or.b32 %r3, %r1, %r2;
  setp.gt.u32 %p1, %r3, 3;
  @%p1 bra $L__BB5_1;
  ld.param.b64 %rd1, [p1];
  cvta.to.global.u64 %rd2, %rd1;
  ld.param.b64 %rd3, [p2];
  cvta.to.global.u64 %rd4, %rd3;
  mul.wide.u32 %rd5, %r1, 4;
  add.s64 %rd6, %rd2, %rd5;
  add.s64 %rd7, %rd4, %rd5;
  ld.global.b32 %r4, [%rd6];
  ld.global.b32 %r5, [%rd7];
  st.global.b32 [%rd6], %r5;
  st.global.b32 [%rd7], %r4;
$L__BB5_1:
  ret;
}
)";

struct Step {
  std::string text = ptx;
  sinter_buffer forwardBuffers[2][3], backwardBuffers[2], normBuffers[2], moveBuffers[3], averageBuffers[2];
  sinter_gpu_train_launch micro[3] = {}, norm = {}, move = {}, average = {}, exchange = {};
  sinter_gpu_train_list optimizers[1] = {};
  sinter_gpu_image image = {80, SINTER_GPU_PTX, {text.c_str(), text.size()}};
  sinter_gpu_train_program program = {};
  sinter_optimizer optimizer = {"sgd", 1, nullptr, 0};
  float initial[16] = {1, 2, 3, 4};
  bool averages = false;
  sinter_trainer trainer = {};

  Step() {
    // Two sequences of three tokens, each a chunk with logits.
    for (int i = 0; i < 2; ++i) {
      forwardBuffers[i][0] = {SINTER_SPACE_WEIGHT, 0, 0};
      forwardBuffers[i][1] = {SINTER_SPACE_LOSSES, 0, uint64_t(12 * i)};
      forwardBuffers[i][2] = {SINTER_SPACE_ARENA, 0, 64};
      micro[i] = launchOf("forward", forwardBuffers[i], 3, 3);
      micro[i].first_row = 3 * i;
      micro[i].in_loss = micro[i].fills_logits = 1;
    }
    backwardBuffers[0] = normBuffers[0] = moveBuffers[1] = {SINTER_SPACE_GRADIENT, 0, 0};
    backwardBuffers[1] = {SINTER_SPACE_VOTES, 0, 0};
    micro[2] = launchOf("backward", backwardBuffers, 2, 6);
    normBuffers[1] = {SINTER_SPACE_NORMS, 0, 0};
    norm = launchOf("norms", normBuffers, 2, 1);
    moveBuffers[0] = {SINTER_SPACE_WEIGHT, 0, 0};
    moveBuffers[2] = {SINTER_SPACE_STATE0, 0, 0};
    move = launchOf("move", moveBuffers, 3, 1);
    optimizers[0] = {&move, 1};
    averageBuffers[0] = {SINTER_SPACE_WEIGHT, 0, 0};
    averageBuffers[1] = {SINTER_SPACE_AVERAGE, 0, 0};
    average = launchOf("average", averageBuffers, 2, 1);
    exchange = launchOf("exchange", averageBuffers, 2, 1);
    program = {80, 0, {micro, 3}, {&norm, 1}, optimizers, {&average, 1}, {&exchange, 1}};
    trainer.abi_version = SINTER_TRAINING_ABI_VERSION;
    trainer.isa_mask = 7;
    trainer.batch = 2;
    trainer.sequence = 3;
    trainer.vocabulary = 4;
    trainer.image_floats = trainer.trained_floats = 16;
    trainer.initial = {initial, sizeof initial};
    trainer.arena_bytes = 128;
    trainer.logits_offset = 64;
    trainer.logits_rows = 3;
    trainer.norm_blocks = 1;
    trainer.optimizers = &optimizer;
    trainer.optimizer_count = 1;
    trainer.launch_count = 3;
    trainer.routers = trainer.experts = 1;
    trainer.gpu_images = &image;
    trainer.gpu_image_count = 1;
    trainer.gpu_programs = &program;
    trainer.gpu_program_count = 1;
    trainer.emulator_folder = SINTER_BINARY_DIR "/lib";
  }
  Step(const Step &) = delete;

  static sinter_gpu_train_launch launchOf(const char *name, const sinter_buffer *buffers, uint64_t count,
                                          int64_t rows) {
    sinter_gpu_train_launch result = {};
    result.launch = {name,    name, {1, 1, 0, SINTER_DOMAIN_ROWS, 0}, buffers, count, 32, 0, 1, 1, 0, 0,
                     nullptr, 0};
    result.rows = rows;
    return result;
  }

  Result<std::unique_ptr<Trainer>> open(std::string &said, DeviceChoice device = DeviceChoice::Emulator,
                                        std::string_view name = "sgd") const {
    TrainerOptions options;
    options.device = device;
    options.optimizer = name;
    options.threads = 1;
    options.averages = averages;
    return openTrainer(trainer, options, said);
  }
  std::string whyNot(DeviceChoice device = DeviceChoice::Emulator) const {
    std::string said;
    const Result<std::unique_ptr<Trainer>> opened = open(said, device);
    return opened ? "it opens" : opened.error().message;
  }
};

const std::vector<int32_t> tokens = {0, 1, 2, 3, 0, 1}, positions = {0, 1, 2, 0, 1, 2},
                           targets = {1, 2, -1, 0, 1, 3};
const Batch batch{tokens, positions, targets};

/// What the kernel `forward` gives for `ids`: of each row that counts its token's weight and its target.
double lossOf(const std::vector<float> &weights, const std::vector<int32_t> &ids = tokens) {
  double sum = 0;
  for (size_t row = 0; row < ids.size(); ++row)
    if (targets[row] >= 0)
      sum += weights[size_t(ids[row])] + float(targets[row]);
  return sum;
}

class CudaTrainerTest : public testing::Test {
protected:
  void SetUp() override {
    setenv("SINTER_EMULATOR_SM", "90", 1);
    unsetenv("SINTER_EMULATOR");
    setenv("SINTER_EMULATOR_MEMORY", "10", 1); // MiB
  }
  void TearDown() override {
    unsetenv("SINTER_EMULATOR_SM");
    unsetenv("SINTER_EMULATOR_MEMORY");
  }
  void openStep() {
    std::string said;
    Result<std::unique_ptr<Trainer>> opened = step.open(said);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(said, "device: emulator, kernels for sm_80, on Sinter emulator");
    trainer = std::move(*opened);
  }
  std::vector<float> numbers(uint64_t image) {
    EXPECT_TRUE(trainer->fetch(image));
    const std::span<float> all = trainer->image(image);
    return {all.begin(), all.begin() + 4};
  }
  using Numbers = std::vector<float>;

  Step step;
  std::unique_ptr<Trainer> trainer;
};

TEST_F(CudaTrainerTest, MicroStepsAddGradientsAndUpdatesMoveTheWeights) {
  ASSERT_NO_FATAL_FAILURE(openStep());
  EXPECT_EQ(numbers(0), (Numbers{1, 2, 3, 4}));
  for (int round = 0; round < 3; ++round) { // the first is captured, others replay it
    const Result<double> sum = trainer->microStep(batch, 5, false, 0);
    ASSERT_TRUE(sum) << sum.error().message;
    EXPECT_EQ(*sum, lossOf({1, 2, 3, 4}));
    EXPECT_EQ(trainer->routerLoss(), 3.0 * 1 / 36) << "votes begin at zero each time";
  }
  const float once = 0.2f;
  Result<std::span<const float>> gradients = trainer->gradients();
  ASSERT_TRUE(gradients);
  EXPECT_EQ(Numbers(gradients->begin(), gradients->begin() + 4),
            (Numbers{once + once, once + once, 0, once}));
  ASSERT_TRUE(trainer->microStep(batch, 5, true, 1));
  const float twice = once + once + once + once, three = once + once;
  gradients = trainer->gradients();
  ASSERT_TRUE(gradients);
  EXPECT_EQ(Numbers(gradients->begin(), gradients->begin() + 4), (Numbers{twice, twice, 0, three}));
  const Result<double> norm = trainer->gradientNorm();
  ASSERT_TRUE(norm);
  EXPECT_NEAR(*norm, std::sqrt(2 * 0.64 + 0.16), 1e-6);
  Hyperparameters h;
  h.learningRate = 0.5;
  h.beta1 = 0;
  h.clip = 0;
  ASSERT_TRUE(trainer->update(h, *norm));
  EXPECT_EQ(numbers(0), (Numbers{1 - 0.5f * twice, 2 - 0.5f * twice, 3, 4 - 0.5f * three}));
  EXPECT_EQ(numbers(1), (Numbers{twice, twice, 0, three})) << "the momentum";
}

TEST_F(CudaTrainerTest, EvaluationsAndLogitsLeaveGradientsAsTheyAre) {
  ASSERT_NO_FATAL_FAILURE(openStep());
  ASSERT_TRUE(trainer->microStep(batch, 5, false, 0));
  const std::vector<int32_t> other = {3, 3, 3, 3, 3, 3};
  const Result<double> sum = trainer->evaluate({other, positions, targets});
  ASSERT_TRUE(sum);
  EXPECT_EQ(*sum, lossOf({1, 2, 3, 4}, other));
  for (int64_t row : {1, 3, 5}) {
    const Result<const float *> logits = trainer->logits(batch, row);
    ASSERT_TRUE(logits);
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ((*logits)[i], float(i + 1) * float(tokens[size_t(row)])) << "row " << row;
  }
  const Result<std::span<const float>> gradients = trainer->gradients();
  ASSERT_TRUE(gradients);
  EXPECT_EQ((*gradients)[3], 0.2f);
}

TEST_F(CudaTrainerTest, WhatIsStoredIsWhatIsComputedWith) {
  ASSERT_NO_FATAL_FAILURE(openStep());
  std::ranges::copy(Numbers{5, 6, 7, 8}, trainer->image(0).begin());
  ASSERT_TRUE(trainer->store(0));
  const Result<double> sum = trainer->evaluate(batch);
  ASSERT_TRUE(sum);
  EXPECT_EQ(*sum, lossOf({5, 6, 7, 8}));
}

TEST_F(CudaTrainerTest, UpdatesMoveTheAverageAndItTakesThePlaceOfTheWeights) {
  step.averages = true;
  ASSERT_NO_FATAL_FAILURE(openStep());
  EXPECT_EQ(trainer->memory().average, 64);
  ASSERT_EQ(trainer->images(), 3);
  EXPECT_EQ(numbers(2), (Numbers{0, 0, 0, 0}));
  std::ranges::copy(Numbers{1, 2, 3, 4}, trainer->image(2).begin());
  ASSERT_TRUE(trainer->store(2));
  Hyperparameters h;
  h.learningRate = 0.5;
  h.beta1 = 0;
  h.clip = 0;
  h.averageShare = 0.25;
  Numbers average = {1, 2, 3, 4}, weights;
  for (int round = 0; round < 2; ++round) { // the first is captured, the second replays it
    ASSERT_TRUE(trainer->microStep(batch, 5, false, 0));
    ASSERT_TRUE(trainer->update(h, 1));
    weights = numbers(0);
    for (size_t i = 0; i < average.size(); ++i)
      average[i] = std::fma(0.25f, weights[i] - average[i], average[i]);
    EXPECT_EQ(numbers(2), average);
  }
  EXPECT_NE(weights, average);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(trainer->exchangeAverage());
    EXPECT_EQ(numbers(0), average);
    EXPECT_EQ(numbers(2), weights);
    const Result<double> sum = trainer->evaluate(batch);
    ASSERT_TRUE(sum);
    EXPECT_NEAR(*sum, lossOf(average), 1e-5);
    ASSERT_TRUE(trainer->exchangeAverage());
    EXPECT_EQ(numbers(0), weights);
    EXPECT_EQ(numbers(2), average);
  }
}

TEST_F(CudaTrainerTest, WithoutAnAverageThereIsNoMemoryForOne) {
  ASSERT_NO_FATAL_FAILURE(openStep());
  EXPECT_EQ(trainer->memory().average, 0);
  EXPECT_EQ(trainer->images(), 2);
}

TEST_F(CudaTrainerTest, TakesTimesOfLaunches) {
  ASSERT_NO_FATAL_FAILURE(openStep());
  double times[3] = {};
  trainer->setLaunchTimes(times);
  const Result<double> sum = trainer->microStep(batch, 5, false, 0);
  ASSERT_TRUE(sum);
  EXPECT_EQ(*sum, lossOf({1, 2, 3, 4}));
  for (double time : times)
    EXPECT_GT(time, 0);
}

TEST_F(CudaTrainerTest, AFailedDeviceSaysWhyAndTakesNoMoreWork) {
  ASSERT_NO_FATAL_FAILURE(openStep());
  const std::vector<int32_t> beyond(6, 1 << 20);
  const Result<double> sum = trainer->microStep({beyond, positions, targets}, 5, false, 0);
  ASSERT_FALSE(sum);
  EXPECT_NE(sum.error().message.find("running a training step: "), std::string::npos) << sum.error().message;
  EXPECT_EQ(trainer->fetch(0).error().message, sum.error().message);
  EXPECT_EQ(trainer->store(0).error().message, sum.error().message);
  EXPECT_EQ(trainer->gradientNorm().error().message, sum.error().message);
  EXPECT_EQ(trainer->logits(batch, 0).error().message, sum.error().message);
  EXPECT_EQ(trainer->gradients().error().message, sum.error().message);
}

TEST_F(CudaTrainerTest, AStepThatDoesNotFitSaysWhatItNeeds) {
  step.trainer.arena_bytes = 15000000;
  EXPECT_EQ(
      step.whyNot(),
      "--device emulator: expected a step of at most 10.0 MiB, the free memory of the GPU, found 14.3 MiB "
      "for --batch 2 --seq 3; --batch 1 with --grad-accum for the rest would fit, or "
      "--recompute may");
  step.trainer.arena_bytes = 10485500; // and nothing is left for what is beside
  EXPECT_NE(step.whyNot().find("MiB that a step needs; "), std::string::npos) << step.whyNot();
}

TEST_F(CudaTrainerTest, WithoutCodeOrAnOptimizerItSaysSo) {
  std::string said;
  const Result<std::unique_ptr<Trainer>> opened = step.open(said, DeviceChoice::Emulator, "lion");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "--device emulator: expected an optimizer that this trainer was compiled with "
            "(sgd), found 'lion'");
  step.image.architecture = 100;
  EXPECT_EQ(step.whyNot(),
            "--device emulator: this program has sm_100; the device (Sinter emulator) is sm_90");
  step.trainer.gpu_image_count = 0;
  EXPECT_EQ(step.whyNot(),
            "--device emulator: this trainer was compiled for the processor alone (sinter compile "
            "--train --target=cuda makes code for GPUs)");
  step.trainer.abi_version = 1;
  EXPECT_EQ(step.whyNot(),
            fmt::format("the trainer was compiled for version 1 of the runtime, this is version {}",
                        SINTER_TRAINING_ABI_VERSION));
}

TEST_F(CudaTrainerTest, WithoutAGpuTheProcessorTrainsAndTheReasonIsSaid) {
  if (std::system("ldconfig -p | grep -q libcuda.so.1") == 0)
    GTEST_SKIP() << "there is a CUDA driver";
  step.trainer.launch_count = 0; // there are no kernels for it here
  std::string said;
  const Result<std::unique_ptr<Trainer>> opened = step.open(said, DeviceChoice::Auto);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(said.substr(0, 41), "device: cpu, because no CUDA driver: libc") << said;
  EXPECT_EQ(step.whyNot(DeviceChoice::Cuda).substr(0, 30), "--device cuda: no CUDA driver:");
}

} // namespace
