// SPDX-License-Identifier: Apache-2.0
// Of a chat, the model's answers are learnt and the rest is read.
#include "runtime/data/TokenizeChats.h"
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/data/TokenShards.h"
#include "runtime/data/TrainTokenizer.h"
#include "runtime/training/Batches.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

namespace sinter::data {
namespace {

constexpr const char *form =
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|endoftext|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}";

struct Scene {
  std::vector<uint8_t> tables;
  std::optional<Tokenizer> tokenizer;
  chat::Template shape = *chat::Template::parse(form);
  TemporaryFolder folder;

  Scene() {
    TokenizerTraining training;
    training.inputs = *findInputs({std::string(SINTER_SOURCE_DIR) + "/LICENSE"});
    training.bpe.vocabularySize = 500;
    training.bpe.special = {"<|endoftext|>", "<|user|>", "<|assistant|>"};
    auto trained = trainTokenizer(training);
    auto spec = readTokenizerJson(Json::parse(makeTokenizerJson(trained->vocabulary, training), "t")->root());
    EXPECT_TRUE(
        applyTokenizerConfig(*spec, Json::parse(makeTokenizerConfigJson(trained->vocabulary), "c")->root()));
    tables = *buildTokenizerTables(*spec);
    tokenizer = *Tokenizer::open(std::as_bytes(std::span(tables)));
  }
  ChatFormat format() const { return {*tokenizer, shape, {}}; }
  Result<ChatCounts> tokenize(const std::string &lines, int64_t length) const {
    std::filesystem::create_directories(folder.path("out"));
    folder.write("out/tokens.json", R"({"version":1,"train":{"shards":1},"val":{"shards":0}})");
    return tokenizeChats(format(), *findInputs({folder.write("chats.jsonl", lines)}), length,
                         folder.path("out"), "train");
  }
};

TEST(TokenizeChats, marksAnswersAndTheirEndsAndNothingElse) {
  Scene scene;
  auto chat = encodeChat(scene.format(), {{"user", "What is it?"},
                                          {"assistant", "A licence."},
                                          {"user", "Why?"},
                                          {"assistant", "Because."},
                                          {"user", "not answered"}});
  ASSERT_TRUE(chat) << chat.error().message;
  std::vector<int32_t> learnt, read;
  for (size_t i = 0; i < chat->ids.size(); ++i)
    (chat->answers[i] ? learnt : read).push_back(chat->ids[i]);
  EXPECT_EQ(scene.tokenizer->decode(learnt), "A licence.<|endoftext|>\nBecause.<|endoftext|>\n");
  EXPECT_EQ(scene.tokenizer->decode(read),
            "<|user|>What is it?<|endoftext|>\n<|assistant|><|user|>Why?<|endoftext|>\n"
            "<|assistant|>");
}

TEST(TokenizeChats, keepsAChatWithinOneSequence) {
  Scene scene;
  std::string lines;
  for (int i = 0; i < 20; ++i)
    lines += fmt::format(
        "{{\"messages\":[{{\"role\":\"user\",\"content\":\"Number {0}?\"}},{{\"role\":\"assistant\","
        "\"content\":\"{1}\"}}]}}\n",
        i, std::string(size_t(i % 5 + 1), 'x'));
  auto counts = scene.tokenize(lines, 64);
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->chats, 20u);
  EXPECT_EQ(counts->cut, 0u);
  auto stream = TokenStream::open(scene.folder.path("out"), "train");
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ((stream->tokens() - 1) % 64, 0u);
  auto batches =
      training::Batches::make(std::move(*stream), "t", {.batch = 1, .length = 64, .vocabulary = 503},
                              {TokenStream::Order::Sequential, 1});
  ASSERT_TRUE(batches) << batches.error().message;
  training::MicroBatch batch;
  int64_t counted = 0;
  const int32_t user = *scene.tokenizer->find("<|user|>"),
                assistant = *scene.tokenizer->find("<|assistant|>");
  for (int64_t i = 0; i < batches->sequences(); ++i) {
    batches->read(i, batch);
    counted += batch.counted;
    EXPECT_TRUE(batch.tokens[0] == user || batch.tokens[0] == scene.tokenizer->eos());
    for (size_t t = 0; t < 64; ++t) {
      EXPECT_EQ(batch.positions[t] == 0, batch.tokens[t] == user || t == 0 || batch.positions[t] == 0);
      if (batch.tokens[t] == user) {
        EXPECT_EQ(batch.positions[t], 0);
        EXPECT_EQ(batch.targets[t], -1);
      }
      if (batch.tokens[t] == assistant) {
        EXPECT_GE(batch.targets[t], 0);
      }
    }
  }
  EXPECT_EQ(uint64_t(counted), counts->answers);
}

TEST(TokenizeChats, cutsWhatIsLongerThanASequence) {
  Scene scene;
  const std::string line =
      "{\"messages\":[{\"role\":\"user\",\"content\":\"Hm?\"},{\"role\":\"assistant\",\"content\":\"" +
      std::string(300, 'q') + "\"}]}";
  auto counts = scene.tokenize(line, 16);
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->cut, 1u);
  EXPECT_EQ(counts->tokens, 16u);
}

TEST(TokenizeChats, saysWhichLineIsNoChat) {
  Scene scene;
  const auto error = [&](const std::string &lines) {
    auto counts = scene.tokenize(lines, 64);
    return counts ? "" : counts.error().message;
  };
  const std::string good = "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}]}\n";
  EXPECT_EQ(error(good), "");
  EXPECT_NE(error(good + "{\"text\":\"x\"}\n").find("chats.jsonl: line 2"), std::string::npos)
      << error(good + "{}\n");
  EXPECT_NE(error("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\n")
                .find("expected a chat with a message whose role is assistant, found none"),
            std::string::npos);
  EXPECT_NE(error("\n").find("expected chats, found none in 1 inputs"), std::string::npos) << error("\n");
  EXPECT_NE(error("{\"messages\":[{\"role\":\"user\"}]}\n").find("content"), std::string::npos);
}

} // namespace
} // namespace sinter::data
