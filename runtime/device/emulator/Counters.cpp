// SPDX-License-Identifier: Apache-2.0
// Counting, and the table and JSON of the counts.
#include "runtime/device/emulator/Counters.h"
#include "runtime/device/emulator/Program.h"
#include "runtime/files/JsonWriter.h"

#include <algorithm>

namespace sinter::emulator {

std::string_view nameOf(InstructionClass kind) {
  constexpr std::string_view names[] = {
      "integer",      "float32", "float64",       "half",        "special",      "conversion",
      "predicate",    "move",    "control",       "global_load", "global_store", "shared_load",
      "shared_store", "local",   "constant_load", "atomic",      "async_copy",   "bulk_copy",
      "matrix_move",  "tensor",  "barrier",       "warp",        "other"};
  return names[static_cast<size_t>(kind)];
}

void KernelCounters::add(const KernelCounters &other) {
  executed.resize(std::max(executed.size(), other.executed.size()));
  for (size_t i = 0; i < other.executed.size(); ++i)
    executed[i] += other.executed[i];
  for (uint64_t KernelCounters::*each : {&KernelCounters::tensorFlops,
                                         &KernelCounters::tensorFlops8Bit,
                                         &KernelCounters::tensorFlopsTf32,
                                         &KernelCounters::globalLoadRequests,
                                         &KernelCounters::globalLoadSectors,
                                         &KernelCounters::globalLoadBytes,
                                         &KernelCounters::globalStoreRequests,
                                         &KernelCounters::globalStoreSectors,
                                         &KernelCounters::globalStoreBytes,
                                         &KernelCounters::sharedLoadRequests,
                                         &KernelCounters::sharedLoadWavefronts,
                                         &KernelCounters::sharedStoreRequests,
                                         &KernelCounters::sharedStoreWavefronts,
                                         &KernelCounters::sharedConflicts,
                                         &KernelCounters::asyncCopyBytes,
                                         &KernelCounters::bulkLoadBytes,
                                         &KernelCounters::bulkStoreBytes,
                                         &KernelCounters::multicastBytes,
                                         &KernelCounters::barrierWaits,
                                         &KernelCounters::mbarrierWaits,
                                         &KernelCounters::clusterWaits,
                                         &KernelCounters::blocks,
                                         &KernelCounters::warps})
    this->*each += other.*each;
}

void KernelCounters::addTensor(uint64_t flops, Type type) {
  tensorFlops += flops;
  if (type == Type::tf32)
    tensorFlopsTf32 += flops;
  if (bytesOf(type) <= 1)
    tensorFlops8Bit += flops;
}

unsigned sharedWavefronts(const uint64_t (&addresses)[32], uint32_t mask, unsigned bytes, unsigned &ideal) {
  const int group = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8;
  unsigned total = 0;
  ideal = 0;
  for (int first = 0; first < 32; first += group) {
    // Distinct words of each bank; a word is at most one lane's (or shared).
    std::array<std::array<uint64_t, 32>, 32> words;
    std::array<uint8_t, 32> count{};
    unsigned worst = 0;
    for (int lane = first; lane < first + group; ++lane) {
      if (!(mask >> lane & 1))
        continue;
      for (uint64_t word = addresses[lane] / 4; word <= (addresses[lane] + bytes - 1) / 4; ++word) {
        const size_t bank = word % 32;
        bool known = false;
        for (uint8_t i = 0; i < count[bank]; ++i)
          known |= words[bank][i] == word;
        if (!known && count[bank] < 32)
          words[bank][count[bank]++] = word;
        worst = std::max<unsigned>(worst, count[bank]);
      }
    }
    total += worst;
    ideal += worst > 0;
  }
  return total;
}

unsigned globalSectors(const uint64_t (&addresses)[32], uint32_t mask, unsigned bytes) {
  std::array<uint64_t, 64> sectors;
  size_t count = 0;
  for (int lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1)
      for (uint64_t sector = addresses[lane] / 32;
           sector <= (addresses[lane] + bytes - 1) / 32 && count < sectors.size(); ++sector)
        if (std::find(sectors.begin(), sectors.begin() + count, sector) == sectors.begin() + count)
          sectors[count++] = sector;
  return static_cast<unsigned>(count);
}

std::array<uint64_t, instructionClasses> instructionsByClass(const Program &program,
                                                             const KernelCounters &counters) {
  std::array<uint64_t, instructionClasses> result{};
  for (size_t i = 0; i < counters.executed.size() && i < program.code.size(); ++i)
    result[static_cast<size_t>(program.code[i].kind)] += counters.executed[i];
  return result;
}

namespace {

struct Row {
  const char *name;
  uint64_t value;
};

std::vector<Row> rowsOf(const KernelCounters &c) {
  return {{"blocks", c.blocks},
          {"warps", c.warps},
          {"tensor_flops", c.tensorFlops},
          {"tensor_flops_8bit", c.tensorFlops8Bit},
          {"tensor_flops_tf32", c.tensorFlopsTf32},
          {"global_load_requests", c.globalLoadRequests},
          {"global_load_sectors", c.globalLoadSectors},
          {"global_load_bytes", c.globalLoadBytes},
          {"global_store_requests", c.globalStoreRequests},
          {"global_store_sectors", c.globalStoreSectors},
          {"global_store_bytes", c.globalStoreBytes},
          {"shared_load_requests", c.sharedLoadRequests},
          {"shared_load_wavefronts", c.sharedLoadWavefronts},
          {"shared_store_requests", c.sharedStoreRequests},
          {"shared_store_wavefronts", c.sharedStoreWavefronts},
          {"shared_conflicts", c.sharedConflicts},
          {"async_copy_bytes", c.asyncCopyBytes},
          {"bulk_load_bytes", c.bulkLoadBytes},
          {"bulk_store_bytes", c.bulkStoreBytes},
          {"multicast_bytes", c.multicastBytes},
          {"barrier_waits", c.barrierWaits},
          {"mbarrier_waits", c.mbarrierWaits},
          {"cluster_waits", c.clusterWaits}};
}

} // namespace

std::string countersTable(const Program &program, const KernelCounters &counters) {
  const auto byClass = instructionsByClass(program, counters);
  uint64_t total = 0;
  for (const uint64_t each : byClass)
    total += each;
  std::string text = fmt::format("kernel {}\n{:<26}{:>16}\n", program.name, "warp instructions", total);
  for (size_t i = 0; i < instructionClasses; ++i)
    if (byClass[i])
      text += fmt::format("  {:<24}{:>16}\n", nameOf(static_cast<InstructionClass>(i)), byClass[i]);
  for (const Row &row : rowsOf(counters))
    if (row.value)
      text += fmt::format("{:<26}{:>16}\n", row.name, row.value);
  return text;
}

void writeCounters(JsonWriter &json, const std::array<uint64_t, instructionClasses> &byClass,
                   const KernelCounters &counters) {
  json.key("instructions").beginObject();
  for (size_t i = 0; i < instructionClasses; ++i)
    json.key(nameOf(static_cast<InstructionClass>(i))).value(byClass[i]);
  json.endObject();
  for (const Row &row : rowsOf(counters))
    json.key(row.name).value(row.value);
}

std::string countersJson(const Program &program, const KernelCounters &counters) {
  JsonWriter json;
  json.beginObject().key("kernel").value(program.name);
  writeCounters(json, instructionsByClass(program, counters), counters);
  return json.endObject().take();
}

} // namespace sinter::emulator
