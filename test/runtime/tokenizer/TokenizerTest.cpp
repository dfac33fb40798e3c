// SPDX-License-Identifier: Apache-2.0
// A tokenizer of a few tokens, built by hand: what it encodes and decodes, and what damage its tables
// survive.
#include "runtime/tokenizer/Tokenizer.h"
#include "frontend/tokenizer/TokenizerSpec.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/Splitter.h"
#include "test/Sanitized.h"
#include <ctime>
#include <gtest/gtest.h>
#include <random>
#include <thread>

using namespace sinter;

namespace {

using Ids = std::vector<int32_t>;

/// All bytes (ids 0 to 255), "th" 256, "the" 257, " the" 258, then "<s>" 259 and "<pad>" 260.
TokenizerSpec byteLevel() {
  TokenizerSpec spec;
  auto name = [](std::string_view bytes) {
    std::string out;
    appendByteAlphabet(out, bytes);
    return out;
  };
  for (int b = 0; b < 256; ++b) {
    char byte = static_cast<char>(b);
    spec.tokens.emplace_back(name({&byte, 1}));
  }
  for (std::string_view token : {"th", "the", " the"})
    spec.tokens.emplace_back(name(token));
  spec.merges = {{'t', 'h', 256}, {256, 'e', 257}, {' ', 257, 258}};
  spec.added = {{"<s>", true, false, false, false, false}, {"<pad>", false, false, false, true, false}};
  spec.preTokenizers = {{StepKind::Splitter, static_cast<uint32_t>(SplitterKind::Gpt2), {}, {}},
                        {StepKind::ByteLevelMap, 0, {}, {}}};
  spec.decoders = {{StepKind::DecodeByteLevel, 0, {}, {}}};
  spec.before = {259};
  spec.bos = "<s>";
  return spec;
}

struct Opened {
  std::vector<uint8_t> blob;
  Tokenizer tokenizer;
};
Opened open(const TokenizerSpec &spec) {
  Result<std::vector<uint8_t>> blob = buildTokenizerTables(spec);
  if (!blob)
    throw std::runtime_error(blob.error().message);
  Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*blob)));
  if (!tokenizer)
    throw std::runtime_error(tokenizer.error().message);
  return {std::move(*blob), std::move(*tokenizer)};
}

TEST(TokenizerTest, MergesInOrderOfRank) {
  Opened t = open(byteLevel());
  EXPECT_EQ(t.tokenizer.encode("the the tha", false), (Ids{257, 258, ' ', 256, 'a'}));
}

TEST(TokenizerTest, PutsTheBeginTokenInFront) {
  Opened t = open(byteLevel());
  EXPECT_EQ(t.tokenizer.encode("the"), (Ids{259, 257}));
  EXPECT_EQ(t.tokenizer.encode(""), (Ids{259}));
  EXPECT_EQ(t.tokenizer.bos(), 259);
  EXPECT_EQ(t.tokenizer.eos(), -1);
}

TEST(TokenizerTest, ReadsSpecialTokensOnlyWhenAsked) {
  Opened t = open(byteLevel());
  EXPECT_EQ(t.tokenizer.encode("a<s>", false), (Ids{'a', 259}));
  EXPECT_EQ(t.tokenizer.encode("a<s>", false, false), (Ids{'a', '<', 's', '>'}));
  EXPECT_EQ(t.tokenizer.encode("<pad> \n x", false, false), (Ids{260, 'x'}))
      << "not special; takes in white space";
}

TEST(TokenizerTest, ReadsInvalidUtf8AsReplacementCharacters) {
  Opened t = open(byteLevel());
  EXPECT_EQ(t.tokenizer.encode("\xFFt", false), t.tokenizer.encode("\uFFFDt", false));
}

TEST(TokenizerTest, DecodesToTheSameBytes) {
  Opened t = open(byteLevel());
  std::mt19937 random(3);
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (size_t n = random() % 100; n-- > 0;)
      text += std::vector<std::string>{
          "the", " ", "t", "\u00E9", "\u4E2D", "\n", "\U0001F600", "<s>"}[random() % 8];
    EXPECT_EQ(t.tokenizer.decode(t.tokenizer.encode(text, false)), text);
  }
}

TEST(TokenizerTest, LeavesOutSpecialTokensOnlyWhenAsked) {
  Opened t = open(byteLevel());
  EXPECT_EQ(t.tokenizer.decode(Ids{259, 257, 260}), "<s>the<pad>");
  EXPECT_EQ(t.tokenizer.decode(Ids{259, 257, 260}, true), "the<pad>");
}

