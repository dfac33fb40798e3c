// SPDX-License-Identifier: Apache-2.0
// What the readers make of files, and what they say about wrong ones.
#include "frontend/tokenizer/FolderTokenizer.h"
#include "frontend/tokenizer/GgufTokenizer.h"
#include "frontend/tokenizer/SentencePiece.h"
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/files/GgufWriter.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

using namespace sinter;

namespace {

using Ids = std::vector<int32_t>;

/// `names` and `more`: special_tokens_map.json and added_tokens.json.
Result<TokenizerSpec> fromJson(std::string text, std::string config = "{}", std::string names = "{}",
                               std::string more = "{}") {
  Result<Json> json = Json::parse(std::move(text), "tokenizer.json"),
               other = Json::parse(std::move(config), "config"),
               named = Json::parse(std::move(names), "names"), added = Json::parse(std::move(more), "more");
  if (!json)
    return tl::unexpected(json.error());
  Result<TokenizerSpec> spec = readTokenizerJson(json->root());
  if (spec)
    if (Result<> done = applyTokenizerConfig(*spec, other->root(), named->root(), added->root()); !done)
      return tl::unexpected(done.error());
  return spec;
}

std::string errorOf(const Result<TokenizerSpec> &spec) { return spec ? "no error" : spec.error().message; }

Ids encode(const Result<TokenizerSpec> &spec, std::string_view text) {
  Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec);
  if (!tables)
    throw std::runtime_error(tables.error().message);
  return Tokenizer::open(std::as_bytes(std::span(*tables)))->encode(text);
}

const std::string model =
    R"("model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<s>":3,"</s>":4},"merges":["a b"]})";

TEST(TokenizerJsonTest, ReadsABareModel) {
  EXPECT_EQ(encode(fromJson("{" + model + "}"), "aab"), (Ids{0, 2}));
}

TEST(TokenizerJsonTest, NamesWhatIsNotSupported) {
  EXPECT_EQ(
      errorOf(fromJson(R"({"model":{"type":"WordPiece","vocab":{}}})")),
      "tokenizer.json: key 'model.type' (byte 17): expected \"BPE\", \"Unigram\" or \"WordLevel\", found "
      "\"WordPiece\"");
  EXPECT_EQ(errorOf(fromJson(R"({"decoder":{"type":"CTC"},)" + model + "}")),
            "tokenizer.json: key 'decoder.type' (byte 19): expected a decoder (ByteLevel, Metaspace, "
            "ByteFallback, Fuse, "
            "Replace, Strip, BPEDecoder, WordPiece, Sequence), found \"CTC\"");
  EXPECT_EQ(errorOf(fromJson(R"({"model":{"type":"BPE","dropout":0.1,"vocab":{},"merges":[]}})")),
            "tokenizer.json: key 'model.dropout' (byte 33): expected no dropout (it makes tokens random), "
            "found 0.1");
  EXPECT_EQ(errorOf(fromJson(R"({"normalizer":{"type":"BertNormalizer"},)" + model + "}")).substr(0, 76),
            "tokenizer.json: key 'normalizer.type' (byte 22): expected a normalizer (NFC,");
  EXPECT_EQ(errorOf(fromJson(R"({"pre_tokenizer":{"type":"UnicodeScripts"},)" + model + "}")).substr(0, 80),
            "tokenizer.json: key 'pre_tokenizer.type' (byte 25): expected a pre-tokenizer (By");
  EXPECT_EQ(errorOf(fromJson(R"({"post_processor":{"type":"Mine"},)" + model + "}")).substr(0, 82),
            "tokenizer.json: key 'post_processor.type' (byte 26): expected a post-processor (Te");
}

