// SPDX-License-Identifier: Apache-2.0
// Line charts as SVG.
#ifndef SINTER_RUNTIME_TRAINING_CHART_H
#define SINTER_RUNTIME_TRAINING_CHART_H

#include <string>
#include <vector>

namespace sinter::training {

struct Point {
  double x, y;
};

struct Curve {
  std::string name;
  std::string colour; ///< of CSS
  std::vector<Point> points;
  bool faint = false; ///< drawn lightly, without a name in the legend
  bool dashed = false;
};

struct Chart {
  std::string title, yName;
  bool logX = false, logY = false; ///< points at or below 0 are left out
  std::vector<Curve> curves;
};

/// The chart as an <svg>; of long curves, the least and greatest of each group of neighbours are drawn.
/// Points that are not finite are left out. A chart without points says so.
std::string drawChart(const Chart &chart);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_CHART_H
