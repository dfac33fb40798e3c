// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/RunReport.h"
#include "runtime/files/Html.h"
#include "runtime/training/Chart.h"

#include <array>
#include <cmath>

namespace sinter::training {
namespace {

// Colours that people with colour-blindness can tell apart (Okabe and Ito, 2008).
constexpr std::array colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"};

template <typename Get> std::vector<Point> pointsOf(const Metrics &metrics, Get get) {
  std::vector<Point> points;
  for (const StepMetrics &step : metrics.steps)
    points.push_back({double(step.step), get(step)});
  return points;
}

/// The mean over about a fiftieth of the run behind each step.
std::vector<Point> smoothed(const std::vector<Point> &points) {
  const double share = 1 / std::max(1.0, double(points.size()) / 50);
  std::vector<Point> out;
  double mean = 0, weight = 0;
  for (Point p : points) {
    if (!std::isfinite(p.y))
      continue;
    mean = (1 - share) * mean + share * p.y;
    weight = (1 - share) * weight + share;
    out.push_back({p.x, mean / weight});
  }
  return out;
}

std::string number(std::optional<double> value) { return value ? fmt::format("{:.4f}", *value) : "-"; }

std::string summary(std::span<const NamedRun> runs) {
  std::vector<std::vector<std::string>> rows = {{"run", "steps", "loss, mean of the last 50",
                                                 "validation loss", "lowest, at step", "bits a byte",
                                                 "tokens a second"}};
  for (const NamedRun &run : runs) {
    const Metrics &m = run.metrics;
    std::optional<double> loss, speed;
    const size_t last = std::min<size_t>(50, m.steps.size());
    for (size_t i = m.steps.size() - last; i < m.steps.size(); ++i) {
      loss = loss.value_or(0) + m.steps[i].loss / double(last);
      speed = speed.value_or(0) + m.steps[i].tokensPerSecond / double(last);
    }
    const Evaluation *end = m.evaluations.empty() ? nullptr : &m.evaluations.back(), *best = end;
    for (const Evaluation &each : m.evaluations)
      if (each.loss < best->loss)
        best = &each;
    rows.push_back({run.name, std::to_string(m.steps.empty() ? 0 : m.steps.back().step + 1), number(loss),
                    end ? number(end->loss) : "-",
                    best ? fmt::format("{:.4f}, {}", best->loss, best->step) : "-",
                    end ? number(end->bitsPerByte) : "-", speed ? fmt::format("{:.0f}", *speed) : "-"});
  }
  return htmlTable(rows);
}

} // namespace

std::string makeRunReport(std::span<const NamedRun> runs,
                          std::span<const std::pair<std::string, std::string>> flags) {
  Chart loss{.title = "Loss", .yName = "nats a token", .curves = {}};
  Chart rate{.title = "Learning rate", .yName = "learning rate", .curves = {}};
  Chart norm{.title = "Norm of the gradient", .yName = "L2, before clipping", .logY = true, .curves = {}};
  Chart speed{.title = "Throughput", .yName = "tokens a second", .curves = {}};
  Chart bits{.title = "Validation, bits a byte", .yName = "bits a byte", .curves = {}};
  Chart router{.title = "Balance loss of the experts", .yName = "balance loss", .curves = {}};
  size_t colour = 0;
  for (const NamedRun &run : runs) {
    const std::string shade = colours[colour++ % colours.size()];
    const std::string prefix = runs.size() > 1 ? run.name + ": " : "";
    const std::vector<Point> raw = pointsOf(run.metrics, [](const StepMetrics &s) { return s.loss; });
    if (runs.size() == 1)
      loss.curves.push_back({"", shade, raw, true, false});
    loss.curves.push_back({prefix + "training (smoothed)", shade, smoothed(raw), false, false});
    std::vector<Point> validation, bytes;
    for (const Evaluation &each : run.metrics.evaluations) {
      validation.push_back({double(each.step), each.loss});
      if (each.bitsPerByte)
        bytes.push_back({double(each.step), *each.bitsPerByte});
    }
    const std::string other = runs.size() == 1 ? colours[1] : shade;
    loss.curves.push_back({prefix + "validation", other, validation, false, true});
    bits.curves.push_back({prefix + "validation", other, bytes, false, true});
    const auto plain = [&](Chart &chart, auto get) {
      chart.curves.push_back({run.name, shade, pointsOf(run.metrics, get), false, false});
    };
    plain(rate, [](const StepMetrics &s) { return s.rate; });
    plain(norm, [](const StepMetrics &s) { return s.norm; });
    plain(speed, [](const StepMetrics &s) { return s.tokensPerSecond; });
    plain(router, [](const StepMetrics &s) { return s.routerLoss.value_or(std::nan("")); });
  }
  Chart logarithmic = loss;
  logarithmic.title = "Loss, both axes logarithmic";
  logarithmic.logX = logarithmic.logY = true;

  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>sinter "
      "train</title>\n<style>\n"
      "body{font:15px/1.5 sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222}\n"
      "table{border-collapse:collapse}td,th{padding:2px 14px 2px 0;text-align:left;border-bottom:1px solid "
      "#ddd}\n"
      "svg{width:100%;height:auto}svg text{font:12px "
      "sans-serif;paint-order:stroke;stroke:#fff;stroke-width:3px}.grid{stroke:#e4e4e4}\n"
      "</style></head><body>\n<h1>Training</h1>\n";
  html += summary(runs) + drawChart(loss) + drawChart(logarithmic);
  for (const Chart *chart : {&bits, &router}) // not every run has these
    if (std::ranges::any_of(chart->curves, [](const Curve &curve) {
          return std::ranges::any_of(curve.points, [](Point p) { return std::isfinite(p.y); });
        }))
      html += drawChart(*chart);
  html += drawChart(rate) + drawChart(norm) + drawChart(speed) + "<h2>Flags</h2>\n";
  std::vector<std::vector<std::string>> rows = {{"flag", "value"}};
  for (const auto &[name, value] : flags)
    rows.push_back({name, value});
  return html + htmlTable(rows) + "</body></html>\n";
}

} // namespace sinter::training
