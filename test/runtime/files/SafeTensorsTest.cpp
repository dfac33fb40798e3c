// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/SafeTensors.h"
#include "test/TemporaryFolder.h"

#include <cstring>
#include <gtest/gtest.h>

namespace sinter {
namespace {

/// A file of the given header text and `dataSize` bytes 0, 1, 2, ...
std::string fileOf(std::string_view header, size_t dataSize) {
  uint64_t length = header.size();
  std::string file(reinterpret_cast<const char *>(&length), sizeof length);
  file += header;
  for (size_t i = 0; i < dataSize; ++i)
    file += static_cast<char>(i);
  return file;
}

Result<SafeTensors> parsed(const std::string &file) {
  return SafeTensors::parse(std::as_bytes(std::span(file)), "a.safetensors");
}

std::string error(const std::string &file) {
  Result<SafeTensors> tensors = parsed(file);
  return tensors ? "no error" : tensors.error().message;
}

constexpr std::string_view twoTensors =
    R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
    R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})";

TEST(SafeTensors, FindsTensorsByName) {
  std::string file = fileOf(twoTensors, 22);
  Result<SafeTensors> tensors = parsed(file);
  ASSERT_TRUE(tensors) << tensors.error().message;
  ASSERT_EQ(tensors->tensors().size(), 2u);
  const SafeTensor *w = tensors->find("w"), *b = tensors->find("b");
  ASSERT_TRUE(w && b);
  EXPECT_EQ(w->format, &f32Format);
  EXPECT_EQ(w->shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(b->format, &bf16Format);
  EXPECT_EQ(b->bytes.size(), 6u);
  EXPECT_EQ(b->bytes[0], std::byte{16});
  EXPECT_EQ(b->offset, file.size() - 6);
  EXPECT_EQ(tensors->find("c"), nullptr);
  ASSERT_EQ(tensors->metadata().size(), 1u);
  EXPECT_EQ(tensors->metadata()[0].second, "pt");
}

TEST(SafeTensors, KeepsOtherTypesAndEmptyTensors) {
  std::string file = fileOf(R"({"mask":{"dtype":"BOOL","shape":[1,3],"data_offsets":[0,3]},)"
                            R"("none":{"dtype":"F32","shape":[0,7],"data_offsets":[3,3]},)"
                            R"("four":{"dtype":"F4","shape":[4],"data_offsets":[3,5]}})",
                            5);
  Result<SafeTensors> tensors = parsed(file);
  ASSERT_TRUE(tensors) << tensors.error().message;
  EXPECT_EQ(tensors->find("mask")->format, nullptr);
  EXPECT_EQ(tensors->find("mask")->dtype, "BOOL");
  EXPECT_EQ(tensors->find("none")->bytes.size(), 0u);
}

TEST(SafeTensors, RefuseAWrongHeader) {
  EXPECT_EQ(error("1234567"),
            "a.safetensors: expected a safetensors file, which has at least 8 bytes, found 7");
  EXPECT_EQ(error(std::string(8, '\xFF')),
            "a.safetensors (byte 0): expected a header of at most 0 bytes, found a length "
            "of 18446744073709551615");
  EXPECT_EQ(error(fileOf("[]", 0)), "a.safetensors (header): expected an object, found an array of 0");
  EXPECT_EQ(error(fileOf("{", 0)),
            "a.safetensors (header):1:2 (byte 1): expected a member's name in quotes, found the "
            "end of the text");
  EXPECT_EQ(error(fileOf(R"({"__metadata__":{"a":1}})", 0)),
            "a.safetensors (header): key '__metadata__.a' (byte 21): expected a string, found 1");
  EXPECT_EQ(error(fileOf(R"({"__metadata__":[]})", 0)),
            "a.safetensors (header): key '__metadata__' (byte 16): expected "
            "an object of strings, found an array of 0");
  EXPECT_EQ(error(fileOf(R"({"__metadata__":{},"__metadata__":{}})", 0)),
            "a.safetensors (header): key '__metadata__' (byte 34): expected each key once, found it again");
}

TEST(SafeTensors, RefuseWrongEntries) {
  auto entryError = [](std::string_view entry, size_t size) {
    std::string message = error(fileOf(fmt::format("{{\"w\":{}}}", entry), size));
    return message.substr(message.find("key"));
  };
  EXPECT_EQ(entryError(R"({"dtype":"U8","shape":[1],"shape":[2],"data_offsets":[0,2]})", 2),
            "key 'w.shape' (byte 39): expected each key once, found it again");
  EXPECT_EQ(entryError("1", 0), "key 'w.dtype' (byte 5): expected a string, found nothing");
  EXPECT_EQ(
      entryError(R"({"dtype":"F12","shape":[],"data_offsets":[0,4]})", 4),
      "key 'w.dtype' (byte 14): expected a type of safetensors such as \"F32\" or \"BF16\", found \"F12\"");
  EXPECT_EQ(entryError(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", 4),
            "key 'w.shape' (byte 28): expected a shape of at most 2^63 elements, found [-1]");
  EXPECT_EQ(
      entryError(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})", 4),
      "key 'w.shape' (byte 28): expected a shape of at most 2^63 elements, found [4294967296, 4294967296]");
  EXPECT_EQ(entryError(R"({"dtype":"F32","shape":[2305843009213693952],"data_offsets":[0,0]})", 0),
            "key 'w.data_offsets' (byte 65): expected as many bytes as F32 of shape [2305843009213693952] "
            "has, found 0");
  EXPECT_EQ(entryError(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})", 8),
            "key 'w.data_offsets' (byte 47): expected as many bytes as F32 of shape [1] has, found 8");
  EXPECT_EQ(entryError(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", 4),
            "key 'w.data_offsets' (byte 47): expected begin and end with 0 <= begin <= end, found [4, 0]");
  EXPECT_EQ(entryError(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", 4),
            "key 'w.data_offsets' (byte 47): expected begin and end with 0 <= begin <= end, found [0]");
  EXPECT_EQ(entryError(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})", 3),
            "key 'w.data_offsets' (byte 47): expected an end within the file's 3 bytes of data, found 4");
}

TEST(SafeTensors, RefuseHolesOverlapsAndLeftovers) {
  auto two = [](int begin, size_t size) {
    return error(fileOf(fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},)"
                                    R"("b":{{"dtype":"U8","shape":[4],"data_offsets":[{},{}]}}}})",
                                    begin, begin + 4),
                        size));
  };
  EXPECT_EQ(two(4, 8), "no error");
  EXPECT_EQ(two(2, 6),
            "a.safetensors: tensor 'b': expected its bytes to begin at byte 117, where the one before ends, "
            "found byte 115: they overlap");
  EXPECT_EQ(two(5, 9),
            "a.safetensors: tensor 'b': expected its bytes to begin at byte 117, where the one before ends, "
            "found byte 118: a hole");
  EXPECT_EQ(two(4, 9),
            "a.safetensors: expected the last tensor to end with the file at byte 122, found byte 121");
  EXPECT_EQ(error(fileOf(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                         R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                         2)),
            "a.safetensors: expected each tensor once, found 'a' again in a.safetensors");
}

