// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/CApi.h"
#include "runtime/generate/LibraryModel.h"
#include "test/runtime/generate/FakeModel.h"
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>

using namespace sinter;

namespace sinter {

/// The codec of bytes, for which some texts and ids take more memory than there is.
class GreedyCodec final : public Codec {
public:
  explicit GreedyCodec(std::unique_ptr<Codec> bytes) : bytes(std::move(bytes)) {}
  Result<std::vector<int32_t>> encode(std::string_view text, bool addSpecial) const override {
    if (text == "too much")
      throw std::bad_alloc();
    return bytes->encode(text, addSpecial);
  }
  std::string decode(std::span<const int32_t> ids) const override {
    if (ids.size() == 3)
      throw std::bad_alloc();
    return bytes->decode(ids);
  }
  std::string tokenBytes(int32_t id) const override { return bytes->tokenBytes(id); }
  std::unique_ptr<TextStream> stream(bool special) const override { return bytes->stream(special); }

private:
  std::unique_ptr<Codec> bytes;
};

const struct sinter_model &libraryModel() { return ::sinter_model; }
Result<std::unique_ptr<Codec>> openLibraryCodec(const struct sinter_model &model) {
  if (std::getenv("SINTER_TEST_NO_MEMORY"))
    throw std::bad_alloc();
  return fake::openByteCodec(model).map([](std::unique_ptr<Codec> bytes) -> std::unique_ptr<Codec> {
    return std::make_unique<GreedyCodec>(std::move(bytes));
  });
}

} // namespace sinter

namespace {

struct CApiTest : testing::Test {
  sinter_session *session = sinter_open(nullptr, nullptr);
  ~CApiTest() override { sinter_close(session); }
};

TEST_F(CApiTest, TextBecomesTokensAndTokensText) {
  int32_t ids[3] = {};
  EXPECT_EQ(sinter_tokenize(session, "a\0b", 3, 1, ids, 3), 4);
  EXPECT_EQ(ids[0], 256);
  EXPECT_EQ(ids[2], 0);
  const int32_t given[] = {104, 105};
  char text[8] = {};
  EXPECT_EQ(sinter_detokenize(session, given, 2, text, 8), 2);
  EXPECT_STREQ(text, "hi");
  EXPECT_EQ(sinter_detokenize(session, given, 2, text, 0), 2);
  const int32_t unknown[] = {'a', 300};
  EXPECT_EQ(sinter_detokenize(session, unknown, 2, text, 8), -1);
  EXPECT_STREQ(sinter_error(session), "expected token ids from 0 to 299, found 300 as number 1");
}

TEST_F(CApiTest, LackOfMemoryIsAnErrorAndTheSessionGoesOn) {
  constexpr const char *message = "expected more memory, the system gave none";
  int32_t ids[3] = {1, 2, 3};
  EXPECT_EQ(sinter_tokenize(session, "too much", 8, 1, ids, 3), -1);
  EXPECT_STREQ(sinter_error(session), message);
  EXPECT_EQ(sinter_detokenize(session, ids, 2, nullptr, 0), 2);
  EXPECT_EQ(sinter_detokenize(session, ids, 3, nullptr, 0), -1);
  EXPECT_STREQ(sinter_error(session), message);
  EXPECT_EQ(sinter_step(session, ids, 3), 0);
  setenv("SINTER_TEST_NO_MEMORY", "1", 1);
  char *error = nullptr;
  EXPECT_EQ(sinter_open(nullptr, &error), nullptr);
  unsetenv("SINTER_TEST_NO_MEMORY");
  EXPECT_STREQ(error, message);
  sinter_free(error);
}

TEST_F(CApiTest, StepsContinueOneAnotherAndCanBeTakenBack) {
  const std::vector<int32_t> tokens = {256, 'o', 'n', 'c', 'e', 'x'};
  EXPECT_EQ(sinter_logits(session), nullptr);
  ASSERT_EQ(sinter_step(session, tokens.data(), 4), 0);
  ASSERT_EQ(sinter_step(session, tokens.data() + 4, 1), 0);
  EXPECT_EQ(sinter_position(session), 5);
  EXPECT_EQ(sinter_logits(session)['q'], fake::logitOf(std::span(tokens).first(5), 'q'));
  ASSERT_EQ(sinter_rewind(session, 4), 0);
  ASSERT_EQ(sinter_step(session, tokens.data() + 5, 1), 0);
  EXPECT_EQ(sinter_logits(session)['q'], fake::logitOf(std::vector<int32_t>{256, 'o', 'n', 'c', 'x'}, 'q'));
  std::vector<float> logprobs(size_t(sinter_vocabulary(session)));
  ASSERT_EQ(sinter_log_probabilities(session, logprobs.data()), 0);
  double sum = 0;
  for (float each : logprobs)
    sum += std::exp(double(each));
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_F(CApiTest, SamplingFollowsItsOptions) {
  const int32_t tokens[] = {256, 'x', '.'};
  EXPECT_EQ(sinter_sample(session, nullptr), -1);
  EXPECT_STREQ(sinter_error(session), "there are no logits: expected a step first, and after a rewind");
  ASSERT_EQ(sinter_step(session, tokens, 3), 0);
  const int64_t token = sinter_sample(session, nullptr);
  EXPECT_EQ(token, 257);
  EXPECT_EQ(sinter_is_end(session, int32_t(token)), 1);
  ASSERT_EQ(sinter_rewind(session, 2), 0);
  ASSERT_EQ(sinter_step(session, tokens + 1, 1), 0);
  sinter_sample_options a = {1.5f, 0, 1, 0, 0, -2, 0, 0, 1, 0}, b = a;
  b.seed = 2;
  EXPECT_EQ(sinter_sample(session, &a), sinter_sample(session, &a));
  EXPECT_NE(sinter_sample(session, &a), sinter_sample(session, &b));
  a.top_p = 5;
  EXPECT_EQ(sinter_sample(session, &a), -1);
  EXPECT_STREQ(sinter_error(session), "top_p: expected a number from 0 to 1, found 5");
}

TEST_F(CApiTest, MistakesAreNamedAndChangeNothing) {
  const int32_t wrong[] = {1, 300};
  EXPECT_EQ(sinter_step(session, wrong, 2), -1);
  EXPECT_STREQ(sinter_error(session), "expected token ids from 0 to 299, found 300 as number 1");
  EXPECT_EQ(sinter_step(session, wrong, 0), -1);
  EXPECT_EQ(sinter_position(session), 0);
  EXPECT_EQ(sinter_rewind(session, 1), -1);
  EXPECT_STREQ(sinter_error(session), "expected a position from 0 to 0, found 1");
  const std::vector<int32_t> many(600, 'a');
  EXPECT_EQ(sinter_step(session, many.data(), 600), -1);
  EXPECT_STREQ(sinter_error(session), "the context of 512 tokens is full: it holds 0, 600 more are given");
}

TEST(CApiOpenTest, FailuresComeWithAMessage) {
  const auto messageOf = [](sinter_open_options options) {
    char *error = nullptr;
    EXPECT_EQ(sinter_open(&options, &error), nullptr);
    const std::string text = error;
    sinter_free(error);
    return text;
  };
  EXPECT_EQ(messageOf({0, 0, "q4", nullptr}), "kv_type: expected f16, bf16 or f32, found 'q4'");
  EXPECT_EQ(messageOf({0, 1000, nullptr, nullptr}), "context: expected 0 to 512 tokens, found 1000");
  EXPECT_EQ(messageOf({-1, 0, nullptr, nullptr}), "threads: expected 0 to 1024, found -1");
}

} // namespace
