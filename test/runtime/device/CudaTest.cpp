// SPDX-License-Identifier: Apache-2.0
// The small model of CudaModel.h on the emulated GPU: what a session makes of steps, graphs, slots and
// prefixes, and what is said when a driver, a device, code or memory is not what it should be.
#include "runtime/device/CudaModule.h"
#include "test/Sanitized.h"
#include "test/runtime/device/CudaModel.h"
#include <atomic>
#include <fstream>
#include <map>
#include <optional>

using namespace sinter;
using namespace sinter::device;
using namespace sinter::test;

#ifndef SINTER_SANITIZED // they have their own
static std::atomic<size_t> allocations;
void *operator new(size_t bytes) { return ++allocations, std::malloc(bytes); }
void operator delete(void *memory) noexcept { std::free(memory); }
#endif

namespace {

TEST_F(CudaTest, StepsRunOnTheDeviceWithTheirOwnRowsSlotsAndLogits) {
  const Model m;
  Result<std::unique_ptr<Device>> device = m.open();
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_STREQ((*device)->backend(), "emulator");
  EXPECT_STREQ((*device)->isaName(), "sm_80") << "what was compiled, not what the device is";
  EXPECT_EQ((*device)->name(), "Sinter emulator");
  Result<std::unique_ptr<Session>> opened = (*device)->openSession({64, 3, {}});
  ASSERT_TRUE(opened) << opened.error().message;
  Session &session = **opened;
  EXPECT_EQ(session.capacity(), 64);
  EXPECT_EQ(session.maxRows(EntryKind::Prefill), 300);

  Expected sequences[3];
  std::vector<int32_t> tokens = {5, 3, 8, 2, 9}, positions = {0, 1, 2, 3, 4}, slots(5, 1);
  Expected second;
  for (int i = 0; i < 3; ++i)
    second.add(tokens[size_t(i)]);
  for (int32_t token : tokens)
    sequences[1].add(token);
  const int32_t select[] = {2, 4};
  ASSERT_TRUE(session.run({EntryKind::Prefill, tokens, positions, slots}, select));
  second.check(session.logits());
  sequences[1].check(session.logits() + vocabulary);
  const int32_t other = 2;
  ASSERT_TRUE(session.runHead({&other, 1}));
  second.check(session.logits());

  ASSERT_TRUE(session.copyPrefix(1, 0, 5));
  ASSERT_TRUE(session.copyPrefix(1, 2, 3)); // one more than a panel's share is copied, the rest is not
  sequences[0] = sequences[1];
  sequences[2] = second;
  // Decode: the first step is captured, the others replay it, with one to three rows.
  int32_t next[3] = {5, 5, 3};
  for (int step = 0; step < 6; ++step) {
    std::vector<int32_t> newTokens, where, which, wanted;
    for (int32_t slot = 0; slot < 3; ++slot) {
      if ((step + slot) % 3 == 1)
        continue;
      newTokens.push_back(10 * step + slot);
      where.push_back(next[slot]++);
      wanted.push_back(int32_t(which.size()));
      which.push_back(slot);
      sequences[slot].add(newTokens.back());
    }
    ASSERT_TRUE(session.run({EntryKind::Decode, newTokens, where, which}, wanted));
    for (size_t row = 0; row < which.size(); ++row)
      sequences[which[row]].check(session.logits() + row * vocabulary);
  }
}

TEST_F(CudaTest, TokensAreDrawnOnTheDeviceAndLogitsStayThereUntilAskedFor) {
  const Model m;
  std::unique_ptr<Device> device = std::move(*m.open());
  constexpr int32_t slotCount = 6;
  std::unique_ptr<Session> session = std::move(*device->openSession({64, slotCount, {}}));
  EXPECT_EQ(session->maxDraws(), slotCount) << "one a sequence of a prompt";
  const auto plan = [](int32_t row, uint64_t index) {
    sinter_sampling sampling = {};
    sampling.row = row;
    sampling.index = index;
    return sampling;
  };
  const auto drawn = [&](const Rows &rows, const std::vector<int32_t> &select,
                         const std::vector<sinter_sampling> &plans,
                         const std::vector<sinter_adjustment> &adjustments = {}) {
    const Result<std::span<const int32_t>> tokens = session->runAndDraw(rows, select, plans, adjustments);
    EXPECT_TRUE(tokens);
    return tokens ? std::vector<int32_t>(tokens->begin(), tokens->end()) : std::vector<int32_t>();
  };
  std::vector<int32_t> tokens = {4, 8, 2}, positions = {0, 1, 2}, slots(3, 0);
  // Several draws from the last row of a prompt, whose first logit is half of the sum.
  EXPECT_EQ(drawn({EntryKind::Prefill, tokens, positions, slots}, {2}, {plan(0, 0), plan(0, 50), plan(0, 3)}),
            (std::vector<int32_t>{7, 57, 10}));
  ASSERT_TRUE(session->fetchLogits());
  EXPECT_EQ(session->logits()[1], 8.0f);
  for (int32_t slot = 1; slot < 3; ++slot)
    ASSERT_TRUE(session->copyPrefix(0, slot, 3));
  // The graph is captured with the first of these steps and replayed with other rows and plans, with and
  // without adjustments; a step whose logits come to the host has a graph of its own.
  for (int32_t step = 0; step < 6; ++step) {
    std::vector<int32_t> next, where, which, wanted;
    std::vector<sinter_sampling> plans;
    std::vector<sinter_adjustment> adjustments; // the kernel adds their ids to the draws' tokens
    const bool adjusts = step == 2 || step == 3 || step == 5;
    for (int32_t slot = step % 2; slot < 3; ++slot) {
      next.push_back(2 * step + 4 * slot);
      where.push_back(3);
      wanted.push_back(int32_t(which.size()));
      plans.push_back(plan(int32_t(which.size()), uint64_t(100 * step)));
      if (adjusts)
        adjustments.push_back({1000 * (slot + 1), 0, 1, 0});
      which.push_back(slot);
    }
    const Rows rows = {EntryKind::Decode, next, where, which};
    const std::vector<int32_t> got = drawn(rows, wanted, plans, adjustments);
    ASSERT_EQ(got.size(), which.size());
    ASSERT_TRUE(session->run(rows, wanted));
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i], 7 + next[i] / 2 + 100 * step + (adjusts ? 1000 * (which[i] + 1) : 0))
          << "step " << step << " slot " << which[i];
      EXPECT_EQ(session->logits()[i * vocabulary], float(7 + next[i] / 2));
    }
  }
}

