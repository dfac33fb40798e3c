// SPDX-License-Identifier: Apache-2.0
#include "frontend/RowReader.h"
#include "runtime/files/FiniteNumbers.h"
#include "runtime/files/GgufWriter.h"
#include "test/TemporaryFolder.h"

#include <algorithm>
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
                          "language_model.model.norm.weight", "lm_head.weight",
                          "model.text_model.layers.2.q.weight"}); // Idefics3, SmolVLM
  EXPECT_TRUE(source.find("transformer.h.0.attn.c_attn.weight"));
  EXPECT_TRUE(source.find("h.0.attn.c_attn.weight"));
  EXPECT_TRUE(source.find("model.layers.0.q.weight"));
  EXPECT_TRUE(source.find("layers.0.q.weight"));
  EXPECT_TRUE(source.find("model.norm.weight"));
  EXPECT_TRUE(source.find("model.layers.2.q.weight"));
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

TEST(Weights, AreReadInTheFormatOfTheFileWithoutACopy) {
  OneMatrix matrix(randomNumbers(8 * 64), 64, q4_1Format);
  RowReader reader(q4_1Format, 64, 2);
  EXPECT_EQ(reader.rowBytes(), 40);
  EXPECT_EQ(*reader.read(*matrix.weight, 3 * 64, 0), matrix.weight->bytes.data() + 3 * 40);
}

TEST(Weights, AreRoundedToAFormatAsTheirRowAloneWouldBe) {
  std::vector<float> numbers = randomNumbers(30 * 96);
  OneMatrix matrix(numbers, 96);
  for (const BlockFormat *format :
       {&f32Format, &f16Format, &bf16Format, &q8_0Format, &q4_0Format, &q4_1Format}) {
    RowReader reader(*format, 96, 2);
    std::vector<std::byte> expected(reader.rowBytes());
    for (size_t row = 0; row < 30; ++row) {
      format->quantize(std::span(numbers).subspan(row * 96, 96), expected.data());
      Result<const std::byte *> found = reader.read(*matrix.weight, row * 96, row % 2);
      ASSERT_TRUE(found) << found.error().message;
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), *found)) << format->name;
    }
  }
}

TEST(Weights, AreReadFromBlocksThroughTheirDecodedValues) {
  OneMatrix matrix(randomNumbers(8 * 64), 64, q4_1Format);
  std::vector<float> decoded(8 * 64);
  decodeRows(*matrix.weight, 0, 3, decoded.data());
  decodeRows(*matrix.weight, 3, 8, decoded.data() + 3 * 64);
  RowReader reader(q8_0Format, 64, 1);
  std::vector<std::byte> expected(reader.rowBytes());
  q8_0Format.quantize(std::span(decoded).subspan(5 * 64, 64), expected.data());
  Result<const std::byte *> found = reader.read(*matrix.weight, 5 * 64, 0);
  ASSERT_TRUE(found);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), *found));
}

TEST(Weights, AreGatheredFromAnywhereInTheTensor) {
  std::vector<float> numbers = randomNumbers(64 * 64);
  std::vector<int64_t> column;
  for (int64_t i = 0; i < 64; ++i)
    column.push_back(i * 64 + 5);
  for (const BlockFormat *stored : {&f32Format, &bf16Format, &q8_0Format}) {
    OneMatrix matrix(numbers, 64, *stored);
    std::vector<float> decoded(64 * 64);
    decodeRows(*matrix.weight, 0, 64, decoded.data());
    RowReader reader(f32Format, 64, 1);
    Result<const std::byte *> found = reader.gather(*matrix.weight, column, 0);
    ASSERT_TRUE(found) << found.error().message;
    for (int64_t i = 0; i < 64; ++i)
      EXPECT_EQ(reinterpret_cast<const float *>(*found)[i], decoded[i * 64 + 5]) << stored->name;
  }
}

TEST(Weights, RefuseNumbersThatAreNotFinite) {
  std::vector<float> numbers = randomNumbers(40000 * 64);
  numbers[500 * 64 + 7] = std::numeric_limits<float>::quiet_NaN();
  numbers[39999 * 64 + 1] = std::numeric_limits<float>::infinity();
  OneMatrix matrix(numbers, 64);
  std::string expected =
      fmt::format("m.gguf: tensor 'w' at [500, 7] (byte {}): expected a finite number, found nan",
                  matrix.weight->offset + (500 * 64 + 7) * 4);
  EXPECT_EQ(checkFinite(*matrix.weight, 3).error().message, expected);
  std::vector<int64_t> column;
  for (int64_t i = 0; i < 64; ++i)
    column.push_back((470 + i) * 64 + 7);
  for (const BlockFormat *format : {&f32Format, &f16Format, &q8_0Format}) { // kept or converted
    RowReader reader(*format, 64, 1);
    EXPECT_EQ(reader.read(*matrix.weight, 500 * 64, 0).error().message, expected);
    EXPECT_EQ(reader.gather(*matrix.weight, column, 0).error().message, expected);
    EXPECT_TRUE(reader.read(*matrix.weight, 501 * 64, 0));
  }
}

TEST(Weights, RefuseBlocksWhoseScalesAreNotFinite) {
  for (const BlockFormat *format : allBlockFormats()) {
    if (!format->dequantize || format->isFloat())
      continue;
    GgufWriter writer;
    // A row of two blocks; each place of the second that makes a number infinite must be found.
    int64_t length = 2 * format->blockLength;
    int found = 0;
    for (uint32_t place = 0; place + 2 <= format->blockBytes; ++place) {
      std::vector<std::byte> row(2 * format->blockBytes, std::byte{0x11});
      row[format->blockBytes + place] = std::byte{0};
      row[format->blockBytes + place + 1] = std::byte{0x7C}; // infinity, when it is a scale
      std::vector<float> numbers(length);
      format->dequantize(row, numbers.data());
      bool finite = std::ranges::all_of(numbers, [](float x) { return std::isfinite(x); });
      EXPECT_EQ(findNonFinite(*format, row), finite ? -1 : int64_t(format->blockLength))
          << format->name << " " << place;
      found += !finite;
    }
    EXPECT_GE(found, 1) << format->name;
  }
}

TEST(Weights, RefuseNumbersBeyondTheRangeOfTheFormat) {
  std::vector<float> numbers = randomNumbers(2 * 64);
  for (const BlockFormat *format : {&f16Format, &q4_1Format}) {
    numbers[64 + 5] = format == &f16Format ? 70000 : 3e6f;
    OneMatrix matrix(numbers, 64);
    EXPECT_TRUE(checkFinite(*matrix.weight, 1));
    RowReader reader(*format, 64, 1);
    EXPECT_EQ(
        reader.read(*matrix.weight, 64, 0).error().message,
        fmt::format("m.gguf: tensor 'w' at [1, 5] (byte {}): expected a number in the range of {}, found {}",
                    matrix.weight->offset + (64 + 5) * 4, format->name, numbers[64 + 5]));
  }
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