TEST(SafeTensors, RefuseEveryTruncation) {
  std::string whole = fileOf(twoTensors, 22);
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE(error(whole.substr(0, length)), "no error") << length;
  EXPECT_EQ(error(whole), "no error");
}

constexpr std::string_view tensorA = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
constexpr std::string_view tensorB = R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";

std::string folderError(const TemporaryFolder &folder) {
  Result<SafeTensors> tensors = SafeTensors::openFolder(folder.path("."));
  if (tensors)
    return "no error";
  std::string message = tensors.error().message, prefix = folder.path(".");
  for (size_t at; (at = message.find(prefix)) != std::string::npos;)
    message.replace(at, prefix.size(), "FOLDER");
  return message;
}

TEST(SafeTensors, JoinShardsByTheirIndex) {
  TemporaryFolder folder;
  folder.write("1.safetensors", fileOf(tensorA, 4));
  folder.write("2.safetensors", fileOf(tensorB, 2));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"b":"2.safetensors","a":"1.safetensors"}})");
  Result<SafeTensors> tensors = SafeTensors::openFolder(folder.path());
  ASSERT_TRUE(tensors) << tensors.error().message;
  SafeTensors copy = *tensors;
  tensors = fail("gone");
  ASSERT_TRUE(copy.find("a") && copy.find("b"));
  EXPECT_EQ(copy.find("b")->bytes[1], std::byte{1});
  EXPECT_TRUE(copy.find("b")->file.ends_with("2.safetensors"));
}

