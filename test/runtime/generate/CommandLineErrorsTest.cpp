// SPDX-License-Identifier: Apache-2.0
// What goes wrong: the message and the exit code of each case.
#include "test/runtime/generate/Process.h"
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace sinter;
using fake::Outcome;

namespace {

struct Case {
  std::vector<std::string> arguments;
  int code;
  const char *message; // part of standard error
  const char *input = "";
};

const Case cases[] = {
    {{"--nonsense"}, 2, "--nonsense"},
    {{"word"}, 2, "word"},
    {{""}, 2, "error: expected a flag, found an empty argument"},
    {{"-p"}, 2, "-p"},
    {{"-p", "x", "--top-p", "1.5"}, 2, "--top-p"},
    {{"-p", "x", "--top-k", "-3"}, 2, "--top-k"},
    {{"-p", "x", "--temp", "-1"}, 2, "--temp"},
    {{"-p", "x", "--temp", "hot"}, 2, "--temp"},
    {{"-p", "x", "--temp", "nan"}, 2, "--temp"},
    {{"-p", "x", "--repeat-penalty", "0"}, 2, "--repeat-penalty"},
    {{"-p", "x", "-n", "-2"}, 2, "-n: expected a number of tokens, -1 or more, found '-2'"},
    {{"-p", "x", "-n", "9x"}, 2, "found '9x'"},
    {{"-p", "x", "-t", "0"}, 2, "-t"},
    {{"-p", "x", "-c", "100000"}, 2, "-c: expected at most 512 tokens, the model's context, found 100000"},
    {{"-p", "x", "-s", "seven"}, 2, "-s: expected a whole number"},
    {{"-p", "x", "--samples", "0"}, 2, "--samples"},
    {{"-p", "x", "--kv-type", "q8"}, 2, "--kv-type"},
    {{"-p", "x", "--device", "tpu"}, 2, "--device: expected cuda, cpu or emulator, found 'tpu'"},
    {{"-p", "x", "--device", "cuda"},
     1,
     "--device cuda: this program was compiled for the processor alone (sinter compile --target=cuda makes "
     "one for GPUs too)"},
    {{"-p", "x", "--kv-type", "f16"},
     2,
     "--kv-type: expected one that the model was compiled for (f32), found f16"},
    {{"-p", "x", "--samplers", "top_k;magic"}, 2, "found 'magic'"},
    {{"-p", "x", "--logit-bias", "12"}, 2, "--logit-bias: expected TOKEN+BIAS"},
    {{"-p", "x", "--logit-bias", "12+inf"},
     2,
     "--logit-bias: expected a finite bias, or -inf, which excludes a token"},
    {{"-p", "x", "--logit-bias", "12--inf"}, 2, "found '12--inf'"},
    {{"-p", "x", "--logit-bias", "300+1"}, 2, "--logit-bias: expected ids below 300, found 300"},
    {{"--prompt-tokens", "1,x,3"}, 2, "found 'x' as number 2"},
    {{"--prompt-tokens", "1,,3"}, 2, "found '' as number 2"},
    {{"--prompt-tokens", "1,2,"}, 2, "found '' as number 3"},
    {{"--prompt-tokens", "]1["}, 2, "found ']1[' as number 1"},
    {{"--prompt-tokens", "[ ]"}, 2, "expected token ids as 1,2,3, found none"},
    {{"--tokenize", "--prompt-tokens", "1,2"},
     2,
     "--prompt-tokens: expected without --tokenize, which reads text"},
    {{"--perplexity", "--prompt-tokens", "97"}, 1, "expected a text of at least 2 tokens"},
    {{"--perplexity", "--prompt-tokens", "97,300"}, 2, "--prompt-tokens: expected ids below 300, found 300"},
    {{"--detokenize", "-p", "[1]"}, 2, "--detokenize: expected ids on standard input"},
    {{"--info", "--json"}, 2, "--json: expected without --info"},
    {{"--check-weights", "--json"}, 2, "--json: expected without --info and --check-weights"},
    {{"--check-weights"}, 2, "--check-weights: expected a model whose weights lie in a file of their own"},
    {{"--check-weights", "--info"}, 2, "expected one of --tokenize"},
    {{"-p", "x", "--weights-file", ""}, 2, "--weights-file: expected a path, found an empty one"},
    {{"-f", ""}, 1, "expected the path of a file, found an empty one"},
    {{"--chat", "--echo", "-p", "x"}, 2, "--echo: expected without --chat"},
    {{"--perplexity", "--samples", "3"}, 2, "--samples: expected without --tokenize"},
    {{"--tokenize", "--chat"}, 2, "--chat: expected without --tokenize"},
    {{"--bench", "-f", "x"}, 2, "--bench: expected without -f"},
    {{"--prompt-tokens", "5,300"}, 2, "--prompt-tokens: expected ids below 300, found 300 as number 2"},
    {{"-p", "x", "-f", "y"}, 2, "expected one of -p, -f and --prompt-tokens"},
    {{"-p", "x", "--top-logprobs", "5"}, 2, "expected together with --json"},
    {{"--info", "--bench"}, 2, "expected one of"},
    {{"--bench", "-p", "many"}, 2, "with --bench expected a number of tokens"},
    {{"--bench", "-p", "0", "-n", "0"}, 2, "found 0 of both"},
    {{"--bench", "-p", "9999"}, 1, "expected at most 512 tokens"},
    {{"-f", "/nowhere/file"}, 1, "/nowhere/file: cannot open: No such file or directory"},
    {{"-p", "a\x02"},
     1,
     "the text has token 300 (\"\"), which the model does not know: expected ids below 300"},
    {{"--perplexity"}, 1, "the text has token 300", "a\x02 b"},
    {{"-p", "a\x01", "-s", "1"}, 1, "300 of 300 logits are not a number (NaN) after 3 tokens"},
    {{"-p", "x", "-c", "3", "--context-shift"},
     2,
     "-c: expected at least 4 tokens for --context-shift, found 3"},
    {{"-p", "0123456789", "-c", "8"}, 1, "the prompt has 11 tokens, the context 8"},
    {{"--detokenize"}, 1, "standard input", "[1, 2"},
    {{"--detokenize"}, 1, "expected an array of token ids", "{}"},
    {{"--detokenize"}, 1, "expected token ids from 0 to 299, found 300", "[1,300]"},
    {{"--detokenize"}, 1, "expected token ids from 0 to 299, found -1", "[-1]"},
    {{"--perplexity"}, 1, "expected a text of at least 2 tokens", ""},
    {{"--perplexity"}, 1, "NaN", "a\x01 b"},
};

TEST(CommandLineErrorsTest, EachHasItsMessageAndExitCode) {
  for (const Case &each : cases) {
    const Outcome outcome = fake::run(FAKE_MODEL, {each.arguments, each.input, {}, "", nullptr});
    std::string line;
    for (const std::string &argument : each.arguments)
      line += argument + " ";
    EXPECT_EQ(outcome.code, each.code) << line << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(each.message), std::string::npos) << line << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << line;
  }
}

