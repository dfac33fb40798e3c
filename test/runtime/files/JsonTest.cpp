// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/Json.h"
#include "test/TemporaryFolder.h"

#include <cmath>
#include <gtest/gtest.h>

namespace sinter {
namespace {

Json parsed(std::string text) {
  Result<Json> json = Json::parse(std::move(text), "config.json");
  EXPECT_TRUE(json) << json.error().message;
  return std::move(*json);
}

std::string parseError(std::string text) {
  Result<Json> json = Json::parse(std::move(text), "config.json");
  return json ? "no error" : json.error().message;
}

TEST(Json, ReadsEveryKindOfValue) {
  Json json = parsed(R"( {"a": 1, "b": -2.5e1, "c": "x", "d": [true, false, null], "e": {}, "f": []} )");
  JsonValue root = json.root();
  EXPECT_EQ(root.size(), 6u);
  EXPECT_EQ(*root.get<int64_t>("a"), 1);
  EXPECT_EQ(*root.get<double>("a"), 1.0);
  EXPECT_EQ(*root.get<double>("b"), -25.0);
  EXPECT_EQ(*root.get<std::string_view>("c"), "x");
  EXPECT_TRUE(*root["d"].element(0).as<bool>());
  EXPECT_FALSE(*root["d"].element(1).as<bool>());
  EXPECT_TRUE(root["d"].element(2).isNull());
  EXPECT_TRUE(root["d"].element(3).isAbsent());
  EXPECT_TRUE(root["e"].isObject() && root["e"].size() == 0);
  EXPECT_TRUE(root["f"].isArray() && root["f"].begin() == root["f"].end());
}

TEST(Json, TellsAbsentFromNull) {
  Json json = parsed(R"({"window": null, "name": "a"})");
  JsonValue root = json.root();
  EXPECT_TRUE(root["window"].isNull());
  EXPECT_TRUE(root["layers"].isAbsent());
  EXPECT_TRUE(root["layers"]["deeper"].isAbsent());
  EXPECT_EQ(*root.find<int64_t>("window"), std::nullopt);
  EXPECT_EQ(*root.find<int64_t>("layers"), std::nullopt);
  EXPECT_EQ(*root.getOr<int64_t>("layers", 7), 7);
  EXPECT_EQ(root.find<int64_t>("name").error().message,
            "config.json: key 'name' (byte 25): expected an integer of 64 bits, found \"a\"");
  EXPECT_EQ(root.getOr<int64_t>("name", 7).error().message, root.get<int64_t>("name").error().message);
}

TEST(Json, NamesTheWholePathOfAWrongValue) {
  Json json = parsed(R"({"rope": {"factors": [1, 2, "three"], "type": 3}})");
  JsonValue rope = json.root()["rope"];
  EXPECT_EQ(rope.get<std::vector<double>>("factors").error().message,
            "config.json: key 'rope.factors[2]' (byte 28): expected a number, found \"three\"");
  EXPECT_EQ(rope.get<std::string>("type").error().message,
            "config.json: key 'rope.type' (byte 46): expected a string, found 3");
  EXPECT_EQ(rope.get<bool>("high").error().message,
            "config.json: key 'rope.high' (byte 9): expected true or false, found nothing");
  EXPECT_EQ(rope.get<std::vector<int64_t>>("type").error().message,
            "config.json: key 'rope.type' (byte 46): expected an array of integers, found 3");
  EXPECT_EQ(json.root().as<std::vector<std::string>>().error().message,
            "config.json: expected an array of strings, found an object of 1");
}

TEST(Json, KeepsIntegersExactAndKnowsTheirLimits) {
  Json json = parsed("[9223372036854775807, -9223372036854775808, 9223372036854775808, 4096.0, 0.5, 1e300]");
  JsonValue root = json.root();
  EXPECT_EQ(*root.element(0).as<int64_t>(), INT64_MAX);
  EXPECT_EQ(*root.element(1).as<int64_t>(), INT64_MIN);
  EXPECT_EQ(root.element(2).as<int64_t>().error().message,
            "config.json: key '[2]' (byte 44): expected an integer of 64 bits, found 9223372036854775808");
  EXPECT_EQ(*root.element(2).as<double>(), 9223372036854775808.0);
  EXPECT_EQ(*root.element(3).as<int64_t>(), 4096);
  EXPECT_FALSE(root.element(4).as<int64_t>());
  EXPECT_FALSE(root.element(5).as<int64_t>());
}

TEST(Json, ReadsTheNumbersThatPythonWrites) {
  Json json = parsed("[NaN, Infinity, -Infinity, 1e400, 1e-400]");
  auto at = [&](size_t i) { return *json.root().element(i).as<double>(); };
  EXPECT_TRUE(std::isnan(at(0)));
  EXPECT_EQ(at(1), INFINITY);
  EXPECT_EQ(at(2), -INFINITY);
  EXPECT_EQ(at(3), INFINITY);
  EXPECT_EQ(at(4), 0.0);
}

TEST(Json, ResolvesEscapes) {
  Json json = parsed(
      R"(["\"\\\/\b\f\n\r\t", "\u00e9\u4E2D\ud83d\ude00", "\ud800", "\ud800\u0041", "a\u0000b", "é中😀"])");
  auto at = [&](size_t i) { return *json.root().element(i).as<std::string>(); };
  EXPECT_EQ(at(0), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(at(1), "é中😀");
  EXPECT_EQ(at(2), "\uFFFD");
  EXPECT_EQ(at(3), "\uFFFDA");
  EXPECT_EQ(at(4), std::string("a\0b", 3));
  EXPECT_EQ(at(5), "é中😀");
}

TEST(Json, WalksMembersInOrderAndTakesTheLastOfEqualNames) {
  Json json = parsed(R"({"b": 1, "a": 2, "b": 3, "": 4})");
  std::string keys;
  for (JsonValue member : json.root())
    keys += std::string(member.key()) + "=" + member.describe() + " ";
  EXPECT_EQ(keys, "b=1 a=2 b=3 =4 ");
  EXPECT_EQ(*json.root().get<int64_t>("b"), 3);
  EXPECT_EQ(*json.root().get<int64_t>(""), 4);
}

TEST(Json, SaysWhereTheTextIsWrong) {
  EXPECT_EQ(parseError("{\"a\": 1\n \"b\": 2}"),
            "config.json:2:2 (byte 9): expected ',' or '}' after a member, found '\"'");
  EXPECT_EQ(parseError("[1 2]"), "config.json:1:4 (byte 3): expected ',' or ']' after an element, found '2'");
  EXPECT_EQ(parseError("{a: 1}"), "config.json:1:2 (byte 1): expected a member's name in quotes, found 'a'");
  EXPECT_EQ(parseError("{\"a\" 1}"),
            "config.json:1:6 (byte 5): expected ':' after a member's name, found '1'");
  EXPECT_EQ(parseError("\"ab"),
            "config.json:1:4 (byte 3): expected the closing quote of a string, found the end of "
            "the text");
  EXPECT_EQ(parseError("[\"a\nb\"]"), "config.json:1:4 (byte 3): expected control characters of a string "
                                      "written as escapes, found byte 0x0A");
  EXPECT_EQ(parseError("\"\\x\""),
            "config.json:1:2 (byte 1): expected one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r "
            "\\t \\u, found another");
  EXPECT_EQ(parseError("\"\\u12g4\""),
            "config.json:1:2 (byte 1): expected four hexadecimal digits after \\u, found fewer");
  EXPECT_EQ(parseError("\"\xC3(\""), "config.json:1:2 (byte 1): expected valid UTF-8, found byte 0xC3");
  EXPECT_EQ(parseError("[1,]"), "config.json:1:4 (byte 3): expected a value, found ']'");
  EXPECT_EQ(parseError("tru"), "config.json:1:1 (byte 0): expected a value, found 't'");
  EXPECT_EQ(parseError("-"), "config.json:1:2 (byte 1): expected a digit, found the end of the text");
  EXPECT_EQ(parseError("1."),
            "config.json:1:3 (byte 2): expected a digit after the decimal point, found the end of the "
            "text");
  EXPECT_EQ(parseError("1e+"),
            "config.json:1:4 (byte 3): expected a digit in the exponent, found the end of the text");
  EXPECT_EQ(parseError("{} x"),
            "config.json:1:4 (byte 3): expected the end of the text after the outermost value, found 'x'");
  EXPECT_EQ(parseError("01"),
            "config.json:1:2 (byte 1): expected the end of the text after the outermost value, found '1'");
  EXPECT_EQ(parseError(""), "config.json:1:1 (byte 0): expected a value, found the end of the text");
}

TEST(Json, RefusesEveryTruncation) {
  std::string whole = R"({"a": [1.5e3, "\u00e9é", true], "b": {"c": null}})";
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE(parseError(whole.substr(0, length)), "no error") << length;
  EXPECT_EQ(parseError(whole), "no error");
}

TEST(Json, LimitsTheDepth) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(parseError(nested(256)), "no error");
  EXPECT_EQ(parseError(nested(257)),
            "config.json:1:257 (byte 256): expected at most 256 nested arrays and objects, found one more");
  EXPECT_NE(parseError(std::string(1'000'000, '[')), "no error");
}

TEST(Json, ReadsAFileAndNamesIt) {
  TemporaryFolder folder;
  std::string path = folder.write("config.json", "{\"a\": }");
  EXPECT_EQ(Json::read(path).error().message, path + ":1:7 (byte 6): expected a value, found '}'");
  EXPECT_EQ(Json::read(folder.path("none")).error().message,
            folder.path("none") + ": expected a readable file, found: No such file or directory");
}

} // namespace
} // namespace sinter