#ifndef SINTER_SANITIZED
TEST_F(CudaTest, NothingIsAllocatedFromTokenToToken) {
  const Model m;
  std::unique_ptr<Device> device = std::move(*m.open());
  std::unique_ptr<Session> session = std::move(*device->openSession({64, 1, {}}));
  const sinter_sampling plan = {};
  uint64_t before = 0, free = 0;
  for (int32_t step = 0, token = 4, slot = 0, select = 0; step < 8; ++step) {
    if (step == 3) // the graphs of both kinds of step are there
      before = allocations, free = device->memory().available;
    const Rows rows = {EntryKind::Decode, {&token, 1}, {&step, 1}, {&slot, 1}};
    ASSERT_TRUE(session->runAndDraw(rows, {&select, 1}, {&plan, 1}, {}));
    ASSERT_TRUE(session->run(rows, {&select, 1}));
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(device->memory().available, free);
}
#endif

TEST_F(CudaTest, TimesOfLaunchesAreTakenWhenAskedFor) {
  const Model m;
  Result<std::unique_ptr<Device>> device = m.open();
  ASSERT_TRUE(device) << device.error().message;
  std::unique_ptr<Session> session = std::move(*(*device)->openSession({64, 1, {}}));
  LaunchTimes times;
  session->setLaunchTimes(EntryKind::Decode, &times);
  const int32_t token = 4, position = 0, slot = 0, select = 0;
  ASSERT_TRUE(session->run({EntryKind::Decode, {&token, 1}, {&position, 1}, {&slot, 1}}, {&select, 1}));
  EXPECT_EQ(session->logits()[0], 2.0f);
  ASSERT_EQ(times.work.size(), 2u);
  EXPECT_GT(times.work[0], 0);
  EXPECT_GT(times.work[1], 0);
  EXPECT_GT((*device)->measureLimits().readBytesPerSecond, 1e12); // an H100's
}

TEST_F(CudaTest, ADeviceThatIsTooOldIsNamed) {
  set("SINTER_EMULATOR_SM", "75");
  Model m;
  EXPECT_EQ(m.whyNot(), "this program has sm_80; the device (Sinter emulator) is sm_75");
}

TEST_F(CudaTest, TheNewestCodeThatTheDeviceTakesIsChosen) {
  const sinter_gpu_image images[] = {{80, SINTER_GPU_PTX, {}},
                                     {80, SINTER_GPU_CUBIN, {}},
                                     {90, SINTER_GPU_PTX, {}},
                                     {100, SINTER_GPU_CUBIN, {}}};
  const auto chosen = [&](int device) {
    const Result<uint32_t> architecture = cuda::chooseArchitecture(images, device, "GPU");
    return architecture ? cuda::architectureName(*architecture) : architecture.error().message;
  };
  EXPECT_EQ(chosen(75), "this program has sm_80 and sm_90a and sm_100; the device (GPU) is sm_75");
  EXPECT_EQ(chosen(80), "sm_80");
  EXPECT_EQ(chosen(89), "sm_80");
  EXPECT_EQ(chosen(90), "sm_90a");
  EXPECT_EQ(chosen(100), "sm_100");
  EXPECT_EQ(chosen(103), "sm_100") << "machine code runs on newer devices of its major version";
  EXPECT_EQ(chosen(120), "sm_80") << "code for 9.0a is for 9.0 alone";
}

TEST_F(CudaTest, PtxSaysWhichDriverItNeeds) {
  const std::pair<const char *, int> cases[] = {{".version 7.0", 11000}, {"// x\n.version 7.8\n", 11080},
                                                {".version 8.0", 12000}, {".version 8.5", 12050},
                                                {".version 8.7", 12080}, {".version 9.0", 13000}};
  for (const auto &[text, version] : cases)
    EXPECT_EQ(cuda::neededVersion(text).value(), version) << text;
  EXPECT_EQ(cuda::neededVersion("hello").error().message,
            "this program's PTX: expected a line '.version MAJOR.MINOR', found none");
  Model m;
  m.text.replace(m.text.find("7.0"), 3, "9.1");
  m.images[0].blob.data = m.text.c_str();
  EXPECT_EQ(m.whyNot(), "the CUDA driver is of CUDA 13.0: expected 13.1 or newer for this program's PTX");
}

TEST_F(CudaTest, WhatTheDriverSaysAboutPtxIsShown) {
  Model m;
  m.text.replace(m.text.find("%tid.x;"), 7, "%%tid.x");
  m.images[0].blob.data = m.text.c_str();
  const std::string message = m.whyNot();
  EXPECT_TRUE(message.starts_with("compiling PTX for sm_80: ")) << message;
  EXPECT_NE(message.find("\nline "), std::string::npos) << message;
}

TEST_F(CudaTest, PtxIsTakenWhereMachineCodeIsRefused) {
  const char cubin[] = "\x7f"
                       "ELF that the emulator does not take";
  Model m;
  m.images[0].architecture = 90;
  m.images[1] = {90, SINTER_GPU_CUBIN, {cubin, sizeof cubin}};
  m.model.gpu_image_count = 2;
  EXPECT_TRUE(m.open());
  m.model.gpu_images = m.images + 1;
  m.model.gpu_image_count = 1;
  EXPECT_NE(m.whyNot().find("loading machine code for sm_90a: "), std::string::npos) << m.whyNot();
}

TEST_F(CudaTest, AKernelThatIsMissingIsNamed) {
  Model m;
  m.launches[1].function = "tail";
  std::unique_ptr<Device> device = std::move(*m.open());
  const std::string message = device->openSession({64, 1, {}}).error().message;
  EXPECT_NE(message.find("looking up the kernel 'tail': "), std::string::npos) << message;
}

/// The model with its decode step as one kernel.
struct PersistentModel : Model {
  sinter_gpu_task tasks[3] = {{0, SINTER_DOMAIN_ROWS, 1, 1, 0, 0, 0, 0, 2, {}},
                              {1, SINTER_DOMAIN_SELECTED, 1, 1, 0, 0, 1, 2, 2, {}},
                              {2, SINTER_DOMAIN_DRAWS, 1, 1, 0, 1, 1, 4, 2, {}}};
  uint32_t waits[2] = {0, 1};
  sinter_gpu_persistent persistent = {"step", tasks, 3, waits, 2, 384, 1024};
  PersistentModel() {
    text += stepPtx;
    images[0].blob = {text.c_str(), text.size()};
    gpuPrograms[0].persistent = &persistent;
  }
};

TEST_F(CudaTest, AStepAsOneKernelIsGivenItsTasksAndCountersThatAreZero) {
  PersistentModel m;
  std::unique_ptr<Device> device = std::move(*m.open());
  std::unique_ptr<Session> session = std::move(*device->openSession({64, 1, {}}));
  const int32_t token = 4, slot = 0, select = 0;
  const sinter_sampling draw = {.index = 9};
  for (int32_t position = 0; position < 6; ++position) {
    const Rows rows = {EntryKind::Decode, {&token, 1}, {&position, 1}, {&slot, 1}};
    if (position % 2) {
      const auto drawn = session->runAndDraw(rows, {&select, 1}, {&draw, 1});
      ASSERT_TRUE(drawn) << drawn.error().message;
      EXPECT_EQ(drawn->front(), 3); // with the task that draws
    } else {
      ASSERT_TRUE(session->run(rows, {&select, 1}));
      EXPECT_EQ(session->logits()[0], 2);
      EXPECT_EQ(session->logits()[1], 0);
    }
  }
  // Prefill, and steps of which nobody wants logits, are launches.
  const int32_t position = 6;
  ASSERT_TRUE(session->run({EntryKind::Prefill, {&token, 1}, {&position, 1}, {&slot, 1}}, {&select, 1}));
  EXPECT_EQ(session->logits()[1], session->logits()[0] + 1);
}

TEST_F(CudaTest, AStepAsOneKernelThatDoesNotFitIsNamed) {
  PersistentModel m;
  m.persistent.shared_bytes = 300 << 10;
  std::unique_ptr<Device> device = std::move(*m.open());
  EXPECT_NE(device->openSession({64, 1, {}})
                .error()
                .message.find("307200 bytes of shared memory for the kernel 'step': "),
            std::string::npos);
  m.persistent.shared_bytes = 1024;
  m.persistent.threads = 1056;
  EXPECT_NE(device->openSession({64, 1, {}}).error().message.find("planning the kernel 'step': "),
            std::string::npos);
  m.persistent.threads = 384;
  m.persistent.function = "leap";
  EXPECT_NE(device->openSession({64, 1, {}}).error().message.find("looking up the kernel 'leap': "),
            std::string::npos);
}

TEST_F(CudaTest, AKernelThatFailsEndsTheSession) {
  Model m;
  m.text.replace(m.text.find("st.global.f32 [%d11]"), 20, "st.global.f32 [%d12]"); // no address
  m.images[0].blob.data = m.text.c_str();
  std::unique_ptr<Device> device = std::move(*m.open());
  std::unique_ptr<Session> session = std::move(*device->openSession({64, 1, {}}));
  const int32_t token = 4, position = 0, slot = 0, select = 0;
  const Rows rows = {EntryKind::Prefill, {&token, 1}, {&position, 1}, {&slot, 1}};
  const Result<void> first = session->run(rows, {&select, 1}), second = session->run(rows, {&select, 1});
  ASSERT_FALSE(first);
  EXPECT_NE(first.error().message.find("store"), std::string::npos) << first.error().message;
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, first.error().message);
}