TEST(TokenizerTest, MergesTheNeighboursOfAByteThatVanishes) {
  TokenizerSpec spec = byteLevel();
  spec.tokens[4].reset(); // neither it nor an unknown token is there
  Opened t = open(spec);
  EXPECT_EQ(t.tokenizer.encode("++++++++++++++++++++t\4h", false).size(), 22u); // GPT-2 cuts at the letter
  spec.preTokenizers.erase(spec.preTokenizers.begin());
  Opened whole = open(spec);
  Ids expected(20, '+');
  expected.push_back(257);
  EXPECT_EQ(whole.tokenizer.encode("++++++++++++++++++++t\4h\4\4e\4", false), expected);
}

TEST(TokenizerTest, ShowsSpecialTokensThatNormalisationChanges) {
  TokenizerSpec spec = byteLevel();
  spec.normalizers = {{StepKind::Lowercase, 0, {}, {}}};
  spec.added = {{"<S>", true, false, false, false, true}, {"<P>", true, false, false, false, false}};
  spec.before.clear();
  spec.bos.clear();
  Opened t = open(spec);
  EXPECT_EQ(t.tokenizer.encode("<S><s><P>", false), (Ids{259, 259, 260}));
  EXPECT_EQ(t.tokenizer.decode(Ids{259, 260, 'a'}, true), "<s>a");
}

TEST(TokenizerTest, FindsATokenOfUnigramThatIsAlsoAnAddedOne) {
  TokenizerSpec spec;
  spec.model = ModelKind::Unigram;
  spec.tokens = {"<unk>", "_", "a"};
  spec.scores = {0, -1, -1};
  spec.unknown = 0;
  spec.normalizers = {{StepKind::Prepend, 0, "_", {}}};
  spec.added = {{"_", false, false, false, false, true}}; // looked for, and shown, as "__"
  Opened t = open(spec);
  EXPECT_EQ(t.tokenizer.encode("a"), (Ids{1, 2}));
  EXPECT_EQ(t.tokenizer.encode("_a"), (Ids{1, 2}));
  EXPECT_EQ(t.tokenizer.decode(Ids{1, 2}), "__ a");
}

TEST(TokenizerTest, TakesASpaceThatIsATokenOnlyOnce) {
  TokenizerSpec spec = byteLevel();
  spec.added = {{"\n", false, false, true, true, false}};
  spec.before.clear();
  spec.bos.clear();
  EXPECT_EQ(open(spec).tokenizer.encode("a \n \n b", false), (Ids{'a', 259, 'b'}));
}

TEST(TokenizerTest, JoinsTokensBehindByteLevel) {
  TokenizerSpec spec = byteLevel();
  spec.decoders.push_back({StepKind::DecodeFuse, 0, {}, {}});
  spec.decoders.push_back({StepKind::DecodeStrip, 1, " ", {}});
  EXPECT_EQ(open(spec).tokenizer.decode(Ids{' ', 258, 258}), " the the");
}

TEST(TokenizerTest, IgnoresIdsThatNoTokenHas) {
  Opened t = open(byteLevel());
  EXPECT_EQ(t.tokenizer.decode(Ids{-1, 257, 261, 1 << 30}), "the");
  EXPECT_EQ(t.tokenizer.tokenBytes(-5), "");
}

TEST(TokenizerTest, GivesTheBytesOfHalfACharacter) {
  Opened t = open(byteLevel());
  EXPECT_EQ(t.tokenizer.tokenBytes(0xE4), "\xE4");
  EXPECT_EQ(t.tokenizer.decode(Ids{0xE4, 0xB8}), "\xE4\xB8");
}

TEST(TokenizerTest, FindsTokensByName) {
  Opened t = open(byteLevel());
  EXPECT_EQ(t.tokenizer.find("<s>"), 259);
  EXPECT_EQ(t.tokenizer.find("the"), 257);
  EXPECT_EQ(t.tokenizer.find("nothing"), std::nullopt);
}

TEST(StreamDecoderTest, GivesCompleteCharactersOnly) {
  Opened t = open(byteLevel());
  StreamDecoder stream(t.tokenizer);
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push(0xB8), "");
  EXPECT_EQ(stream.push(0xAD), "\u4E2D");
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push('a'), "\uFFFDa");
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
  EXPECT_EQ(stream.flush(), "");
}

TEST(TokenizerTest, EncodesAMegabyteWithoutASpace) {
  Opened t = open(byteLevel());
  std::string text;
  constexpr size_t size = sanitized ? 30000 : 1000000;
  while (text.size() < size)
    text += "the";
  EXPECT_EQ(t.tokenizer.encode(text, false), Ids(text.size() / 3, 257));
  EXPECT_EQ(t.tokenizer.encode(std::string(size, ' '), false), Ids(size, ' '));
}

/// Seconds of this thread's processor time that `text` takes, the least of three runs.
double secondsToEncode(const Tokenizer &tokenizer, const std::string &text) {
  double least = std::numeric_limits<double>::infinity();
  for (int run = 0; run < 3; ++run) {
    timespec begin, end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    EXPECT_FALSE(tokenizer.encode(text, false).empty());
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    least = std::min(least, double(end.tv_sec - begin.tv_sec) + 1e-9 * double(end.tv_nsec - begin.tv_nsec));
  }
  return least;
}

