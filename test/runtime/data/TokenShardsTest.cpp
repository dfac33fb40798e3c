// SPDX-License-Identifier: Apache-2.0
// Token shards: what goes in comes out, in sequences that know their documents; damage and mixtures are
// refused.
#include "runtime/data/TokenShards.h"
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/data/ByteSource.h"
#include "runtime/data/Tokenize.h"
#include "runtime/data/TrainTokenizer.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

namespace sinter::data {
namespace {

namespace fs = std::filesystem;

TEST(Permute, givesEachNumberOnceAndDependsOnTheSeed) {
  for (uint64_t count : {1, 2, 3, 17, 64, 1000, 4097}) {
    std::vector<bool> seen(count);
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t at = permute(i, count, 7);
      ASSERT_LT(at, count);
      ASSERT_FALSE(seen[at]);
      seen[at] = true;
    }
  }
  int same = 0, kept = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    same += permute(i, 1000, 1) == permute(i, 1000, 2);
    kept += permute(i, 1000, 1) == i;
  }
  EXPECT_LT(same, 20);
  EXPECT_LT(kept, 20);
}

/// Two shards of documents of 3, 1, 4 and 5, 2 tokens, in a folder as the command leaves it.
void writeShards(const TemporaryFolder &folder, uint64_t vocabulary) {
  int32_t next = 0;
  int number = 0;
  for (const std::vector<size_t> &sizes : {std::vector<size_t>{3, 1, 4}, std::vector<size_t>{5, 2}}) {
    auto writer =
        ShardWriter::create(folder.path(fmt::format("train-{:05}.tokens", number++)), vocabulary, 99);
    ASSERT_TRUE(writer);
    for (size_t size : sizes) {
      std::vector<int32_t> ids(size);
      for (int32_t &id : ids)
        id = next++;
      ASSERT_TRUE(writer->add(ids, size));
    }
    ASSERT_TRUE(writer->finish());
  }
  folder.write("tokens.json", R"({"version":1,"train":{"shards":2},"val":{"shards":0}})");
}