TEST(TokenizerJsonTest, NamesADecoderBehindOneThatJoins) {
  const auto errorOfDecoder = [](std::string_view second) {
    return errorOf(fromJson(fmt::format(
        R"({{"decoder":{{"type":"Sequence","decoders":[{{"type":"ByteLevel"}},{}]}},{}}})", second, model)));
  };
  EXPECT_EQ(errorOfDecoder(R"({"type":"ByteFallback"})"),
            "tokenizer.json: key 'decoder.decoders[1].type' (byte 71): expected only Fuse and Strip from the "
            "left behind Fuse and ByteLevel, found \"ByteFallback\"");
  EXPECT_NE(errorOfDecoder(R"({"type":"Strip","content":" ","start":0,"stop":1})"), "no error");
  EXPECT_NE(errorOfDecoder(R"({"type":"Strip","content":" ","start":0,"stop":"1"})"), "no error");
}

TEST(TokenizerJsonTest, NamesATemplateOfAnotherSequence) {
  EXPECT_EQ(
      errorOf(
          fromJson(R"({"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":1}}]},)" +
                   model + "}")),
      "tokenizer.json: key 'post_processor.single[0]' (byte 57): expected sequence A once, found another");
}

TEST(TokenizerJsonTest, NamesAMergeWhoseTokensAreMissing) {
  EXPECT_EQ(errorOf(fromJson(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}})")),
            "tokenizer.json: key 'model.merges[0]' (byte 49): expected \"a\", \"b\" and \"ab\" in the "
            "vocabulary, found "
            "not all of them");
}

TEST(TokenizerJsonTest, NamesAWrongRegularExpression) {
  std::string split =
      R"({"pre_tokenizer":{"type":"Split","pattern":{"Regex":"a("},"behavior":"Isolated","invert":false},)";
  EXPECT_EQ(errorOf(fromJson(split + model + "}")), "tokenizer.json: key 'pre_tokenizer.pattern.Regex' (byte "
                                                    "52): regular expression \"a(\": missing closing "
                                                    "parenthesis at byte 2");
}

/// The error of tables whose tokenizer.json has `count` of these normalizers, pre-tokenizers or decoders.
std::string errorOfMany(std::string_view part, std::string_view members, std::string_view step, int count) {
  std::string steps;
  for (int i = 0; i < count; ++i)
    steps += fmt::format("{}{}", i ? "," : "", step);
  Result<TokenizerSpec> spec =
      fromJson(fmt::format(R"({{"{}":{{"type":"Sequence","{}":[{}]}},{}}})", part, members, steps, model));
  Result<std::vector<uint8_t>> tables = spec ? buildTokenizerTables(*spec) : tl::unexpected(spec.error());
  return tables ? "no error" : tables.error().message;
}

TEST(TokenizerJsonTest, RefusesStepsThatLengthenATextWithoutBounds) {
  constexpr std::string_view twice = R"({"type":"Replace","pattern":{"String":"a"},"content":"aa"})",
                             regex = R"({"type":"Replace","pattern":{"Regex":"a+"},"content":"aa"})",
                             between = R"({"type":"Replace","pattern":{"Regex":"x*"},"content":"a"})",
                             bytes = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})",
                             mark = R"({"type":"Metaspace","replacement":" a"})";
  constexpr std::string_view said =
      "tokenizer: expected steps that make a text at most 4096 times as long, found up to {1} "
      "times as long behind {0} {2} of 40";
  const auto expected = [&](auto... found) { return fmt::format(fmt::runtime(said), found...); };
  EXPECT_EQ(errorOfMany("normalizer", "normalizers", twice, 40), expected("normalizer", 8192, 13));
  EXPECT_EQ(errorOfMany("normalizer", "normalizers", regex, 40), expected("normalizer", 8192, 13));
  EXPECT_EQ(errorOfMany("normalizer", "normalizers", between, 40), expected("normalizer", 8192, 13));
  EXPECT_EQ(errorOfMany("normalizer", "normalizers", bytes, 40), expected("normalizer", 8192, 13));
  EXPECT_EQ(errorOfMany("normalizer", "normalizers", R"({"type":"Prepend","prepend":"a"})", 40),
            expected("normalizer", 8192, 13));
  EXPECT_EQ(errorOfMany("pre_tokenizer", "pretokenizers", bytes, 40), expected("pre-tokenizer", 8192, 13));
  EXPECT_EQ(errorOfMany("pre_tokenizer", "pretokenizers", mark, 40), expected("pre-tokenizer", 6561, 8));
  EXPECT_EQ(errorOfMany("decoder", "decoders", twice, 40), expected("decoder", 8192, 13));
}

