// SPDX-License-Identifier: Apache-2.0
// What configurations mean: defaults of absent and null keys, both styles of rope keys, and refusals.
#include "frontend/Architecture.h"
#include "frontend/architectures/Families.h"
#include "runtime/files/GgufWriter.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

using namespace sinter;

namespace {

Result<ModelConfig> read(const std::string &json) {
  TemporaryFolder folder;
  return readHuggingFaceConfig(folder.write("config.json", json));
}

std::string errorOf(const std::string &json) {
  Result<ModelConfig> config = read(json);
  return config ? "no error" : config.error().message;
}

void expectError(const std::string &json, const std::string &part) {
  std::string error = errorOf(json);
  EXPECT_NE(error.find(part), std::string::npos) << error;
}

void expectNear(const std::vector<float> &found, const std::vector<double> &expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i] / expected[i], 1, 3e-7) << i;
}

} // namespace

TEST(Config, EveryArchitectureReadsAConfigurationOfDefaults) {
  for (const Architecture *architecture : architectures()) {
    Result<ModelConfig> config = read(fmt::format(R"({{"model_type": "{}"}})", architecture->modelTypes[0]));
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->architecture, architecture);
    EXPECT_GT(config->layers.size(), 0u) << architecture->name;
    EXPECT_EQ(config->heads % config->keyValueHeads, 0) << architecture->name;
  }
}

TEST(Config, DefaultsOfLlamaAreTransformers) {
  Result<ModelConfig> config = read(R"({"model_type": "llama"})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->vocabulary, 32000);
  EXPECT_EQ(config->hidden, 4096);
  EXPECT_EQ(config->intermediate, 11008);
  EXPECT_EQ(config->keyValueHeads, 32);
  EXPECT_EQ(config->headDim, 128);
  EXPECT_EQ(config->contextLength, 2048);
  EXPECT_EQ(config->epsilon, 1e-6);
  EXPECT_FALSE(config->tied);
  EXPECT_EQ(config->bos, 1);
  EXPECT_EQ(config->eos, std::vector<int64_t>{2});
}

TEST(Config, NullIsNotAbsence) {
  EXPECT_EQ(read(R"({"model_type": "mistral"})")->layers[0].window, 4096);
  EXPECT_EQ(read(R"({"model_type": "mistral", "sliding_window": null})")->layers[0].window, std::nullopt);
  EXPECT_EQ(read(R"({"model_type": "mistral"})")->keyValueHeads, 8);
  EXPECT_EQ(read(R"({"model_type": "mistral", "num_key_value_heads": null})")->keyValueHeads, 32);
  EXPECT_EQ(read(R"({"model_type": "gemma2"})")->finalSoftcap, 30.0);
  EXPECT_EQ(read(R"({"model_type": "gemma2", "final_logit_softcapping": null})")->finalSoftcap, std::nullopt);
  EXPECT_EQ(read(R"({"model_type": "gpt2", "n_inner": null})")->intermediate, 4 * 768);
  EXPECT_TRUE(read(R"({"model_type": "llama", "eos_token_id": null})")->eos.empty());
  expectError(R"({"model_type": "llama", "hidden_size": null})", "key 'hidden_size'");
}

TEST(Config, BothStylesOfRopeKeysGiveTheSameFrequencies) {
  std::string sizes = R"("model_type": "llama", "hidden_size": 32, "num_attention_heads": 4, )";
  Result<ModelConfig> older =
      read("{" + sizes + R"("rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3",
      "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}})");
  Result<ModelConfig> newer =
      read("{" + sizes + R"("rope_parameters": {"rope_theta": 500000.0, "rope_type": "llama3",
      "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}})");
  ASSERT_TRUE(older) << older.error().message;
  ASSERT_TRUE(newer) << newer.error().message;
  EXPECT_EQ(older->ropes[0].frequencies, newer->ropes[0].frequencies);
  EXPECT_EQ(older->ropes[0].frequencies.size(), 4u);
}

TEST(Config, NullBesideTheRopeParametersLeavesThemAsTheyAre) {
  std::string rope =
      R"("model_type": "phi3", "rope_parameters": {"rope_theta": 5000.0, "rope_type": "default",
      "partial_rotary_factor": 0.5})";
  Result<ModelConfig> plain = read("{" + rope + "}");
  ASSERT_TRUE(plain) << plain.error().message;
  for (const char *key : {"rope_theta", "partial_rotary_factor"}) {
    Result<ModelConfig> withNull = read(fmt::format(R"({{{}, "{}": null}})", rope, key));
    ASSERT_TRUE(withNull) << withNull.error().message;
    EXPECT_EQ(withNull->ropes[0].frequencies, plain->ropes[0].frequencies) << key;
  }
  expectError(R"({"model_type": "llama", "rope_theta": null})", "key 'rope_theta'");
}

