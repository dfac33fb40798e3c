// SPDX-License-Identifier: Apache-2.0
// Blocks against the reference implementation's, byte by byte: goldens made by utils/make-format-goldens.
#include "runtime/files/BlockFormats.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <set>
#include <sstream>
#include <vector>

namespace sinter {
namespace {

std::vector<std::byte> fromHex(const std::string &text) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::vector<float> asFloats(const std::vector<std::byte> &bytes) {
  std::vector<float> floats(bytes.size() / 4);
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

struct Golden {
  std::string operation, name;
  std::vector<std::byte> in, out;
};

std::vector<Golden> goldens() {
  std::ifstream file(SINTER_SOURCE_DIR "/test/runtime/files/goldens/formats.txt");
  std::vector<Golden> all;
  std::string operation, name, in, out;
  while (file >> operation >> name >> in >> out)
    all.push_back({operation, name, fromHex(in), fromHex(out)});
  return all;
}

TEST(BlockFormats, DecodeWhatTheReferenceDecodes) {
  std::set<std::string> seen;
  for (const Golden &golden : goldens()) {
    if (golden.operation != "decode")
      continue;
    seen.insert(golden.name);
    const BlockFormat *format = findBlockFormat(golden.name);
    ASSERT_TRUE(format && format->dequantize) << golden.name;
    std::vector<float> expected = asFloats(golden.out), found(expected.size());
    ASSERT_EQ(*format->bytesOf(static_cast<int64_t>(expected.size())),
              static_cast<int64_t>(golden.in.size()));
    format->dequantize(golden.in, found.data());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_EQ(std::memcmp(&expected[i], &found[i], 4), 0)
          << golden.name << " number " << i << ": expected " << expected[i] << ", found " << found[i];
  }
  EXPECT_EQ(seen.size(), 12u);
}

TEST(BlockFormats, EncodeToTheBytesTheReferenceGives) {
  std::set<std::string> seen;
  for (const Golden &golden : goldens()) {
    if (golden.operation != "encode")
      continue;
    seen.insert(golden.name);
    const BlockFormat *format = findBlockFormat(golden.name);
    ASSERT_TRUE(format && format->quantize) << golden.name;
    std::vector<float> numbers = asFloats(golden.in);
    std::vector<std::byte> found(golden.out.size());
    format->quantize(numbers, found.data());
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_EQ(found[i], golden.out[i])
          << golden.name << " byte " << i % format->blockBytes << " of block " << i / format->blockBytes;
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST(BlockFormats, EncodeWithinHalfAStepOfTheNumbers) {
  std::vector<float> numbers(320), back(320);
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = std::sin(static_cast<float>(i) * 0.7f);
  struct Expectation {
    const BlockFormat *format;
    float step;
  };
  // Numbers reach to 1 and -1: steps of 7 bits, of 4 bits (doubled, since Q4_0's lattice ends a step short of
  // one side), of 4 bits between minimum and maximum, of a mantissa. The scale itself has 11 bits.
  for (auto [format, step] : {Expectation{&q8_0Format, 1.0f / 127},
                              {&q4_0Format, 2.0f / 8},
                              {&q4_1Format, 2.0f / 15},
                              {&f16Format, 1.0f / 2048},
                              {&bf16Format, 1.0f / 256},
                              {&f32Format, 0.0f}}) {
    std::vector<std::byte> bytes(static_cast<size_t>(*format->bytesOf(320)));
    format->quantize(numbers, bytes.data());
    format->dequantize(bytes, back.data());
    for (size_t i = 0; i < numbers.size(); ++i)
      EXPECT_LE(std::fabs(numbers[i] - back[i]), step / 2 + std::fabs(numbers[i]) / 2048)
          << format->name << " " << i;
  }
}

TEST(BlockFormats, EncodeNonFiniteNumbersToSomeBlock) {
  std::vector<float> numbers(32, std::numeric_limits<float>::quiet_NaN());
  numbers[3] = std::numeric_limits<float>::infinity();
  numbers[5] = 3e38f;
  numbers[6] = 1e-42f;
  for (const BlockFormat *format : allBlockFormats())
    if (format->quantize) {
      std::vector<std::byte> bytes(static_cast<size_t>(*format->bytesOf(32)));
      format->quantize(numbers, bytes.data());
    }
}

TEST(BlockFormats, ReadRowsAtOddAddresses) {
  std::vector<std::byte> bytes(1 + 256 * 4);
  std::vector<float> out(256);
  for (const BlockFormat *format : allBlockFormats())
    if (format->dequantize)
      format->dequantize(std::span(bytes).subspan(1, static_cast<size_t>(*format->bytesOf(256))), out.data());
  EXPECT_EQ(out[0], 0.0f);
}

TEST(BlockFormats, AreFoundByNumberAndByNameInAnyCase) {
  EXPECT_EQ(findBlockFormat(14u), &q6_KFormat);
  EXPECT_EQ(findBlockFormat("q6_k"), &q6_KFormat);
  EXPECT_EQ(findBlockFormat("Q4_0"), &q4_0Format);
  EXPECT_EQ(findBlockFormat(5u), nullptr);
  EXPECT_EQ(findBlockFormat("Q4"), nullptr);
  ASSERT_TRUE(findBlockFormat("IQ4_NL"));
  EXPECT_EQ(findBlockFormat("IQ4_NL")->dequantize, nullptr);
  std::set<uint32_t> numbers;
  for (const BlockFormat *format : allBlockFormats())
    EXPECT_TRUE(numbers.insert(format->ggmlType).second) << format->name;
}

TEST(BlockFormats, CountBytesWithoutOverflow) {
  EXPECT_EQ(*q4_0Format.bytesOf(64), 36);
  EXPECT_EQ(q4_0Format.bytesOf(33).error().message,
            "expected a multiple of Q4_0's block of 32 numbers, found 33");
  EXPECT_EQ(f32Format.bytesOf(INT64_MAX).error().message,
            "expected a tensor of at most 2^63 bytes, found 9223372036854775807 numbers of F32");
  std::vector<int64_t> shape{3, 0, 5}, huge{1LL << 32, 1LL << 31}, negative{2, -1};
  EXPECT_EQ(*elementCount(shape), 0);
  EXPECT_EQ(*elementCount({}), 1);
  EXPECT_EQ(elementCount(huge).error().message,
            "expected a shape of at most 2^63 elements, found [4294967296, 2147483648]");
  EXPECT_FALSE(elementCount(negative));
}

} // namespace
} // namespace sinter
