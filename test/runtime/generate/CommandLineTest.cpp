// SPDX-License-Identifier: Apache-2.0
// What users and scripts rely on: outputs, exit codes, streams. Runs the fake model as a process.
#include "runtime/files/Json.h"
#include "test/runtime/generate/FakeModel.h"
#include "test/runtime/generate/Process.h"
#include <algorithm>
#include <cmath>
#include <csignal>
#include <gtest/gtest.h>
#include <sstream>

using namespace sinter;
using fake::Launch;
using fake::Outcome;

namespace {

Outcome run(std::vector<std::string> arguments, std::string input = "") {
  return fake::run(FAKE_MODEL, {std::move(arguments), std::move(input), {}, "", nullptr});
}

std::vector<Json> lines(const std::string &text) {
  std::vector<Json> result;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    Result<Json> json = Json::parse(text.substr(at, end - at), "output");
    EXPECT_TRUE(json) << text.substr(at, end - at);
    if (json)
      result.push_back(std::move(*json));
    at = end + 1;
  }
  return result;
}

/// The greedy continuation by the model's definition.
std::string greedy(const std::string &prompt, int count) {
  std::vector<int32_t> tokens = {fake::beginToken};
  for (char c : prompt)
    tokens.push_back(uint8_t(c));
  std::string text;
  for (int i = 0; i < count; ++i) {
    int32_t best = 0;
    for (int32_t next = 1; next < fake::vocabulary; ++next)
      if (fake::logitOf(tokens, next) > fake::logitOf(tokens, best))
        best = next;
    if (best == fake::endToken)
      break;
    text += char(best);
    tokens.push_back(best);
  }
  return text;
}