/// The configuration of a Llama of a GGUF file with one more key.
template <typename Value> Result<ModelConfig> readGguf(const char *key, Value value) {
  GgufWriter writer;
  writer.add("general.architecture", "llama").add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  for (auto [key, value] :
       {std::pair("block_count", 1u), std::pair("context_length", 64u), std::pair("embedding_length", 8u),
        std::pair("feed_forward_length", 16u), std::pair("attention.head_count", 2u)})
    writer.add(std::string("llama.") + key, value);
  writer.add(key, value);
  std::vector<float> zeros(3 * 8);
  writer.addTensor("token_embd.weight", f32Format, {3, 8}, std::as_bytes(std::span(zeros)));
  std::string bytes = writer.bytes();
  Result<Gguf> file = Gguf::parse(std::as_bytes(std::span(bytes)), "m.gguf");
  return file ? readGgufConfig(*file) : tl::unexpected(file.error());
}

TEST(Config, AGgufFileOfAnEncoderIsRefused) {
  EXPECT_TRUE(readGguf("llama.attention.causal", true));
  Result<ModelConfig> config = readGguf("llama.attention.causal", false);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message,
            "m.gguf: metadata key 'llama.attention.causal': expected true, found false");
}

TEST(Config, OfTwoEpsilonsOfAGgufFileTheNormTakesItsOwn) {
  Result<ModelConfig> config = readGguf("llama.attention.layer_norm_epsilon", 1e-3f);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->norm, NormKind::Rms);
  EXPECT_FLOAT_EQ(static_cast<float>(config->epsilon), 1e-5f);
}

TEST(Config, AFactorOfAGgufFileWithoutATypeIsLinear) {
  auto frequencies = [](bool withFactor) {
    Result<ModelConfig> config =
        withFactor ? readGguf("llama.rope.scaling.factor", 4.0f) : readGguf("general.name", "plain");
    return config ? config->ropes[0].frequencies : std::vector<float>();
  };
  std::vector<float> plain = frequencies(false);
  ASSERT_EQ(plain.size(), 2u);
  EXPECT_EQ(frequencies(true), (std::vector<float>{plain[0] / 4, plain[1] / 4}));
}

TEST(Config, WindowsFollowTheLayerTypes) {
  Result<ModelConfig> gemma = read(R"({"model_type": "gemma3_text", "num_hidden_layers": 7})");
  ASSERT_TRUE(gemma) << gemma.error().message;
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(gemma->layers[i].window.has_value(), i != 5) << i;
    EXPECT_EQ(gemma->layers[i].rope, i == 5 ? 0 : 1) << i;
  }
  Result<ModelConfig> qwen =
      read(R"({"model_type": "qwen2", "num_hidden_layers": 3, "use_sliding_window": true,
                                      "sliding_window": 9, "max_window_layers": 2})");
  ASSERT_TRUE(qwen) << qwen.error().message;
  EXPECT_EQ(qwen->layers[1].window, std::nullopt);
  EXPECT_EQ(qwen->layers[2].window, 9);
  Result<ModelConfig> smol = read(R"({"model_type": "smollm3", "num_hidden_layers": 4})");
  ASSERT_TRUE(smol) << smol.error().message;
  EXPECT_EQ(smol->layers[2].rope, 0);
  EXPECT_EQ(smol->layers[3].rope, -1);
}

TEST(Config, TheTextPartOfALargerModelIsRead) {
  Result<ModelConfig> config =
      read(R"({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"],
      "text_config": {"hidden_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}, "vision_config": {}})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->hidden, 96);
  EXPECT_EQ(config->architecture, &gemma3);
}

TEST(Config, SlopesOfSixHeadsAreThoseOfFourThenEveryOtherOfEight) {
  EXPECT_EQ(alibiSlopes(6, 8),
            (std::vector<float>{1.f / 4, 1.f / 16, 1.f / 64, 1.f / 256, 1.f / 2, 1.f / 8}));
}

TEST(Config, YarnFrequenciesAreTransformers) {
  // transformers 5.23: _compute_yarn_parameters with head_dim 8, theta 10000, factor 4, original 32.
  Result<ModelConfig> config = read(R"({"model_type": "llama", "hidden_size": 32, "num_attention_heads": 4,
      "max_position_embeddings": 128, "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
      "original_max_position_embeddings": 32}})");
  ASSERT_TRUE(config) << config.error().message;
  expectNear(config->ropes[0].frequencies, {1, 0.0250000004, 0.00249999994, 0.000250000012});
  EXPECT_NEAR(config->ropes[0].factor, 1.1386294361119891, 1e-12);
}

