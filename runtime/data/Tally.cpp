// SPDX-License-Identifier: Apache-2.0
// Tallies as JSON and back.
#include "runtime/data/Tally.h"

namespace sinter::data {

void Tally::add(std::string_view name, uint64_t times) {
  auto at = counts.find(name);
  if (at == counts.end())
    at = counts.emplace(name, 0).first;
  at->second += times;
}

void Tally::example(std::string_view name, std::string_view text) {
  auto at = examples.find(name);
  if (at == examples.end())
    at = examples.emplace(name, std::vector<std::string>()).first;
  if (at->second.size() < examplesKept)
    at->second.emplace_back(text);
}

void Tally::add(const Tally &other) {
  for (const auto &[name, times] : other.counts)
    add(name, times);
  for (const auto &[name, texts] : other.examples)
    for (const std::string &text : texts)
      example(name, text);
}

uint64_t Tally::operator[](std::string_view name) const {
  auto at = counts.find(name);
  return at == counts.end() ? 0 : at->second;
}

void Tally::write(JsonWriter &json) const {
  json.key("counts").beginObject();
  for (const auto &[name, times] : counts)
    json.key(name).value(times);
  json.endObject().key("examples").beginObject();
  for (const auto &[name, texts] : examples) {
    json.key(name).beginArray();
    for (const std::string &text : texts)
      json.value(text);
    json.endArray();
  }
  json.endObject();
}

Result<Tally> Tally::read(JsonValue json) {
  Tally tally;
  for (JsonValue member : json["counts"]) {
    Result<int64_t> times = member.as<int64_t>();
    if (!times)
      return tl::unexpected(times.error());
    tally.counts.emplace(member.key(), static_cast<uint64_t>(*times));
  }
  for (JsonValue member : json["examples"]) {
    Result<std::vector<std::string>> texts = member.as<std::vector<std::string>>();
    if (!texts)
      return tl::unexpected(texts.error());
    tally.examples.emplace(member.key(), std::move(*texts));
  }
  return tally;
}

} // namespace sinter::data