TEST(TokenizerTest, NeedsTimeLinearInTheLengthOfAWord) {
  if (sanitized)
    GTEST_SKIP() << "skipped: sanitizers change what takes time";
  TokenizerSpec bpe = byteLevel(), unigram;
  // Pairs of pairs of pairs, whose merges run through a word again and again.
  auto add = [&](uint32_t left, uint32_t right) {
    bpe.merges.push_back({left, right, uint32_t(bpe.tokens.size())});
    bpe.tokens.emplace_back(*bpe.tokens[left] + *bpe.tokens[right]);
    return bpe.merges.back().result;
  };
  for (uint32_t letter = 'a'; letter < 'e'; ++letter)
    for (uint32_t length = 1, whole = letter; length < 4096; length *= 2)
      whole = add(whole, whole);
  for (uint32_t left = 'a'; left < 'e'; ++left)
    for (uint32_t right = 'a'; right < 'e'; ++right)
      if (left != right)
        add(left, right);
  bpe.before.clear();
  bpe.added.clear();
  unigram.model = ModelKind::Unigram;
  unigram.unknown = 0;
  unigram.tokens = {"<unk>"};
  unigram.scores = {-20};
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::string piece;
    for (size_t length = i < 4 ? 1 : 1 + random() % 12; piece.size() < length;)
      piece += char('a' + (i < 4 ? i : int(random() % 4)));
    if (std::ranges::find(unigram.tokens, piece) != unigram.tokens.end())
      continue;
    unigram.tokens.emplace_back(piece);
    unigram.scores.push_back(-1.0 - double(random() % 1000) / 100);
  }
  for (const TokenizerSpec &spec : {bpe, unigram}) {
    Opened t = open(spec);
    for (uint32_t letters : {1, 2, 4}) {
      std::string word(size_t(1) << 20, 'a');
      for (char &byte : word)
        byte = char('a' + random() % letters);
      const double part = secondsToEncode(t.tokenizer, word.substr(0, word.size() / 16));
      const double whole = secondsToEncode(t.tokenizer, word);
      EXPECT_LT(whole, 64 * part) << letters
                                  << " letters: 16 times the length; quadratic would be 256 times the time";
      EXPECT_LT(whole, 2.0) << letters << " letters";
    }
  }
}

TEST(TokenizerTest, EncodesOnSeveralThreads) {
  Opened t = open(byteLevel());
  Ids expected = t.tokenizer.encode("the theatre of the thing", false);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 2000; ++k)
        wrong += t.tokenizer.encode("the theatre of the thing", false) != expected;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(TokenizerTest, RefusesTablesThatAreCutShort) {
  std::vector<uint8_t> blob = *buildTokenizerTables(byteLevel());
  for (size_t size : {size_t{0}, size_t{7}, sizeof(BlobHeader), blob.size() - 1})
    EXPECT_FALSE(Tokenizer::open(std::as_bytes(std::span(blob).first(size)))) << size;
}

TEST(TokenizerTest, SaysWhatIsWrongWithTables) {
  std::vector<uint8_t> blob = *buildTokenizerTables(byteLevel());
  auto message = [&](size_t at, uint8_t value) {
    std::vector<uint8_t> damaged = blob;
    damaged[at] = value;
    Result<Tokenizer> opened = Tokenizer::open(std::as_bytes(std::span(damaged)));
    return opened ? "opened" : opened.error().message;
  };
  EXPECT_EQ(message(0, 'X'), "tokenizer tables: expected to begin with SINTOK, found other bytes");
  EXPECT_EQ(message(offsetof(BlobHeader, version), 9),
            "tokenizer tables: expected version 1 with 22 sections, found version 9 with 22");
}

TEST(TokenizerTest, SurvivesAnyDamagedByte) {
  std::vector<uint8_t> blob = *buildTokenizerTables(byteLevel());
  std::mt19937 random(5);
  for (int i = 0; i < 3000; ++i) {
    std::vector<uint8_t> damaged = blob;
    for (int k = 0; k < 3; ++k)
      damaged[random() % damaged.size()] = static_cast<uint8_t>(random());
    Result<Tokenizer> opened = Tokenizer::open(std::as_bytes(std::span(damaged)));
    if (opened)
      opened->decode(opened->encode("the <s> th\u00E9 <pad>  \xFF"));
  }
}

TEST(TokenizerTablesTest, NamesAPostProcessorTokenThatDoesNotExist) {
  TokenizerSpec spec = byteLevel();
  spec.after = {999};
  Result<std::vector<uint8_t>> blob = buildTokenizerTables(spec);
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error().message, "post-processor: expected the id of a token, found 999 (there are 261)");
}

} // namespace