TEST(Config, WhatIsNotSupportedIsNamedWithItsValue) {
  expectError(R"({"model_type": "rwkv"})",
              R"(key 'model_type' (byte 15): expected one of llama, mistral, mixtral)");
  expectError(R"({"model_type": "rwkv"})", R"(found "rwkv")");
  expectError(R"({"hidden_size": 4})", "key 'model_type'");
  expectError(R"({"model_type": "llama", "hidden_act": "mish"})",
              R"(key 'hidden_act' (byte 38): expected one of silu, swish)");
  expectError(R"({"model_type": "llama", "rope_scaling": {"type": "proportional", "factor": 2}})",
              "expected one of default, linear, dynamic, yarn, llama3, longrope");
  expectError(R"({"model_type": "llama", "rope_scaling": {"type": "linear"}})",
              "expected a number greater than 0");
  expectError(
      R"({"model_type": "phi3", "rope_scaling": {"type": "su", "short_factor": [1, 2], "long_factor": [1]}})",
      "expected a list of 48 numbers");
  expectError(
      R"({"model_type": "qwen2", "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 5}}})",
      "expected one set of rope parameters for all layers, found one of full_attention layers");
  expectError(
      R"({"model_type": "llama", "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5,
      "partial_rotary_factor": 0.5}})",
      "expected 1 (heads of this architecture");
  EXPECT_TRUE(
      read(R"({"model_type": "llama", "partial_rotary_factor": 0.5})")); // as transformers: not looked at
  expectError(R"({"model_type": "llama", "num_key_value_heads": 5})",
              "expected a divisor of the 32 attention heads");
  expectError(R"({"model_type": "llama", "hidden_size": 100})",
              "expected a multiple of the 32 attention heads");
  expectError(R"({"model_type": "llama", "num_hidden_layers": 0})",
              "expected a number from 1 to 2147483647, found 0");
  expectError(R"({"model_type": "llama", "eos_token_id": 32000})",
              "expected ids below the vocabulary's 32000");
  expectError(R"({"model_type": "mixtral", "num_experts_per_tok": 9})",
              "expected at most the 8 experts, found 9");
  expectError(R"({"model_type": "gpt2", "add_cross_attention": true})",
              "expected false (a decoder alone), found true");
  expectError(R"({"model_type": "gemma2", "use_bidirectional_attention": true})", "expected false or null");
  expectError(R"({"model_type": "mpt", "attn_config": {"clip_qkv": -6}})", "key 'attn_config.clip_qkv'");
  expectError(R"({"model_type": "qwen2", "layer_types": ["chunked_attention"], "num_hidden_layers": 1})",
              R"(expected full_attention or sliding_attention, found "chunked_attention")");
  expectError(R"({"model_type": "llama", "quantization_config": {"quant_method": "gptq"}})",
              R"(found weights quantised by "gptq")");
  expectError("[1]", "expected an object");
}

TEST(Config, SizesBeyondEveryModelAreRefusedBeforeMemoryIsAskedFor) {
  expectError(R"({"model_type": "mixtral", "num_local_experts": 2147483647})",
              "key 'num_local_experts' (byte 47): expected a number from 1 to 4096, found 2147483647");
  expectError(R"({"model_type": "qwen3_moe", "num_experts": 4096, "num_hidden_layers": 100})",
              "expected at most 262144 experts in all of 100 layers, found 4096");
  expectError(R"({"model_type": "llama", "head_dim": 2147483646})",
              "key 'head_dim' (byte 36): expected a number from 1 to 65536, found 2147483646");
  expectError(R"({"model_type": "llama", "num_attention_heads": 1024, "head_dim": 65536})",
              "key 'num_attention_heads' (byte 47): expected at most 16 heads of 65536 columns, found 1024");
  expectError(R"({"model_type": "bloom", "n_head": 1000000, "hidden_size": 1000000})",
              "expected a number from 1 to 65536, found 1000000");
  expectError(R"({"model_type": "llama", "hidden_size": 2147483647})",
              "expected a number from 1 to 1048576, found 2147483647");
  expectError(R"({"model_type": "llama", "vocab_size": 2147483647})",
              "expected a number from 1 to 16777216, found 2147483647");
}

TEST(Config, NumbersThatNoIntegerHoldsAreRefused) {
  std::string phi = R"({"model_type": "phi3", "partial_rotary_factor": )";
  for (const char *factor : {"1e300", "-1e300", "0", "1.5"})
    expectError(phi + factor + "}", "key 'partial_rotary_factor' (byte 48): expected a number greater than 0 "
                                    "and at most 1, found ");
  expectError(
      R"({"model_type": "llama", "rope_parameters": {"rope_type": "yarn", "factor": 2, "rope_theta": 1e4,
      "original_max_position_embeddings": 1e300}})",
      "expected a number from 1 to 2147483647, found 1e300");
  expectError(R"({"model_type": "llama", "max_position_embeddings": 64,
      "rope_scaling": {"rope_type": "dynamic", "factor": 1e300}})",
              "expected at most 3.35544e+07, with a context of 2147483647, found 1e300");
}

