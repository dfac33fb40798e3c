// SPDX-License-Identifier: Apache-2.0
// Registers are given to warps by 256, shared memory to blocks by 128 bytes and 1 KiB more.
#include "compiler/KernelTable.h"

#include "compiler/KernelCounts.h"
#include "compiler/KernelLimit.h"
#include "dialects/kernel/Kernel.h"
#include "passes/lowering/gpu/Frame.h"
#include "runtime/files/JsonWriter.h"

#include <fmt/format.h>

using namespace mlir;

namespace sinter {

constexpr int64_t smThreads = 2048, smBlocks = 32, smRegisters = 64 * 1024;

const char *const kernelTableHelp =
    R"(Prints registers, shared memory and occupancy of a model's GPU kernels, and what one launch of each costs.

The second table is of one launch under the emulator, over zeros: one row with 256 keys where decode launches the
kernel, else 128 rows. Warp instructions by class (other: constants, local memory, atomics, votes and shuffles),
tensor FLOPs, bytes of global memory that were touched (sectors of 32, asynchronous copies), bytes needed (each
operand and result once), wavefronts that bank conflicts add. These are exact for the PTX.

limit: the share of the target's limit that the launch may reach, predicted, not measured: the time that the bytes
needed and the FLOPs take on the whole GPU, by the time of the resource that its counters keep busy longest (by) on
the multiprocessors that get a block:
  memory  bytes needed              H100 SXM: 3.35 TB/s (sm_90a); A100 SXM 80 GB: 2.04 TB/s (sm_80)
  cache   bytes touched             5120 bytes a clock, 64 a multiprocessor, at 1.83 and 1.41 GHz
  tensor  tensor FLOPs              4096 and 2048 a clock and multiprocessor (132 and 108: 989 and 312 TFLOP/s)
                                    of f16 and bf16; 8 bits twice, tf32 half of it
  issue   warp instructions         4 a clock and multiprocessor
  shared  shared-memory wavefronts  1 a clock and multiprocessor
Latency is not in it: launches of few blocks take longer.
)";

int64_t residentBlocks(gpu::Architecture architecture, int64_t registers, int64_t threads,
                       int64_t sharedBytes) {
  int64_t warps = llvm::divideCeil(threads, gpu::warpSize);
  int64_t blocks = std::min(smBlocks, smThreads / (warps * gpu::warpSize));
  blocks = std::min(blocks, gpu::smSharedBytes(architecture) /
                                static_cast<int64_t>(llvm::alignTo(sharedBytes, 128) + 1024));
  if (registers)
    blocks = std::min(
        blocks, smRegisters / static_cast<int64_t>(llvm::alignTo(registers * gpu::warpSize, 256) * warps));
  return blocks;
}

namespace {

using emulator::InstructionClass;

/// Launches of each kernel in an entry of a form, for whichever type of cache it is in.
std::map<std::string, int64_t> launchesOf(ModuleOp module, StringRef form) {
  std::map<std::string, int64_t> most;
  for (auto entry : module.getOps<kernel::EntryOp>()) {
    if (!entry.getSymName().starts_with(form))
      continue;
    std::map<std::string, int64_t> counts;
    for (auto launch : entry.getOps<kernel::LaunchOp>())
      ++counts[launch.getCallee().str()];
    for (auto [name, count] : counts)
      most[name] = std::max(most[name], count);
  }
  return most;
}

struct Row {
  std::string name;
  int64_t prefill, decode;
  CudaKernel facts;
  const KernelResources *resources; // null: ptxas was not found
  int64_t blocks;                   // a multiprocessor
  LaunchCounts counts;
  PredictedLimit limit;

  int64_t full() const { return blocks * facts.threads * 100 / smThreads; }
};

const KernelResources *resourcesOf(const GpuCode &code, const std::string &function) {
  if (code.cubin)
    for (const KernelResources &one : code.cubin->kernels)
      if (one.name == function)
        return &one;
  return nullptr;
}

/// What a kernel that runs whole steps takes; it is not launched here.
struct PersistentRow {
  PersistentKernel facts;
  const KernelResources *resources; // null: ptxas was not found
  int64_t blocks;                   // a multiprocessor