TEST(TokenShards, packSequencesAcrossDocumentsAndShards) {
  for (uint64_t vocabulary : {100, 100000}) {
    TemporaryFolder folder;
    writeShards(folder, vocabulary);
    auto stream = TokenStream::open(folder.path(), "train");
    ASSERT_TRUE(stream) << stream.error().message;
    EXPECT_EQ(stream->tokens(), 15u);
    EXPECT_EQ(stream->sequences(7), 2u);
    EXPECT_EQ(stream->sequences(14), 1u);
    EXPECT_EQ(stream->sequences(15), 0u);
    std::vector<int32_t> ids(8), documents(8);
    stream->read(0, TokenStream::Order::Sequential, 0, ids, documents);
    EXPECT_EQ(ids, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(documents, (std::vector<int32_t>{0, 0, 0, 1, 2, 2, 2, 2}));
    stream->read(1, TokenStream::Order::Sequential, 0, ids, documents);
    EXPECT_EQ(ids, (std::vector<int32_t>{7, 8, 9, 10, 11, 12, 13, 14}));
    EXPECT_EQ(documents, (std::vector<int32_t>{0, 1, 1, 1, 1, 1, 2, 2}));
    std::vector<int32_t> first;
    for (uint64_t i = 0; i < 2; ++i) {
      stream->read(i, TokenStream::Order::Shuffled, 3, ids, documents);
      first.push_back(ids[0]);
    }
    std::ranges::sort(first);
    EXPECT_EQ(first, (std::vector<int32_t>{0, 7}));
    auto none = TokenStream::open(folder.path(), "val");
    ASSERT_TRUE(none);
    EXPECT_EQ(none->tokens(), 0u);
  }
}

TEST(TokenShards, readRawIdsWithoutAHeader) {
  TemporaryFolder folder;
  std::string path = folder.write("t.u16", std::string("\1\0\2\0\3\0\4\1", 8));
  auto stream = TokenStream::openRaw(path);
  ASSERT_TRUE(stream);
  std::vector<int32_t> ids(3), documents(3);
  stream->read(0, TokenStream::Order::Sequential, 0, ids, documents);
  EXPECT_EQ(ids, (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(stream->sequences(3), 1u);
  EXPECT_FALSE(TokenStream::openRaw(folder.write("odd.u32", "12345")));
  EXPECT_FALSE(TokenStream::openRaw(folder.write("name.bin", "1234")));
}

TEST(TokenShards, everyChangedByteIsNoticed) {
  TemporaryFolder folder;
  writeShards(folder, 100);
  std::string good = folder.read("train-00000.tokens");
  auto check = [](const std::string &bytes) {
    return checkShard(std::as_bytes(std::span(bytes)), "shard", true);
  };
  ASSERT_TRUE(check(good));
  for (size_t i = 0; i < good.size(); ++i) {
    if (i >= 32 && i < 56)
      continue; // vocabulary, tokenizer, bytes: any value that allows the ids is possible
    std::string bad = good;
    bad[i] ^= 0x10;
    EXPECT_FALSE(check(bad)) << "byte " << i;
  }
  EXPECT_FALSE(check(good.substr(0, good.size() - 1)));
  EXPECT_FALSE(check(good.substr(0, 10)));
  EXPECT_FALSE(check(""));
  std::string small = good;
  small[32] = 5; // the vocabulary
  auto error = check(small);
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().message, "shard: expected ids below 5, found 5 at token 5");
}

TEST(TokenShards, ofDifferentTokenizersDoNotMix) {
  TemporaryFolder folder;
  writeShards(folder, 100);
  auto writer = ShardWriter::create(folder.path("train-00001.tokens"), 100, 98);
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->add(std::vector<int32_t>{1, 2}, 2));
  ASSERT_TRUE(writer->finish());
  auto stream = TokenStream::open(folder.path(), "train");
  ASSERT_FALSE(stream);
  EXPECT_NE(stream.error().message.find("expected shards of tokenizer"), std::string::npos);
}

/// A tokenizer trained on the license.
struct Trained {
  std::vector<uint8_t> tables;
  std::optional<Tokenizer> tokenizer;
  explicit Trained(bool special) {
    TokenizerTraining training;
    training.inputs = *findInputs({std::string(SINTER_SOURCE_DIR) + "/LICENSE"});
    training.bpe.vocabularySize = 500;
    training.bpe.special = {"<|endoftext|>"};
    auto trained = trainTokenizer(training);
    auto spec = readTokenizerJson(Json::parse(makeTokenizerJson(trained->vocabulary, training), "t")->root());
    if (special)
      EXPECT_TRUE(applyTokenizerConfig(
          *spec, Json::parse(makeTokenizerConfigJson(trained->vocabulary), "c")->root()));
    tables = *buildTokenizerTables(*spec);
    tokenizer = *Tokenizer::open(std::as_bytes(std::span(tables)));
  }
};

TEST(Tokenize, keepsDocumentsApartAndGoesOnWhereItWasKilled) {
  Trained trained(true);
  TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 30000; ++i)
    lines += fmt::format(
        "{{\"id\":\"d{0}\",\"text\":\"Document {0} of the corpus, with a <|endoftext|> in it, and more "
        "words of license and copyright for number {1}.\"}}\n",
        i, i * 31 % 977);
  TokenizeOptions options;
  options.train = *findInputs({folder.write("a.jsonl", lines)});
  options.validation = *findInputs({folder.write("v.jsonl", "{\"text\":\"Held out.\"}\n")});
  options.output = folder.path("tokens");
  options.shardTokens = 300000;
  auto tally = tokenizeData(*trained.tokenizer, options);
  ASSERT_TRUE(tally) << tally.error().message;
  EXPECT_EQ((*tally)["train documents"], 30000u);
  EXPECT_EQ((*tally)["val documents"], 1u);
  auto stream = TokenStream::open(options.output, "train");
  ASSERT_TRUE(stream) << stream.error().message;
  auto shard = TokenShard::open(options.output + "/train-00000.tokens", true);
  ASSERT_TRUE(shard);
  EXPECT_TRUE(fs::exists(options.output + "/train-00001.tokens"));
  std::vector<int32_t> ids(shard->documentStart(2) - shard->documentStart(1));
  shard->copy(shard->documentStart(1), ids);
  EXPECT_EQ(ids.back(), trained.tokenizer->eos());
  ids.pop_back();
  EXPECT_EQ(trained.tokenizer->decode(ids), "Document 1 of the corpus, with a <|endoftext|> in it, and more "
                                            "words of license and copyright for number 31.");
  EXPECT_EQ(std::ranges::count(ids, trained.tokenizer->eos()), 0);

  auto killed = options;
  killed.output = folder.path("killed");
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    int calls = 0;
    killed.progress = [&](std::string_view, uint64_t, uint64_t) {
      if (++calls == 3)
        ::_exit(9);
    };
    tokenizeData(*trained.tokenizer, killed);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(WEXITSTATUS(status), 9);
  folder.write("killed/.train-00001.tokens.tmp-a1B2c3", "what a killed process was writing");
  killed.threads = 2;
  auto rest = tokenizeData(*trained.tokenizer, killed);
  ASSERT_TRUE(rest) << rest.error().message;
  for (const auto &entry : fs::directory_iterator(options.output)) {
    std::string name = entry.path().filename().string();
    EXPECT_EQ(folder.read("killed/" + name), folder.read("tokens/" + name)) << name;
  }
  EXPECT_FALSE(fs::exists(folder.path("killed/.train-00001.tokens.tmp-a1B2c3")));
}