TEST(TokenizerJsonTest, RefusesPreTokenizersThatLengthenWhatNormalizersHaveLengthened) {
  const auto errorOf = [](int normalizers, int preTokenizers) {
    constexpr std::string_view twice = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})";
    std::string first, second;
    for (int i = 0; i < normalizers; ++i)
      first += fmt::format("{}{}", i ? "," : "", twice);
    for (int i = 0; i < preTokenizers; ++i)
      second += fmt::format("{}{}", i ? "," : "", twice);
    Result<TokenizerSpec> spec =
        fromJson(fmt::format(R"({{"normalizer":{{"type":"Sequence","normalizers":[{}]}},)"
                             R"("pre_tokenizer":{{"type":"Sequence","pretokenizers":[{}]}},{}}})",
                             first, second, model));
    Result<std::vector<uint8_t>> tables = spec ? buildTokenizerTables(*spec) : tl::unexpected(spec.error());
    return tables ? "no error" : tables.error().message;
  };
  EXPECT_EQ(errorOf(6, 6), "no error");
  EXPECT_EQ(errorOf(12, 0), "no error");
  EXPECT_EQ(errorOf(0, 12), "no error");
  EXPECT_EQ(errorOf(7, 6),
            "tokenizer: expected steps that make a text at most 4096 times as long, found up to "
            "8192 times as long behind pre-tokenizer 6 of 6");
  EXPECT_EQ(errorOf(12, 12),
            "tokenizer: expected steps that make a text at most 4096 times as long, found up to "
            "8192 times as long behind pre-tokenizer 1 of 12");
}

TEST(TokenizerJsonTest, AcceptsManyStepsOfWhichNoneLengthensWhatAnotherWrote) {
  EXPECT_NE(
      encode(fromJson(R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"NFD"},)"
                      R"({"type":"Lowercase"},{"type":"NFKC"}]},)" +
                      model + "}"),
             "aab"),
      (Ids{}));
  std::string apart;
  for (char c = 'c'; c <= 'z'; ++c)
    apart += fmt::format(R"({}{{"type":"Replace","pattern":{{"String":"{}"}},"content":"ab"}})",
                         c == 'c' ? "" : ",", c);
  EXPECT_EQ(
      encode(fromJson(R"({"normalizer":{"type":"Sequence","normalizers":[)" + apart + "]}," + model + "}"),
             "zaq"),
      (Ids{2, 0, 2}));
}

TEST(TokenizerJsonTest, NamesAnIdThatIsTooLarge) {
  EXPECT_EQ(errorOf(fromJson(R"({"model":{"type":"BPE","vocab":{"a":99999999},"merges":[]}})")),
            "tokenizer.json: key 'model.vocab.a' (byte 36): expected an id below 1048576, found 99999999");
}

TEST(TokenizerConfigTest, LeavesThePostProcessorOfATokenizerJson) {
  const std::string json =
      R"({"post_processor":{"type":"BertProcessing","sep":["b",1],"cls":["a",0]},)" + model + "}";
  EXPECT_EQ(encode(fromJson(json), "ab"), (Ids{0, 2, 1}));
  EXPECT_EQ(encode(fromJson(json, R"({"bos_token":"<s>","add_bos_token":true})"), "ab"), (Ids{0, 2, 1}));
}

TEST(TokenizerConfigTest, SaysWhatATokenizerModelPutsAround) {
  const auto around = [](std::string_view config) {
    Result<TokenizerSpec> spec = fromJson("{" + model + "}", std::string(config));
    const Result<Json> document = Json::parse(std::string(config), "config");
    return applyTokensAround(*spec, document->root()) ? encode(spec, "ab") : Ids{};
  };
  EXPECT_EQ(around(R"({"bos_token":"<s>","eos_token":{"content":"</s>"},"add_bos_token":true})"),
            (Ids{3, 2}));
  EXPECT_EQ(around(R"({"bos_token":"<s>","eos_token":"</s>","add_eos_token":true})"), (Ids{2, 4}));
}

