// SPDX-License-Identifier: Apache-2.0
// Buffers by the types of a kernel's arguments; counts do not depend on what lies in them, but for indices.
#include "compiler/KernelCounts.h"

#include "compiler/KernelFunction.h"
#include "dialects/kernel/WeightLayout.h"
#include "runtime/abi.h"
#include "runtime/device/emulator/Execution.h"
#include "runtime/device/emulator/LaunchParameters.h"
#include "runtime/device/emulator/Modules.h"
#include "runtime/generate/Sampler.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>
#include <numeric>

using namespace mlir;

namespace sinter {
namespace {

int64_t bytesOf(Type element) { return element.getIntOrFloatBitWidth() / 8; }

bool hasReader(Value buffer) {
  return llvm::any_of(buffer.getUsers(),
                      [&](Operation *op) { return !hasEffect<MemoryEffects::Write>(op, buffer); });
}

/// One launch of one kernel: its step and buffers, and what it needs.
class KernelLaunchOnce {
public:
  KernelLaunchOnce(kernel::FuncOp function, const CudaKernel &facts, bool inDecode);

  Result<> run(emulator::LoadedModule &loaded, emulator::GlobalMemory &memory);
  LaunchCounts counts;

private:
  uint64_t bytesOfBuffer(Type type) const;
  uint64_t neededBytes(const KernelArgument &argument, Value value);
  void countFlops();
  Result<uint64_t> allocate(uint64_t bytes, const std::string &name);
  void fillIndices(Type type, uint64_t address);
  Result<uint64_t> makeStep();
  int64_t domainRows() const { return facts.grid.domain == kernel::Domain::Rows ? counts.rows : 1; }

