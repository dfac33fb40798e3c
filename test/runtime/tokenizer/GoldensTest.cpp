// SPDX-License-Identifier: Apache-2.0
// Hugging Face's answers for small tokenizers of every kind, written by utils/make-tokenizer-goldens.
#include "frontend/tokenizer/GgufTokenizer.h"
#include "frontend/tokenizer/SentencePiece.h"
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/files/GgufWriter.h"
#include "runtime/files/Utf8.h"
#include "runtime/tokenizer/Tokenizer.h"
#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>

using namespace sinter;

namespace {

const std::string folder = SINTER_SOURCE_DIR "/test/runtime/tokenizer/goldens/";

std::vector<std::string> goldenNames() {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".json" && entry.path().stem() != "texts")
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string readHex(JsonValue json) {
  std::string_view hex = *json.as<std::string_view>();
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

/// The texts as bytes; many are not valid UTF-8.
std::vector<std::string> readTexts() {
  std::vector<std::string> texts;
  Result<Json> json = Json::read(folder + "texts.json");
  for (JsonValue value : json->root())
    texts.push_back(readHex(value));
  return texts;
}

Result<TokenizerSpec> readSpec(JsonValue golden) {
  if (!golden.has("sentencepiece"))
    return readTokenizerJson(golden["tokenizer"]);
  std::string model = readHex(golden["sentencepiece"]);
  Result<std::optional<PrependScheme>> scheme = readPrependScheme(golden["config"]);
  if (!scheme)
    return tl::unexpected(scheme.error());
  return readSentencePiece(std::as_bytes(std::span(model)), "golden", *scheme);
}

std::vector<int32_t> readIds(JsonValue json) {
  std::vector<int64_t> wide = *json.as<std::vector<int64_t>>();
  return {wide.begin(), wide.end()};
}

/// Hugging Face's ByteFallback writes U+FFFD once a byte where we give the bytes: compare without them.
std::string withoutReplacements(std::string_view text) {
  std::string repaired;
  appendRepairedUtf8(repaired, text);
  for (size_t at; (at = repaired.find("\uFFFD")) != std::string::npos;)
    repaired.erase(at, 3);
  return repaired;
}

class GoldensTest : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    Result<Json> read = Json::read(folder + GetParam() + ".json");
    ASSERT_TRUE(read) << read.error().message;
    json = std::make_unique<Json>(std::move(*read));
    Result<TokenizerSpec> spec = readSpec(json->root());
    ASSERT_TRUE(spec) << spec.error().message;
    Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec);
    ASSERT_TRUE(tables) << tables.error().message;
    blob = std::move(*tables);
    Result<Tokenizer> opened = Tokenizer::open(std::as_bytes(std::span(blob)));
    ASSERT_TRUE(opened) << opened.error().message;
    tokenizer = std::make_unique<Tokenizer>(std::move(*opened));
  }

  /// The answers under `key`, one a text; where they equal the plain ids only a number is stored.
  std::vector<std::vector<int32_t>> answers(std::string_view key) const {
    std::vector<std::vector<int32_t>> all;
    for (JsonValue ids : json->root()["plain"])
      all.push_back(readIds(ids));
    size_t i = 0;
    for (JsonValue ids : json->root()[key]) {
      if (ids.isArray())
        all[i] = readIds(ids);
      ++i;
    }
    return all;
  }

  std::unique_ptr<Json> json;
  std::vector<uint8_t> blob;
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<std::string> texts = readTexts();
};

TEST_P(GoldensTest, EncodesAsHuggingFaceDoes) {
  auto expected = answers("plain");
  ASSERT_EQ(expected.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(tokenizer->encode(texts[i], false), expected[i]) << i << ": " << texts[i];
}

TEST_P(GoldensTest, AddsWhatThePostProcessorAdds) {
  auto plain = answers("plain");
  std::vector<int32_t> before = readIds(json->root()["before"]), after = readIds(json->root()["after"]);
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<int32_t> expected = before;
    expected.insert(expected.end(), plain[i].begin(), plain[i].end());
    expected.insert(expected.end(), after.begin(), after.end());
    EXPECT_EQ(tokenizer->encode(texts[i]), expected) << i << ": " << texts[i];
  }
}

