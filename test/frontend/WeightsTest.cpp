// SPDX-License-Identifier: Apache-2.0
#include "frontend/Weights.h"
#include "runtime/files/GgufWriter.h"
#include "test/TemporaryFolder.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <random>

namespace sinter {
namespace {

/// A folder with tensors of the given names, each F32 of shape [2, 3].
WeightSource folderWith(const TemporaryFolder &folder, const std::vector<std::string> &names) {
  SafeTensorsWriter writer(folder.path("model.safetensors"));
  for (const std::string &name : names)
    writer.declare(name, f32Format, {2, 3});
  EXPECT_TRUE(writer.begin());
  for (size_t i = 0; i < names.size(); ++i)
    EXPECT_TRUE(writer.append(std::vector<std::byte>(24)));
  EXPECT_TRUE(writer.commit());
  Result<WeightSource> source = WeightSource::openFolder(folder.path());
  EXPECT_TRUE(source) << source.error().message;
  return *source;
}

/// A GGUF file in memory with one matrix of the given rows, kept as F32.
struct OneMatrix {
  OneMatrix(const std::vector<float> &numbers, int64_t columns, const BlockFormat &format = f32Format) {
    std::vector<std::byte> bytes(static_cast<size_t>(*format.bytesOf(static_cast<int64_t>(numbers.size()))));
    format.quantize(numbers, bytes.data());
    GgufWriter writer;
    file = writer.addTensor("w", format, {static_cast<int64_t>(numbers.size()) / columns, columns}, bytes)
               .bytes();
    source = WeightSource::fromGguf(*Gguf::parse(std::as_bytes(std::span(file)), "m.gguf"));
    weight = source->find("w");
  }
  std::string file;
  std::optional<WeightSource> source;
  const Weight *weight;
};

std::vector<float> randomNumbers(size_t count) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (float &number : numbers)
    number = normal(random);
  return numbers;
}

constexpr int64_t shape[] = {2, 3};

TEST(Weights, AreFoundDespiteMissingAndExtraPrefixes) {
  TemporaryFolder folder;
  WeightSource source =
      folderWith(folder, {"h.0.attn.c_attn.weight", "model.language_model.layers.0.q.weight",
                          "language_model.model.norm.weight", "lm_head.weight"});
  EXPECT_TRUE(source.find("transformer.h.0.attn.c_attn.weight"));
  EXPECT_TRUE(source.find("h.0.attn.c_attn.weight"));
  EXPECT_TRUE(source.find("model.layers.0.q.weight"));
  EXPECT_TRUE(source.find("layers.0.q.weight"));
  EXPECT_TRUE(source.find("model.norm.weight"));
  EXPECT_TRUE(source.find("model.lm_head.weight"));
  EXPECT_FALSE(source.find("model.layers.1.q.weight"));
}

TEST(Weights, PreferTheExactNameAndRefuseAnAmbiguousOne) {
  TemporaryFolder folder;
  WeightSource source = folderWith(folder, {"model.norm.weight", "norm.weight"});
  EXPECT_EQ((*source.claim("norm.weight", shape))->name, "norm.weight");
  Result<const Weight *> ambiguous = source.claim("transformer.norm.weight", shape);
  ASSERT_FALSE(ambiguous);
  EXPECT_NE(ambiguous.error().message.find(": expected one tensor for 'transformer.norm.weight', found '"),
            std::string::npos);
}

TEST(Weights, SayWhatIsMissingOrOfAnotherShape) {
  TemporaryFolder folder;
  WeightSource source = folderWith(folder, {"w"});
  constexpr int64_t other[] = {3, 2}, any[] = {-1, 3}, vector[] = {6};
  EXPECT_EQ(source.claim("v", other).error().message,
            folder.path() + ": expected tensor 'v' of shape [3, 2], found none of this name");
  EXPECT_EQ(*source.claimIfPresent("v", other), nullptr);
  std::string prefix = folder.path() + "/model.safetensors: tensor 'w' (byte 72): ";
  EXPECT_EQ(source.claim("w", other).error().message, prefix + "expected shape [3, 2], found [2, 3]");
  EXPECT_EQ(source.claimIfPresent("w", vector).error().message, prefix + "expected shape [6], found [2, 3]");
  EXPECT_TRUE(source.claim("w", any));
}

TEST(Weights, NameATypeThatCannotBeRead) {
  GgufWriter writer;
  std::vector<std::byte> data(18);
  std::string file = writer.addTensor("w", *findBlockFormat("IQ4_NL"), {1, 32}, data).bytes();
  WeightSource source = WeightSource::fromGguf(*Gguf::parse(std::as_bytes(std::span(file)), "m.gguf"));
  constexpr int64_t shape[] = {1, 32};
  Result<const Weight *> weight = source.claim("w", shape);
  ASSERT_FALSE(weight);
  EXPECT_EQ(weight.error().message,
            "m.gguf: tensor 'w' (byte 96): expected a type that can be read, found IQ4_NL; " +
                std::string(howToConvert()));
}

TEST(Weights, ListWhatNobodyClaimedButNotOldBuffers) {
  TemporaryFolder folder;
  WeightSource source = folderWith(folder, {"h.0.attn.bias", "h.0.attn.masked_bias", "h.0.attn.c_attn.bias",
                                            "wte", "layers.0.self_attn.rotary_emb.inv_freq"});
  EXPECT_TRUE(source.claim("wte", shape));
  EXPECT_EQ(source.unclaimed(), std::vector<std::string_view>{"h.0.attn.c_attn.bias"});
}

TEST(Weights, ConvertAsEachRowAloneWouldWhateverTheThreads) {
  std::vector<float> numbers = randomNumbers(300 * 96);
  OneMatrix matrix(numbers, 96);
  for (const BlockFormat *format :
       {&f32Format, &f16Format, &bf16Format, &q8_0Format, &q4_0Format, &q4_1Format}) {
    size_t rowBytes = static_cast<size_t>(*format->bytesOf(96));
    std::vector<std::byte> expected(300 * rowBytes);
    for (size_t row = 0; row < 300; ++row)
      format->quantize(std::span(numbers).subspan(row * 96, 96), expected.data() + row * rowBytes);
    for (unsigned threads : {1u, 3u}) {
      std::vector<std::byte> found(static_cast<size_t>(*convertedSize(*matrix.weight, *format)));
      ASSERT_TRUE(convert(*matrix.weight, *format, found, threads));
      EXPECT_EQ(found, expected) << format->name;
    }
  }
}

TEST(Weights, ConvertQuantisedRowsThroughTheirDecodedValues) {
  OneMatrix matrix(randomNumbers(8 * 64), 64, q4_1Format);
  std::vector<float> decoded(8 * 64);
  decodeRows(*matrix.weight, 0, 3, decoded.data());
  decodeRows(*matrix.weight, 3, 8, decoded.data() + 3 * 64);
  std::vector<std::byte> same(matrix.weight->bytes.size()), expected(8 * 68), found(8 * 68);
  ASSERT_TRUE(convert(*matrix.weight, q4_1Format, same, 2));
  EXPECT_TRUE(std::ranges::equal(same, matrix.weight->bytes));
  q8_0Format.quantize(decoded, expected.data());
  ASSERT_TRUE(convert(*matrix.weight, q8_0Format, found, 2));
  EXPECT_EQ(found, expected);
}

TEST(Weights, RefuseNumbersThatAreNotFinite) {
  std::vector<float> numbers = randomNumbers(600 * 64);
  numbers[500 * 64 + 7] = std::numeric_limits<float>::quiet_NaN();
  numbers[599 * 64 + 1] = std::numeric_limits<float>::infinity();
  OneMatrix matrix(numbers, 64);
  std::vector<std::byte> out(600 * 64 * 4);
  std::string expected =
      fmt::format("m.gguf: tensor 'w' at [500, 7] (byte {}): expected a finite number, found nan",
                  matrix.weight->offset + (500 * 64 + 7) * 4);
  EXPECT_EQ(checkFinite(*matrix.weight, 3).error().message, expected);
  EXPECT_EQ(convert(*matrix.weight, f32Format, out, 3).error().message, expected);
}

TEST(Weights, RefuseNumbersBeyondTheRangeOfTheFormat) {
  std::vector<float> numbers = randomNumbers(2 * 64);
  numbers[64 + 5] = 70000;
  OneMatrix matrix(numbers, 64);
  std::vector<std::byte> out(2 * 64 * 2);
  EXPECT_EQ(convert(*matrix.weight, f16Format, out, 1).error().message,
            fmt::format(
                "m.gguf: tensor 'w' at [1, 5] (byte {}): expected a number in the range of F16, found 70000",
                matrix.weight->offset + (64 + 5) * 4));
  EXPECT_TRUE(checkFinite(*matrix.weight, 1));
}

TEST(Weights, KeepVectorsInFullAndRowsThatDoNotDivideInHalf) {
  Weight vector{"norm", &bf16Format, "BF16", {64}, {}, "m", 0},
      matrix{"w", &bf16Format, "BF16", {2, 48}, {}, "m", 0};
  EXPECT_EQ(storageFormat(vector, &q4_0Format), &f32Format);
  EXPECT_EQ(storageFormat(vector, nullptr), &bf16Format);
  EXPECT_EQ(storageFormat(matrix, nullptr), &bf16Format);
  EXPECT_EQ(storageFormat(matrix, &q4_0Format), &f16Format);
  EXPECT_EQ(
      convertedSize(matrix, q4_0Format).error().message,
      "m: tensor 'w' of shape [2, 48] as Q4_0: expected a multiple of Q4_0's block of 32 numbers, found 48");
  matrix.shape = {2, 64};
  EXPECT_EQ(storageFormat(matrix, &q4_0Format), &q4_0Format);
  EXPECT_EQ(*convertedSize(matrix, q4_0Format), 72);
}

} // namespace
} // namespace sinter
