// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/Chart.h"
#include "runtime/training/RunReport.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sinter::training {
namespace {

size_t occurrences(const std::string &text, const std::string &what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1))
    ++count;
  return count;
}

NamedRun someRun(const std::string &name, int64_t steps) {
  NamedRun run{name, {}};
  for (int64_t i = 0; i < steps; ++i)
    run.metrics.steps.push_back({i, 5.0 / double(i + 1) + 1, 1, 1e-3, 10, 100});
  run.metrics.evaluations.push_back({0, 6, 3});
  run.metrics.evaluations.push_back({steps, 1.5, 0.75});
  return run;
}

TEST(RunReport, showsEachCurveOnceAndNeedsNoOtherFile) {
  const NamedRun runs[] = {someRun("run", 100)};
  const std::pair<std::string, std::string> flags[] = {{"--lr", "<0.1>"}};
  const std::string html = makeRunReport(runs, flags);
  EXPECT_EQ(occurrences(html, "<svg"), 6u); // loss twice, bits a byte, rate, norm, throughput
  EXPECT_EQ(occurrences(html, "<polyline"), 10u);
  EXPECT_EQ(html.find("src="), html.npos);
  EXPECT_EQ(html.find("href="), html.npos);
  EXPECT_NE(html.find("&lt;0.1&gt;"), html.npos);
  EXPECT_NE(html.find("1.5000"), html.npos);
}

TEST(RunReport, overlaysOtherRunsInOtherColours) {
  const NamedRun runs[] = {someRun("run", 100), someRun("run2", 50)};
  const std::string html = makeRunReport(runs, {});
  EXPECT_EQ(occurrences(html, "<svg"), 6u);
  EXPECT_NE(html.find("run2: training"), html.npos);
  EXPECT_NE(html.find("stroke=\"#d55e00\""), html.npos);
}

TEST(RunReport, drawsNumbersThatDifferByRoundingAlone) {
  NamedRun run{"run", {}};
  for (int64_t i = 0; i < 3; ++i)
    run.metrics.steps.push_back(
        {i, 2 + 1e-15 * double(i), 1, i < 2 ? 3e-4 : std::nextafter(3e-4, 1), 10, 100});
  const std::string html = makeRunReport({&run, 1}, {});
  EXPECT_EQ(occurrences(html, "<svg"), 5u);
  EXPECT_LT(html.size(), 20000u); // a few ticks an axis
}

TEST(RunReport, standsWithoutAnySteps) {
  const NamedRun runs[] = {{"run", {}}};
  EXPECT_NE(makeRunReport(runs, {}).find("nothing yet"), std::string::npos);
}

TEST(Chart, leavesOutWhatCannotBeDrawn) {
  Chart chart{.title = "t", .yName = "y", .logX = true, .logY = true, .curves = {}};
  chart.curves.push_back({"a", "red", {{0, 1}, {1, -1}, {2, NAN}, {3, INFINITY}}, false, false});
  EXPECT_NE(drawChart(chart).find("nothing yet"), std::string::npos);
  chart.curves[0].points.push_back({4, 4});
  const std::string one = drawChart(chart);
  EXPECT_NE(one.find("<circle"), std::string::npos);
  EXPECT_EQ(one.find("nan"), std::string::npos);
  EXPECT_EQ(one.find("inf"), std::string::npos);
}

TEST(Chart, thinsLongCurvesWithoutLosingTheirPeaks) {
  Chart chart{.title = "t", .yName = "y", .curves = {}};
  std::vector<Point> points;
  for (int i = 0; i < 100000; ++i)
    points.push_back({double(i), i == 54321 ? 1000.0 : 1.0});
  chart.curves.push_back({"a", "red", points, false, false});
  const std::string svg = drawChart(chart);
  EXPECT_LT(svg.size(), 40000u);
  EXPECT_NE(svg.find(",21.9 "), std::string::npos); // the height of the peak in pixels
}

} // namespace
} // namespace sinter::training
