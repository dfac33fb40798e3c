// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/Gguf.h"
#include "runtime/files/GgufWriter.h"
#include "test/TemporaryFolder.h"

#include <cstring>
#include <gtest/gtest.h>

namespace sinter {
namespace {

Result<Gguf> parsed(const std::string &file) { return Gguf::parse(std::as_bytes(std::span(file)), "m.gguf"); }

std::string error(const std::string &file) {
  Result<Gguf> gguf = parsed(file);
  return gguf ? "no error" : gguf.error().message;
}

template <typename T> void put(std::string &file, size_t at, T value) {
  ASSERT_LE(at + sizeof value, file.size());
  std::memcpy(file.data() + at, &value, sizeof value);
}

/// Where `text` begins in `file`.
size_t find(const std::string &file, std::string_view text) {
  size_t at = file.find(text);
  EXPECT_NE(at, std::string::npos) << text;
  return at;
}

GgufWriter sample() {
  GgufWriter writer;
  writer.add("general.architecture", "llama")
      .add("u8", uint8_t{200})
      .add("i8", int8_t{-3})
      .add("u16", uint16_t{7});
  writer.add("i16", int16_t{-7})
      .add("u32", uint32_t{1u << 31})
      .add("i32", int32_t{-9})
      .add("u64", ~uint64_t{0});
  writer.add("i64", INT64_MIN).add("f32", 0.5f).add("f64", 0.1).add("yes", true);
  writer.addArray("tokens", std::vector<std::string>{"a", "", "é"});
  writer.addArray("scores", std::vector<float>{1.5f, -2.0f});
  writer.addArray("types", std::vector<int32_t>{1, -1});
  writer.addArray("flags", std::vector<bool>{true, false});
  writer.addArray("none", std::vector<std::string>{});
  std::vector<std::byte> norm(12, std::byte{1}), matrix(68, std::byte{2});
  writer.addTensor("norm", f32Format, {3}, norm).addTensor("matrix", q8_0Format, {2, 32}, matrix);
  return writer;
}

TEST(Gguf, ReadsMetadataOfEveryType) {
  std::string file = sample().bytes();
  Result<Gguf> gguf = parsed(file);
  ASSERT_TRUE(gguf) << gguf.error().message;
  EXPECT_EQ(gguf->version(), 3u);
  EXPECT_EQ(*gguf->get<std::string>("general.architecture"), "llama");
  EXPECT_EQ(*gguf->get<int64_t>("u8"), 200);
  EXPECT_EQ(*gguf->get<int64_t>("i8"), -3);
  EXPECT_EQ(*gguf->get<int64_t>("u16"), 7);
  EXPECT_EQ(*gguf->get<int64_t>("i16"), -7);
  EXPECT_EQ(*gguf->get<int64_t>("u32"), 1LL << 31);
  EXPECT_EQ(*gguf->get<int64_t>("i32"), -9);
  EXPECT_EQ(*gguf->get<int64_t>("i64"), INT64_MIN);
  EXPECT_EQ(*gguf->get<double>("u64"), 18446744073709551615.0);
  EXPECT_EQ(*gguf->get<double>("f32"), 0.5);
  EXPECT_EQ(*gguf->get<double>("f64"), 0.1);
  EXPECT_EQ(*gguf->get<double>("i32"), -9.0);
  EXPECT_TRUE(*gguf->get<bool>("yes"));
  EXPECT_EQ(*gguf->get<std::vector<std::string>>("tokens"), (std::vector<std::string>{"a", "", "é"}));
  EXPECT_EQ(*gguf->get<std::vector<float>>("scores"), (std::vector<float>{1.5f, -2.0f}));
  EXPECT_EQ(*gguf->get<std::vector<double>>("scores"), (std::vector<double>{1.5, -2.0}));
  EXPECT_EQ(*gguf->get<std::vector<int32_t>>("types"), (std::vector<int32_t>{1, -1}));
  EXPECT_EQ(*gguf->get<std::vector<int64_t>>("types"), (std::vector<int64_t>{1, -1}));
  EXPECT_EQ(*gguf->get<std::vector<bool>>("flags"), (std::vector<bool>{true, false}));
  EXPECT_EQ(gguf->get<GgufStrings>("none")->size(), 0u);
  EXPECT_EQ(*gguf->getOr<int64_t>("absent", 5), 5);
  EXPECT_EQ(*gguf->findAs<int64_t>("absent"), std::nullopt);
}

TEST(Gguf, FindsTensorsWithTheOutermostLengthFirst) {
  std::string file = sample().bytes();
  Result<Gguf> gguf = parsed(file);
  ASSERT_TRUE(gguf);
  const GgufTensor *matrix = gguf->tensor("matrix");
  ASSERT_TRUE(matrix);
  EXPECT_EQ(matrix->shape, (std::vector<int64_t>{2, 32}));
  EXPECT_EQ(matrix->format, &q8_0Format);
  EXPECT_EQ(matrix->bytes.size(), 68u);
  EXPECT_EQ(matrix->bytes[0], std::byte{2});
  EXPECT_EQ(matrix->offset % 32, 0u);
  EXPECT_EQ(gguf->tensor("other"), nullptr);
}

TEST(Gguf, ReadsAFileAndAVersion2) {
  TemporaryFolder folder;
  ASSERT_TRUE(sample().write(folder.path("m")));
  std::string file = folder.read("m");
  put<uint32_t>(file, 4, 2);
  folder.write("m", file);
  Result<Gguf> gguf = Gguf::open(folder.path("m"));
  ASSERT_TRUE(gguf) << gguf.error().message;
  Gguf copy = *gguf;
  gguf = fail("gone");
  EXPECT_EQ(copy.version(), 2u);
  EXPECT_EQ(copy.tensor("norm")->bytes[11], std::byte{1});
}

TEST(Gguf, NamesTheKeyOfAWrongType) {
  std::string file = sample().bytes();
  Result<Gguf> gguf = parsed(file);
  ASSERT_TRUE(gguf);
  auto location = [&](std::string_view key) {
    return fmt::format("m.gguf: metadata key '{}' (byte {}): ", key, gguf->find(key)->offset);
  };
  EXPECT_EQ(gguf->get<int64_t>("absent").error().message,
            "m.gguf: expected metadata key 'absent', found none");
  EXPECT_EQ(gguf->get<int64_t>("f32").error().message, location("f32") + "expected an integer, found f32");
  EXPECT_EQ(gguf->get<int64_t>("types").error().message,
            location("types") + "expected an integer, found an array of 2 i32");
  EXPECT_EQ(gguf->get<int64_t>("u64").error().message,
            location("u64") + "expected an integer below 2^63, found 18446744073709551615");
  EXPECT_EQ(gguf->get<double>("yes").error().message, location("yes") + "expected a number, found bool");
  EXPECT_EQ(gguf->get<bool>("u8").error().message, location("u8") + "expected a bool, found u8");
  EXPECT_EQ(gguf->get<std::string>("tokens").error().message,
            location("tokens") + "expected a string, found an array of 3 string");
  EXPECT_EQ(gguf->get<GgufStrings>("types").error().message,
            location("types") + "expected an array of strings, found an array of 2 i32");
  EXPECT_EQ(gguf->get<std::vector<float>>("types").error().message,
            location("types") + "expected an array of floating-point numbers, found an array of 2 i32");
  EXPECT_EQ(gguf->get<std::vector<bool>>("types").error().message,
            location("types") + "expected an array of bools, found an array of 2 i32");
  EXPECT_EQ(gguf->findAs<std::vector<int64_t>>("scores").error().message,
            location("scores") + "expected an array of integers, found an array of 2 f32");
}

TEST(Gguf, RefusesIntegersThatDoNotFit) {
  GgufWriter writer;
  writer.addArray("a", std::vector<uint64_t>{1, ~uint64_t{0}});
  std::string file = writer.bytes();
  Result<Gguf> gguf = parsed(file);
  ASSERT_TRUE(gguf);
  EXPECT_EQ(gguf->get<std::vector<int32_t>>("a").error().message,
            "m.gguf: metadata key 'a' (byte 49): expected integers of 32 bits, found 18446744073709551615 as "
            "element 1");
  EXPECT_FALSE(gguf->get<std::vector<int64_t>>("a"));
}

TEST(Gguf, RefusesAWrongHeader) {
  std::string good = sample().bytes();
  EXPECT_EQ(error("GGML"), "m.gguf (byte 0): expected a GGUF file, which begins with \"GGUF\"");
  EXPECT_EQ(error("GGUF"),
            "m.gguf (byte 4): expected the version of 4 bytes, found the end of the file after 0");
  std::string bad = good;
  put<uint32_t>(bad, 4, 1);
  EXPECT_EQ(error(bad), "m.gguf (byte 4): expected version 2 or 3 of the format, found 1");
  put<uint32_t>(bad, 4, 0x03000000);
  EXPECT_EQ(error(bad),
            "m.gguf (byte 4): expected a little-endian file, found a big-endian one; convert it with "
            "gguf_convert_endian.py");
  bad = good;
  put<uint64_t>(bad, 8, 1ull << 60);
  EXPECT_EQ(error(bad),
            fmt::format("m.gguf (byte 8): expected at most {} tensors in a file of {} bytes, found "
                        "1152921504606846976",
                        (good.size() - 24) / 32, good.size()));
  bad = good;
  put<uint64_t>(bad, 16, ~0ull);
  EXPECT_EQ(error(bad),
            fmt::format("m.gguf (byte 16): expected at most {} metadata entries in a file of {} bytes, found "
                        "18446744073709551615",
                        (good.size() - 24) / 13, good.size()));
}

TEST(Gguf, RefusesWrongMetadata) {
  std::string good = sample().bytes(), bad = good;
  size_t key = find(good, "u16");
  put<uint64_t>(bad, key - 8, 70000);
  EXPECT_EQ(error(bad),
            fmt::format("m.gguf (byte {}): expected a metadata key of at most 65535 bytes, found a length of "
                        "70000",
                        key - 8));
  bad = good;
  put<uint32_t>(bad, key + 3, 13);
  EXPECT_EQ(
      error(bad),
      fmt::format("m.gguf (byte {}): metadata key 'u16': expected a type from 0 to 12, found 13", key + 3));
  bad = good;
  bad.replace(key, 3, "i16");
  EXPECT_EQ(error(bad), fmt::format("m.gguf (byte {}): expected each metadata key once, found 'i16' again",
                                    find(good, "i16") - 8));

  size_t array = find(good, "tokens") + 6;
  bad = good;
  put<uint32_t>(bad, array + 4, 9);
  EXPECT_EQ(error(bad),
            fmt::format("m.gguf (byte {}): metadata key 'tokens': expected an array of numbers or strings, "
                        "found an array of arrays",
                        array + 4));
  bad = good;
  put<uint64_t>(bad, array + 8, 1ull << 61);
  EXPECT_EQ(error(bad),
            fmt::format("m.gguf (byte {}): metadata key 'tokens': expected 2305843009213693952 string of at "
                        "least 8 bytes each, found the end of the file after {} bytes",
                        array + 16, good.size() - array - 16));
  bad = good;
  put<uint64_t>(bad, array + 16, 1ull << 40);
  EXPECT_NE(error(bad).find(fmt::format("(byte {}): expected tokens of at most", array + 16)),
            std::string::npos);
}

TEST(Gguf, RefusesWrongAlignment) {
  for (uint32_t alignment : {0u, 24u, 1u << 31}) {
    GgufWriter writer;
    std::string file = writer.add("general.alignment", uint32_t{64}).bytes();
    put(file, find(file, "general.alignment") + 17 + 4, alignment);
    EXPECT_EQ(error(file),
              fmt::format("m.gguf (byte 53): metadata key 'general.alignment': expected a power of two up to "
                          "2^30, found {}",
                          alignment));
  }
  GgufWriter writer;
  std::vector<std::byte> data(4);
  writer.add("general.alignment", uint32_t{1024}).addTensor("a", f32Format, {1}, data);
  std::string file = writer.addTensor("b", f32Format, {1}, data).bytes();
  Result<Gguf> gguf = parsed(file);
  ASSERT_TRUE(gguf) << gguf.error().message;
  EXPECT_EQ(gguf->tensor("b")->offset, 2048u);
}

TEST(Gguf, RefusesASplitModel) {
  GgufWriter writer;
  std::string file = writer.add("split.count", uint16_t{3}).bytes();
  EXPECT_EQ(error(file),
            "m.gguf (byte 47): metadata key 'split.count': expected a model in one file, found one split "
            "into 3; join the parts with llama-gguf-split --merge");
}

TEST(Gguf, RefusesWrongTensors) {
  std::string good = sample().bytes(), bad = good;
  size_t name = find(good, "matrix"), entry = name - 8, rank = name + 6, type = rank + 4 + 16,
         offset = type + 4;
  auto prefix = fmt::format("m.gguf (byte {}): tensor 'matrix': ", entry);
  put<uint32_t>(bad, rank, 5);
  EXPECT_EQ(error(bad), prefix + "expected 1 to 4 dimensions, found 5");
  bad = good;
  put<int64_t>(bad, rank + 4, 0);
  EXPECT_EQ(error(bad), prefix + "expected lengths of at least 1, found 0");
  bad = good;
  put<int64_t>(bad, rank + 4, 31);
  EXPECT_EQ(error(bad),
            fmt::format("m.gguf (byte {}): tensor 'matrix', length of its rows: expected a multiple of "
                        "Q8_0's block of 32 numbers, found 31",
                        entry));
  bad = good;
  put<int64_t>(bad, rank + 4, 1LL << 60);
  put<int64_t>(bad, rank + 12, 1LL << 60);
  EXPECT_EQ(error(bad), prefix + "expected a shape of at most 2^63 elements, found [1152921504606846976, "
                                 "1152921504606846976]");
  bad = good;
  put<uint32_t>(bad, type, 99);
  EXPECT_EQ(error(bad).substr(0, prefix.size() + 40), prefix + "expected a known type, found number 99; ");
  bad = good;
  put<uint64_t>(bad, offset, 33);
  EXPECT_EQ(error(bad), prefix + "expected an offset that is a multiple of 32, found 33");
  bad = good;
  put<uint64_t>(bad, offset, ~0ull - 31);
  EXPECT_NE(error(bad).find("m.gguf: tensor 'matrix': expected 68 bytes at byte"), std::string::npos);
  bad = good;
  put<uint64_t>(bad, offset, 0);
  size_t norm = parsed(good)->tensor("norm")->offset;
  EXPECT_EQ(error(bad),
            fmt::format("m.gguf: tensor 'matrix': expected bytes of its own, found that it begins at byte "
                        "{}, inside 'norm', which ends at byte {}",
                        norm, norm + 12));
  bad = good;
  bad.replace(find(good, "norm"), 4, "aaaa");
  EXPECT_EQ(error(bad), "no error");
  GgufWriter twice;
  std::vector<std::byte> data(4);
  twice.addTensor("a", f32Format, {1}, data).addTensor("a", f32Format, {1}, data);
  EXPECT_EQ(error(twice.bytes()), "m.gguf (byte 57): expected each tensor once, found 'a' again");
}

TEST(Gguf, NamesTypesItCannotDecode) {
  GgufWriter writer;
  std::vector<std::byte> data(18);
  std::string file = writer.addTensor("a", *findBlockFormat("IQ4_NL"), {1, 32}, data).bytes();
  Result<Gguf> gguf = parsed(file);
  ASSERT_TRUE(gguf) << gguf.error().message;
  EXPECT_EQ(gguf->tensor("a")->format->name, "IQ4_NL");
  EXPECT_EQ(gguf->tensor("a")->format->dequantize, nullptr);
}

TEST(Gguf, RefusesEveryTruncationBeforeTheLastTensorsEnd) {
  std::string whole = sample().bytes();
  Result<Gguf> gguf = parsed(whole);
  ASSERT_TRUE(gguf);
  const GgufTensor *last = gguf->tensor("matrix");
  size_t end = last->offset + last->bytes.size();
  for (size_t length = 0; length < end; ++length)
    EXPECT_NE(error(whole.substr(0, length)), "no error") << length;
  EXPECT_EQ(error(whole.substr(0, end)), "no error");
}

TEST(Gguf, SurvivesEveryChangedByteBeforeTheData) {
  std::string good = sample().bytes();
  size_t data = parsed(good)->tensor("norm")->offset;
  for (size_t at = 0; at < data; ++at)
    for (unsigned char byte : {0x00, 0x7F, 0x80, 0xFF}) {
      std::string bad = good;
      bad[at] = static_cast<char>(byte);
      if (Result<Gguf> gguf = parsed(bad))
        for (const GgufValue &value : gguf->metadata())
          (void)value.as<std::vector<std::string>>();
    }
}

} // namespace
} // namespace sinter