TEST(CommandLineErrorsTest, AnInstructionSetThatCannotBeIsNamed) {
  const auto with = [](const char *isa) {
    return fake::run(FAKE_MODEL, {{"--info"}, "", {isa}, "", nullptr});
  };
  EXPECT_NE(
      with("SINTER_ISA=sse").err.find("SINTER_ISA: expected avx2, avx512, avx512bf16 or amx, found 'sse'"),
      std::string::npos);
  EXPECT_NE(with("SINTER_ISA=amx").err.find("SINTER_ISA: "), std::string::npos);
  EXPECT_EQ(with("SINTER_ISA=amx").code, 1);
}

TEST(CommandLineErrorsTest, ATerminalIsForAChat) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  ASSERT_EQ(grantpt(terminal) + unlockpt(terminal), 0);
  const std::string path = ptsname(terminal);
  for (const std::string flag : {"--samples", "--echo"}) {
    std::vector<std::string> arguments = {flag};
    if (flag == "--samples")
      arguments.push_back("2");
    const Outcome outcome = fake::run(FAKE_MODEL, {arguments, "", {}, "", nullptr, path});
    EXPECT_EQ(outcome.code, 2) << flag;
    EXPECT_NE(outcome.err.find(flag + ": expected -p, -f or text on standard input"), std::string::npos)
        << outcome.err;
  }
  close(terminal);
}

TEST(CommandLineErrorsTest, AnInputThatCannotBeReadIsAFailure) {
  for (const std::vector<std::string> &arguments :
       {std::vector<std::string>{"--chat"}, {"--tokenize"}, {"-n", "3"}}) {
    const Outcome outcome = fake::run(FAKE_MODEL, {arguments, "", {}, "", nullptr, "/"});
    EXPECT_EQ(outcome.code, 1) << arguments[0];
    EXPECT_NE(outcome.err.find("standard input: cannot read: Is a directory"), std::string::npos)
        << outcome.err;
  }
}

TEST(CommandLineErrorsTest, AFullDiskIsAFailure) {
  for (std::vector<std::string> arguments :
       {std::vector<std::string>{"-p", "x", "-n", "5"}, {"--tokenize", "-p", "x"}, {"--help"}}) {
    const Outcome outcome = fake::run(FAKE_MODEL, {arguments, "", {}, "/dev/full", nullptr});
    EXPECT_EQ(outcome.code, 1);
    if (arguments[0] != "--help") {
      EXPECT_NE(outcome.err.find("cannot write the output: No space left on device"), std::string::npos)
          << outcome.err;
    }
  }
}

} // namespace