TEST(Tokenize, saysWhatIsWrong) {
  Trained with(true), without(false);
  TemporaryFolder folder;
  TokenizeOptions options;
  options.train = *findInputs({folder.write("a.jsonl", "{\"text\":1}\n")});
  options.output = folder.path("out");
  auto none = tokenizeData(*with.tokenizer, options);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("expected documents, found none in 1 inputs; the first problem: "),
            std::string::npos)
      << none.error().message;
  EXPECT_FALSE(fs::exists(options.output));
  auto cut = options;
  const std::string packed = compressZstd("{\"text\":\"a\"}\n", 3);
  cut.train = *findInputs({folder.write("cut.jsonl.zst", packed.substr(0, packed.size() - 3))});
  auto damaged = tokenizeData(*with.tokenizer, cut);
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message.find("expected a complete zstd frame"), std::string::npos)
      << damaged.error().message;
  EXPECT_FALSE(fs::exists(options.output)) << "the same command serves when the file is mended";
  auto noEnd = tokenizeData(*without.tokenizer, options);
  ASSERT_FALSE(noEnd);
  EXPECT_NE(noEnd.error().message.find("expected a tokenizer with an end token"), std::string::npos);
  fs::create_directories(options.output);
  folder.write("out/x", "y");
  auto full = tokenizeData(*with.tokenizer, options);
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().message.find("expected a new or empty folder"), std::string::npos);
}

TEST(Tokenize, letsOneRunAtATimeIntoAFolder) {
  Trained trained(true);
  TemporaryFolder folder;
  TokenizeOptions options;
  options.train = *findInputs({folder.write("a.txt", "Some text.")});
  options.output = folder.path("out");
  std::string second;
  options.progress = [&](std::string_view, uint64_t, uint64_t) { // the first run is at work
    auto again = options;
    again.progress = nullptr;
    auto other = tokenizeData(*trained.tokenizer, again);
    second = other ? "no error" : other.error().message;
  };
  auto first = tokenizeData(*trained.tokenizer, options);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_NE(second.find("expected no other run in this folder, found one at work"), std::string::npos)
      << second;
  EXPECT_FALSE(fs::exists(folder.path("out/.lock")));
}

TEST(Tokenize, saysWhichFilesItSkipped) {
  Trained trained(true);
  TemporaryFolder folder;
  fs::create_directories(folder.path("in"));
  folder.write("in/a.txt", "Some text.");
  folder.write("in/b.txt", std::string("a\0b", 3));
  TokenizeOptions options;
  options.train = *findInputs({folder.path("in")});
  options.output = folder.path("out");
  auto tally = tokenizeData(*trained.tokenizer, options);
  ASSERT_TRUE(tally) << tally.error().message;
  ASSERT_EQ(tally->examples["note"].size(), 1u);
  EXPECT_NE(tally->examples["note"][0].find("b.txt: expected text, found binary data: the file was skipped"),
            std::string::npos);
}

} // namespace
} // namespace sinter::data
