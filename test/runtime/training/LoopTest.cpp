// SPDX-License-Identifier: Apache-2.0
// Training from the first step to the last: it learns, it goes on where it was killed, bit for bit, and it
// says what is wrong.
#include "runtime/data/TokenShards.h"
#include "runtime/files/SafeTensors.h"
#include "runtime/training/Batches.h"
#include "runtime/training/RunFolder.h"
#include "runtime/training/TrainingLoop.h"
#include "test/TemporaryFolder.h"
#include "test/runtime/generate/Process.h"
#include "test/runtime/training/BigramStep.h"

#include <gtest/gtest.h>

#include <csignal>
#include <random>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sinter::training {
namespace {

namespace fs = std::filesystem;
using fake::Outcome;

// Each token has four successors, with probabilities 8, 4, 2 and 1 of 15: 1.137 nats. Knowing only how often
// tokens occur gives about 3.4.
constexpr double entropy = 1.137, unigram = 3.2;

std::string chain(size_t count, uint32_t seed) {
  std::mt19937 successors(1), draw(seed);
  uint16_t next[32][4];
  for (auto &row : next)
    for (uint16_t &each : row)
      each = uint16_t(successors() % 32);
  std::string bytes;
  uint16_t token = 0;
  for (size_t i = 0; i < count; ++i) {
    bytes.append(reinterpret_cast<const char *>(&token), 2);
    const uint32_t r = draw() % 15;
    token = next[token][r < 8 ? 0 : r < 12 ? 1 : r < 14 ? 2 : 3];
  }
  return bytes;
}

/// A folder with tokens, and runs in it.
struct Scene {
  TemporaryFolder folder;
  Scene() {
    folder.write("t.u16", chain(20000, 2));
    folder.write("v.u16", chain(2000, 3));
  }
  std::vector<std::string> arguments(const std::string &run, std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"--data",       folder.path("t.u16"),
                                      "--val-data",   folder.path("v.u16"),
                                      "-o",           folder.path(run),
                                      "--lr",         "0.05",
                                      "--steps",      "60",
                                      "--save-every", "10",
                                      "--eval-every", "20",
                                      "--order",      "shuffled"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Outcome run(const std::string &run, std::vector<std::string> more = {},
              std::vector<std::string> environment = {},
              std::function<bool(pid_t, const std::string &)> onOutput = nullptr) const {
    return fake::run(BIGRAM_TRAINER,
                     {arguments(run, std::move(more)), "", std::move(environment), "", onOutput});
  }
  std::string weights(const std::string &run) const { return folder.read(run + "/model.safetensors"); }
  Metrics metrics(const std::string &run) const {
    auto read = readMetrics(folder.path(run + "/metrics.jsonl"));
    EXPECT_TRUE(read) << read.error().message;
    return read ? *read : Metrics();
  }
};

TEST(TrainingLoop, learnsWhatASingleTokensFrequencyCannotTell) {
  Scene scene;
  const Outcome done = scene.run("run", {"--steps", "400"});
  ASSERT_EQ(done.code, 0) << done.err;
  const Metrics metrics = scene.metrics("run");
  ASSERT_EQ(metrics.steps.size(), 400u);
  ASSERT_EQ(metrics.evaluations.size(), 21u);
  EXPECT_GT(metrics.evaluations[0].loss, unigram);
  EXPECT_LT(metrics.evaluations[20].loss, entropy + 0.5);
  EXPECT_GT(metrics.evaluations[20].loss, entropy - 0.05);
  for (int64_t i = 0; i < 400; ++i)
    EXPECT_EQ(metrics.steps[size_t(i)].step, i);
}

TEST(TrainingLoop, leavesAModelFolderWithEverythingThatWasPromised) {
  Scene scene;
  const Outcome done = scene.run("run", {"--keep", "2"});
  ASSERT_EQ(done.code, 0) << done.err;
  for (const char *name : {"model.safetensors", "config.json", "metrics.jsonl", "report.html", "checkpoints"})
    EXPECT_TRUE(fs::exists(scene.folder.path("run/") + name)) << name;
  int safetensors = 0;
  for (const fs::directory_entry &entry : fs::directory_iterator(scene.folder.path("run")))
    safetensors += entry.path().extension() == ".safetensors";
  EXPECT_EQ(safetensors, 1);
  auto file = SafeTensors::open(scene.folder.path("run/model.safetensors"));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(findCheckpoints(scene.folder.path("run")).at(0).step, 60);
  EXPECT_LE(findCheckpoints(scene.folder.path("run")).size(), 3u); // the best may be an older one
  for (const char *part : {"flags: --data ", " --lr 0.05 ", " --warmup 0", " --clip 1", "step 59/60",
                           "% of peak", "validation loss", "saved "})
    EXPECT_NE(done.out.find(part), std::string::npos) << part << "\n" << done.out;
}

TEST(TrainingLoop, twoEqualRunsGiveEqualBytes) {
  Scene scene;
  ASSERT_EQ(scene.run("a").code, 0);
  ASSERT_EQ(scene.run("b").code, 0);
  ASSERT_EQ(scene.run("c", {"--seed", "2"}).code, 0);
  EXPECT_EQ(scene.weights("a"), scene.weights("b"));
  EXPECT_NE(scene.weights("a"), scene.weights("c"));
}

TEST(TrainingLoop, theSameTokensInMoreMicroBatchesGiveTheSameLoss) {
  Scene scene;
  ASSERT_EQ(scene.run("a", {"--grad-accum", "4", "--steps", "20", "--order", "sequential"}).code, 0);
  const Metrics metrics = scene.metrics("a");
  auto step = makeBigramStep({.batch = 16});
  ASSERT_TRUE(step->initialise(1));
  auto batches = Batches::make(*data::TokenStream::openRaw(scene.folder.path("t.u16")), "t", step->shape(),
                               {data::TokenStream::Order::Sequential, 1});
  ASSERT_TRUE(batches);
  MicroBatch batch;
  batches->read(0, batch);
  EXPECT_NEAR(metrics.steps[0].loss, *step->microStep(batch, 128, true, 0) / 128, 1e-12);
  EXPECT_NEAR(metrics.steps[0].norm, *step->gradientNorm(), 1e-6);
}

/// Starts the trainer and gives its process; what it says goes to a file.
pid_t start(const Scene &scene, const std::string &run, std::vector<std::string> more, const char *delay) {
  std::vector<std::string> words = scene.arguments(run, std::move(more));
  words.insert(words.begin(), BIGRAM_TRAINER);
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char *> pointers;
    for (std::string &word : words)
      pointers.push_back(word.data());
    pointers.push_back(nullptr);
    const std::string log = scene.folder.path("log");
    if (!std::freopen(log.c_str(), "a", stdout) || !std::freopen(log.c_str(), "a", stderr))
      ::_exit(126);
    ::setenv("BIGRAM_DELAY_US", delay, 1);
    ::alarm(60);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  return child;
}

/// A run that is killed at random points and resumed until it ends; gives how often it was killed. `name`
/// must not exist.
int runWithKills(const Scene &scene, const std::string &name, const std::vector<std::string> &flags,
                 std::mt19937 &random) {
  int kills = 0;
  for (bool done = false; !done && kills < 400;) {
    const pid_t child = start(scene, name, flags, "400");
    EXPECT_GT(child, 0);
    ::usleep(useconds_t(2000 + random() % 18000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    kills += WIFSIGNALED(status);
    done = WIFEXITED(status);
    EXPECT_TRUE(!done || WEXITSTATUS(status) == 0) << scene.folder.read("log");
    // At every moment, what is there is a model.
    if (fs::exists(scene.folder.path(name + "/model.safetensors"))) {
      auto file = SafeTensors::open(scene.folder.path(name + "/model.safetensors"));
      EXPECT_TRUE(file && fs::exists(scene.folder.path(name + "/config.json")));
    }
  }
  scene.folder.write(name + "/.model.safetensors.tmp-a1B2c3", "what a killed process was writing");
  EXPECT_EQ(scene.run(name, flags).code, 0);
  EXPECT_FALSE(fs::exists(scene.folder.path(name + "/.model.safetensors.tmp-a1B2c3")));
  return kills;
}

TEST(TrainingLoop, killedAtRandomPointsItEndsWithTheSameBytes) {
  Scene scene;
  const std::vector<std::string> flags = {"--save-every", "3", "--ema", "0.9"};
  ASSERT_EQ(scene.run("whole", flags).code, 0);
  std::mt19937 random(7);
  std::vector<std::string> resumed = flags;
  resumed.push_back("--resume");
  // How often a run is killed depends on the machine.
  int kills = 0;
  for (int i = 0; kills < 50; ++i) {
    ASSERT_LT(i, 100) << kills << " kills";
    const std::string name = "run" + std::to_string(i);
    kills += runWithKills(scene, name, resumed, random);
    EXPECT_EQ(scene.weights(name), scene.weights("whole"));
    // The metrics are those of one run, too, but for the time that steps took.
    const Metrics a = scene.metrics("whole"), b = scene.metrics(name);
    ASSERT_EQ(a.steps.size(), b.steps.size());
    for (size_t j = 0; j < a.steps.size(); ++j) {
      EXPECT_EQ(a.steps[j].step, b.steps[j].step);
      EXPECT_EQ(a.steps[j].loss, b.steps[j].loss);
      EXPECT_EQ(a.steps[j].norm, b.steps[j].norm);
      EXPECT_EQ(a.steps[j].rate, b.steps[j].rate);
    }
    ASSERT_EQ(a.evaluations.size(), b.evaluations.size());
    for (size_t j = 0; j < a.evaluations.size(); ++j)
      EXPECT_EQ(a.evaluations[j].loss, b.evaluations[j].loss);
  }
}

TEST(TrainingLoop, interruptedItSavesAndGoesOn) {
  Scene scene;
  ASSERT_EQ(scene.run("whole").code, 0);
  bool sent = false;
  const Outcome stopped =
      scene.run("run", {}, {"BIGRAM_DELAY_US=2000"}, [&](pid_t child, const std::string &out) {
        if (!sent && out.find("step 13/") != out.npos)
          sent = ::kill(child, SIGINT) == 0;
        return true;
      });
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_NE(stopped.out.find("which are saved: --resume goes on"), std::string::npos) << stopped.out;
  const int64_t step = findCheckpoints(scene.folder.path("run")).at(0).step;
  EXPECT_GE(step, 14);
  EXPECT_LT(step, 60);
  const Outcome rest = scene.run("run", {"--resume"});
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.out.find(fmt::format("steps {} to 60", step)), std::string::npos) << rest.out;
  EXPECT_EQ(scene.weights("run"), scene.weights("whole"));
}

TEST(TrainingLoop, resumedWithNothingButItsFolderTakesTheRunsFlags) {
  Scene scene;
  ASSERT_EQ(scene.run("run", {"--clip", "0.5"}).code, 0);
  const Outcome more = fake::run(
      BIGRAM_TRAINER, {{"-o", scene.folder.path("run"), "--resume", "--steps", "70"}, "", {}, "", nullptr});
  EXPECT_EQ(more.code, 0) << more.err;
  EXPECT_NE(more.out.find("--clip 0.5"), std::string::npos);
  EXPECT_NE(more.out.find("note: --steps was 60, is 70 from here on"), std::string::npos) << more.out;
  EXPECT_EQ(scene.metrics("run").steps.size(), 70u);
}

TEST(TrainingLoop, withoutAFinishedCheckpointStartsAtStep0AndSaysSo) {
  Scene scene;
  const Outcome first = scene.run("run", {"--resume"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out.find("no finished checkpoint, starting at step 0"), std::string::npos) << first.out;
}

TEST(TrainingLoop, passesOverADamagedCheckpointAndSaysSo) {
  Scene scene;
  ASSERT_EQ(scene.run("run").code, 0);
  const std::string weights = scene.weights("run");
  const std::string file = "run/checkpoints/step-00000060/optimizer-1.safetensors";
  std::string bytes = scene.folder.read(file);
  bytes[bytes.size() - 3] ^= 1;
  scene.folder.write(file, bytes);
  const Outcome again = scene.run("run", {"--resume"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.out.find("the file is damaged; the checkpoint before it is taken"), std::string::npos)
      << again.out;
  EXPECT_NE(again.out.find("steps 50 to 60"), std::string::npos) << again.out;
  EXPECT_EQ(scene.weights("run"), weights);
}

TEST(TrainingLoop, startsNothingAnewWhereNoCheckpointCanBeRead) {
  Scene scene;
  ASSERT_EQ(scene.run("run").code, 0);
  const std::string weights = scene.weights("run"), metrics = scene.folder.read("run/metrics.jsonl");
  for (const char *step : {"40", "50", "60"})
    scene.folder.write(fmt::format("run/checkpoints/step-000000{}/state.json", step), "{}");
  const Outcome again = scene.run("run", {"--resume"});
  EXPECT_EQ(again.code, 1) << again.out;
  EXPECT_NE(again.err.find("step-00000040/state.json: expected an object whose last member is its checksum"),
            std::string::npos)
      << again.err;
  EXPECT_NE(again.err.find("expected a checkpoint that can be read, found none"), std::string::npos)
      << again.err;
  EXPECT_EQ(scene.weights("run"), weights);
  EXPECT_EQ(scene.folder.read("run/metrics.jsonl"), metrics);
}

TEST(TrainingLoop, stopsAtAGradientThatIsNotFiniteAndNamesItsTensor) {
  Scene scene;
  const Outcome done = scene.run("run", {}, {"BIGRAM_BAD_STEP=25"});
  EXPECT_EQ(done.code, 1);
  EXPECT_NE(done.err.find("step 25: loss "), std::string::npos) << done.err;
  EXPECT_NE(
      done.err.find("the gradient of head.weight is not (--on-nan=skip leaves such steps out); the last good "
                    "checkpoint is " +
                    scene.folder.path("run/checkpoints/step-00000020")),
      std::string::npos)
      << done.err;
  ASSERT_EQ(scene.run("whole").code, 0);
  const Outcome rest = scene.run("run", {"--resume"}); // whatever it was, it is gone
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(scene.weights("run"), scene.weights("whole"));
}

TEST(TrainingLoop, skipsBadStepsWhenAskedTo) {
  Scene scene;
  const Outcome done = scene.run("run", {"--on-nan", "skip"}, {"BIGRAM_BAD_STEP=25"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_NE(done.out.find("step 25: loss "), std::string::npos);
  EXPECT_NE(done.out.find(": skipped"), std::string::npos);
  auto state = readState(scene.folder.path("run/checkpoints/step-00000060"));
  ASSERT_TRUE(state);
  EXPECT_EQ(state->state.updates, 59);
}

TEST(TrainingLoop, callsNoCheckpointGoodWhoseWeightsWentWrong) {
  Scene scene;
  const Outcome done = scene.run("run", {}, {"BIGRAM_BAD_STEP=20"});
  EXPECT_EQ(done.code, 1);
  const std::string checkpoints = scene.folder.path("run/checkpoints/");
  EXPECT_NE(done.err.find("the last good checkpoint is " + checkpoints +
                          "step-00000010 (--resume takes it when " + checkpoints + "step-00000020 is away)"),
            std::string::npos)
      << done.err;
  const Outcome first = scene.run("first", {"--save-every", "1"}, {"BIGRAM_BAD_STEP=0"});
  EXPECT_NE(first.err.find("there is no checkpoint"), std::string::npos) << first.err;
}

TEST(TrainingLoop, skippedStepsPushNoGoodCheckpointOut) {
  Scene scene;
  const Outcome done =
      scene.run("run", {"--on-nan", "skip", "--save-every", "1", "--keep", "2", "--eval-every", "0"},
                {"BIGRAM_BAD_FROM=25"});
  EXPECT_EQ(done.code, 1);
  EXPECT_NE(
      done.err.find("the last good checkpoint is " + scene.folder.path("run/checkpoints/step-00000024")),
      std::string::npos)
      << done.err;
  const std::vector<FoundCheckpoint> found = findCheckpoints(scene.folder.path("run"));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].step, 25);
  EXPECT_EQ(found[1].step, 24);
  // One that was due behind a bad step is written behind the next good one.
  const Outcome late = scene.run("late", {"--on-nan", "skip"}, {"BIGRAM_BAD_STEP=19"});
  EXPECT_EQ(late.code, 0) << late.err;
  EXPECT_NE(late.out.find("saved " + scene.folder.path("late/checkpoints/step-00000021")), std::string::npos)
      << late.out;
}

TEST(TrainingLoop, stopsAtASpikeOfTheLoss) {
  Scene scene;
  const Outcome done = scene.run("run", {}, {"BIGRAM_BIG_STEP=35"});
  EXPECT_EQ(done.code, 1);
  EXPECT_NE(done.err.find("step 35: the loss 1000.0000 is over 3 nats above the recent mean"),
            std::string::npos)
      << done.err;
  EXPECT_EQ(scene.run("run2", {"--spike", "0"}, {"BIGRAM_BIG_STEP=35"}).code, 0);
}

TEST(TrainingLoop, refusesFoldersThatHoldSomethingElse) {
  Scene scene;
  ASSERT_EQ(scene.run("run").code, 0);
  const Outcome again = scene.run("run");
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("expected a new or empty folder, found a run: --resume goes on with it"),
            std::string::npos)
      << again.err;
  fs::create_directories(scene.folder.path("empty"));
  EXPECT_EQ(scene.run("empty").code, 0);
  fs::create_directories(scene.folder.path("full"));
  scene.folder.write("full/letter.txt", "x");
  const Outcome full = scene.run("full");
  EXPECT_EQ(full.code, 1);
  EXPECT_NE(full.err.find("expected a new or empty folder or one with a run, found 'letter.txt'"),
            std::string::npos)
      << full.err;
  EXPECT_FALSE(fs::exists(scene.folder.path("full/config.json")));
  EXPECT_FALSE(fs::exists(scene.folder.path("full/.lock"))) << "others' folders stay as they are";
}

TEST(TrainingLoop, refusesToGoOnWithOtherThings) {
  Scene scene;
  ASSERT_EQ(scene.run("run").code, 0);
  const std::string before = scene.folder.read("run/metrics.jsonl");
  const auto refusal = [&](std::vector<std::string> more) {
    more.push_back("--resume");
    const Outcome outcome = scene.run("run", std::move(more));
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    return outcome.err;
  };
  EXPECT_NE(refusal({"--seed", "9"}).find("expected --seed 1, as the run began with, found 9"),
            std::string::npos);
  EXPECT_NE(refusal({"--order", "sequential"}).find("expected --order shuffled"), std::string::npos);
  EXPECT_NE(refusal({"--optimizer", "sgd"}).find("expected --optimizer adamw"), std::string::npos);
  EXPECT_NE(
      refusal({"--data", scene.folder.path("v.u16")}).find("expected the tokens of the run, found others"),
      std::string::npos);
  scene.folder.write("run/config.json", "{\n  \"model_type\": \"trigram\"\n}\n");
  EXPECT_NE(refusal({}).find(
                "line 2: expected '  \"model_type\": \"trigram\"', found '  \"model_type\": \"bigram\"'"),
            std::string::npos);
  EXPECT_EQ(scene.folder.read("run/metrics.jsonl"), before);
}

TEST(TrainingLoop, letsOneProcessAtATimeIntoAFolder) {
  Scene scene;
  const pid_t child = start(scene, "run", {"--steps", "100000"}, "50000");
  ASSERT_GT(child, 0);
  while (!fs::exists(scene.folder.path("run/metrics.jsonl")))
    ::usleep(1000);
  const Outcome second = scene.run("run", {"--resume"});
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(
      second.err.find(fmt::format("expected a folder in which no other process trains, found that process {} "
                                  "does",
                                  child)),
      std::string::npos)
      << second.err;
  EXPECT_EQ(scene.run("run", {"--resume"}).code, 0); // the lock died with its process
}

TEST(TrainingLoop, onAFullDiskKeepsTheLastGoodCheckpointAndSaysSo) {
  Scene scene;
  ASSERT_EQ(scene.run("run", {"--steps", "20"}).code, 0);
  const std::string weights = scene.weights("run");
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{1000,
                       1000}; // a file may have that many bytes: less than a checkpoint's, as on a full disk
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::string log = scene.folder.path("full-log");
    std::vector<std::string> words = scene.arguments("run", {"--resume", "--steps", "40"});
    words.insert(words.begin(), BIGRAM_TRAINER);
    std::vector<char *> pointers;
    for (std::string &word : words)
      pointers.push_back(word.data());
    pointers.push_back(nullptr);
    if (!std::freopen(log.c_str(), "w", stderr) || !std::freopen("/dev/null", "w", stdout))
      ::_exit(126);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const std::string message = scene.folder.read("full-log");
  EXPECT_NE(message.find("File too large"), std::string::npos) << message;
  EXPECT_EQ(scene.weights("run"), weights);
  EXPECT_EQ(findCheckpoints(scene.folder.path("run")).at(0).step, 20);
  EXPECT_EQ(scene.run("run", {"--resume", "--steps", "40"}).code, 0);
}

TEST(TrainingLoop, averagesWeightsWhenAskedTo) {
  Scene scene;
  ASSERT_EQ(scene.run("plain").code, 0);
  ASSERT_EQ(scene.run("run", {"--ema", "0.95", "--eval-every", "0"}).code, 0);
  EXPECT_NE(scene.weights("run"), scene.weights("plain"));
  // The weights that go on being trained are the same; what the folder offers is their average.
  EXPECT_EQ(scene.folder.read("run/checkpoints/step-00000060/model.safetensors"), scene.weights("plain"));
  EXPECT_EQ(scene.folder.read("run/checkpoints/step-00000060/average.safetensors"), scene.weights("run"));
}

TEST(TrainingLoop, whereADeviceFailsAsTheAverageIsMeasuredTheRunGoesOnFromItsCheckpoint) {
  Scene scene;
  const std::vector<std::string> flags = {"--ema", "0.95"}, resumed = {"--ema", "0.95", "--resume"};
  ASSERT_EQ(scene.run("whole", flags).code, 0);
  // 62 batches are held out: it fails in the evaluation behind step 20, when weights and average have changed
  // places.
  const Outcome failed = scene.run("run", flags, {"BIGRAM_BAD_BATCH=70"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_NE(failed.err.find("step 20: the device has failed; the last good checkpoint is "),
            std::string::npos)
      << failed.err;
  EXPECT_EQ(findCheckpoints(scene.folder.path("run")).at(0).step, 10);
  ASSERT_EQ(scene.run("run", resumed).code, 0);
  EXPECT_EQ(scene.weights("run"), scene.weights("whole"));
  EXPECT_EQ(scene.folder.read("run/checkpoints/step-00000060/model.safetensors"),
            scene.folder.read("whole/checkpoints/step-00000060/model.safetensors"));
  const Metrics whole = scene.metrics("whole"), run = scene.metrics("run");
  ASSERT_EQ(run.evaluations.size(), whole.evaluations.size());
  for (size_t i = 0; i < run.evaluations.size(); ++i)
    EXPECT_EQ(run.evaluations[i].loss, whole.evaluations[i].loss);
}

TEST(TrainingLoop, comparesWithOtherRunsInItsReport) {
  Scene scene;
  ASSERT_EQ(scene.run("first", {"--steps", "20"}).code, 0);
  ASSERT_EQ(scene.run("run", {"--steps", "20", "--compare", scene.folder.path("first")}).code, 0);
  EXPECT_NE(scene.folder.read("run/report.html").find(scene.folder.path("first") + ": training"),
            std::string::npos);
  const Outcome none = scene.run("run2", {"--compare", scene.folder.path("nothing")});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("--compare: "), std::string::npos) << none.err;
}

TEST(TrainingLoop, measuresBitsAByteAndBringsTheTokenizerOfTokenizedText) {
  Scene scene;
  fs::create_directories(scene.folder.path("tokens"));
  for (const auto &[part, bytes] : {std::pair{"train", 900u}, {"val", 500u}}) {
    auto writer =
        data::ShardWriter::create(scene.folder.path(fmt::format("tokens/{}-00000.tokens", part)), 32, 9);
    ASSERT_TRUE(writer);
    std::vector<int32_t> ids;
    for (int i = 0; i < 300; ++i)
      ids.push_back(i * i % 32);
    ASSERT_TRUE(writer->add(ids, bytes));
    ASSERT_TRUE(writer->finish());
  }
  scene.folder.write("tokens/tokens.json", R"({"version":1,"train":{"shards":1},"val":{"shards":1}})");
  scene.folder.write("tokens/tokenizer.json", "{}");
  const Outcome done =
      fake::run(BIGRAM_TRAINER,
                {{"--data", scene.folder.path("tokens"), "-o", scene.folder.path("run"), "--steps", "10"},
                 "",
                 {},
                 "",
                 nullptr});
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(scene.folder.read("run/tokenizer.json"), "{}");
  const Evaluation end = scene.metrics("run").evaluations.back();
  ASSERT_TRUE(end.bitsPerByte);
  EXPECT_NEAR(*end.bitsPerByte, end.loss / std::log(2) * 300 / 500, 1e-12);
}

TEST(TrainingLoop, saysWhatIsWrongWithItsData) {
  Scene scene;
  const auto error = [&](std::vector<std::string> more) { return scene.run("run", std::move(more)).err; };
  EXPECT_NE(
      error({"--data", "/nonexistent"}).find("expected a folder of `sinter data tokenize` or a file of ids"),
      std::string::npos);
  EXPECT_NE(error({"--data", "/nonexistent.u16"}).find("/nonexistent.u16"), std::string::npos);
  EXPECT_NE(error({"--data", scene.folder.write("short.u16", "12345678")}).find("expected at least 9 tokens"),
            std::string::npos);
  EXPECT_NE(error({"--data", scene.folder.write("big.u16", std::string(100, '\x7f'))})
                .find("expected tokens below 32, the model's vocabulary, found 32639 as token 0"),
            std::string::npos);
  EXPECT_NE(
      error({"--tokenizer", scene.folder.path()}).find("--tokenizer: expected a folder with tokenizer.json"),
      std::string::npos);
  EXPECT_FALSE(fs::exists(scene.folder.path("run/config.json")));
}

TEST(TrainingLoop, leavesNoFolderBehindWhenItCannotBegin) {
  Scene scene;
  EXPECT_EQ(scene.run("run", {"--data", "/nonexistent"}).code, 1);
  EXPECT_FALSE(fs::exists(scene.folder.path("run")));
  fs::create_directories(scene.folder.path("mine"));
  EXPECT_EQ(scene.run("mine", {"--data", "/nonexistent"}).code, 1);
  EXPECT_TRUE(fs::exists(scene.folder.path("mine"))) << "a folder that was there before";
  EXPECT_TRUE(fs::is_empty(scene.folder.path("mine")));
}

TEST(RunFolder, knowsWhatTheCommandMadeThatBecameTheTrainer) {
  TemporaryFolder scratch;
  fs::create_directories(scratch.path("mine"));
  for (const char *name : {"new", "mine"}) {
    const std::string path = scratch.path(name);
    {
      auto command = RunFolder::open(path, false);
      ASSERT_TRUE(command) << command.error().message;
      ASSERT_TRUE(command->write("trainer", "x") && command->write("trainer.key", "y"));
      command->keep();
    }
    EXPECT_TRUE(fs::exists(path + "/trainer"));
    ASSERT_TRUE(RunFolder::open(path, false)); // the same process again, which begins no run
    EXPECT_EQ(fs::exists(path), std::string_view(name) == "mine");
    EXPECT_FALSE(fs::exists(path + "/.lock"));
    EXPECT_FALSE(fs::exists(path + "/trainer"));
  }
}

TEST(TrainingLoop, usageErrorsEndWith2) {
  Scene scene;
  for (std::vector<std::string> more : {std::vector<std::string>{"--lr", "x"}, {"--batch", "3"}, {"--wat"}}) {
    const Outcome outcome = scene.run("run", more);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_NE(outcome.err.find("(--help lists the flags)"), std::string::npos);
  }
  EXPECT_FALSE(fs::exists(scene.folder.path("run")));
}

} // namespace
} // namespace sinter::training