  kernel::FuncOp function;
  const CudaKernel &facts;
  kernel::MatmulOp matmul;
  kernel::AttentionOp attention;
  int64_t slotBytes = 64, cacheTokens;
  emulator::GlobalMemory *memory = nullptr;
  std::vector<uint64_t> owned;
};

KernelLaunchOnce::KernelLaunchOnce(kernel::FuncOp function, const CudaKernel &facts, bool inDecode)
    : function(function), facts(facts),
      matmul(dyn_cast<kernel::MatmulOp>(function.getAnchor().getOperation())),
      attention(dyn_cast<kernel::AttentionOp>(function.getAnchor().getOperation())) {
  counts.entry = inDecode ? "decode" : "prefill";
  counts.rows = inDecode ? 1 : prefillRows;
  counts.keys = inDecode ? decodeKeys : prefillRows;
  cacheTokens = llvm::alignTo(counts.keys, kernel::cachePanel);
}

uint64_t KernelLaunchOnce::bytesOfBuffer(Type type) const {
  return llvm::TypeSwitch<Type, uint64_t>(type)
      .Case([&](kernel::RowsType rows) { return counts.rows * rows.getPerRow() * rows.getRowBytes(); })
      .Case([](kernel::TableType table) { return table.getRows() * table.getRowBytes(); })
      .Case([](kernel::WeightType weight) { return kernel::WeightLayout(weight).bytes(); })
      .Case([](kernel::SegmentsType segments) { return segments.getBytes(); })
      .Case<kernel::CacheKType, kernel::CacheVType>([&](auto cache) {
        return cache.getHeads() * cache.getSize() * bytesOf(cache.getElement()) * cacheTokens;
      })
      .Case([&](kernel::PartialType partial) {
        return counts.rows * llvm::divideCeil(cacheTokens, partial.getKeys()) * partial.getBytes();
      });
}

uint64_t KernelLaunchOnce::neededBytes(const KernelArgument &argument, Value value) {
  uint64_t whole = bytesOfBuffer(argument.type), rows = counts.rows;
  return llvm::TypeSwitch<Type, uint64_t>(argument.type)
      .Case([&](kernel::RowsType type) -> uint64_t {
        uint64_t once = argument.written ? domainRows() * type.getPerRow() * type.getRowBytes() : whole;
        return argument.written && hasReader(value) ? 2 * once : once;
      })
      .Case([&](kernel::TableType type) -> uint64_t {
        return std::min<uint64_t>(type.getRows(), rows) * type.getRowBytes();
      })
      .Case([&](kernel::WeightType type) -> uint64_t {
        if (!matmul || !llvm::is_contained(matmul.getWeights(), value)) // an embedding: a row for each token
          return whole / type.getRows() * std::min<uint64_t>(type.getRows(), rows);
        uint64_t experts = matmul.getExpertCount();
        uint64_t chosen = matmul.getExperts() ? rows * matmul.getLeft().getType().getPerRow() : 1;
        return whole / experts * std::min(experts, chosen);
      })
      .Case<kernel::CacheKType, kernel::CacheVType>([&](auto) -> uint64_t {
        if (!argument.written)
          return whole;
        return whole / cacheTokens * rows; // appended
      })
      .Default([&](Type) { return whole; });
}

void KernelLaunchOnce::countFlops() {
  if (matmul)
    counts.neededFlops = 2 * matmul.getOutputs() * matmul.getInputs() *
                         static_cast<int64_t>(matmul.getWeights().size()) * domainRows() *
                         (matmul.getExperts() ? matmul.getLeft().getType().getPerRow() : 1);
  if (!attention)
    return;
  int64_t window = attention.getWindow(), pairs = 0; // of a query and a key
  for (int64_t row = 0; row < counts.rows; ++row) {
    int64_t seen = counts.keys - counts.rows + row + 1;
    pairs += window ? std::min(seen, window) : seen;
  }
  counts.neededFlops = 2 * pairs * static_cast<int64_t>(attention.getHeads()) *
                       (attention.getKeys().getType().getSize() + attention.getValues().getType().getSize());
}

Result<uint64_t> KernelLaunchOnce::allocate(uint64_t bytes, const std::string &name) {
  uint64_t address = memory->allocate(std::max<uint64_t>(bytes, 1), name);
  if (!address)
    return fail("{}: expected {} bytes of memory for {}, found less", function.getName().str(), bytes, name);
  owned.push_back(address);
  return address;
}

/// Rows go to all experts in turn.
void KernelLaunchOnce::fillIndices(Type type, uint64_t address) {
  auto *numbers = reinterpret_cast<int32_t *>(address);
  if (auto segments = dyn_cast<kernel::SegmentsType>(type)) {
    int64_t perRow = matmul && matmul.getExperts() ? matmul.getLeft().getType().getPerRow() : 1;
    for (int64_t expert = 0; expert <= segments.getExperts(); ++expert)
      numbers[expert] = static_cast<int32_t>(counts.rows * perRow * expert / segments.getExperts());
  }
  auto rows = dyn_cast<kernel::RowsType>(type);
  if (!rows || !rows.getElement().isInteger())
    return;
  for (int64_t row = 0; row < counts.rows * rows.getPerRow(); ++row)
    std::iota(numbers + row * rows.getColumns(), numbers + (row + 1) * rows.getColumns(), 0);
}

Result<uint64_t> KernelLaunchOnce::makeStep() {
  sinter_step step = {};
  step.rows = counts.rows;
  step.selected = 1;
  step.keys = counts.keys;
  step.cache_tokens = cacheTokens;
  step.cache_slot_bytes = slotBytes;
  const int32_t **arrays[] = {&step.tokens, &step.positions, &step.slots, &step.select};
  for (const int32_t **array : arrays) {
    Result<uint64_t> address = allocate(counts.rows * sizeof(int32_t), "the step's rows");
    if (!address)
      return address;
    *array = reinterpret_cast<const int32_t *>(*address);
  }
  // Tokens and slots are 0.
  auto *positions = const_cast<int32_t *>(step.positions);
  std::iota(positions, positions + counts.rows, static_cast<int32_t>(counts.keys - counts.rows));
  *const_cast<int32_t *>(step.select) = static_cast<int32_t>(counts.rows - 1);
  // A draw by the flags' defaults, its bounds those of a usual vocabulary.
  Result<uint64_t> sampling = allocate(sizeof(sinter_sampling), "the step's sampling");
  if (!sampling)
    return sampling;
  step.draws = 1;
  step.sampling = reinterpret_cast<const sinter_sampling *>(*sampling);
  *reinterpret_cast<sinter_sampling *>(*sampling) = Sampler(SamplerOptions(), 1 << 16).forDevice(0, 0);
  Result<uint64_t> address = allocate(sizeof step, "the step");
  if (address)
    std::memcpy(reinterpret_cast<void *>(*address), &step, sizeof step);
  return address;
}

Result<> KernelLaunchOnce::run(emulator::LoadedModule &loaded, emulator::GlobalMemory &global) {
  memory = &global;
  Result<const emulator::Program *> program = loaded.kernel(facts.function);
  if (!program)
    return tl::unexpected(program.error());
  std::vector<uint64_t> arguments(1);
  KernelFunction interface = makeKernelFunction(function, {});
  for (auto [argument, value] : llvm::zip(interface.arguments, function.getArguments())) {
    uint64_t bytes = bytesOfBuffer(argument.type);
    if (isa<kernel::CacheKType, kernel::CacheVType>(argument.type))
      slotBytes = std::max<int64_t>(slotBytes, llvm::alignTo(bytes, 64));
    Result<uint64_t> address = allocate(bytes, argument.name);
    if (!address)
      return tl::unexpected(address.error());
    fillIndices(argument.type, *address);
    arguments.push_back(*address);
    counts.neededBytes += neededBytes(argument, value);
  }
  if (facts.split.parts > 1) {
    uint64_t counters = llvm::alignTo(facts.split.tiles(counts.rows) * sizeof(uint32_t), 256);
    Result<uint64_t> address = allocate(counters + facts.split.bytes(counts.rows), "sums of parts of K");
    if (!address)
      return tl::unexpected(address.error());
    std::memset(reinterpret_cast<void *>(*address), 0, counters);
    arguments.push_back(*address + counters);
  }
  countFlops();
  Result<uint64_t> step = makeStep();
  if (!step)
    return tl::unexpected(step.error());
  arguments[0] = *step;

  emulator::Launch launch;
  launch.program = *program;
  const kernel::Grid &grid = facts.grid;
  int64_t tiles = grid.columns;
  if (grid.rowsPerTile)
    tiles *= llvm::divideCeil(domainRows(), grid.rowsPerTile);
  if (grid.keysPerTile)
    tiles *= llvm::divideCeil(counts.keys, grid.keysPerTile);
  launch.grid = {static_cast<uint32_t>(llvm::alignTo(tiles, facts.cluster)), 1, 1};
  launch.cluster = {facts.cluster, 1, 1};
  launch.block = {facts.threads, 1, 1};
  launch.dynamicShared = facts.sharedBytes;
  launch.memory = memory;
  launch.options.counters = true;
  Result<std::vector<uint8_t>> parameters = emulator::launchParameters(
      arguments, facts.maps, {static_cast<int64_t>(counts.rows), cacheTokens, slotBytes, /*cacheSlots=*/1});
  if (!parameters)
    return tl::unexpected(parameters.error());
  launch.parameters = std::move(*parameters);
  Result<emulator::KernelCounters> done = emulator::execute(launch);
  for (uint64_t address : owned)
    memory->free(address);
  if (!done)
    return tl::unexpected(done.error());
  counts.counters = std::move(*done);
  counts.instructions = emulator::instructionsByClass(**program, counts.counters);
  return {};
}

} // namespace

uint64_t LaunchCounts::issued() const {
  return std::accumulate(instructions.begin(), instructions.end(), uint64_t(0));
}

uint64_t LaunchCounts::globalBytes() const {
  return 32 * (counters.globalLoadSectors + counters.globalStoreSectors) + counters.asyncCopyBytes +
         counters.bulkLoadBytes + counters.bulkStoreBytes;
}

Result<std::map<std::string, LaunchCounts>> countLaunches(ModuleOp module, const GpuCode &code) {
  emulator::GlobalMemory memory;
  auto loaded = emulator::LoadedModule::load(code.kernels.ptx, memory);
  if (!loaded)
    return tl::unexpected(loaded.error());
  llvm::StringSet<> decoded;
  for (auto entry : module.getOps<kernel::EntryOp>())
    if (entry.getSymName().starts_with("decode") || entry.getSymName() == "sample")
      for (auto launch : entry.getOps<kernel::LaunchOp>())
        decoded.insert(launch.getCallee());
  std::map<std::string, LaunchCounts> all;
  for (auto function : module.getOps<kernel::FuncOp>()) {
    std::string name = function.getName().str();
    KernelLaunchOnce launch(function, code.kernels.kernels.at(name), decoded.contains(name));
    if (Result<> done = launch.run(**loaded, memory); !done)
      return fail("the kernel '{}' under the emulator: {}", name, done.error().message);
    all.emplace(name, std::move(launch.counts));
  }
  return all;
}

} // namespace sinter
