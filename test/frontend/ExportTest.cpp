// SPDX-License-Identifier: Apache-2.0
// Small GGUF files of each kind of rearrangement, exported and read again.
#include "frontend/Export.h"
#include "runtime/files/GgufWriter.h"
#include "runtime/files/Json.h"
#include "runtime/files/SafeTensors.h"
#include "test/TemporaryFolder.h"

#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

namespace sinter {
namespace {

/// A model of one layer, two heads of 4, without tensors beyond the embedding of 3 tokens.
GgufWriter modelOf(std::string_view architecture, bool isRms = true) {
  std::string prefix = std::string(architecture) + ".";
  GgufWriter writer;
  writer.add("general.architecture", architecture);
  for (auto [key, value] :
       {std::pair("block_count", 1u), std::pair("context_length", 64u), std::pair("embedding_length", 8u),
        std::pair("feed_forward_length", 16u), std::pair("attention.head_count", 2u)})
    writer.add(prefix + key, value);
  writer.add(prefix + (isRms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"), 1e-5f);
  return writer;
}

void addTokens(GgufWriter &writer) {
  writer.add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", "gpt-2");
  writer.addArray("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<end>"});
  writer.addArray("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 1, 3});
  writer.addArray("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  writer.add("tokenizer.ggml.eos_token_id", uint32_t{3});
}

/// A tensor that counts from 0.
void addCounting(GgufWriter &writer, std::string_view name, std::vector<int64_t> shape) {
  std::vector<float> numbers(static_cast<size_t>(*elementCount(shape)));
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  writer.addTensor(name, f32Format, std::move(shape), std::as_bytes(std::span(numbers)));
}

class Exported {
public:
  explicit Exported(const GgufWriter &writer) : file(writer.bytes()) {
    Result<Gguf> gguf = Gguf::parse(std::as_bytes(std::span(file)), "m.gguf");
    EXPECT_TRUE(gguf) << gguf.error().message;
    if (Result<> done = exportToHuggingFace(*gguf, folder.path("out")); !done)
      message = done.error().message;
  }

  std::vector<float> tensor(std::string_view name) const {
    Result<SafeTensors> tensors = SafeTensors::openFolder(folder.path("out"));
    EXPECT_TRUE(tensors) << tensors.error().message;
    const SafeTensor *found = tensors ? tensors->find(name) : nullptr;
    EXPECT_TRUE(found) << name;
    if (!found)
      return {};
    std::vector<float> numbers(found->bytes.size() / 4);
    std::memcpy(numbers.data(), found->bytes.data(), found->bytes.size());
    return numbers;
  }

  /// First numbers of the rows of a matrix of 8 columns that counted from 0, as row numbers.
  std::vector<int> rowOrder(std::string_view name) const {
    std::vector<float> numbers = tensor(name);
    std::vector<int> rows;
    for (size_t i = 0; i < numbers.size(); i += 8)
      rows.push_back(static_cast<int>(numbers[i]) / 8);
    return rows;
  }

  Json json(std::string_view name) const {
    Result<Json> json = Json::read(folder.path("out/" + std::string(name)));
    EXPECT_TRUE(json) << json.error().message;
    return std::move(*json);
  }

  TemporaryFolder folder;
  std::string file, message;
};

GgufWriter llama() {
  GgufWriter writer = modelOf("llama");
  writer.add("llama.attention.head_count_kv", uint32_t{1}).add("llama.rope.freq_base", 5000.0f);
  addTokens(writer);
  addCounting(writer, "token_embd.weight", {4, 8});
  return writer;
}

TEST(Export, PutsLlamasRowsBackInTheOrderOfHalves) {
  GgufWriter writer = llama();
  addCounting(writer, "blk.0.attn_q.weight", {8, 8});
  addCounting(writer, "blk.0.attn_k.weight", {4, 8});
  addCounting(writer, "blk.0.attn_v.weight", {4, 8});
  addCounting(writer, "blk.0.attn_q.bias", {8});
  Exported model(writer);
  ASSERT_EQ(model.message, "");
  EXPECT_EQ(model.rowOrder("model.layers.0.self_attn.q_proj.weight"), (std::vector{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(model.rowOrder("model.layers.0.self_attn.k_proj.weight"), (std::vector{0, 2, 1, 3}));
  EXPECT_EQ(model.rowOrder("model.layers.0.self_attn.v_proj.weight"), (std::vector{0, 1, 2, 3}));
  EXPECT_EQ(model.tensor("model.layers.0.self_attn.q_proj.bias"),
            (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
}

TEST(Export, DescribesTheModelInTransformersWords) {
  Exported model(llama());
  ASSERT_EQ(model.message, "");
  Json config = model.json("config.json");
  JsonValue root = config.root();
  EXPECT_EQ(*root["architectures"].element(0).as<std::string>(), "LlamaForCausalLM");
  EXPECT_EQ(*root.get<std::string>("model_type"), "llama");
  EXPECT_EQ(*root.get<int64_t>("vocab_size"), 4);
  EXPECT_EQ(*root.get<int64_t>("hidden_size"), 8);
  EXPECT_EQ(*root.get<int64_t>("intermediate_size"), 16);
  EXPECT_EQ(*root.get<int64_t>("num_hidden_layers"), 1);
  EXPECT_EQ(*root.get<int64_t>("num_attention_heads"), 2);
  EXPECT_EQ(*root.get<int64_t>("num_key_value_heads"), 1);
  EXPECT_EQ(*root.get<int64_t>("head_dim"), 4);
  EXPECT_EQ(*root.get<double>("rope_theta"), 5000.0);
  EXPECT_EQ(*root.get<double>("rms_norm_eps"), 1e-5);
  EXPECT_TRUE(*root.get<bool>("tie_word_embeddings"));
  EXPECT_EQ(*root.get<int64_t>("eos_token_id"), 3);
  EXPECT_TRUE(root["bos_token_id"].isNull());
  EXPECT_EQ(*model.json("generation_config.json").root().get<std::vector<int64_t>>("eos_token_id"),
            std::vector<int64_t>{3});
}

TEST(Export, WritesRopeScaling) {
  GgufWriter linear = llama();
  linear.add("llama.rope.scaling.type", "linear").add("llama.rope.scaling.factor", 4.0f);
  Json config = Exported(linear).json("config.json");
  EXPECT_EQ(*config.root()["rope_scaling"].get<std::string>("rope_type"), "linear");
  EXPECT_EQ(*config.root()["rope_scaling"].get<double>("factor"), 4.0);

  GgufWriter factorAlone = llama(); // linear to llama.cpp
  factorAlone.add("llama.rope.scaling.factor", 4.0f);
  config = Exported(factorAlone).json("config.json");
  EXPECT_EQ(*config.root()["rope_scaling"].get<std::string>("rope_type"), "linear");
  EXPECT_EQ(*config.root()["rope_scaling"].get<double>("factor"), 4.0);

  // Wave lengths of 6 and 140,000: below 2048 unchanged, above 8192 divided by the whole factor.
  GgufWriter llama3 = modelOf("llama");
  llama3.add("llama.rope.freq_base", 5e8f);
  addTokens(llama3);
  addCounting(llama3, "token_embd.weight", {4, 8});
  std::vector<float> factors{1, 32}, wrong{1, 3};
  GgufWriter other = llama3;
  llama3.addTensor("rope_freqs.weight", f32Format, {2}, std::as_bytes(std::span(factors)));
  other.addTensor("rope_freqs.weight", f32Format, {2}, std::as_bytes(std::span(wrong)));
  Exported model(llama3);
  ASSERT_EQ(model.message, "");
  Json config3 = model.json("config.json");
  EXPECT_EQ(*config3.root()["rope_scaling"].get<std::string>("rope_type"), "llama3");
  EXPECT_EQ(*config3.root()["rope_scaling"].get<double>("factor"), 32.0);
  EXPECT_EQ(Exported(other).message, "");

  std::vector<float> impossible{5, 2};
  GgufWriter bad = llama();
  bad.addTensor("rope_freqs.weight", f32Format, {2}, std::as_bytes(std::span(impossible)));
  EXPECT_NE(Exported(bad).message.find(
                "expected 1 as of Llama 3 with a factor of 5 from a context of 944, found 5"),
            std::string::npos)
      << Exported(bad).message;

  GgufWriter unknown = llama();
  unknown.add("llama.rope.scaling.type", "dynamic");
  EXPECT_EQ(
      Exported(unknown).message,
      "m.gguf: metadata key 'llama.rope.scaling.type': expected none, linear or yarn, found \"dynamic\"");
}

TEST(Export, SubtractsTheOneFromGemmasNormsOnly) {
  GgufWriter writer = modelOf("gemma3");
  writer.add("gemma3.attention.sliding_window", uint32_t{16}).add("gemma3.attention.key_length", uint32_t{4});
  addTokens(writer);
  addCounting(writer, "token_embd.weight", {4, 8});
  addCounting(writer, "output_norm.weight", {8});
  addCounting(writer, "blk.0.attn_q_norm.weight", {4});
  addCounting(writer, "blk.0.post_attention_norm.weight", {8});
  addCounting(writer, "blk.0.ffn_norm.weight", {8});
  addCounting(writer, "blk.0.ffn_up.weight", {16, 8});
  Exported model(writer);
  ASSERT_EQ(model.message, "");
  EXPECT_EQ(model.tensor("model.norm.weight")[0], -1.0f);
  EXPECT_EQ(model.tensor("model.layers.0.self_attn.q_norm.weight")[1], 0.0f);
  EXPECT_EQ(model.tensor("model.layers.0.post_attention_layernorm.weight")[0], -1.0f);
  EXPECT_EQ(model.tensor("model.layers.0.pre_feedforward_layernorm.weight")[0], -1.0f);
  EXPECT_EQ(model.tensor("model.layers.0.mlp.up_proj.weight")[0], 0.0f);
  EXPECT_EQ(*model.json("config.json").root()["layer_types"].element(0).as<std::string>(),
            "sliding_attention");
}

TEST(Export, TransposesGpt2sMatricesButNotItsEmbeddings) {
  GgufWriter writer = modelOf("gpt2", false);
  addTokens(writer);
  addCounting(writer, "token_embd.weight", {4, 8});
  addCounting(writer, "blk.0.ffn_up.weight", {2, 3});
  Exported model(writer);
  ASSERT_EQ(model.message, "");
  EXPECT_EQ(model.tensor("transformer.h.0.mlp.c_fc.weight"), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(model.tensor("transformer.wte.weight")[1], 1.0f);
}

TEST(Export, PutsQueriesKeysAndValuesOfAHeadTogetherForNeoX) {
  GgufWriter writer = modelOf("gptneox", false);
  addTokens(writer);
  addCounting(writer, "token_embd.weight", {4, 8});
  addCounting(writer, "blk.0.attn_qkv.weight", {12, 8});
  addCounting(writer, "blk.0.attn_qkv.bias", {12});
  Exported model(writer);
  ASSERT_EQ(model.message, "");
  EXPECT_EQ(model.rowOrder("gpt_neox.layers.0.attention.query_key_value.weight"),
            (std::vector{0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11}));
  EXPECT_EQ(model.tensor("gpt_neox.layers.0.attention.query_key_value.bias")[2], 4.0f);
}

TEST(Export, GivesEachExpertATensorOfItsOwn) {
  GgufWriter writer = llama();
  writer.add("llama.expert_count", uint32_t{2}).add("llama.expert_used_count", uint32_t{1});
  addCounting(writer, "blk.0.ffn_up_exps.weight", {2, 3, 8});
  Exported model(writer);
  ASSERT_EQ(model.message, "");
  EXPECT_EQ(model.rowOrder("model.layers.0.block_sparse_moe.experts.1.w3.weight"), (std::vector{3, 4, 5}));
  EXPECT_EQ(*model.json("config.json").root().get<std::string>("model_type"), "mixtral");
}

TEST(Export, TakesExpertsThatAnOldFileHoldsOneByOne) {
  GgufWriter writer = llama();
  writer.add("llama.expert_count", uint32_t{2}).add("llama.expert_used_count", uint32_t{1});
  addCounting(writer, "blk.0.ffn_gate.1.weight", {3, 8});
  Exported model(writer);
  ASSERT_EQ(model.message, "");
  EXPECT_EQ(model.rowOrder("model.layers.0.block_sparse_moe.experts.1.w1.weight"), (std::vector{0, 1, 2}));
}

TEST(Export, WritesTheTokenizer) {
  Exported model(llama());
  ASSERT_EQ(model.message, "");
  Json tokenizer = model.json("tokenizer.json");
  JsonValue root = tokenizer.root();
  EXPECT_EQ(*root["model"]["vocab"].get<int64_t>("ab"), 2);
  EXPECT_EQ(*root["model"]["merges"].element(0).as<std::vector<std::string>>(),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(root["added_tokens"].size(), 1u);
  EXPECT_EQ(*root["added_tokens"].element(0).get<std::string>("content"), "<end>");
  EXPECT_TRUE(*root["added_tokens"].element(0).get<bool>("special"));
  EXPECT_EQ(root["pre_tokenizer"]["pretokenizers"].size(), 2u);
  EXPECT_EQ(*root["pre_tokenizer"]["pretokenizers"].element(1).get<std::string>("type"), "ByteLevel");
  EXPECT_EQ(*root["decoder"].get<std::string>("type"), "ByteLevel");
  EXPECT_TRUE(root["post_processor"].isNull());
  EXPECT_EQ(*model.json("tokenizer_config.json").root().get<std::string>("eos_token"), "<end>");
}

TEST(Export, RecoversMergesFromSentencePiecesScores) {
  GgufWriter writer = modelOf("llama");
  writer.add("tokenizer.ggml.model", "llama").add("tokenizer.ggml.bos_token_id", uint32_t{1});
  writer.addArray("tokenizer.ggml.tokens",
                  std::vector<std::string>{"<unk>", "<s>", "▁", "a", "▁a", "aa", "▁aa"});
  writer.addArray("tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 1, 1, 1, 1, 1});
  writer.addArray("tokenizer.ggml.scores", std::vector<float>{0, 0, -9, -8, -2, -1, -3});
  writer.add("tokenizer.ggml.unknown_token_id", uint32_t{0});
  addCounting(writer, "token_embd.weight", {7, 8});
  Exported model(writer);
  ASSERT_EQ(model.message, "");
  Json tokenizer = model.json("tokenizer.json");
  std::string merges;
  for (JsonValue merge : tokenizer.root()["model"]["merges"])
    merges += *merge.element(0).as<std::string>() + "+" + *merge.element(1).as<std::string>() + " ";
  EXPECT_EQ(merges, "a+a ▁+a ▁a+a ▁+aa ");
  EXPECT_EQ(*tokenizer.root()["post_processor"].get<std::string>("type"), "TemplateProcessing");
  EXPECT_TRUE(*tokenizer.root()["model"].get<bool>("byte_fallback"));
}

/// Each fails, says why, and leaves nothing.
TEST(Export, SaysWhatHasNoCounterpart) {
  auto error = [](const GgufWriter &writer) {
    Exported model(writer);
    EXPECT_EQ(model.folder.entries(), 0u);
    return model.message;
  };
  EXPECT_EQ(error(modelOf("rwkv7")).substr(0, 71),
            "m.gguf: metadata key 'general.architecture': expected one of llama, smo");
  GgufWriter noTokens = modelOf("llama");
  addCounting(noTokens, "token_embd.weight", {4, 8});
  EXPECT_EQ(error(noTokens), "m.gguf: expected metadata key 'tokenizer.ggml.model', found none");
  GgufWriter noEmbedding = modelOf("llama");
  addTokens(noEmbedding);
  EXPECT_EQ(error(noEmbedding), "m.gguf: expected tensor 'token_embd.weight', found none of this name");

  GgufWriter tensor = llama();
  addCounting(tensor, "blk.0.ssm_a.weight", {8});
  EXPECT_NE(error(tensor).find("m.gguf: tensor 'blk.0.ssm_a.weight' (byte "), std::string::npos);
  EXPECT_NE(error(tensor).find(
                "expected a tensor of architecture llama, found one without counterpart in transformers"),
            std::string::npos);

  GgufWriter heads = llama();
  addCounting(heads, "blk.0.attn_q.weight", {6, 8});
  EXPECT_NE(error(heads).find("expected a first length that 4 divides, found shape [6, 8]"),
            std::string::npos);

  GgufWriter missing;
  missing.add("general.architecture", "llama").add("llama.attention.head_count", uint32_t{2});
  addTokens(missing);
  addCounting(missing, "token_embd.weight", {4, 8});
  EXPECT_EQ(error(missing), "m.gguf: expected metadata key 'llama.embedding_length', found none");

  GgufWriter nan = llama();
  std::vector<float> numbers(8, std::numeric_limits<float>::quiet_NaN());
  nan.addTensor("output_norm.weight", f32Format, {8}, std::as_bytes(std::span(numbers)));
  EXPECT_NE(error(nan).find("tensor 'output_norm.weight' at [0]"), std::string::npos);
}

TEST(Export, RefusesAFolderWithFiles) {
  std::string file = llama().bytes();
  Result<Gguf> gguf = Gguf::parse(std::as_bytes(std::span(file)), "m.gguf");
  TemporaryFolder folder;
  EXPECT_TRUE(exportToHuggingFace(*gguf, folder.path()));
  EXPECT_EQ(exportToHuggingFace(*gguf, folder.path()).error().message,
            folder.path() + ": expected a new or empty folder, found one with files");
  EXPECT_EQ(exportToHuggingFace(*gguf, folder.path("config.json")).error().message,
            folder.path("config.json") + ": expected a new or empty folder, found a file");
  EXPECT_EQ(exportToHuggingFace(*gguf, folder.path("a/b")).error().message,
            folder.path("a/b") + ": cannot create the folder: No such file or directory");
}

} // namespace
} // namespace sinter
