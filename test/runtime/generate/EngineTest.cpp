// SPDX-License-Identifier: Apache-2.0
// Chunks, groups of logits, slots and prefixes on the fake model, whose logits show at once when a token is
// missing or in the wrong place.
#include "runtime/generate/Engine.h"
#include "test/runtime/generate/FakeModel.h"
#include <gtest/gtest.h>

using namespace sinter;

namespace {

std::vector<int32_t> someTokens(size_t count) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i)
    tokens.push_back(int32_t('a' + i * 7 % 26));
  return tokens;
}

class EngineTest : public testing::TestWithParam<int> {
protected:
  std::unique_ptr<device::Device> device = std::move(*device::openCpu(sinter_model, {GetParam(), ""}));
  Engine open(int64_t capacity, int slots) {
    return Engine(sinter_model, std::move(*device->openSession({capacity, slots, {}})));
  }
  static void expectLogits(std::span<const float> logits, std::span<const int32_t> tokens) {
    for (int32_t next = 0; next < fake::vocabulary; ++next)
      ASSERT_EQ(logits[size_t(next)], fake::logitOf(tokens, next))
          << tokens.size() << " tokens, next " << next;
  }
};

TEST_P(EngineTest, PrefillOfAnyLengthGivesTheLogitsOfTheLastToken) {
  for (size_t length : {1, 2, 7, 23, 24, 25, 48, 49, 100, 300}) {
    Engine engine = open(300, 1);
    const std::vector<int32_t> tokens = someTokens(length);
    expectLogits(engine.prefill(0, tokens, 0).value(), tokens);
  }
}

TEST_P(EngineTest, ScoreVisitsEveryTokenInOrder) {
  Engine engine = open(100, 1);
  const std::vector<int32_t> tokens = someTokens(77);
  size_t expected = 0;
  const Result<void> done = engine.score(0, tokens, 0, [&](size_t row, std::span<const float> logits) {
    ASSERT_EQ(row, expected++);
    expectLogits(logits, std::span(tokens).first(row + 1));
  });
  EXPECT_TRUE(done);
  EXPECT_EQ(expected, tokens.size());
}

TEST_P(EngineTest, SlotsAreIndependentAndPrefixesCanBeCopied) {
  const int slots = 7;
  Engine engine = open(64, slots);
  std::vector<std::vector<int32_t>> sequences(slots, someTokens(37));
  ASSERT_TRUE(engine.prefill(0, sequences[0], 0));
  for (int slot = 1; slot < slots; ++slot)
    ASSERT_TRUE(engine.copyPrefix(0, slot, 37));
  for (int step = 0; step < 20; ++step) {
    std::vector<int32_t> tokens, positions, which;
    for (int slot = 0; slot < slots; ++slot) {
      if ((step + slot) % 5 == 0)
        continue; // sequences of different lengths
      sequences[size_t(slot)].push_back('A' + slot);
      tokens.push_back('A' + slot);
      positions.push_back(int32_t(sequences[size_t(slot)].size()) - 1);
      which.push_back(slot);
    }
    const Result<void> done =
        engine.decode(tokens, positions, which, [&](size_t row, std::span<const float> logits) {
          expectLogits(logits, sequences[size_t(which[row])]);
        });
    ASSERT_TRUE(done);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, EngineTest, testing::Values(1, 2, 5));

} // namespace