TEST(CommandLineTest, OnlyTheContinuationIsWrittenToStandardOutput) {
  const Outcome outcome = run({"-p", "once upon", "-n", "40", "--temp", "0"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, greedy("once upon", 40));
  EXPECT_NE(outcome.err.find("tokens/s"), std::string::npos);
}

TEST(CommandLineTest, TextComesFromAFlagAFileOrStandardInput) {
  const std::string path = testing::TempDir() + "/prompt.txt";
  FILE *file = std::fopen(path.c_str(), "w");
  std::fputs("once\nupon\n", file);
  std::fclose(file);
  const std::string expected = greedy("once\nupon\n", 30);
  EXPECT_EQ(run({"-p", "once\nupon\n", "-n", "30", "--temp", "0"}).out, expected);
  EXPECT_EQ(run({"-f", path, "-n", "30", "--temp", "0"}).out, expected);
  EXPECT_EQ(run({"-n", "30", "--temp", "0"}, "once\nupon\n").out, expected);
  EXPECT_EQ(run({"-p", "once\nupon\n", "-n", "30", "--temp", "0"}, "ignored").out, expected);
}

TEST(CommandLineTest, EchoWritesThePromptToo) {
  EXPECT_EQ(run({"-p", "once", "-n", "9", "--temp", "0", "--echo"}).out, "once" + greedy("once", 9));
}

TEST(CommandLineTest, EchoOfHalfACharacterWaitsForTheRest) {
  EXPECT_EQ(run({"--prompt-tokens", "[120, 35, 228]", "-n", "2", "--temp", "0", "--echo"}).out,
            "x#\xE4\xB8\xAD");
}

TEST(CommandLineTest, PromptsMayLookLikeAnything) {
  EXPECT_EQ(run({"-p", "", "-n", "9", "--temp", "0"}).out, greedy("", 9));
  EXPECT_EQ(run({"-p", "-n", "-n", "9", "--temp", "0"}).out, greedy("-n", 9));
  EXPECT_EQ(run({"-p", "[a,b]", "-n", "9", "--temp", "0"}).out, greedy("[a,b]", 9));
  EXPECT_EQ(run({"--prompt=--x=\"y\"", "-n", "9", "--temp", "0"}).out, greedy("--x=\"y\"", 9));
}

TEST(CommandLineTest, TheTextDoesNotDependOnThreads) {
  const std::vector<std::string> arguments = {"-p", "a long story", "-n", "200", "-s", "7", "--ignore-eos"};
  const std::string text = run(arguments).out;
  EXPECT_EQ(text.size(), 200u);
  for (const char *threads : {"1", "2", "3", "9"}) {
    std::vector<std::string> with = arguments;
    with.insert(with.end(), {"-t", threads});
    EXPECT_EQ(run(with).out, text) << threads;
  }
}

TEST(CommandLineTest, TheSeedMakesTheText) {
  const std::vector<std::string> base = {"-p", "x", "-n", "30", "--ignore-eos", "-s"};
  const auto with = [&](const char *seed) {
    std::vector<std::string> arguments = base;
    arguments.push_back(seed);
    return run(arguments);
  };
  EXPECT_EQ(with("5").out, with("5").out);
  EXPECT_NE(with("5").out, with("6").out);
  EXPECT_EQ(with("5").err.find("seed:"), std::string::npos);
  const Outcome drawn = run({"-p", "x", "-n", "30", "--ignore-eos"});
  const size_t at = drawn.err.find("seed: ");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(with(drawn.err.substr(at + 6, drawn.err.find('\n', at) - at - 6).c_str()).out, drawn.out);
}

TEST(CommandLineTest, GenerationEndsAtTheEndToken) {
  EXPECT_EQ(run({"-p", "done.", "--temp", "0"}).out, "");
  EXPECT_EQ(run({"-p", "done.", "--temp", "0", "--special"}).out, "</s>");
  const Outcome on = run({"-p", "done.", "--temp", "0", "--ignore-eos", "-n", "20"});
  EXPECT_EQ(on.out.size(), 20u);
  EXPECT_EQ(run({"-p", "x", "-n", "0"}).out, "");
}

TEST(CommandLineTest, StopStringsEndTheTextAndAreNotWritten) {
  std::string prompt = "story";
  while (greedy(prompt, 60).size() < 20)
    prompt += "y";
  const std::string text = greedy(prompt, 60), stop = text.substr(10, 4);
  const Outcome outcome = run({"-p", prompt, "-n", "60", "--temp", "0", "-r", "nowhere", "-r", stop});
  EXPECT_EQ(outcome.out, text.substr(0, text.find(stop)));
}

TEST(CommandLineTest, CharactersAreWrittenWhole) {
  Launch launch{{"-p", "#", "-n", "4", "--temp", "0"}, "", {}, "", nullptr};
  launch.onOutput = [](pid_t, const std::string &text) {
    EXPECT_EQ(text.substr(0, 3), "\xE4\xB8\xAD") << "half a character was written";
    return true;
  };
  EXPECT_EQ(fake::run(FAKE_MODEL, launch).out.size(), 4u);
  EXPECT_EQ(run({"-p", "#", "-n", "2", "--temp", "0"}).out, "\xEF\xBF\xBD");
  EXPECT_EQ(run({"-p", "x#\xE4", "-n", "3", "--temp", "0"}).out.substr(0, 3), "\xE4\xB8\xAD");
}

TEST(CommandLineTest, JsonLinesHoldTheUnmodifiedDistribution) {
  const Outcome outcome = run({"-p", "abc", "-n", "5", "-s", "3", "--ignore-eos", "--temp", "0.3", "--json",
                               "--top-logprobs", "300"});
  EXPECT_EQ(outcome.code, 0);
  std::vector<int32_t> tokens = {fake::beginToken, 'a', 'b', 'c'};
  const std::vector<Json> all = lines(outcome.out);
  ASSERT_EQ(all.size(), 5u);
  for (const Json &line : all) {
    double norm = 0;
    for (int32_t next = 0; next < fake::vocabulary; ++next)
      norm += std::exp(double(fake::logitOf(tokens, next)));
    const auto logprob = [&](int64_t id) {
      return double(fake::logitOf(tokens, int32_t(id))) - std::log(norm);
    };
    std::vector<std::string> keys;
    for (JsonValue member : line.root())
      keys.emplace_back(member.key());
    EXPECT_EQ(keys, (std::vector<std::string>{"token", "text", "bytes", "logprob", "top_logprobs"}));
    const int64_t id = *line.root().get<int64_t>("token");
    EXPECT_NEAR(*line.root().get<double>("logprob"), logprob(id), 1e-6);
    EXPECT_EQ(line.root()["top_logprobs"].size(), 300u);
    double sum = 0, before = 0;
    for (JsonValue each : line.root()["top_logprobs"]) {
      const double p = *each.get<double>("logprob");
      EXPECT_NEAR(p, logprob(*each.get<int64_t>("token")), 1e-6);
      EXPECT_LE(p, before);
      before = p;
      sum += std::exp(p);
    }
    EXPECT_NEAR(sum, 1, 1e-6);
    tokens.push_back(int32_t(id));
  }
}

TEST(CommandLineTest, JsonNamesBytesThatAreNoText) {
  const std::vector<Json> all = lines(run({"-p", "#", "-n", "1", "--temp", "0", "--json"}).out);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(*all[0].root().get<int64_t>("token"), 0xE4);
  EXPECT_EQ(*all[0].root().get<std::string>("text"), "\xEF\xBF\xBD");
  EXPECT_EQ(*all[0].root().get<std::vector<int64_t>>("bytes"), (std::vector<int64_t>{0xE4}));
  EXPECT_EQ(all[0].root()["top_logprobs"].size(), 0u);
}

TEST(CommandLineTest, SamplesContinueOnePromptFromTheirOwnStreams) {
  const std::vector<std::string> arguments = {"-p", "tell me", "-n", "50", "-s", "11"};
  const std::string single = run(arguments).out;
  std::vector<std::string> several = arguments;
  several.insert(several.end(), {"--samples", "7"});
  const Outcome text = run(several);
  EXPECT_EQ(text.out.substr(0, single.size() + 1), single + "\n");
  several.push_back("--json");
  std::vector<std::string> texts(7);
  for (const Json &line : lines(run(several).out))
    if (*line.root().get<int64_t>("token") < 256)
      texts[size_t(*line.root().get<int64_t>("sequence"))] += char(*line.root().get<int64_t>("token"));
  EXPECT_EQ(texts[0], single);
  std::string joined;
  for (const std::string &each : texts)
    joined += each + "\n";
  EXPECT_EQ(text.out, joined);
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(std::unique(texts.begin(), texts.end()), texts.end());
}

TEST(CommandLineTest, TheTokenizerWorksAlone) {
  EXPECT_EQ(run({"--tokenize", "-p", "ab"}).out, "[97,98]\n");
  EXPECT_EQ(run({"--tokenize", "--json"}, "ab").out, "[97,98]\n");
  EXPECT_EQ(run({"--tokenize", "--special", "-p", "ab"}).out, "[256,97,98]\n");
  EXPECT_EQ(run({"--detokenize"}, " [97, 228, 10, 257]").out, "a\xE4\n</s>");
}

TEST(CommandLineTest, PromptTokensAreTakenExactly) {
  EXPECT_EQ(run({"--prompt-tokens", "256,97,98", "-n", "20", "--temp", "0"}).out, greedy("ab", 20));
  EXPECT_NE(run({"--prompt-tokens", "97,98", "-n", "20", "--temp", "0"}).out, greedy("ab", 20));
}

TEST(CommandLineTest, PerplexityIsThatOfTheModel) {
  const std::string text = "the quick brown fox jumps over the lazy dog and then some more text";
  std::vector<int32_t> tokens = {fake::beginToken};
  double nll = 0;
  for (char c : text) {
    double norm = 0;
    for (int32_t next = 0; next < fake::vocabulary; ++next)
      norm += std::exp(double(fake::logitOf(tokens, next)));
    nll += std::log(norm) - double(fake::logitOf(tokens, uint8_t(c)));
    tokens.push_back(uint8_t(c));
  }
  const Outcome outcome = run({"--perplexity", "--json"}, text);
  const std::vector<Json> all = lines(outcome.out);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(*all[0].root().get<int64_t>("tokens"), int64_t(text.size()));
  EXPECT_NEAR(*all[0].root().get<double>("nll"), nll, 1e-4);
  EXPECT_NEAR(*all[0].root().get<double>("perplexity"), std::exp(nll / double(text.size())), 1e-3);
}

TEST(CommandLineTest, EachTokenThatIsScoredIsALineOfItsOwn) {
  const Outcome drawn =
      run({"--prompt-tokens", "256,97,98", "-n", "20", "--temp", "0", "--json", "--top-logprobs", "2"});
  std::string ids = "256,97,98";
  for (const Json &each : lines(drawn.out))
    ids += fmt::format(",{}", *each.root().get<int64_t>("token"));
  const Outcome scored = run({"--perplexity", "--prompt-tokens", ids, "--json", "--top-logprobs", "2"});
  // Two tokens of the prompt come first, the sum last; what was drawn is scored as it was drawn.
  const std::vector<Json> all = lines(scored.out);
  ASSERT_EQ(all.size(), 2u + 20 + 1);
  EXPECT_NE(scored.out.find(drawn.out), std::string::npos) << scored.out;
  double sum = 0;
  for (size_t i = 0; i + 1 < all.size(); ++i)
    sum -= *all[i].root().get<double>("logprob");
  EXPECT_EQ(*all[0].root().get<int64_t>("token"), 97);
  EXPECT_EQ(*all.back().root().get<int64_t>("tokens"), 22);
  EXPECT_NEAR(*all.back().root().get<double>("nll"), sum, 1e-9);
}

TEST(CommandLineTest, APerplexityBeyondAllNumbersIsNullInJson) {
  const std::vector<Json> all = lines(run({"--perplexity", "--json"}, "\x03z").out);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_GT(*all[0].root().get<double>("nll"), 9e3);
  EXPECT_TRUE(all[0].root()["perplexity"].isNull());
}

TEST(CommandLineTest, OneTokenBehindTheBeginIsScored) {
  const Outcome outcome = run({"--perplexity", "--json", "-p", "a"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(*lines(outcome.out)[0].root().get<int64_t>("tokens"), 1);
}

TEST(CommandLineTest, ALongTextIsScoredInWindowsAndSaysSo) {
  std::string text;
  while (text.size() < 1300)
    text += "the quick brown fox ";
  const Outcome outcome = run({"--perplexity", "--json"}, text);
  EXPECT_NE(outcome.err.find("windows of 512"), std::string::npos);
  EXPECT_EQ(*lines(outcome.out)[0].root().get<int64_t>("tokens"), int64_t(text.size()));
}

TEST(CommandLineTest, AFullContextIsAMessageOrShifts) {
  const Outcome full = run({"-p", "x", "-c", "32", "--ignore-eos", "-s", "1"});
  EXPECT_EQ(full.code, 0);
  EXPECT_EQ(full.out.size(), 31u); // 32 tokens are in the cache, the last one drawn needs no place
  EXPECT_NE(full.err.find("context of 32 tokens is full"), std::string::npos);
  for (int context : {2, 3, 10, 17}) { // whatever the cache's memory is rounded to
    const Outcome exact = run({"-p", "x", "-c", std::to_string(context), "--ignore-eos", "-s", "1"});
    EXPECT_EQ(int(exact.out.size()), context - 1) << exact.err;
    EXPECT_NE(exact.err.find(fmt::format("context of {} tokens is full", context)), std::string::npos)
        << exact.err;
  }
  const Outcome shifted =
      run({"-p", "x", "-c", "32", "--ignore-eos", "-s", "1", "--context-shift", "-n", "200"});
  EXPECT_EQ(shifted.code, 0);
  EXPECT_EQ(shifted.out.size(), 200u);
  EXPECT_EQ(shifted.out.substr(0, 31), full.out);
}

TEST(CommandLineTest, AnInterruptEndsCleanlyWithTimes) {
  Launch launch{{"-p", "x", "--ignore-eos", "--context-shift"}, "", {}, "", nullptr};
  bool sent = false;
  launch.onOutput = [&](pid_t child, const std::string &text) {
    if (!sent && text.size() > 20) {
      kill(child, SIGINT);
      sent = true;
    }
    return true;
  };
  const Outcome outcome = fake::run(FAKE_MODEL, launch);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("interrupted\n"), std::string::npos);
  EXPECT_NE(outcome.err.find("tokens/s"), std::string::npos);
}

TEST(CommandLineTest, AClosedPipeEndsQuietly) {
  Launch launch{{"-p", "x", "--ignore-eos", "--context-shift", "-s", "1"}, "", {}, "", nullptr};
  launch.onOutput = [](pid_t, const std::string &text) { return text.size() < 50; };
  const Outcome outcome = fake::run(FAKE_MODEL, launch);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err.find("error"), std::string::npos);
}

TEST(CommandLineTest, AChatGoesThroughTheTemplateAndRemembers) {
  // The fake model's template: <s>[role]content\n for each message, then [assistant].
  const auto continued = [](const std::string &text) {
    return run({"--prompt-tokens", text, "-n", "30", "--temp", "0"}).out;
  };
  const auto ids = [](const std::string &text) {
    std::string list;
    for (char c : text)
      list += (list.empty() ? "" : ",") + std::to_string(uint8_t(c));
    return list;
  };
  const std::string one = "<s>[user]hi\n[assistant]", a = continued(ids(one));
  const std::string b = continued(ids(one + a + "\n[user]and?\n[assistant]"));
  EXPECT_EQ(run({"-cnv", "-n", "30", "--temp", "0"}, "hi\n\nand?\n").out, a + "\n" + b + "\n");
  EXPECT_EQ(run({"--chat", "-p", "hi", "-n", "30", "--temp", "0"}).out, a + "\n");
  const std::string told = continued(ids("<s>[system]be nice\n[user]hi\n[assistant]"));
  EXPECT_EQ(run({"--system", "be nice", "-p", "hi", "-n", "30", "--temp", "0"}).out, told + "\n");
}

TEST(CommandLineTest, AChatRemembersNoEndTokenThatItShows) {
  // The bias makes every answer a full stop, behind which the model ends.
  const std::vector<std::string> flags = {"--chat", "--temp", "0", "--logit-bias", "46+15"};
  std::vector<std::string> special = flags;
  special.push_back("--special");
  const Outcome hidden = run(flags, "hi\nand?\n"), shown = run(special, "hi\nand?\n");
  EXPECT_EQ(hidden.out, ".\n.\n");
  EXPECT_EQ(shown.out, ".</s>\n.</s>\n");
  const auto prompt = [](const Outcome &outcome) {
    const size_t begin = outcome.err.find("prompt: ");
    return outcome.err.substr(begin, outcome.err.find(" in ", begin) - begin);
  };
  EXPECT_EQ(prompt(shown), prompt(hidden));
}

TEST(CommandLineTest, AChatThatOutgrowsTheContextSaysSoOrForgets) {
  const std::string line(30, 'x');
  std::string input;
  for (int i = 0; i < 5; ++i)
    input += line + "\n";
  const Outcome full = run({"--chat", "-n", "10", "-c", "128", "--temp", "0", "--ignore-eos"}, input);
  EXPECT_EQ(full.code, 1);
  EXPECT_NE(full.err.find("the conversation has"), std::string::npos);
  const Outcome shifted =
      run({"--chat", "-n", "10", "-c", "128", "--temp", "0", "--ignore-eos", "--context-shift"}, input);
  EXPECT_EQ(shifted.code, 0) << shifted.err;
  EXPECT_NE(shifted.err.find("the oldest turn is forgotten"), std::string::npos);
}

TEST(CommandLineTest, ProbsExplainEachChoice) {
  const Outcome outcome = run({"-p", "abc", "-n", "2", "-s", "3", "--ignore-eos", "--probs", "5"});
  EXPECT_EQ(outcome.out.size(), 2u);
  EXPECT_NE(outcome.err.find("token 2"), std::string::npos);
  EXPECT_NE(outcome.err.find("<- drawn"), std::string::npos);
  const std::string two =
      run({"-p", "abc", "-n", "2", "-s", "3", "--ignore-eos", "--probs", "5", "--samples", "2"}).err;
  for (const char *title :
       {"sequence 0, token 1\n", "sequence 1, token 1\n", "sequence 0, token 2\n", "sequence 1, token 2\n"})
    EXPECT_NE(two.find(title), std::string::npos) << title;
  EXPECT_NE(run({"-p", "a", "-n", "1", "--probs", "--top-k", "3", "-s", "1"}).err.find("no: top_k"),
            std::string::npos);
}

TEST(CommandLineTest, BenchGivesOneLineATest) {
  const Outcome outcome = run({"--bench", "-p", "32", "-n", "8", "--repetitions", "2", "--json"});
  const std::vector<Json> all = lines(outcome.out);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(*all[0].root().get<std::string>("test"), "pp32");
  EXPECT_EQ(*all[1].root().get<std::string>("test"), "tg8");
  for (const Json &line : all)
    for (const char *key :
         {"tok_s", "stddev", "bandwidth_share", "peak_share", "bandwidth_gb_s", "peak_gflop_s"})
      EXPECT_TRUE(line.root()[key].isNumber()) << key;
  EXPECT_EQ(lines(run({"--bench", "-p", "0", "-n", "4", "--json", "--repetitions", "1"}).out).size(), 1u);
}

TEST(CommandLineTest, ColumnsOfBenchStandBelowEachOther) {
  std::istringstream table(run({"--bench", "-p", "0", "-n", "4", "--repetitions", "1"}).out);
  std::vector<std::vector<size_t>> bars; // of each line
  for (std::string line; std::getline(table, line);) {
    if (size_t sign = line.find("±"); sign != std::string::npos)
      line.replace(sign, std::string_view("±").size(), "+");
    bars.emplace_back();
    for (size_t at = line.find('|'); at != std::string::npos; at = line.find('|', at + 1))
      bars.back().push_back(at);
  }
  ASSERT_EQ(bars.size(), 3u);
  EXPECT_EQ(bars[1], bars[0]);
  EXPECT_EQ(bars[2], bars[0]);
}

TEST(CommandLineTest, BenchTellsTheTimeOfEachKernel) {
  const Outcome outcome =
      run({"--bench", "--launches", "-p", "32", "-n", "8", "--repetitions", "2", "--json", "-t", "2"});
  const std::vector<Json> all = lines(outcome.out);
  for (const char *test : {"pp32", "tg8"}) {
    double share = 0, longest = INFINITY;
    for (const Json &line : all) {
      const JsonValue root = line.root();
      if (*root.get<std::string>("test") != test || !root.has("kernel"))
        continue;
      for (const char *key : {"launches", "us_step", "wait_share", "bandwidth_share", "peak_share"})
        EXPECT_GE(*root.get<double>(key), 0) << key;
      EXPECT_LE(*root.get<double>("us_step"), longest) << "the longest comes first";
      longest = *root.get<double>("us_step");
      share += *root.get<double>("share");
    }
    EXPECT_NEAR(share, 1, 1e-9) << "the shares of the kernels of " << test;
  }
  const Outcome table = run({"--bench", "--launches", "-p", "0", "-n", "4", "--repetitions", "1"});
  EXPECT_NE(table.out.find("us a step"), std::string::npos);
  EXPECT_EQ(run({"--launches"}).code, 2);
}

TEST(CommandLineTest, InfoHelpAndVersionSucceed) {
  const Outcome info = run({"--info"});
  EXPECT_EQ(info.code, 0);
  EXPECT_NE(info.out.find("instruction set"), std::string::npos);
  EXPECT_NE(info.out.find("end token ids         257"), std::string::npos);
  EXPECT_NE(run({"--help"}).out.find("--top-k"), std::string::npos);
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_EQ(run({"--version"}).out.substr(0, 5), "fake ");
}

TEST(CommandLineTest, TheInstructionSetCanBeChosen) {
  const Outcome outcome = fake::run(FAKE_MODEL, {{"--info"}, "", {"SINTER_ISA=avx2"}, "", nullptr});
  EXPECT_NE(outcome.out.find("instruction set       avx2"), std::string::npos);
}

} // namespace
