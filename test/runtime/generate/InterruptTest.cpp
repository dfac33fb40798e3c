// SPDX-License-Identifier: Apache-2.0
// An interrupt while a prompt is evaluated: it ends after the chunk at work, and what comes after it is
// right.
#include "runtime/generate/Loop.h"
#include "test/runtime/generate/FakeModel.h"
#include <gtest/gtest.h>

using namespace sinter;

namespace {

/// A session that sets `interrupt` at the beginning of its run number `last`.
class Interrupted final : public device::Session {
public:
  Interrupted(std::unique_ptr<device::Session> session, std::atomic<bool> &interrupt, int last)
      : session(std::move(session)), interrupt(interrupt), last(last) {}

  Result<void> run(const device::Rows &rows, std::span<const int32_t> select) override {
    if (++runs == last)
      interrupt = true;
    return session->run(rows, select);
  }
  Result<void> runHead(std::span<const int32_t> select) override { return session->runHead(select); }
  const float *logits() const override { return session->logits(); }
  Result<void> copyPrefix(int32_t from, int32_t to, int64_t tokens) override {
    return session->copyPrefix(from, to, tokens);
  }
  void setLaunchTimes(device::EntryKind entry, device::LaunchTimes *times) override {
    session->setLaunchTimes(entry, times);
  }
  int64_t maxRows(device::EntryKind entry) const override { return session->maxRows(entry); }
  int64_t maxSelected(device::EntryKind entry) const override { return session->maxSelected(entry); }
  int64_t capacity() const override { return session->capacity(); }
  int32_t slots() const override { return session->slots(); }
  sinter_dtype cacheDtype() const override { return session->cacheDtype(); }

  int runs = 0;

private:
  std::unique_ptr<device::Session> session;
  std::atomic<bool> &interrupt;
  const int last;
};

/// Remembers the text.
class Text final : public LoopObserver {
public:
  bool onToken(const TokenEvent &) override { return true; }
  bool onText(int, std::string_view piece) override {
    text += piece;
    return true;
  }
  void onContextShift(int64_t) override {}
  std::string text;
};

class InterruptTest : public testing::Test {
protected:
  Engine open(int64_t capacity, int last) {
    auto made =
        std::make_unique<Interrupted>(std::move(*device->openSession({capacity, 1, {}})), interrupt, last);
    session = made.get();
    return Engine(sinter_model, std::move(made));
  }
  static std::vector<int32_t> someTokens(size_t count) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < count; ++i)
      tokens.push_back(int32_t('a' + i * 7 % 26));
    return tokens;
  }

  std::atomic<bool> interrupt{false};
  std::unique_ptr<device::Device> device = std::move(*device::openCpu(sinter_model, {2, ""}));
  Interrupted *session = nullptr;
};

TEST_F(InterruptTest, APrefillEndsAfterTheChunkAtWork) {
  Engine engine = open(300, 3);
  EXPECT_TRUE(engine.prefill(0, someTokens(300), 0, &interrupt).value().empty());
  EXPECT_EQ(session->runs, 3); // of 13
}

TEST_F(InterruptTest, APromptThatWasInterruptedIsNotTakenForEvaluated) {
  Engine engine = open(400, 3);
  const std::unique_ptr<Codec> codec = std::move(*fake::openByteCodec(sinter_model));
  SamplerOptions greedy;
  greedy.temperature = 0;
  Sampler sampler(greedy, fake::vocabulary);
  LoopOptions options;
  options.limit = 1;
  Loop loop(engine, *codec, sampler, options);
  const std::vector<int32_t> prompt = someTokens(300);
  Text none;
  const Result<Ending> ending = loop.run(prompt, none, interrupt);
  ASSERT_TRUE(ending);
  EXPECT_EQ(*ending, Ending::Interrupted);
  EXPECT_EQ(none.text, "");
  EXPECT_EQ(loop.times().generatedTokens, 0);
  EXPECT_EQ(loop.times().promptTokens, 3 * session->maxRows(device::EntryKind::Prefill))
      << "what was evaluated";

  interrupt = false;
  Text text;
  ASSERT_EQ(*loop.run(prompt, text, interrupt), Ending::Limit);
  int32_t best = 0;
  for (int32_t next = 1; next < fake::vocabulary; ++next)
    if (fake::logitOf(prompt, next) > fake::logitOf(prompt, best))
      best = next;
  EXPECT_EQ(text.text, std::string(1, char(best)));
}

TEST_F(InterruptTest, AShiftOfTheContextEndsToo) {
  // 191 tokens take 8 chunks, the last token that fits one run; the shift evaluates 96 in 4 chunks.
  Engine engine = open(192, 11);
  const std::unique_ptr<Codec> codec = std::move(*fake::openByteCodec(sinter_model));
  SamplerOptions options;
  options.temperature = 0;
  options.logitBias = {{fake::endToken, -INFINITY}};
  Sampler sampler(options, fake::vocabulary);
  LoopOptions loopOptions;
  loopOptions.contextShift = true;
  Loop loop(engine, *codec, sampler, loopOptions);
  Text text;
  ASSERT_EQ(*loop.run(someTokens(191), text, interrupt), Ending::Interrupted);
  EXPECT_EQ(session->runs, 11);
  EXPECT_EQ(text.text.size(), 2u);
}

} // namespace
