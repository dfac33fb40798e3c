// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/Metadata.h"
#include <gtest/gtest.h>

using namespace sinter;

TEST(MetadataTest, EveryKeyHasADefault) {
  for (const char *text : {"", "{}", R"({"eos":null,"sampling":null,"bos":null})"}) {
    const Result<Metadata> metadata = parseMetadata(text);
    ASSERT_TRUE(metadata) << metadata.error().message;
    EXPECT_TRUE(metadata->eos.empty());
    EXPECT_FALSE(metadata->bos);
    EXPECT_EQ(metadata->sampling.topK, 40);
    EXPECT_FLOAT_EQ(metadata->sampling.temperature, 0.8f);
  }
}

TEST(MetadataTest, KeysAreRead) {
  const Result<Metadata> metadata = parseMetadata(
      R"({"name":"m","parameters":135000000,"eos":[2,7],"bos":1,"dtypes":{"Q4_1":100,"F32":4},"sampling":)"
      R"({"temperature":0.6,"top_k":20,"top_p":0.9,"min_p":0.1,"repetition_penalty":1.1},"chat_template":"x",)"
      R"("special_tokens":{"bos_token":"<s>"},"unknown":[1]})");
  ASSERT_TRUE(metadata) << metadata.error().message;
  EXPECT_EQ(metadata->parameters, 135000000u);
  EXPECT_EQ(metadata->eos, (std::vector<int32_t>{2, 7}));
  EXPECT_EQ(metadata->bos, 1);
  EXPECT_EQ(metadata->dtypes.size(), 2u);
  EXPECT_EQ(metadata->sampling.topK, 20);
  EXPECT_FLOAT_EQ(metadata->sampling.repeatPenalty, 1.1f);
  EXPECT_EQ(metadata->specialTokens[0].second, "<s>");
}

TEST(MetadataTest, AWrongTypeIsNamed) {
  EXPECT_NE(parseMetadata(R"({"sampling":{"top_k":"many"}})").error().message.find("sampling.top_k"),
            std::string::npos);
  EXPECT_NE(parseMetadata(R"({"eos":["x"]})").error().message.find("eos"), std::string::npos);
  EXPECT_FALSE(parseMetadata("["));
  EXPECT_FALSE(parseMetadata("[]"));
}

TEST(MetadataTest, NumbersOutOfRangeAreNamed) {
  const auto expectError = [](const char *json, const char *part) {
    const Result<Metadata> metadata = parseMetadata(json);
    ASSERT_FALSE(metadata) << json;
    EXPECT_NE(metadata.error().message.find(part), std::string::npos) << metadata.error().message;
  };
  expectError(R"({"parameters":-1})", "'parameters'");
  expectError(R"({"bos":4294967296})",
              "expected a whole number from -2147483648 to 2147483647, found 4294967296");
  expectError(R"({"eos":[1,9999999999]})", "'eos'");
  expectError(R"({"dtypes":{"F32":-4}})", "dtypes.F32");
  expectError(R"({"sampling":{"temperature":-0.5}})", "sampling.temperature");
  expectError(R"({"sampling":{"temperature":1e300}})", "sampling.temperature");
  expectError(R"({"sampling":{"top_k":-1}})", "sampling.top_k");
  expectError(R"({"sampling":{"top_k":4294967297}})", "sampling.top_k");
  expectError(R"({"sampling":{"top_p":1.5}})", "sampling.top_p");
  expectError(R"({"sampling":{"repetition_penalty":0}})", "sampling.repetition_penalty");
}