TEST_F(CudaTest, WhatDoesNotFitIsSaidWithWhatWould) {
  set("SINTER_EMULATOR_MEMORY", "2");
  const Model m;
  Result<std::unique_ptr<Device>> device = m.open();
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_LE((*device)->memory().total, uint64_t(2) << 20);
  const std::string message = (*device)->openSession({1 << 20, 1, {}}).error().message;
  EXPECT_NE(message.find("a context of 1048576 tokens times 1 needs "), std::string::npos) << message;
  const size_t at = message.find("(-c ");
  ASSERT_NE(at, std::string::npos) << message;
  const int64_t fits = std::atoll(message.c_str() + at + 4);
  EXPECT_GT(fits, 1 << 17) << message;
  const Result<std::unique_ptr<Session>> fitting = (*device)->openSession({fits, 1, {}});
  EXPECT_TRUE(fitting) << message << "\n" << fitting.error().message;
}

TEST_F(CudaTest, WeightsThatDoNotFitAreSaid) {
  set("SINTER_EMULATOR_MEMORY", "1");
  const std::vector<std::byte> large(size_t(2) << 20);
  Model m;
  m.model.weights = {large.data(), large.size()};
  EXPECT_NE(m.whyNot().find("expected 2.0 MiB of free memory on the GPU, found 1.0 MiB"), std::string::npos)
      << m.whyNot();
}

