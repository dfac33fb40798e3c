// SPDX-License-Identifier: Apache-2.0
// What a cleaning run says of itself: everything it counted as JSON, and a page with tables and bars that
// needs no other file. Nothing in either depends on when, where or with how many threads the run was.
#include "runtime/data/Clean.h"
#include "runtime/data/Filters.h"
#include "runtime/files/Html.h"

#include <algorithm>

namespace sinter::data {
namespace {

using Rows = std::vector<std::pair<std::string, uint64_t>>;

/// The counts whose names begin with `prefix`, without it.
Rows rowsOf(const Tally &tally, std::string_view prefix) {
  Rows rows;
  for (auto at = tally.counts.lower_bound(prefix); at != tally.counts.end() && at->first.starts_with(prefix);
       ++at)
    rows.emplace_back(at->first.substr(prefix.size()), at->second);
  return rows;
}

/// 1234567 as 1,234,567.
std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3; at -= 3)
    digits.insert(at - 3, ",");
  return digits;
}

/// Horizontal bars, a row each.
std::string bars(const Rows &rows) {
  if (rows.empty())
    return "<p>none</p>\n";
  uint64_t most = 1;
  for (const auto &row : rows)
    most = std::max(most, row.second);
  constexpr int height = 22, label = 260, width = 380;
  std::string svg = fmt::format("<svg width=\"{}\" height=\"{}\" role=\"img\">\n", label + width + 120,
                                rows.size() * height + 4);
  int y = 2;
  for (const auto &[name, count] : rows) {
    double length = static_cast<double>(count) / static_cast<double>(most) * width;
    svg += fmt::format(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" "
        "height=\"{}\"/><text x=\"{:.1f}\" y=\"{}\">{}</text>\n",
        label - 8, y + 15, escapeHtml(name), label, y + 2, std::max(length, 1.0), height - 4,
        label + length + 6, y + 15, grouped(count));
    y += height;
  }
  return svg + "</svg>\n";
}

/// Names of the rows of a histogram by what a bin holds.
template <typename Name> Rows renamed(Rows rows, Name name) {
  for (auto &row : rows)
    row.first = name(std::stoi(row.first));
  return rows;
}

std::string powers(int bits) {
  return bits <= 1 ? std::string("1") : fmt::format("{} to {}", 1ull << (bits - 1), (1ull << bits) - 1);
}

uint64_t outOf(const Tally &tally, std::string_view what) {
  return tally[fmt::format("out train {}", what)] + tally[fmt::format("out val {}", what)];
}

} // namespace

std::string makeReportJson(const Tally &tally, const CleanOptions &options) {
  JsonWriter json(2);
  json.beginObject().key("version").value(1);
  json.key("in").beginObject().key("documents").value(tally["in documents"]);
  json.key("bytes").value(tally["in bytes"]).endObject();
  json.key("out").beginObject().key("documents").value(outOf(tally, "documents"));
  json.key("bytes").value(outOf(tally, "bytes")).endObject();
  json.key("filters").beginArray();
  for (size_t i = 0; i < filters().size(); ++i) {
    const Filter &filter = filters()[i];
    json.beginObject()
        .key("name")
        .value(filter.name)
        .key("source")
        .value(filter.source)
        .key("drops")
        .value(filter.drops);
    json.key("on").value((options.filters >> i & 1) != 0);
    json.key("documents").value(tally[fmt::format("dropped {}", filter.name)]).endObject();
  }
  json.endArray();
  tally.write(json);
  return json.endObject().take() + "\n";
}

