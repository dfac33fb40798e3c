// SPDX-License-Identifier: Apache-2.0
// The command line of training.
#include "runtime/training/TrainingOptions.h"

#include <gtest/gtest.h>

namespace sinter::training {
namespace {

Result<TrainingOptions> parse(std::vector<const char *> arguments,
                              const StepShape &shape = {.batch = 16, .length = 256}) {
  arguments.insert(arguments.begin(), "trainer");
  Result<ParsedOptions> parsed = parseTrainingOptions(int(arguments.size()), arguments.data(), "A trainer.");
  if (!parsed)
    return tl::unexpected(parsed.error());
  if (Result<> complete = completeOptions(parsed->options, shape); !complete)
    return tl::unexpected(complete.error());
  return parsed->options;
}

std::string errorOf(std::vector<const char *> arguments) {
  Result<TrainingOptions> parsed = parse(std::move(arguments));
  return parsed ? "" : parsed.error().message;
}

TEST(TrainingOptions, haveTheDefaultsThatTheDocumentationPromises) {
  auto o = parse({"--data", "t.u16", "-o", "run"});
  ASSERT_TRUE(o) << o.error().message;
  EXPECT_EQ(o->optimizer, "adamw");
  EXPECT_EQ(o->schedule, ScheduleKind::Cosine);
  EXPECT_EQ(o->steps, 1000);
  EXPECT_EQ(o->warmup, 10);
  EXPECT_EQ(o->rate, 3e-4);
  EXPECT_NEAR(o->leastRate, 3e-5, 1e-12);
  EXPECT_EQ(o->weightDecay, 0.1);
  EXPECT_EQ(o->beta1, 0.9);
  EXPECT_EQ(o->beta2, 0.95);
  EXPECT_EQ(o->epsilon, 1e-8);
  EXPECT_EQ(o->clip, 1.0);
  EXPECT_TRUE(o->shuffled);
  EXPECT_EQ(o->saveEvery, 100);
  EXPECT_EQ(o->dropout, "0");
  EXPECT_EQ(parse({"--data", "t.u16", "-o", "run", "--steps", "6"})->saveEvery, 100) << "at the end only";
  EXPECT_EQ(parse({"--data", "t.u16", "-o", "run", "--steps", "5000"})->saveEvery, 500);
  EXPECT_EQ(o->batch, 16);
  EXPECT_EQ(o->length, 256);
  EXPECT_EQ(o->dtype, "f32"); // auto is what the step was compiled for
}

TEST(TrainingOptions, takeTheDropoutThatTheStepWasCompiledForInAnySpelling) {
  const StepShape shape = {.batch = 16, .length = 256, .dropout = "0.1"};
  EXPECT_EQ(parse({"--data", "t", "-o", "r"}, shape)->dropout, "0.1");
  EXPECT_EQ(parse({"--data", "t", "-o", "r", "--dropout", "1e-1"}, shape)->dropout, "0.1");
  EXPECT_FALSE(parse({"--data", "t", "-o", "r", "--dropout", "0.2"}, shape));
  EXPECT_FALSE(parse({"--data", "t", "-o", "r", "--dropout", "config"}, shape));
}

TEST(TrainingOptions, readEveryFlag) {
  auto o = parse({"--data",
                  "t",
                  "-o",
                  "r",
                  "--batch",
                  "16",
                  "--seq",
                  "256",
                  "--steps",
                  "50",
                  "--lr",
                  "1e-3",
                  "--schedule",
                  "wsd",
                  "--warmup",
                  "5",
                  "--min-lr",
                  "1e-4",
                  "--beta1",
                  "0.8",
                  "--beta2",
                  "0.99",
                  "--eps",
                  "1e-6",
                  "--clip",
                  "0",
                  "--seed",
                  "7",
                  "--weight-decay",
                  "0",
                  "--order",
                  "sequential",
                  "--on-nan",
                  "skip",
                  "--ema",
                  "0.99",
                  "--eval-every",
                  "3",
                  "--save-every",
                  "4",
                  "--keep",
                  "2",
                  "--resume",
                  "-t",
                  "3",
                  "--grad-accum",
                  "2",
                  "--optimizer",
                  "sgd",
                  "--save-dtype",
                  "bf16",
                  "--cross-documents",
                  "--compare",
                  "a",
                  "--compare",
                  "b",
                  "--decay=0.5"});
  ASSERT_TRUE(o) << o.error().message;
  EXPECT_EQ(o->schedule, ScheduleKind::WarmupStableDecay);
  EXPECT_FALSE(o->shuffled);
  EXPECT_TRUE(o->skipBadSteps && o->resume && o->crossDocuments);
  EXPECT_EQ(o->compare, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(o->decayShare, 0.5);
  EXPECT_EQ(o->threads, 3);
  EXPECT_EQ(o->optimizer, "sgd");
}

TEST(TrainingOptions, sayWhatIsWrong) {
  EXPECT_EQ(errorOf({"-o", "r"}), "--data: expected a folder or file of tokens, found none");
  EXPECT_EQ(errorOf({"--data", "t"}), "-o: expected the folder of the run, found none");
  EXPECT_EQ(errorOf({"--batch", "8", "--data", "t", "-o", "r"}),
            "--batch: expected 16, which this step was compiled for, found 8");
  EXPECT_EQ(errorOf({"--seq", "8", "--data", "t", "-o", "r"}),
            "--seq: expected 256, which this step was compiled for, found 8");
  EXPECT_EQ(errorOf({"--dtype", "bf16", "--data", "t", "-o", "r"}),
            "--dtype: expected f32, which this step was compiled for, found bf16");
  EXPECT_EQ(errorOf({"--dropout", "0.1", "--data", "t", "-o", "r"}),
            "--dropout: expected 0, which this step was compiled for, found 0.1");
  EXPECT_EQ(errorOf({"--router-aux-loss", "0.5", "--data", "t", "-o", "r"}),
            "--router-aux-loss: expected 0, which this step was compiled for, found 0.5");
  EXPECT_EQ(errorOf({"--recompute", "--data", "t", "-o", "r"}),
            "--recompute: expected a step compiled with it, found one without");
  EXPECT_EQ(errorOf({"--dropout", "1", "--data", "t", "-o", "r"}),
            "--dropout: expected config or a share from 0 to below 1, found '1'");
  EXPECT_EQ(errorOf({"--lora-targets", "q_proj,,v_proj"}),
            "--lora-targets: expected names of modules with commas between them, found 'q_proj,,v_proj'");
  EXPECT_FALSE(errorOf({"--lora-targets", "q_proj,"}).empty());
  EXPECT_EQ(errorOf({"--optimizer", "lion"}), "--optimizer: expected adamw, muon or sgd, found 'lion'");
  EXPECT_EQ(errorOf({"--order", "random"}), "--order: expected sequential or shuffled, found 'random'");
  EXPECT_EQ(errorOf({"--lr", "1e-4", "--min-lr", "1e-3", "--data", "t", "-o", "r"}),
            "--min-lr: expected at most 0.0001, the learning rate, found 0.001");
  EXPECT_EQ(errorOf({"--steps", "10", "--warmup", "11", "--data", "t", "-o", "r"}),
            "--warmup: expected at most 10, the steps, found 11");
  for (const char *flag : {"--batch", "--seq", "--grad-accum", "--keep"})
    EXPECT_TRUE(errorOf({flag, "0"}).starts_with(flag)) << flag;
  for (const char *flag : {"--lr", "--min-lr", "--weight-decay", "--eps", "--clip", "--spike", "--steps",
                           "--warmup", "--z-loss", "--router-aux-loss", "--sample-every"})
    for (const char *value : {"-1", "nan", "x", ""})
      EXPECT_TRUE(errorOf({flag, value}).starts_with(flag)) << flag << value;
  for (const char *flag : {"--beta1", "--beta2", "--ema", "--label-smoothing"})
    EXPECT_TRUE(errorOf({flag, "1"}).starts_with(flag)) << flag;
  EXPECT_TRUE(errorOf({"--learning-rate", "1"}).starts_with("--learning-rate: expected a known flag"));
}

TEST(TrainingOptions, writtenOutReadBackTheSame) {
  auto o = parse({"--data", "t.u16", "-o", "run", "--lr", "1.5e-3", "--seed", "18446744073709551615",
                  "--cross-documents", "--order", "sequential", "--schedule", "linear", "--dropout", "0"});
  ASSERT_TRUE(o);
  std::vector<std::string> words;
  for (const FlagValue &flag : flagValues(*o)) {
    words.push_back(flag.name);
    if (!flag.value.empty())
      words.push_back(flag.value);
  }
  words.insert(words.end(), {"-o", "run"});
  std::vector<const char *> arguments;
  for (const std::string &word : words)
    arguments.push_back(word.c_str());
  auto again = parse(arguments);
  ASSERT_TRUE(again) << again.error().message;
  const auto first = flagValues(*o), second = flagValues(*again);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i)
    EXPECT_EQ(first[i].name + " " + first[i].value, second[i].name + " " + second[i].value);
}

TEST(TrainingOptions, takeOneModelWhereverItStands) {
  std::string_view model;
  const char *last[] = {"train", "--data", "t", "-o", "r", "m.json"},
             *first[] = {"train", "m.json", "-t", "2"};
  ASSERT_TRUE(parseTrainingOptions(6, last, "", {}, &model));
  EXPECT_EQ(model.data(), last[5]);
  model = {};
  ASSERT_TRUE(parseTrainingOptions(4, first, "", {}, &model));
  EXPECT_EQ(model.data(), first[1]);
  auto two = parseTrainingOptions(4, first, "", {}, &model);
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().message, "MODEL: expected one, found 'm.json' and 'm.json'");
  EXPECT_FALSE(parseTrainingOptions(4, first, "")); // a trainer has its model
}

TEST(TrainingOptions, helpNamesEveryFlagOfARun) {
  const char *arguments[] = {"trainer", "--help"};
  auto parsed = parseTrainingOptions(2, arguments, "A trainer.");
  ASSERT_TRUE(parsed);
  for (const FlagValue &flag : flagValues(parsed->options))
    EXPECT_NE(parsed->helpText.find(flag.name + " "), std::string::npos) << flag.name;
}

} // namespace
} // namespace sinter::training