  int64_t full() const { return blocks * facts.threads * 100 / smThreads; }
};

std::vector<PersistentRow> persistentRows(const GpuCode &code) {
  std::vector<PersistentRow> rows;
  for (const auto &[entry, facts] : code.kernels.persistent) {
    const KernelResources *resources = resourcesOf(code, facts.function);
    rows.push_back({facts, resources,
                    residentBlocks(code.architecture, resources ? resources->registers : 0, facts.threads,
                                   facts.sharedBytes)});
  }
  return rows;
}

Result<std::vector<Row>> rowsOf(ModuleOp module, const GpuCode &code) {
  std::map<std::string, int64_t> prefill = launchesOf(module, "prefill_"),
                                 decode = launchesOf(module, "decode_");
  for (auto [name, count] : launchesOf(module, "sample"))
    prefill[name] = decode[name] = count; // after either
  Result<std::map<std::string, LaunchCounts>> counts = countLaunches(module, code);
  if (!counts)
    return tl::unexpected(counts.error());
  std::vector<Row> rows;
  for (auto function : module.getOps<kernel::FuncOp>()) {
    std::string name = function.getName().str();
    const CudaKernel &facts = code.kernels.kernels.at(name);
    const KernelResources *resources = resourcesOf(code, facts.function);
    int64_t blocks = residentBlocks(code.architecture, resources ? resources->registers : 0, facts.threads,
                                    facts.sharedBytes);
    LaunchCounts launch = counts->at(name);
    PredictedLimit limit = predictLimit(code.architecture, launch);
    rows.push_back({name, prefill[name], decode[name], facts, resources, blocks, std::move(launch), limit});
  }
  return rows;
}

/// Classes of instructions as the table's columns have them.
struct Column {
  const char *name;
  std::vector<InstructionClass> classes;
};
const std::vector<Column> &columns() {
  using enum InstructionClass;
  static const std::vector<Column> all = {
      {"integer", {integer, predicate}},
      {"float", {float32, float64, half, special, conversion}},
      {"move", {move}},
      {"control", {control, barrier}},
      {"global", {globalLoad, globalStore}},
      {"shared", {sharedLoad, sharedStore, matrixMove}},
      {"async", {asyncCopy, bulkCopy}},
      {"tensor", {tensor}},
      {"other", {localAccess, constantLoad, atomic, warp, other}},
  };
  return all;
}

std::string resourcesText(const GpuCode &code, llvm::ArrayRef<Row> rows) {
  std::string text =
      fmt::format("{:<24}{:>8}{:>8}{:>9}{:>11}{:>8}{:>10}{:>10}{:>7}\n", gpu::nameOf(code.architecture).str(),
                  "prefill", "decode", "threads", "registers", "spills", "shared", "blocks/SM", "full");
  auto add = [&](const std::string &name, int64_t prefill, int64_t decode, const auto &row) {
    auto known = [&](int64_t KernelResources::*number) {
      return row.resources ? std::to_string(row.resources->*number) : std::string("-");
    };
    text += fmt::format("{:<24}{:>8}{:>8}{:>9}{:>11}{:>8}{:>10}{:>10}{:>6}%\n", name, prefill, decode,
                        row.facts.threads, known(&KernelResources::registers),
                        known(&KernelResources::spillBytes), row.facts.sharedBytes, row.blocks, row.full());
  };
  for (const Row &row : rows)
    add(row.name, row.prefill, row.decode, row);
  for (const PersistentRow &row : persistentRows(code)) // one launch a step, in place of all others of decode
    add(row.facts.function, 0, 1, row);
  return text;
}

std::string countsText(const GpuCode &code, llvm::ArrayRef<Row> rows) {
  std::string text =
      fmt::format("{:<24}{:>5}{:>8}", gpu::nameOf(code.architecture).str() + " one launch", "rows", "blocks");
  for (const Column &column : columns())
    text += fmt::format("{:>10}", column.name);
  text += fmt::format("{:>15}{:>12}{:>12}{:>11}{:>8}  {}\n", "tensor FLOPs", "touched", "needed", "conflicts",
                      "limit", "by");
  for (const Row &row : rows) {
    const LaunchCounts &counts = row.counts;
    text += fmt::format("{:<24}{:>5}{:>8}", row.name, counts.rows, counts.counters.blocks);
    for (const Column &column : columns()) {
      uint64_t sum = 0;
      for (InstructionClass each : column.classes)
        sum += counts.instructions[static_cast<size_t>(each)];
      text += fmt::format("{:>10}", sum);
    }
    text += fmt::format("{:>15}{:>12}{:>12}{:>11}{:>7.1f}%  {}\n", counts.counters.tensorFlops,
                        counts.globalBytes(), counts.neededBytes, counts.counters.sharedConflicts,
                        100 * row.limit.share(), row.limit.boundBy);
  }
  return text;
}

void writeRow(JsonWriter &json, const GpuCode &code, const Row &row) {
  const LaunchCounts &counts = row.counts;
  json.beginObject()
      .key("kernel")
      .value(row.name)
      .key("architecture")
      .value(std::string_view(gpu::nameOf(code.architecture)));
  json.key("prefill_launches").value(row.prefill).key("decode_launches").value(row.decode);
  json.key("threads").value(row.facts.threads).key("shared_bytes").value(row.facts.sharedBytes);
  if (row.resources)
    json.key("registers").value(row.resources->registers).key("spill_bytes").value(row.resources->spillBytes);
  json.key("blocks_per_sm").value(row.blocks).key("occupancy").value(row.full() / 100.0);
  json.key("launch").beginObject().key("entry").value(counts.entry).key("rows").value(counts.rows);
  json.key("keys").value(counts.keys).key("needed_bytes").value(counts.neededBytes);
  json.key("needed_flops")
      .value(counts.neededFlops)
      .key("global_bytes")
      .value(counts.globalBytes())
      .endObject();
  json.key("counters").beginObject();
  emulator::writeCounters(json, counts.instructions, counts.counters);
  json.endObject();
  json.key("limit")
      .beginObject()
      .key("gpu")
      .value(figuresOf(code.architecture).name)
      .key("bound_by")
      .value(row.limit.boundBy);
  json.key("least_seconds").value(row.limit.least).key("predicted_seconds").value(row.limit.predicted);
  json.key("share").value(row.limit.share()).endObject().endObject();
}

} // namespace

