// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/Chart.h"
#include "runtime/files/Html.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace sinter::training {
namespace {

constexpr double width = 860, height = 320, left = 70, right = 16, top = 12, bottom = 40;

/// One axis: from numbers to pixels.
struct Axis {
  bool log;
  double least = std::numeric_limits<double>::infinity(), greatest = -least;
  double from = 0, to = 1; // pixels

  bool holds(double value) const { return std::isfinite(value) && (!log || value > 0); }
  double scaled(double value) const { return log ? std::log10(value) : value; }
  void include(double value) {
    least = std::min(least, scaled(value));
    greatest = std::max(greatest, scaled(value));
  }
  void widen(double share) {
    double room = (greatest - least) * share;
    // What differs by rounding alone is one number: no step between ticks would be as small.
    const double size = std::max(std::abs(least), std::abs(greatest));
    if (greatest - least <= size * 1e-9)
      room = size == 0 ? 1 : size * 0.05;
    least -= room;
    greatest += room;
  }
  double pixel(double value) const {
    return from + (scaled(value) - least) / (greatest - least) * (to - from);
  }

  /// Round numbers in the range: 1, 2, 5 times a power of ten.
  std::vector<double> ticks() const {
    std::vector<double> found;
    if (log && greatest - least > 0.7) {
      for (int power = int(std::floor(least)); power <= int(std::ceil(greatest)); ++power)
        for (double digit : {1.0, 2.0, 5.0}) {
          const double value = digit * std::pow(10.0, power);
          if (scaled(value) >= least && scaled(value) <= greatest && (digit == 1 || greatest - least < 3))
            found.push_back(value);
        }
      return found;
    }
    const double low = log ? std::pow(10, least) : least, high = log ? std::pow(10, greatest) : greatest;
    const double rough = (high - low) / 6, power = std::pow(10.0, std::floor(std::log10(rough)));
    const double step = power * (rough / power < 1.5   ? 1
                                 : rough / power < 3.5 ? 2
                                 : rough / power < 7.5 ? 5
                                                       : 10);
    const double first = std::ceil(low / step);
    for (int i = 0; i < 20 && (first + i) * step <= high; ++i)
      found.push_back((first + i) * step);
    return found;
  }
};

std::string label(double value) {
  if (value != 0 && (std::abs(value) >= 1e6 || std::abs(value) < 1e-3))
    return fmt::format("{:.3g}", value);
  std::string text = fmt::format("{:.4f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.'))
    text.pop_back();
  return text == "-0" ? "0" : text;
}

/// At most about `most` points that show the same line: of each group of neighbours the lowest and the
/// highest.
std::vector<Point> thinned(const std::vector<Point> &points, size_t most) {
  if (points.size() <= most)
    return points;
  std::vector<Point> kept;
  const size_t groups = most / 2;
  for (size_t g = 0; g < groups; ++g) {
    const auto begin = points.begin() + long(points.size() * g / groups);
    const auto end = points.begin() + long(points.size() * (g + 1) / groups);
    auto [low, high] = std::minmax_element(begin, end, [](Point a, Point b) { return a.y < b.y; });
    if (high < low)
      std::swap(low, high);
    kept.push_back(*low);
    if (high != low)
      kept.push_back(*high);
  }
  return kept;
}

} // namespace

std::string drawChart(const Chart &chart) {
  Axis x{chart.logX}, y{chart.logY};
  std::vector<Curve> curves;
  for (const Curve &curve : chart.curves) {
    Curve shown = curve;
    std::erase_if(shown.points, [&](Point p) { return !x.holds(p.x) || !y.holds(p.y); });
    for (Point p : shown.points) {
      x.include(p.x);
      y.include(p.y);
    }
    if (!shown.points.empty())
      curves.push_back(std::move(shown));
  }
  std::string svg = fmt::format("<h2>{}</h2>\n", escapeHtml(chart.title));
  if (curves.empty())
    return svg + "<p>nothing yet</p>\n";
  if (x.least == x.greatest)
    x.widen(0);
  y.widen(0.04);
  x.from = left;
  x.to = width - right;
  y.from = height - bottom;
  y.to = top;
  svg += fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", width, height,
                     escapeHtml(chart.title));
  for (double tick : x.ticks())
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text x=\"{0:.1f}\" "
        "y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
        x.pixel(tick), top, height - bottom, height - bottom + 16, label(tick));
  for (double tick : y.ticks())
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{1}\" x2=\"{2}\" y1=\"{0:.1f}\" y2=\"{0:.1f}\"/><text x=\"{3}\" "
        "y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        y.pixel(tick), left, width - right, left - 6, y.pixel(tick) + 4, label(tick));
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">step</text><text transform=\"translate(14 {}) "
      "rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
      (left + width - right) / 2, height - 6, (top + height - bottom) / 2, escapeHtml(chart.yName));
  double legend = top + 14;
  for (const Curve &curve : curves) {
    svg += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{}{} points=\"",
                       curve.colour, curve.faint ? 1 : 1.8, curve.faint ? " opacity=\"0.35\"" : "",
                       curve.dashed ? " stroke-dasharray=\"6 3\"" : "");
    for (Point p : thinned(curve.points, 1600))
      svg += fmt::format("{:.1f},{:.1f} ", x.pixel(p.x), y.pixel(p.y));
    svg += "\"/>\n";
    if (curve.points.size() == 1) // a line of one point would not be seen
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n",
                         x.pixel(curve.points[0].x), y.pixel(curve.points[0].y), curve.colour);
    if (curve.faint)
      continue;
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"{}\">{}</text>\n",
                       width - right - 6, legend, curve.colour, escapeHtml(curve.name));
    legend += 16;
  }
  return svg + "</svg>\n";
}

} // namespace sinter::training