std::string makeReportHtml(const Tally &tally, const CleanOptions &options) {
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>sinter data "
      "clean</title>\n<style>\n"
      "body{font:15px/1.5 sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222}\n"
      "table{border-collapse:collapse}td,th{padding:2px 12px 2px 0;text-align:left;border-bottom:1px solid "
      "#ddd}\n"
      "svg text{font:13px sans-serif;fill:#222}svg rect{fill:#3a6ea5}\n"
      "blockquote{margin:.3em 0 .8em;padding-left:1em;border-left:3px solid "
      "#ddd;white-space:pre-wrap;color:#555}\n"
      "</style></head><body>\n<h1>Cleaned data</h1>\n";
  uint64_t copies = tally["duplicates equal"], near = tally["duplicates near"], dropped = 0;
  Rows drops;
  for (const auto &row : rowsOf(tally, "dropped "))
    if (!row.first.starts_with("bytes ")) {
      drops.push_back(row);
      dropped += row.second;
    }
  html +=
      htmlTable({{"", "documents", "bytes"},
                 {"in", grouped(tally["in documents"]), grouped(tally["in bytes"])},
                 {"dropped by filters", grouped(dropped), ""},
                 {"dropped as equal to another", grouped(copies), ""},
                 {"dropped as similar to another", grouped(near), ""},
                 {"out, training", grouped(tally["out train documents"]), grouped(tally["out train bytes"])},
                 {"out, validation", grouped(tally["out val documents"]), grouped(tally["out val bytes"])}});
  html += "<h2>What filters dropped (documents)</h2>\n" + bars(drops);
  html += "<h2>What was repaired</h2>\n" + bars(rowsOf(tally, "cleaned "));
  if (options.mask)
    html += "<h2>Personal data masked</h2>\n" + bars(rowsOf(tally, "masked "));
  Rows languages;
  for (const auto &row : rowsOf(tally, "language "))
    if (!row.first.starts_with("bytes "))
      languages.push_back(row);
  std::ranges::sort(languages, [](const auto &a, const auto &b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  html += "<h2>Languages (documents that passed the filters)</h2>\n" + bars(languages);
  html += "<h2>Length in characters</h2>\n" + bars(renamed(rowsOf(tally, "length "), powers));
  html += "<h2>Entropy in bits a byte</h2>\n<p>Of each document's own bytes: how hard they are to predict "
          "one by one. "
          "Low is repetition, high is noise.</p>\n" +
          bars(renamed(rowsOf(tally, "entropy "), [](int quarter) {
            return fmt::format("{:.2f} to {:.2f}", quarter / 4.0, (quarter + 1) / 4.0);
          }));
  html += "<h2>Sizes of duplicate clusters</h2>\n" + bars(renamed(rowsOf(tally, "cluster "), powers));

  html += "<h2>Sources</h2>\n";
  std::vector<std::vector<std::string>> sources = {
      {"source", "documents in", "bytes in", "passed", "bytes passed", "out", "bytes out"}};
  for (const Input &input : options.inputs) {
    constexpr size_t most = 200;
    if (sources.size() > most) {
      sources.push_back({fmt::format("and {} more", options.inputs.size() - most), "", "", "", "", "", ""});
      break;
    }
    auto count = [&](std::string_view what) {
      return grouped(tally[fmt::format("source {} {}", input.path, what)]);
    };
    sources.push_back({input.path, count("in documents"), count("in bytes"), count("kept documents"),
                       count("kept bytes"), count("out documents"), count("out bytes")});
  }
  html += htmlTable(sources);

  html += "<h2>Filters</h2>\n";
  std::vector<std::vector<std::string>> list = {{"name", "drops", "source", ""}};
  for (size_t i = 0; i < filters().size(); ++i)
    list.push_back({std::string(filters()[i].name), std::string(filters()[i].drops),
                    std::string(filters()[i].source), options.filters >> i & 1 ? "on" : "off"});
  html += htmlTable(list) + "<h2>Examples</h2>\n";
  for (const auto &[name, texts] : tally.examples) {
    html += fmt::format("<h3>{}</h3>\n", escapeHtml(name));
    for (const std::string &text : texts)
      html += fmt::format("<blockquote>{}</blockquote>\n", escapeHtml(text));
  }
  return html + "</body></html>\n";
}

} // namespace sinter::data
