// SPDX-License-Identifier: Apache-2.0
// Sums by the names of kernels, which may be of several modules.
#include "runtime/device/emulator/DriverCounters.h"

#include "runtime/files/JsonWriter.h"

#include <fstream>

namespace sinter::emulator {

namespace {
tl::unexpected<Error> cannotWrite(const std::string &path) {
  return fail("SINTER_EMULATOR_COUNTERS: expected a file that can be written, found '{}'", path);
}
} // namespace

Result<> DriverCounters::writeTo(std::string file) {
  if (!std::ofstream(file, std::ios::app))
    return cannotWrite(file);
  path = std::move(file);
  return {};
}

void DriverCounters::add(const Program &program, const KernelCounters &counters) {
  Sum &sum = sums[program.name];
  ++sum.launches;
  const auto byClass = instructionsByClass(program, counters);
  for (size_t i = 0; i < byClass.size(); ++i)
    sum.instructions[i] += byClass[i];
  sum.counters.add(counters);
}

Result<> DriverCounters::write() const {
  if (path.empty())
    return {};
  JsonWriter json(1);
  json.beginObject().key("kernels").beginArray();
  for (const auto &[name, sum] : sums) {
    json.beginObject().key("kernel").value(name).key("launches").value(sum.launches);
    json.key("counters").beginObject();
    writeCounters(json, sum.instructions, sum.counters);
    json.endObject().endObject();
  }
  json.endArray().endObject();
  std::ofstream file(path);
  file << json.take() << "\n";
  if (!file.flush())
    return cannotWrite(path);
  return {};
}

} // namespace sinter::emulator