Result<std::string> kernelTable(ModuleOp module, llvm::ArrayRef<GpuCode> code) {
  std::string text;
  for (const GpuCode &each : code) {
    Result<std::vector<Row>> rows = rowsOf(module, each);
    if (!rows)
      return tl::unexpected(rows.error());
    text += resourcesText(each, *rows) + "\n" + countsText(each, *rows);
    if (&each != &code.back())
      text += "\n";
  }
  return text;
}

Result<std::string> kernelJson(ModuleOp module, llvm::ArrayRef<GpuCode> code) {
  JsonWriter json(1);
  json.beginObject().key("kernels").beginArray();
  for (const GpuCode &each : code) {
    Result<std::vector<Row>> rows = rowsOf(module, each);
    if (!rows)
      return tl::unexpected(rows.error());
    for (const Row &row : *rows)
      writeRow(json, each, row);
  }
  json.endArray().key("persistent").beginArray();
  for (const GpuCode &each : code)
    for (const PersistentRow &row : persistentRows(each)) {
      json.beginObject().key("kernel").value(row.facts.function);
      json.key("architecture").value(std::string_view(gpu::nameOf(each.architecture)));
      json.key("threads").value(row.facts.threads).key("shared_bytes").value(row.facts.sharedBytes);
      if (row.resources)
        json.key("registers")
            .value(row.resources->registers)
            .key("spill_bytes")
            .value(row.resources->spillBytes);
      json.key("blocks_per_sm").value(row.blocks).key("occupancy").value(row.full() / 100.0).endObject();
    }
  return json.endArray().endObject().take() + "\n";
}

} // namespace sinter
