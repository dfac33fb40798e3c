// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/Loop.h"
#include "test/runtime/generate/FakeModel.h"
#include <cmath>
#include <gtest/gtest.h>
#include <set>

using namespace sinter;

namespace {

class Tokens final : public LoopObserver {
public:
  bool onToken(const TokenEvent &event) override {
    drawn.push_back(event.token);
    return true;
  }
  bool onText(int, std::string_view) override { return true; }
  void onContextShift(int64_t) override { ++shifts; }
  std::vector<int32_t> drawn;
  int shifts = 0;
};

TEST(LoopTest, PenaltiesRememberWhatAShiftOfTheContextDrops) {
  const std::unique_ptr<device::Device> device = std::move(*device::openCpu(sinter_model, {1, ""}));
  Engine engine(sinter_model, std::move(*device->openSession({16, 1, {}})));
  const std::unique_ptr<Codec> codec = std::move(*fake::openByteCodec(sinter_model));
  SamplerOptions sampling;
  sampling.temperature = 0;
  sampling.presencePenalty = 1e6f; // a token comes once
  sampling.repeatLastN = -1;
  sampling.logitBias = {{fake::endToken, -INFINITY}};
  Sampler sampler(sampling, fake::vocabulary);
  LoopOptions options;
  options.contextShift = true;
  options.limit = 60;
  Loop loop(engine, *codec, sampler, options);
  Tokens tokens;
  const std::atomic<bool> interrupt{false};
  ASSERT_EQ(*loop.run(std::vector<int32_t>{'x', 'y', 'z'}, tokens, interrupt), Ending::Limit);
  EXPECT_GE(tokens.shifts, 5);
  EXPECT_EQ(std::set<int32_t>(tokens.drawn.begin(), tokens.drawn.end()).size(), 60u);
}

} // namespace
