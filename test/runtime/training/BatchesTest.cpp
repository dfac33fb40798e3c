// SPDX-License-Identifier: Apache-2.0
// Which tokens each step sees.
#include "runtime/training/Batches.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <set>

namespace sinter::training {
namespace {

using Order = data::TokenStream::Order;

std::string rawTokens(const TemporaryFolder &folder, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    bytes += char(i & 255);
    bytes += char(i >> 8);
  }
  return folder.write("t.u16", bytes);
}

Batches open(const std::string &path, int64_t batch, int64_t length, const BatchOrder &order) {
  return *Batches::make(*data::TokenStream::openRaw(path), path,
                        {.batch = batch, .length = length, .vocabulary = 1000}, order);
}

TEST(Batches, inSequenceTakeTheTokensThatWerePromised) {
  TemporaryFolder folder;
  const Batches batches = open(rawTokens(folder, 100), 3, 4, {Order::Sequential, 1});
  MicroBatch batch;
  for (int64_t step = 0; step < 8; ++step) {
    batches.read(step, batch);
    EXPECT_EQ(batch.counted, 12);
    for (int64_t sequence = 0; sequence < 3; ++sequence)
      for (int64_t t = 0; t < 4; ++t) {
        const int64_t n = step * 3 + sequence; // sequence n is tokens n * T to n * T + T
        const size_t row = size_t(sequence * 4 + t);
        EXPECT_EQ(batch.tokens[row], n * 4 + t);
        EXPECT_EQ(batch.targets[row], n * 4 + t + 1);
        EXPECT_EQ(batch.positions[row], t);
      }
  }
  EXPECT_EQ(batches.sequences(), 24);
  batches.read(8, batch); // behind the last the first follows
  EXPECT_EQ(batch.tokens[0], 0);
}

TEST(Batches, shuffledTakeEachSequenceOnceAnEpochInOrdersThatDiffer) {
  TemporaryFolder folder;
  const Batches batches = open(rawTokens(folder, 97), 2, 4, {Order::Shuffled, 5});
  MicroBatch batch;
  std::vector<std::vector<int32_t>> epochs(2);
  for (int64_t i = 0; i < 24; ++i) { // 12 batches an epoch
    batches.read(i, batch);
    epochs[size_t(i / 12)].push_back(batch.tokens[0]);
    epochs[size_t(i / 12)].push_back(batch.tokens[4]);
  }
  for (const auto &epoch : epochs)
    EXPECT_EQ(std::set<int32_t>(epoch.begin(), epoch.end()).size(), 24u);
  EXPECT_NE(epochs[0], epochs[1]);
}

TEST(Batches, forEvaluationEndWithTheTokens) {
  TemporaryFolder folder;
  const Batches batches = open(rawTokens(folder, 21), 2, 4, {Order::Sequential, 1}); // 5 sequences
  EXPECT_EQ(batches.batches(), 3);
  MicroBatch batch;
  int64_t counted = 0;
  for (int64_t i = 0; i < 3; ++i) {
    batches.readOnce(i, batch);
    counted += batch.counted;
    EXPECT_EQ(std::ranges::count_if(batch.targets, [](int32_t t) { return t >= 0; }), batch.counted);
  }
  EXPECT_EQ(counted, 20);
}

TEST(Batches, beginPositionsAgainWhereDocumentsDo) {
  TemporaryFolder folder;
  auto writer = data::ShardWriter::create(folder.path("train-00000.tokens"), 100, 9);
  ASSERT_TRUE(writer);
  for (const std::vector<int32_t> &ids : {std::vector<int32_t>{1, 2, 3}, {4, 5}, {6, 7, 8, 9}})
    ASSERT_TRUE(writer->add(ids, ids.size()));
  ASSERT_TRUE(writer->finish());
  folder.write("tokens.json", R"({"version":1,"train":{"shards":1},"val":{"shards":0}})");
  MicroBatch batch;
  for (bool cross : {false, true}) {
    auto batches = Batches::make(*data::TokenStream::open(folder.path(), "train"), "t",
                                 {.batch = 2, .length = 4, .vocabulary = 100}, {Order::Sequential, 1, cross});
    ASSERT_TRUE(batches);
    batches->read(0, batch);
    EXPECT_EQ(batch.tokens, (std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(batch.positions, cross ? (std::vector<int32_t>{0, 1, 2, 3, 0, 1, 2, 3})
                                     : (std::vector<int32_t>{0, 1, 2, 0, 0, 0, 1, 2}));
    EXPECT_EQ(batch.targets, (std::vector<int32_t>{2, 3, 4, 5, 6, 7, 8, 9}));
  }
}

TEST(Batches, refuseTokensThatTheModelDoesNotKnowAndStreamsThatAreTooShort) {
  TemporaryFolder folder;
  const std::string path = rawTokens(folder, 100);
  auto bad =
      Batches::make(*data::TokenStream::openRaw(path), "t", {.batch = 1, .length = 4, .vocabulary = 49}, {});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "t: expected tokens below 49, the model's vocabulary, found 49 as token 49");
  auto none = Batches::make(*data::TokenStream::openRaw(path), "t",
                            {.batch = 1, .length = 100, .vocabulary = 1000}, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message,
            "t: expected at least 101 tokens, a sequence and the target of its last token, found 100");
  auto writer = data::ShardWriter::create(folder.path("train-00000.tokens"), 300, 9);
  ASSERT_TRUE(writer && writer->add(std::vector<int32_t>{1, 2, 3, 4, 5, 6}, 6) && writer->finish());
  folder.write("tokens.json", R"({"version":1,"train":{"shards":1},"val":{"shards":0}})");
  auto other = Batches::make(*data::TokenStream::open(folder.path(), "train"), "t",
                             {.batch = 1, .length = 4, .vocabulary = 299}, {});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message,
            "t: expected tokens of a vocabulary of at most 299, the model's, found one of 300: "
            "the configuration's vocab_size must be the tokenizer's or more");
}

TEST(Batches, ofOtherTokensHaveAnotherFingerprint) {
  TemporaryFolder folder;
  const std::string path = rawTokens(folder, 1000);
  const uint64_t before = open(path, 1, 4, {}).fingerprint();
  EXPECT_EQ(open(path, 2, 4, {}).fingerprint(), before);
  EXPECT_NE(open(path, 1, 5, {}).fingerprint(), before);
  std::string bytes = folder.read("t.u16");
  bytes[12] ^= 1; // one token of many
  folder.write("t.u16", bytes);
  EXPECT_NE(open(path, 1, 4, {}).fingerprint(), before);
}

} // namespace
} // namespace sinter::training
