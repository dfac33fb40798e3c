// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/MetricsFile.h"
#include "runtime/training/AppendFile.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sinter::training {
namespace {

TEST(MetricsFile, hasExactlyTheFieldsThatWerePromised) {
  EXPECT_EQ(metricsLine(StepMetrics{3, 2.5, 1.25, 0.25, 12.5, 800}),
            "{\"step\":3,\"loss\":2.5,\"grad_norm\":1.25,\"lr\":0.25,\"ms\":12.5,\"tokens_per_s\":800.0}\n");
  EXPECT_EQ(metricsLine(StepMetrics{3, NAN, 1, 1, 1, 1, 0.5}),
            "{\"step\":3,\"loss\":null,\"grad_norm\":1.0,\"lr\":1.0,\"ms\":1.0,\"tokens_per_s\":1.0,"
            "\"router_loss\":0.5}\n");
  EXPECT_EQ(metricsLine(Evaluation{10, 2.0, 1.5}),
            "{\"step\":10,\"val_loss\":2.0,\"val_bits_per_byte\":1.5}\n");
  EXPECT_EQ(metricsLine(Evaluation{10, 2.0, std::nullopt}),
            "{\"step\":10,\"val_loss\":2.0,\"val_bits_per_byte\":null}\n");
}

std::string lines() {
  return metricsLine(Evaluation{0, 5, 2}) + metricsLine(StepMetrics{0, 5, 1, 1, 1, 1}) +
         metricsLine(StepMetrics{1, 4, 1, 1, 1, 1}) + metricsLine(Evaluation{2, 4, 2}) +
         metricsLine(StepMetrics{2, 3, 1, 1, 1, 1});
}

TEST(MetricsFile, readsBackWhatItWrote) {
  TemporaryFolder folder;
  auto file = AppendFile::open(folder.path("m.jsonl"));
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->append(lines() + "{\"step\":3,\"lo")); // killed while it wrote
  auto metrics = readMetrics(folder.path("m.jsonl"));
  ASSERT_TRUE(metrics) << metrics.error().message;
  ASSERT_EQ(metrics->steps.size(), 3u);
  EXPECT_EQ(metrics->steps[2].loss, 3);
  ASSERT_EQ(metrics->evaluations.size(), 2u);
  EXPECT_EQ(metrics->evaluations[1].step, 2);
}

TEST(MetricsFile, isCutToTheStepsBeforeACheckpointAndItsEvaluation) {
  for (const auto &[step, kept] : {std::pair<int64_t, int>{2, 4}, {1, 2}, {0, 1}, {3, 5}, {9, 5}}) {
    TemporaryFolder folder;
    const std::string path = folder.write("m.jsonl", lines() + "{\"step\":3,\"lo");
    ASSERT_TRUE(truncateMetrics(path, step));
    const std::string text = folder.read("m.jsonl");
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), kept) << "step " << step;
    EXPECT_TRUE(lines().starts_with(text));
  }
  EXPECT_TRUE(truncateMetrics("/nonexistent/m.jsonl", 5));
}

TEST(MetricsFile, saysInWhichLineItIsDamaged) {
  TemporaryFolder folder;
  auto metrics = readMetrics(folder.write("m.jsonl", lines() + "{\"step\":\"x\"}\n"));
  ASSERT_FALSE(metrics);
  EXPECT_NE(metrics.error().message.find("m.jsonl, line 6: key 'step'"), std::string::npos)
      << metrics.error().message;
}

} // namespace
} // namespace sinter::training
