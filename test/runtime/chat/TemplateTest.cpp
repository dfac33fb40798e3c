// SPDX-License-Identifier: Apache-2.0
// Templates against what transformers and jinja2 made of them (utils/make-chat-goldens), and the messages and
// limits that are ours.
#include "runtime/chat/Template.h"
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

using namespace sinter;
using namespace sinter::chat;

namespace {

const std::string folder = SINTER_SOURCE_DIR "/test/runtime/chat/";

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<std::string> render(std::string_view source, const Entries &variables = {}, std::time_t now = 0) {
  const Result<Template> parsed = Template::parse(source);
  return parsed ? parsed->render(variables, now) : tl::unexpected(parsed.error());
}

TEST(TemplateTest, RendersAsJinjaDoes) {
  setenv("TZ", "UTC", 1);
  const Result<Json> json = Json::read(folder + "goldens.json");
  ASSERT_TRUE(json) << json.error().message;
  const std::time_t time = *json->root().get<int64_t>("time");
  const Value standard = fromJson(json->root()["variables"]);
  size_t count = 0;
  for (JsonValue golden : json->root()["goldens"]) {
    ++count;
    const bool isFile = golden.has("file");
    const std::string source = isFile ? readFile(folder + "templates/" + *golden.get<std::string>("file"))
                                      : *golden.get<std::string>("template");
    const Value variables = isFile ? fromJson(golden["variables"]) : standard;
    const Result<std::string> text = render(source, variables.entries(), time);
    const std::string what =
        isFile ? *golden.get<std::string>("file") + ", " + *golden.get<std::string>("name") : source;
    if (golden.has("error")) {
      EXPECT_FALSE(text) << what << "\nrendered as " << *text;
    } else {
      ASSERT_TRUE(golden.has("text"));
      EXPECT_TRUE(text) << what << "\n" << text.error().message;
      if (text) {
        EXPECT_EQ(*text, *golden.get<std::string>("text")) << what;
      }
    }
  }
  EXPECT_GT(count, 300u);
}

TEST(TemplateTest, WhatIsNotSupportedIsNamedWithItsLine) {
  const auto message = [](std::string_view source) {
    const Result<Template> parsed = Template::parse(source);
    return parsed ? std::string("parsed") : parsed.error().message;
  };
  EXPECT_EQ(message("a\n{% include 'x' %}"),
            "chat template, line 2: the statement 'include' is not supported");
  EXPECT_EQ(message("\n\n{{ x | urlize }}"), "chat template, line 3: the filter 'urlize' is not supported");
  EXPECT_EQ(message("{{ x is magic }}"), "chat template, line 1: the test 'magic' is not supported");
  EXPECT_EQ(message("{{ cycler('a') }}"),
            "chat template, line 1: the function 'cycler' is not supported: expected range, "
            "dict, namespace, raise_exception or strftime_now");
  EXPECT_EQ(message("{% for a in b recursive %}{% endfor %}"),
            "chat template, line 1: recursive loops are not supported");
  EXPECT_EQ(message("{% if x %}\n"), "chat template, line 1: expected {% endif %}, found the template's end");
  EXPECT_EQ(message("{{ 1 $ 2 }}"), "chat template, line 1: unexpected character '$'");
  EXPECT_EQ(message("{{ 99999999999999999999 }}"),
            "chat template, line 1: expected an integer below 2^63, found '99999999999999999999'");
}

TEST(TemplateTest, ErrorsWhileRenderingHaveTheirLine) {
  EXPECT_EQ(
      render("a\n{% if true %}\n{{ raise_exception('roles must alternate') }}{% endif %}").error().message,
      "chat template, line 3: roles must alternate");
  EXPECT_EQ(render("\n{{ messages[0].role }}").error().message,
            "chat template, line 2: 'messages' is undefined");
  EXPECT_EQ(render("{{ {}.a.b }}").error().message,
            "chat template, line 1: 'dict' object has no attribute 'a'");
  EXPECT_EQ(render("{{ [].append(1) }}").error().message,
            "chat template, line 1: the sandbox forbids 'append' of a list: it would change the object");
  EXPECT_EQ(render("{{ 'x'.translate() }}").error().message,
            "chat template, line 1: the string method 'translate' is not supported");
}

TEST(TemplateTest, HostileTemplatesEndWithAnError) {
  const auto fails = [](const std::string &source, const char *part) {
    const Result<std::string> text = render(source);
    ASSERT_FALSE(text);
    EXPECT_NE(text.error().message.find(part), std::string::npos) << text.error().message;
  };
  fails("{{ " + std::string(100000, '(') + "1" + std::string(100000, ')') + " }}", "levels of nesting");
  fails("{{ " + std::string(100000, '-') + "1 }}", "levels of nesting");
  std::string nested;
  for (int i = 0; i < 100000; ++i)
    nested += "{% if 1 %}";
  fails(nested, "levels of nesting");
  std::string nots = "{{ ";
  for (int i = 0; i < 100000; ++i)
    nots += "not ";
  fails(nots + "1 }}", "levels of nesting");
  fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested more than");
  fails("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "steps");
  fails("{{ 'x' * 999999999999 }}", "too long");
  fails("{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor "
        "%}",
        "too long");
  fails("{{ [0] * 99999999999 }}", "too long");
  fails("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "too long");
  fails("{{ 9223372036854775807 + 1 }}", "64 bits");
  fails("{{ 10 ** 100 }}", "64 bits");
  std::string plus = "{{ 1";
  for (int i = 0; i < 100000; ++i)
    plus += " + 1";
  fails(plus + " }}", "nest");
  std::string filters = "{{ 1";
  for (int i = 0; i < 100000; ++i)
    filters += "|abs";
  fails(filters + " }}", "nest");
}

TEST(TemplateTest, AConversationIsRendered) {
  const Result<Template> parsed = Template::parse(readFile(folder + "templates/chatml.jinja"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed->render({{"user", "Hi"}}, {{"bos_token", "<s>"}}, true),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

} // namespace
