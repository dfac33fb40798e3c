// SPDX-License-Identifier: Apache-2.0
// Checkpoints come back bit for bit, and damage in any byte is noticed.
#include "runtime/training/Checkpoint.h"
#include "runtime/files/SafeTensors.h"
#include "test/TemporaryFolder.h"
#include "test/runtime/training/BigramStep.h"

#include <gtest/gtest.h>

namespace sinter::training {
namespace {

namespace fs = std::filesystem;

StoredState someState() {
  StoredState stored;
  stored.state.step = 120;
  stored.state.updates = 118;
  stored.state.data = 0xFEDCBA9876543210;
  stored.state.recentLoss = 0.1 + 0.2; // has no short decimal form
  stored.state.recentSteps = 118;
  stored.state.validation = 1.0 / 3;
  stored.state.flags = {{"--lr", "0.001"}, {"--data", "a \"b\" \xC3\xA9"}};
  stored.checksums = {{"model.safetensors", 0x0123456789ABCDEF}};
  return stored;
}

TEST(CheckpointState, readsBackWhatWasWritten) {
  const StoredState stored = someState();
  auto again = parseState(stateText(stored), "state.json");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->state.step, 120);
  EXPECT_EQ(again->state.updates, 118);
  EXPECT_EQ(again->state.data, stored.state.data);
  EXPECT_EQ(again->state.recentLoss, stored.state.recentLoss);
  EXPECT_EQ(again->state.validation, stored.state.validation);
  EXPECT_EQ(again->state.flags, stored.state.flags);
  EXPECT_EQ(again->checksums, stored.checksums);
}

TEST(CheckpointState, everyChangedByteIsNoticed) {
  const std::string good = stateText(someState());
  for (size_t i = 0; i + 1 < good.size(); ++i) { // the line's end means nothing
    std::string bad = good;
    bad[i] ^= 1;
    EXPECT_FALSE(parseState(bad, "s")) << "byte " << i;
  }
  for (size_t size = 0; size + 1 < good.size(); ++size)
    EXPECT_FALSE(parseState(good.substr(0, size), "s")) << size << " bytes";
}

struct Saved {
  TemporaryFolder folder;
  std::unique_ptr<TrainingStep> step = makeBigramStep({});
  std::string path;
  Saved() {
    EXPECT_TRUE(step->initialise(3));
    float value = 0;
    for (size_t i = 1; i < step->images(); ++i)
      for (float &each : step->image(i))
        each = value += 0.37f;
    folder.write("config.json", "{}");
    RunState state;
    state.step = 40;
    const std::string linked[] = {"config.json"};
    auto written = writeCheckpoint(folder.path("."), *step, state, imagesOf(*step), linked);
    EXPECT_TRUE(written) << written.error().message;
    path = *written;
  }
};

TEST(Checkpoint, bringsBackEveryImage) {
  Saved saved;
  auto other = makeBigramStep({});
  auto stored = readState(saved.path);
  ASSERT_TRUE(stored) << stored.error().message;
  auto read = readImages(saved.path, *stored, *other, imagesOf(*other));
  ASSERT_TRUE(read) << read.error().message;
  for (size_t i = 0; i < other->images(); ++i)
    EXPECT_TRUE(std::ranges::equal(other->image(i), saved.step->image(i))) << "image " << i;
  EXPECT_EQ(saved.folder.read("checkpoints/step-00000040/config.json"), "{}");
}

TEST(Checkpoint, noticesChangedBytesOfItsImages) {
  Saved saved;
  const std::string file = "checkpoints/step-00000040/optimizer-1.safetensors",
                    good = saved.folder.read(file);
  auto stored = readState(saved.path);
  auto other = makeBigramStep({});
  for (size_t i = 300; i < good.size(); i += 7) {
    std::string bad = good;
    bad[i] ^= 4;
    saved.folder.write(file, bad);
    auto read = readImages(saved.path, *stored, *other, imagesOf(*other));
    EXPECT_FALSE(read) << "byte " << i;
  }
  fs::remove(saved.folder.path(file));
  EXPECT_FALSE(readImages(saved.path, *stored, *other, imagesOf(*other)));
}

TEST(Checkpoint, ofAnotherModelOrOptimizerIsRefused) {
  Saved saved;
  auto stored = readState(saved.path);
  BigramShape wide;
  wide.width = 7;
  auto other = makeBigramStep(wide);
  auto read = readImages(saved.path, *stored, *other, imagesOf(*other));
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("tensor 'embedding.weight': expected F32 [32, 7], found F32 [32, 6]"),
            std::string::npos)
      << read.error().message;
  std::vector<NamedImage> images = imagesOf(*saved.step);
  images.push_back({"average.safetensors", images[0].image});
  auto more = readImages(saved.path, *stored, *saved.step, images);
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().message.find("expected a checkpoint with this file"), std::string::npos);
}

TEST(Checkpoint, theNewestAndTheBestStay) {
  TemporaryFolder folder;
  auto step = makeBigramStep({});
  for (int64_t i = 1; i <= 6; ++i) {
    RunState state;
    state.step = i * 10;
    state.validation = i == 2 ? 1.0 : 2.0;
    ASSERT_TRUE(writeCheckpoint(folder.path("."), *step, state, imagesOf(*step), {}));
    pruneCheckpoints(folder.path("."), 2);
  }
  std::vector<int64_t> steps;
  for (const FoundCheckpoint &found : findCheckpoints(folder.path(".")))
    steps.push_back(found.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{60, 50, 20}));
}

TEST(Checkpoint, thatWasNotFinishedIsNoneAndGoes) {
  Saved saved;
  fs::create_directories(saved.folder.path("checkpoints/.step-00000050.unfinished"));
  saved.folder.write("checkpoints/.step-00000050.unfinished/state.json", "{");
  fs::create_directories(saved.folder.path("checkpoints/step-x"));
  EXPECT_EQ(findCheckpoints(saved.folder.path()).size(), 1u);
  removeUnfinishedCheckpoints(saved.folder.path());
  EXPECT_FALSE(fs::exists(saved.folder.path("checkpoints/.step-00000050.unfinished")));
  EXPECT_TRUE(fs::exists(saved.path));
}

TEST(Checkpoint, weightsAreWrittenInTheTypeAskedFor) {
  TemporaryFolder folder;
  auto step = makeBigramStep({});
  ASSERT_TRUE(step->initialise(3));
  for (const auto &[type, bytes] : {std::pair{"f32", 4u}, {"bf16", 2u}, {"f16", 2u}}) {
    ASSERT_TRUE(writeImage(*step, step->image(0), folder.path("m.safetensors"), type));
    auto file = SafeTensors::open(folder.path("m.safetensors"));
    ASSERT_TRUE(file) << file.error().message;
    const SafeTensor *tensor = file->find("embedding.weight");
    ASSERT_TRUE(tensor);
    EXPECT_EQ(tensor->bytes.size(), 32 * 6 * bytes);
    std::vector<float> exact(32 * 6), rounded(32 * 6);
    step->exportTensor(0, step->image(0), 0, exact);
    tensor->format->dequantize(tensor->bytes, rounded.data());
    for (size_t i = 0; i < exact.size(); ++i)
      EXPECT_NEAR(rounded[i], exact[i], bytes == 4 ? 0 : 0.004 * std::abs(exact[i]));
  }
}

} // namespace
} // namespace sinter::training