TEST_P(GoldensTest, LeavesSpecialTokensAsTextWhenAsked) {
  auto expected = answers("spelled");
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(tokenizer->encode(texts[i], false, false), expected[i]) << i << ": " << texts[i];
}

TEST_P(GoldensTest, DecodesAsHuggingFaceDoes) {
  size_t i = 0;
  auto ids = answers("plain");
  for (JsonValue pair : json->root()["decoded"]) {
    std::string expected = texts[i]; // a number stands for what equals the text, or what was decoded before
    for (bool skip : {false, true}) {
      if (pair.element(skip).isString())
        expected = *pair.element(skip).as<std::string>();
      EXPECT_EQ(withoutReplacements(tokenizer->decode(ids[i], skip)), withoutReplacements(expected))
          << i << ": " << texts[i];
    }
    ++i;
  }
}

TEST_P(GoldensTest, StreamsWhatItDecodes) {
  for (const std::vector<int32_t> &ids : answers("plain")) {
    StreamDecoder stream(*tokenizer);
    std::string streamed;
    for (int32_t id : ids) {
      std::string_view part = stream.push(id);
      EXPECT_EQ(validUtf8Prefix(part), part.size());
      streamed += part;
    }
    streamed += stream.flush();
    std::string whole;
    appendRepairedUtf8(whole, tokenizer->decode(ids));
    EXPECT_EQ(streamed, whole);
  }
}

/// The GGUF file that llama.cpp's converter makes of a SentencePiece model, as far as its tokenizer goes.
std::string ggufOf(const TokenizerSpec &spec, std::string_view architecture) {
  std::vector<std::string> tokens, merges;
  for (const std::optional<std::string> &token : spec.tokens)
    tokens.push_back(*token);
  std::vector<int32_t> types(tokens.size(), 1);
  for (const AddedTokenSpec &token : spec.added) {
    auto id = static_cast<size_t>(std::find(tokens.begin(), tokens.end(), token.content) - tokens.begin());
    if (id == tokens.size()) { // added beyond the model's vocabulary
      tokens.push_back(token.content);
      types.push_back(0);
    }
    types[id] = static_cast<int32_t>(id) == spec.unknown ? 2 : token.special ? 3 : 4;
  }
  for (const MergeSpec &merge : spec.merges)
    merges.push_back(tokens[merge.left] + " " + tokens[merge.right]);
  GgufWriter writer;
  writer.add("general.architecture", architecture)
      .add("tokenizer.ggml.model", "llama")
      .add("tokenizer.ggml.add_bos_token", false)
      .add("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(spec.unknown))
      .addArray("tokenizer.ggml.tokens", tokens)
      .addArray("tokenizer.ggml.token_type", types);
  if (spec.ranks.empty()) {
    writer.addArray("tokenizer.ggml.merges", merges);
  } else { // derived from scores, of which only the order counts
    std::vector<float> scores;
    for (uint32_t rank : spec.ranks)
      scores.push_back(-static_cast<float>(rank));
    writer.addArray("tokenizer.ggml.scores", scores);
  }
  return writer.bytes();
}

/// llama.cpp's SentencePiece tokens are those of the model's own tokenizer.json.
TEST(GgufGoldensTest, TokensOfAGgufFileAreThoseOfItsTokenizerJson) {
  for (auto [name, architecture] :
       {std::pair("llama2", "llama"), {"sentencepiece-bpe", "llama"}, {"gemma", "gemma3"}}) {
    Result<Json> json = Json::read(folder + name + ".json");
    ASSERT_TRUE(json) << json.error().message;
    Result<TokenizerSpec> original = readSpec(json->root());
    ASSERT_TRUE(original) << original.error().message;
    std::string bytes = ggufOf(*original, architecture);
    Result<Gguf> file = Gguf::parse(std::as_bytes(std::span(bytes)), "m.gguf");
    ASSERT_TRUE(file) << file.error().message;
    Result<TokenizerSpec> spec = readGgufTokenizer(*file);
    ASSERT_TRUE(spec) << spec.error().message;
    Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec);
    ASSERT_TRUE(tables) << tables.error().message;
    Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*tables)));
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    std::vector<std::string> texts = readTexts();
    for (size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(tokenizer->encode(texts[i], false), readIds(json->root()["plain"].element(i)))
          << name << ", text " << i << ": " << texts[i];
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldensTest, testing::ValuesIn(goldenNames()), [](const auto &info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

} // namespace