TEST(TokenizerConfigTest, AddsTokensWithNamesInTransformersOrder) {
  const std::string config =
      R"({"extra_special_tokens":["<e>",{"content":"<f>","lstrip":true}],"mask_token":"<m>","image_token":"<i>",)"
      R"("add_bos_token":true,"sep_token":{"content":"<p>","rstrip":true},"cls_token":null})";
  const Result<TokenizerSpec> spec = fromJson("{" + model + "}", config);
  EXPECT_EQ(encode(spec, "<p> <m><i><e> <f>"), (Ids{5, 6, 7, 8, 9}));
  EXPECT_EQ(encode(fromJson("{" + model + "}", R"({"extra_special_tokens":{"video_token":"<v>"}})"), "<v>"),
            (Ids{5}));
  EXPECT_EQ(encode(fromJson("{" + model + "}", R"({"additional_special_tokens":["ab"]})"), "aab"),
            (Ids{0, 2}));
}

TEST(TokenizerConfigTest, RefusesToSplitSpecialTokens) {
  EXPECT_EQ(errorOf(fromJson("{" + model + "}", R"({"split_special_tokens":true})")),
            "config: key 'split_special_tokens' (byte 24): expected false (the special tokens of a text are "
            "tokens), "
            "found true");
  EXPECT_EQ(errorOf(fromJson("{" + model + "}", R"({"extra_special_tokens":[1]})")),
            "config: key 'extra_special_tokens[0]' (byte 25): expected a string, found 1");
}

TEST(TokenizerConfigTest, AddsTokensWithTheNextIds) {
  std::string config =
      R"({"added_tokens_decoder":{"6":{"content":"<y>","special":true},"5":{"content":"<x>"}}})";
  EXPECT_EQ(encode(fromJson("{" + model + "}", config), "<y>a<x>"), (Ids{6, 0, 5}));
}

/// What transformers 5.23 makes of these files beside the same tokenizer.json.
TEST(TokenizerConfigTest, ReadsTheFilesBeforeAddedTokensDecoder) {
  const std::string lower = R"({"normalizer":{"type":"Lowercase"},)" + model + "}";
  Result<TokenizerSpec> spec = fromJson(lower, "{}",
                                        R"({"bos_token":"<s>","eos_token":{"content":"</s>","lstrip":true},
                                            "additional_special_tokens":["<x>","<y>"]})",
                                        R"({"<y>":6,"<x>":5,"<Z>":7})");
  ASSERT_TRUE(spec) << errorOf(spec);
  EXPECT_EQ(spec->bos, "<s>");
  EXPECT_EQ(spec->eos, "</s>");
  EXPECT_EQ(encode(spec, "<y>a </s><X>"), (Ids{6, 0, 4, 5})) << "<x> is looked for in normalised text";
  EXPECT_EQ(encode(fromJson(lower, R"({"additional_special_tokens":["<q>"]})",
                            R"({"bos_token":"<s>","additional_special_tokens":["<x>"]})", R"({"<w>":5})"),
                   "<w><q>a"),
            (Ids{5, 6, 0}));
  EXPECT_EQ(encode(fromJson(lower, R"({"my_token":"<m>"})",
                            R"({"your_token":"<r>","extra_special_tokens":["<e>"]})", R"({"<w>":5,"<r>":6})"),
                   "<R><m><e>"),
            (Ids{6, 7, 8}));
  EXPECT_EQ(encode(fromJson(lower, R"({"added_tokens_decoder":{},"bos_token":"<m>"})",
                            R"({"bos_token":"<n>"})", R"({"<w>":5})"),
                   "<m>"),
            (Ids{5}))
      << "a newer tokenizer_config.json has it all";
  EXPECT_EQ(fromJson(lower, R"({"eos_token":"</s>"})", R"({"eos_token":null})")->eos, "");
  EXPECT_EQ(errorOf(fromJson(lower, "{}", "{}", R"({"<w>":"5"})")),
            "more: key '<w>' (byte 7): expected an id below 1048576, found \"5\"");
}