TEST(Config, AnEndTokenBeyondTheVocabularyIsAnErrorUnlessItIsTheClasssDefault) {
  EXPECT_TRUE(read(R"({"model_type": "starcoder2"})")->eos.empty()); // 50256 of 49152
  expectError(R"({"model_type": "starcoder2", "eos_token_id": 50256})",
              "expected ids below the vocabulary's 49152");
}

TEST(Config, GenerationConfigGivesEndTokensAndSampling) {
  TemporaryFolder folder;
  folder.write("config.json", R"({"model_type": "llama", "eos_token_id": 7})");
  folder.write(
      "generation_config.json",
      R"({"eos_token_id": [3, 4], "temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.1})");
  Result<ModelConfig> config = readHuggingFaceConfig(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->eos, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(config->generation.temperature, 0.6);
  EXPECT_EQ(config->generation.topK, 20);
  EXPECT_EQ(config->generation.minP, std::nullopt);
  folder.write("generation_config.json", R"({"temperature": -1})");
  Result<ModelConfig> wrong = readHuggingFaceConfig(folder.path());
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("expected a number from 0 to 3.4028235e+38, found -1"),
            std::string::npos)
      << wrong.error().message;
}

TEST(Config, SamplingThatTheProgramWouldRefuseIsAnErrorOfItsFile) {
  TemporaryFolder folder;
  folder.write("config.json", R"({"model_type": "llama"})");
  for (
      const char *text :
      {R"({"top_p": 0.0, "min_p": 1})", // and what changes nothing
       R"({"no_repeat_ngram_size": 0, "bad_words_ids": null, "num_beams": 1, "typical_p": 1.0, "max_length": 20})"}) {
    folder.write("generation_config.json", text);
    Result<ModelConfig> config = readHuggingFaceConfig(folder.path());
    EXPECT_TRUE(config) << config.error().message;
  }
  for (auto [text, message] :
       {std::pair(R"({"temperature": 1e39})", "key 'temperature'"),
        std::pair(R"({"repetition_penalty": 1e-40})", "key 'repetition_penalty'"),
        std::pair(R"({"top_k": -1})", "key 'top_k'"), std::pair(R"({"top_p": 1.5})", "key 'top_p'"),
        std::pair(R"({"no_repeat_ngram_size": 2})",
                  "generation_config.json: key 'no_repeat_ngram_size' (byte 25): expected "
                  "temperature, top_k, top_p, min_p and repetition_penalty alone, "
                  "found 2"),
        std::pair(R"({"suppress_tokens": [6]})", "key 'suppress_tokens'"),
        std::pair(R"({"forced_bos_token_id": 7})", "key 'forced_bos_token_id'"),
        std::pair(R"({"num_beams": 4})", "key 'num_beams' (byte 14): expected 1 (temperature"),
        std::pair(R"({"typical_p": 0.9})", "key 'typical_p'"),
        std::pair(R"({"watermarking_config": {"bias": 2}})", "key 'watermarking_config'"),
        std::pair(R"({"top_h": 0.4})", "key 'top_h'"),
        std::pair(R"({"dola_layers": "low"})", "key 'dola_layers'"),
        std::pair(R"({"encoder_no_repeat_ngram_size": 2})", "key 'encoder_no_repeat_ngram_size'"),
        std::pair(R"({"encoder_repetition_penalty": 1.5})", "key 'encoder_repetition_penalty'"),
        std::pair(R"({"token_healing": true})", "key 'token_healing'"),
        std::pair(R"({"stop_strings": ["x"]})", "key 'stop_strings'"),
        std::pair(R"({"eos_token_id": 99999})", "generation_config.json: key 'eos_token_id'")}) {
    folder.write("generation_config.json", text);
    Result<ModelConfig> config = readHuggingFaceConfig(folder.path());
    ASSERT_FALSE(config) << text;
    EXPECT_NE(config.error().message.find(message), std::string::npos) << config.error().message;
  }
}

// transformers: PreTrainedModel ties by the whole's tie_word_embeddings, GenerationConfig.from_model_config
// takes its end tokens first.
TEST(Config, OfALargerModelTheWholeDecidesOnTheHeadAndTheEndTokens) {
  Result<ModelConfig> config =
      read(R"({"model_type": "gemma3", "tie_word_embeddings": false, "eos_token_id": [1, 106],
      "text_config": {"hidden_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "eos_token_id": 1}})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->tied);
  EXPECT_EQ(config->eos, (std::vector<int64_t>{1, 106}));
  config = read(R"({"model_type": "gemma3", "tie_word_embeddings": null,
      "text_config": {"hidden_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "eos_token_id": 7}})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->tied);
  EXPECT_EQ(config->eos, (std::vector<int64_t>{7}));
}