TEST_F(CudaTest, ACacheTypeThatWasNotCompiledIsRefused) {
  const Model m;
  std::unique_ptr<Device> device = std::move(*m.open());
  EXPECT_EQ(device->openSession({64, 1, SINTER_BF16}).error().message,
            "this program's GPU code was compiled for keys and values in f32, not in bf16");
}

TEST_F(CudaTest, ALibraryThatIsNoDriverIsRefused) {
  EXPECT_TRUE(
      cuda::Driver::open("libnothing.so.1").error().message.starts_with("no CUDA driver: libnothing.so.1"));
  EXPECT_EQ(cuda::Driver::open("libm.so.6").error().message,
            "libm.so.6: expected a CUDA driver, found a library without cuDriverGetVersion");
}

TEST_F(CudaTest, TheEmulatorIsLookedForInThreePlaces) {
  EXPECT_EQ(cuda::findEmulator(SINTER_BINARY_DIR "/lib").value(),
            SINTER_BINARY_DIR "/lib/libsinter-cuda-emulator.so");
  const std::string none = cuda::findEmulator("/nowhere").error().message;
  for (const char *part : {"SINTER_EMULATOR is not set", "/test/libsinter-cuda-emulator.so)",
                           "(/nowhere/libsinter-cuda-emulator.so)"})
    EXPECT_NE(none.find(part), std::string::npos) << none;
  set("SINTER_EMULATOR", "/elsewhere.so");
  EXPECT_EQ(
      cuda::findEmulator("/nowhere").error().message,
      "SINTER_EMULATOR: expected the path of libsinter-cuda-emulator.so, found no file '/elsewhere.so'");
}

TEST_F(CudaTest, AModelWithoutGpuCodeIsRefused) {
  Model m;
  m.model.gpu_image_count = 0;
  EXPECT_NE(m.whyNot().find("compiled for the processor alone"), std::string::npos);
}

} // namespace