GgufWriter gguf(const char *kind) {
  GgufWriter writer;
  writer.add("tokenizer.ggml.model", kind)
      .addArray("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<s>"})
      .addArray("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 1, 3})
      .add("tokenizer.ggml.bos_token_id", uint32_t{3});
  return writer;
}

Result<TokenizerSpec> fromGguf(const GgufWriter &writer) {
  static std::string bytes;
  bytes = writer.bytes();
  Result<Gguf> file = Gguf::parse(std::as_bytes(std::span(bytes)), "test.gguf");
  if (!file)
    return tl::unexpected(file.error());
  return readGgufTokenizer(*file);
}

TEST(GgufTokenizerTest, ReadsByteLevelBpe) {
  GgufWriter writer = gguf("gpt2");
  writer.add("tokenizer.ggml.pre", "llama-bpe")
      .addArray("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  EXPECT_EQ(encode(fromGguf(writer), "ab<s>a"), (Ids{3, 2, 3, 0})) << "llama-bpe begins with the begin token";
}

TEST(GgufTokenizerTest, ReadsSentencePieceScores) {
  GgufWriter writer = gguf("llama");
  writer.addArray("tokenizer.ggml.scores", std::vector<float>{0, -1, -2, 0})
      .add("tokenizer.ggml.add_bos_token", false)
      .add("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(encode(fromGguf(writer), "aab"), (Ids{0, 2}));
}

/// What llama.cpp gives with these keys; with a space put before text, also that of the legacy
/// tokenizer.json.
TEST(GgufTokenizerTest, PutsASpaceBeforeTextAtTheStartAndAfterSpecialTokens) {
  GgufWriter writer;
  writer.add("tokenizer.ggml.model", "llama")
      .addArray("tokenizer.ggml.tokens",
                std::vector<std::string>{"<unk>", "<s>", "</s>", "▁", "a", "▁a", "▁▁", "b"})
      .addArray("tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 3, 1, 1, 1, 1, 4})
      .addArray("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -9, -8, -1, -2, 0})
      .add("tokenizer.ggml.bos_token_id", uint32_t{1})
      .add("tokenizer.ggml.unknown_token_id", uint32_t{0})
      .add("tokenizer.ggml.add_bos_token", false);
  GgufWriter bare = writer;
  bare.add("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(encode(fromGguf(writer), "a"), (Ids{5}));
  EXPECT_EQ(encode(fromGguf(bare), "a"), (Ids{4}));
  EXPECT_EQ(encode(fromGguf(writer), " a"), (Ids{3, 5}));
  EXPECT_EQ(encode(fromGguf(bare), " a"), (Ids{5}));
  EXPECT_EQ(encode(fromGguf(writer), "<s>a</s> a"), (Ids{1, 5, 2, 3, 5}));
  EXPECT_EQ(encode(fromGguf(bare), "<s>a</s> a"), (Ids{1, 4, 2, 5}));
  EXPECT_EQ(encode(fromGguf(writer), "ba"), (Ids{7, 5})) << "tokens of users are found by their text, too";
  EXPECT_EQ(encode(fromGguf(writer), "<unk>a"), (Ids{0, 5})) << "the unknown token is a special one";
}

TEST(GgufTokenizerTest, RefusesAnUnknownPreTokenizer) {
  GgufWriter writer = gguf("gpt2");
  writer.add("tokenizer.ggml.pre", "mine").addArray("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  std::string error = errorOf(fromGguf(writer));
  EXPECT_TRUE(error.starts_with("test.gguf: key 'tokenizer.ggml.pre': expected one of default, gpt-2, "))
      << error;
  EXPECT_TRUE(error.ends_with(", found \"mine\"")) << error;
}

TEST(GgufTokenizerTest, RefusesAnUnknownModel) {
  EXPECT_EQ(errorOf(fromGguf(gguf("rwkv"))),
            "test.gguf: key 'tokenizer.ggml.model': expected \"gpt2\" or \"llama\", found \"rwkv\"");
}

TEST(GgufTokenizerTest, RefusesMergesOfUnknownTokens) {
  GgufWriter writer = gguf("gpt2");
  writer.addArray("tokenizer.ggml.merges", std::vector<std::string>{"a c"});
  EXPECT_EQ(errorOf(fromGguf(writer)),
            "test.gguf: key 'tokenizer.ggml.merges', merge 0: expected \"a\", \"c\" and \"ac\" "
            "in the vocabulary, found not all of them");
}

TEST(GgufTokenizerTest, RefusesScoresOfAnotherLength) {
  GgufWriter writer = gguf("llama");
  writer.addArray("tokenizer.ggml.scores", std::vector<float>{0});
  EXPECT_EQ(errorOf(fromGguf(writer)),
            "test.gguf: key 'tokenizer.ggml.scores': expected one score a token (4), found 1");
}

TEST(GgufTokenizerTest, EveryPreTokenizerOfTheTableBecomesTables) {
  std::string names = knownGgufPreTokenizers();
  for (size_t at = 0; at < names.size();) {
    std::string name = names.substr(at, names.find(", ", at) - at);
    GgufWriter writer = gguf("gpt2");
    writer.add("tokenizer.ggml.pre", std::string_view(name))
        .addArray("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
    writer.add("tokenizer.ggml.add_bos_token", false);
    EXPECT_EQ(encode(fromGguf(writer), "ab ab"), (Ids{2, 2})) << name << ": the space has no token";
    at += name.size() + 2;
  }
}

TEST(SentencePieceTest, RefusesWhatIsNoModel) {
  std::string bytes = "\xFF\xFF\xFF";
  EXPECT_EQ(errorOf(readSentencePiece(std::as_bytes(std::span(bytes)), "tokenizer.model")),
            "tokenizer.model: expected a sentencepiece model (a protobuf), found 3 bytes that are none");
  EXPECT_EQ(errorOf(readSentencePiece({}, "tokenizer.model")),
            "tokenizer.model: expected 1 to 1048575 pieces, found 0");
}

TEST(SentencePieceTest, PutsTheSpaceInFrontWhereTheConfigSays) {
  const auto scheme = [](std::string_view config) {
    return *readPrependScheme(Json::parse(std::string(config), "tokenizer_config.json")->root());
  };
  EXPECT_EQ(scheme("{}"), std::nullopt);
  EXPECT_EQ(scheme(R"({"legacy":true,"tokenizer_class":"GemmaTokenizer"})"), std::nullopt);
  EXPECT_EQ(scheme(R"({"tokenizer_class":"LlamaTokenizer"})"), PrependScheme::First);
  EXPECT_EQ(scheme(R"({"tokenizer_class":"LlamaTokenizerFast","legacy":null})"), PrependScheme::First);
  EXPECT_EQ(scheme(R"({"tokenizer_class":"LlamaTokenizer","legacy":true})"), PrependScheme::Always);
  EXPECT_EQ(scheme(R"({"tokenizer_class":"LlamaTokenizer","add_prefix_space":false})"), PrependScheme::Never);
  Result<std::optional<PrependScheme>> wrong =
      readPrependScheme(Json::parse(R"({"legacy":"no"})", "tokenizer_config.json")->root());
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message,
            "tokenizer_config.json: key 'legacy' (byte 10): expected true or false, found \"no\"");
}

TEST(FolderTokenizerTest, NamesTheFilesItLooksFor) {
  EXPECT_EQ(errorOf(readFolderTokenizer("/nowhere")),
            "/nowhere: expected a tokenizer.json or a tokenizer.model, found neither");
}

TEST(FolderTokenizerTest, LooksAtOlderFilesOnlyWithoutTheirSuccessor) {
  TemporaryFolder folder;
  folder.write("tokenizer.json", R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]}})");
  folder.write("special_tokens_map.json", "{damaged");
  folder.write("added_tokens.json", "{damaged");
  folder.write("tokenizer_config.json", "{}");
  EXPECT_NE(errorOf(readFolderTokenizer(folder.path())).find("special_tokens_map.json"), std::string::npos);
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder":{}})");
  EXPECT_EQ(errorOf(readFolderTokenizer(folder.path())), "no error");
}

} // namespace
