// SPDX-License-Identifier: Apache-2.0
// Counters and examples by name: what stages of data preparation count, merge, keep on disk and report.
#ifndef SINTER_RUNTIME_DATA_TALLY_H
#define SINTER_RUNTIME_DATA_TALLY_H

#include "runtime/files/Json.h"
#include "runtime/files/JsonWriter.h"

#include <map>
#include <string>
#include <vector>

namespace sinter::data {

struct Tally {
  static constexpr size_t examplesKept = 3;

  std::map<std::string, uint64_t, std::less<>> counts;
  std::map<std::string, std::vector<std::string>, std::less<>> examples;

  void add(std::string_view name, uint64_t times = 1);
  /// Keeps the first few of each name.
  void example(std::string_view name, std::string_view text);
  void add(const Tally &other);
  uint64_t operator[](std::string_view name) const;

  void write(JsonWriter &json) const; // two members of an object: counts and examples
  static Result<Tally> read(JsonValue json);
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_TALLY_H
