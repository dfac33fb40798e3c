// SPDX-License-Identifier: Apache-2.0
// Training of tokenizers against Hugging Face's trainer (goldens by utils/make-bpe-goldens), and that neither
// threads nor cuts show in the result.
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/data/ByteSource.h"
#include "runtime/data/TrainTokenizer.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/tokenizer/Splitter.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sinter::data {
namespace {

std::string source(std::string_view name) { return std::string(SINTER_SOURCE_DIR) + "/" + std::string(name); }

std::string contentOf(const std::string &path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

TokenizerTraining trainingOf(const std::vector<std::string> &names, size_t size) {
  TokenizerTraining training;
  auto inputs = findInputs(names);
  EXPECT_TRUE(inputs) << inputs.error().message;
  if (inputs)
    training.inputs = *inputs;
  training.bpe.vocabularySize = size;
  return training;
}

Splitting splittingOf(std::string_view name) {
  return name == "gpt2" ? Splitting::Gpt2 : name == "llama3" ? Splitting::Llama3 : Splitting::Qwen2;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, findsTheTokensAndMergesOfHuggingFacesTrainer) {
  auto json = Json::read(GetParam());
  ASSERT_TRUE(json) << json.error().message;
  JsonValue root = json->root();
  auto training = trainingOf({source(*root.get<std::string>("corpus"))},
                             static_cast<size_t>(*root.get<int64_t>("vocab_size")));
  training.splitting = splittingOf(*root.get<std::string>("pre"));
  training.bpe.special = *root.get<std::vector<std::string>>("special");
  training.bpe.byteFallback = *root.get<bool>("byte_fallback");
  training.threads = 2;
  auto trained = trainTokenizer(training);
  ASSERT_TRUE(trained) << trained.error().message;
  EXPECT_EQ(trained->vocabulary.tokens, *root.get<std::vector<std::string>>("tokens"));
  size_t index = 0;
  ASSERT_EQ(trained->vocabulary.merges.size(), root["merges"].size());
  for (JsonValue merge : root["merges"]) {
    auto ids = *merge.as<std::vector<int64_t>>();
    ASSERT_EQ(trained->vocabulary.merges[index], std::pair(uint32_t(ids[0]), uint32_t(ids[1])))
        << "merge " << index;
    ++index;
  }

  // What is written loads, and gives the text back.
  auto written = Json::parse(makeTokenizerJson(trained->vocabulary, training), "tokenizer.json");
  ASSERT_TRUE(written) << written.error().message;
  auto spec = readTokenizerJson(written->root());
  ASSERT_TRUE(spec) << spec.error().message;
  auto tables = buildTokenizerTables(*spec);
  ASSERT_TRUE(tables) << tables.error().message;
  auto tokenizer = Tokenizer::open(std::as_bytes(std::span(*tables)));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  std::string text = contentOf(training.inputs[0].path).substr(0, 2000);
  while (!text.empty() && static_cast<unsigned char>(text.back()) >= 0x80)
    text.pop_back(); // no half character
  std::vector<int32_t> ids = tokenizer->encode(text, false, false);
  EXPECT_LT(ids.size(), text.size());
  if (training.splitting != Splitting::Qwen2)
    EXPECT_EQ(tokenizer->decode(ids), text);
}

std::vector<std::string> goldens() {
  std::vector<std::string> paths;
  for (const auto &entry : std::filesystem::directory_iterator(source("test/runtime/data/goldens")))
    paths.push_back(entry.path().string());
  std::ranges::sort(paths);
  return paths;
}

INSTANTIATE_TEST_SUITE_P(Corpora, Golden, testing::ValuesIn(goldens()), [](const auto &info) {
  std::string name = std::filesystem::path(info.param).stem().string();
  std::ranges::replace(name, '-', '_');
  return name;
});

/// Several megabytes: more than one batch.
std::string longText() {
  std::string once = contentOf(source("LICENSE")) +
                     contentOf(source("test/runtime/data/corpus/chinese.txt")) +
                     contentOf(source("test/runtime/data/corpus/mixed.txt"));
  std::string text;
  for (int i = 0; text.size() < (3u << 20); ++i)
    text += once + std::to_string(i * 7919) + "\n";
  return text;
}

TEST(BpeTrainer, resultDoesNotDependOnThreadsOrOnWhereTextIsCut) {
  TemporaryFolder folder;
  std::string text = longText();
  std::string flat = text;
  std::ranges::replace(flat, '\n', ' '); // one giant line
  std::string numbers;                   // no letter far and wide
  for (uint32_t i = 1; numbers.size() < (3u << 20); i = i * 1664525 + 1013904223)
    numbers += std::to_string(i) + (i & 1 ? " " : ", ");
  for (const std::string &content : {text, flat, numbers}) {
    auto training = trainingOf({folder.write("text.txt", content)}, 400);
    for (Splitting splitting : {Splitting::Gpt2, Splitting::Llama3}) {
      training.splitting = splitting;
      WordCounts words;
      split(splitting == Splitting::Gpt2 ? SplitterKind::Gpt2 : SplitterKind::Llama3, content, 0,
            content.size(), [&](size_t begin, size_t end) {
              words.add(std::string_view(content).substr(begin, end - begin));
            });
      size_t different = words.size();
      auto expected = trainBpe(std::move(words), training.bpe);
      ASSERT_TRUE(expected);
      for (unsigned threads : {1u, 3u}) {
        training.threads = threads;
        auto trained = trainTokenizer(training);
        ASSERT_TRUE(trained) << trained.error().message;
        EXPECT_EQ(trained->words, different);
        EXPECT_EQ(trained->bytes, content.size());
        EXPECT_EQ(trained->vocabulary.tokens, expected->tokens);
        EXPECT_EQ(trained->vocabulary.merges, expected->merges);
      }
    }
  }
}

TEST(BpeTrainer, readsTheSameTextFromPackedFilesAndJsonLines) {
  TemporaryFolder folder;
  std::string text = contentOf(source("LICENSE"));
  std::string quoted;
  appendJsonString(quoted, text);
  auto plain = trainTokenizer(trainingOf({folder.write("a.txt", text)}, 500));
  auto packed = trainTokenizer(trainingOf({folder.write("a.txt.zst", compressZstd(text, 3))}, 500));
  auto lines =
      trainTokenizer(trainingOf({folder.write("a.jsonl", "{\"id\":7,\"text\":" + quoted + "}\n")}, 500));
  ASSERT_TRUE(plain && packed && lines);
  EXPECT_EQ(plain->vocabulary.tokens, packed->vocabulary.tokens);
  EXPECT_EQ(plain->vocabulary.tokens, lines->vocabulary.tokens);
}

TEST(BpeTrainer, countsBeyondTwoToTheThirtyOne) {
  WordCounts words;
  words.add("ab", uint64_t(5) << 32);
  words.add("cd", uint64_t(7) << 32);
  words.add("ef", uint64_t(6) << 32);
  BpeOptions options;
  options.vocabularySize = 258;
  auto trained = trainBpe(std::move(words), options);
  ASSERT_TRUE(trained);
  EXPECT_EQ(trained->tokens[256], "cd");
  EXPECT_EQ(trained->tokens[257], "ef");
}

TEST(BpeTrainer, stopsAtTheLeastFrequency) {
  WordCounts words;
  words.add("ab", 3);
  words.add("cd", 2);
  BpeOptions options;
  options.vocabularySize = 300;
  options.minFrequency = 3;
  auto trained = trainBpe(std::move(words), options);
  ASSERT_TRUE(trained);
  EXPECT_EQ(trained->tokens.size(), 257u);
}

TEST(BpeTrainer, countsRepairedTextAndSkippedLines) {
  TemporaryFolder folder;
  auto bad = trainTokenizer(trainingOf({folder.write("a.txt", "good \xFF text and \xE4\xBD half")}, 300));
  ASSERT_TRUE(bad) << bad.error().message;
  EXPECT_EQ(bad->repaired, 2u);
  auto lines = trainTokenizer(
      trainingOf({folder.write("a.jsonl", "{\"text\":\"good line\"}\n{\"txt\":1}\n\nnot json\n")}, 300));
  ASSERT_TRUE(lines) << lines.error().message;
  EXPECT_EQ(lines->badLines, 2u);
  EXPECT_NE(lines->firstBad.find("line 2"), std::string::npos) << lines->firstBad;
}

std::string errorOf(const TokenizerTraining &training) {
  auto trained = trainTokenizer(training);
  return trained ? "no error" : trained.error().message;
}

TEST(BpeTrainer, saysWhatIsWrongWithItsInput) {
  TemporaryFolder folder;
  EXPECT_EQ(errorOf(trainingOf({folder.write("empty.txt", "")}, 300)),
            "expected text, found none in 1 inputs");
  EXPECT_EQ(errorOf(trainingOf({folder.write("a.txt", "some text")}, 255)),
            "--vocab-size: expected at least 256, one a byte, found 255");
  EXPECT_NE(
      errorOf(trainingOf({folder.write("binary.txt", std::string("ab\0cd", 5))}, 300)).find("binary data"),
      std::string::npos);
  auto giant = trainingOf({folder.write("giant.txt", std::string(20 << 20, 'a'))}, 300);
  giant.memory = 64 << 20;
  EXPECT_NE(errorOf(giant).find("giant.txt: expected words of at most 8 MiB, found a longer one"),
            std::string::npos)
      << errorOf(giant);
  std::string packed = compressZstd(longText(), 3);
  EXPECT_NE(errorOf(trainingOf({folder.write("cut.txt.zst", packed.substr(0, packed.size() / 2))}, 300))
                .find("expected a complete zstd frame"),
            std::string::npos);
  auto fallback = trainingOf({source("test/runtime/data/corpus/chinese.txt")}, 300);
  fallback.bpe.byteFallback = true;
  EXPECT_NE(errorOf(fallback).find("--limit-alphabet"), std::string::npos);
  fallback.bpe.alphabetLimit = 20;
  auto limited = trainTokenizer(fallback);
  ASSERT_TRUE(limited) << limited.error().message;
  EXPECT_EQ(limited->vocabulary.tokens.size(), 300u);
  auto small = trainingOf({folder.write("b.txt", longText())}, 300);
  small.memory = 1 << 16;
  EXPECT_NE(errorOf(small).find("--memory: expected"), std::string::npos) << errorOf(small);
}

} // namespace
} // namespace sinter::data