TEST(SafeTensors, RefuseAWrongFolder) {
  TemporaryFolder folder;
  EXPECT_EQ(
      folderError(folder),
      "FOLDER: expected model.safetensors or model.safetensors.index.json in the folder, found neither");
  folder.write("pytorch_model.bin", "x");
  EXPECT_EQ(folderError(folder),
            "FOLDER: expected model.safetensors or model.safetensors.index.json in the folder, found pickled "
            "weights "
            "only; load the folder with transformers and call save_pretrained to convert");
  auto index = [&](std::string_view text) { folder.write("model.safetensors.index.json", text); };
  index("{}");
  EXPECT_EQ(folderError(folder),
            "FOLDER/model.safetensors.index.json: key 'weight_map' (byte 0): expected an object "
            "from tensors to files, found nothing");
  for (std::string_view name : {"../a", "/etc/passwd", "", ".."}) {
    index(fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", name));
    EXPECT_EQ(folderError(folder),
              fmt::format("FOLDER/model.safetensors.index.json: key 'weight_map.a' (byte 19): "
                          "expected the name of a file in the same folder, found \"{}\"",
                          name));
  }
  index(R"({"weight_map":{"a":"1.safetensors"}})");
  EXPECT_EQ(folderError(folder),
            "FOLDER/1.safetensors: expected a readable file, found: No such file or directory (a "
            "shard that FOLDER/model.safetensors.index.json lists)");
  folder.write("1.safetensors", fileOf(tensorB, 2));
  EXPECT_EQ(folderError(folder), "no error"); // a remnant of the index: 'a' is not there, as whoever needs it will say
  folder.write("2.safetensors", fileOf(tensorA, 4));
  index(R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  EXPECT_EQ(folderError(folder),
            "FOLDER/model.safetensors.index.json: key 'weight_map.a' (byte 19): expected tensor 'a' "
            "in FOLDER/1.safetensors, found it in FOLDER/2.safetensors");
}

TEST(SafeTensorsWriter, WritesWhatTheReaderReads) {
  TemporaryFolder folder;
  SafeTensorsWriter writer(folder.path("out.safetensors"));
  writer.addMetadata("format", "pt");
  writer.declare("w", f32Format, {2, 3});
  writer.declare("a\"b", bf16Format, {1});
  std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  ASSERT_TRUE(writer.begin());
  ASSERT_TRUE(writer.append(std::as_bytes(std::span(numbers).first(2))));
  ASSERT_TRUE(writer.append(std::as_bytes(std::span(numbers).subspan(2))));
  ASSERT_TRUE(writer.append(std::vector<std::byte>(2)));
  EXPECT_FALSE(std::filesystem::exists(folder.path("out.safetensors")));
  ASSERT_TRUE(writer.commit());

  Result<SafeTensors> back = SafeTensors::open(folder.path("out.safetensors"));
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_TRUE(back->find("w") && back->find("a\"b"));
  EXPECT_EQ(std::memcmp(back->find("w")->bytes.data(), numbers.data(), 24), 0);
  EXPECT_EQ(back->find("w")->offset % 8, 0u);
  EXPECT_EQ(back->metadata()[0].first, "format");
}

TEST(SafeTensorsWriter, RefusesShapesThatDoNotFit) {
  TemporaryFolder folder;
  SafeTensorsWriter writer(folder.path("out"));
  writer.declare("w", f32Format, {1LL << 61, 2});
  EXPECT_EQ(writer.begin().error().message,
            folder.path("out") +
                ": tensor 'w': expected a tensor of at most 2^63 bytes, found 4611686018427387904 "
                "numbers of F32");
  EXPECT_EQ(folder.entries(), 0u);
}

} // namespace
} // namespace sinter
