// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/JsonWriter.h"
#include "runtime/files/Json.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

namespace sinter {
namespace {

TEST(JsonWriter, WritesOneLineWithoutSpaces) {
  JsonWriter json;
  json.beginObject()
      .key("a")
      .value(1)
      .key("b")
      .beginArray()
      .value(true)
      .null()
      .value("x")
      .beginArray()
      .endArray();
  json.endArray().key("c").beginObject().endObject().key("d").raw("[1, 2]").endObject();
  EXPECT_EQ(json.take(), R"({"a":1,"b":[true,null,"x",[]],"c":{},"d":[1, 2]})");
}

TEST(JsonWriter, IndentsWhenAsked) {
  JsonWriter json(2);
  json.beginObject().key("a").value(1).key("b").beginArray().value(2).value(3).endArray();
  json.key("c").beginObject().endObject().endObject();
  EXPECT_EQ(json.take(), "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    3\n  ],\n  \"c\": {}\n}");
}

TEST(JsonWriter, EscapesWhatJsonCannotHold) {
  std::string out;
  appendJsonString(out, std::string_view("\"\\\n\r\t\0\x1f é中😀", 17));
  EXPECT_EQ(out, R"("\"\\\n\r\t\u0000\u001f é中😀")");
}

TEST(JsonWriter, ReplacesInvalidUtf8) {
  std::string out;
  appendJsonString(out, "a\xE4\xB8z\xFF");
  EXPECT_EQ(out, "\"a\uFFFD\uFFFDz\uFFFD\"");
}

TEST(JsonWriter, MarksRealNumbersAndHasNoInfinity) {
  auto text = [](auto number) { return JsonWriter().value(number).take(); };
  EXPECT_EQ(text(1.0), "1.0");
  EXPECT_EQ(text(-0.0), "-0.0");
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(0.1f), "0.1");
  EXPECT_EQ(text(1e-5), "1e-05");
  EXPECT_EQ(text(1e300), "1e+300");
  EXPECT_EQ(text(INFINITY), "null");
  EXPECT_EQ(text(static_cast<uint64_t>(-1)), "18446744073709551615");
}

TEST(JsonWriter, NumbersReadBackExactly) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 10000; ++i) {
    double number = std::bit_cast<double>(random());
    float single = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(number) || !std::isfinite(single))
      continue;
    JsonWriter json;
    json.beginArray().value(number).value(single).endArray();
    Result<Json> back = Json::parse(json.text(), "text");
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back->root().element(0).as<double>(), number);
    EXPECT_EQ(static_cast<float>(*back->root().element(1).as<double>()), single);
  }
}

} // namespace
} // namespace sinter
