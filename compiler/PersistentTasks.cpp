// SPDX-License-Identifier: Apache-2.0
// Dependencies from the memory that launches read and write: ranges of the arenas, layers of the cache, and
// what there is one of.
#include "compiler/PersistentTasks.h"

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/TaskLayout.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/BitVector.h"

#include <cstddef>

using namespace mlir;

namespace sinter {

static_assert(offsetof(sinter_gpu_task, kernel) == abi::taskKernel);
static_assert(offsetof(sinter_gpu_task, domain) == abi::taskDomain);
static_assert(offsetof(sinter_gpu_task, columns) == abi::taskColumns);
static_assert(offsetof(sinter_gpu_task, rows_per_tile) == abi::taskRowsPerTile);
static_assert(offsetof(sinter_gpu_task, keys_per_tile) == abi::taskKeysPerTile);
static_assert(offsetof(sinter_gpu_task, first_wait) == abi::taskFirstWait);
static_assert(offsetof(sinter_gpu_task, wait_count) == abi::taskWaitCount);
static_assert(offsetof(sinter_gpu_task, first_address) == abi::taskFirstAddress);
static_assert(offsetof(sinter_gpu_task, address_count) == abi::taskAddressCount);
static_assert(offsetof(sinter_gpu_task, prefetches) == abi::taskPrefetches);
static_assert(offsetof(sinter_gpu_task, prefetches[0].buffer) == abi::taskPrefetches + abi::prefetchBuffer);
static_assert(offsetof(sinter_gpu_task, prefetches[0].tile_bytes) ==
              abi::taskPrefetches + abi::prefetchTileBytes);
static_assert(offsetof(sinter_gpu_task, prefetches[1]) == abi::taskPrefetches + abi::prefetchBytes);
static_assert(sizeof(sinter_gpu_task) == abi::taskBytes);
static_assert(sizeof(sinter_gpu_task::prefetches) == abi::taskPrefetchCount * abi::prefetchBytes);
static_assert(SINTER_GPU_COUNTER_BYTES == abi::counterBytes);

namespace {

/// A part of memory that a launch touches. Offsets are bytes of an arena, else numbers of layers.
struct Access {
  kernel::Space space;
  bool inSample; // arenas of decode and of sample are two
  int64_t begin, end;
  bool isWrite;

  bool conflictsWith(const Access &other) const {
    return (isWrite || other.isWrite) && space == other.space && inSample == other.inSample &&
           begin < other.end && other.begin < end;
  }
};

bool isWritten(Value buffer) {
  return llvm::any_of(buffer.getUsers(),
                      [&](Operation *op) { return hasEffect<MemoryEffects::Write>(op, buffer); });
}

int64_t arenaBytes(kernel::BufferOp buffer, kernel::EntryOp entry) {
  if (auto segments = dyn_cast<kernel::SegmentsType>(buffer.getType()))
    return segments.getBytes();
  auto rows = cast<kernel::RowsType>(buffer.getType());
  return rows.getRowBytes() * rows.getPerRow() * buffer.getRows().value_or(entry.getMaxRows());
}

std::vector<Access> accessesOf(kernel::LaunchOp launch, kernel::EntryOp entry, kernel::FuncOp function) {
  bool isSample = entry.getSymName() == "sample";
  std::vector<Access> accesses;
  for (auto [value, argument] : llvm::zip(launch.getBuffers(), function.getArguments())) {
    auto buffer = value.getDefiningOp<kernel::BufferOp>();
    bool writes = isWritten(argument);
    switch (buffer.getSpace()) {
    case kernel::Space::Weight: // nobody writes them
      break;
    case kernel::Space::Arena: {
      int64_t begin = *buffer.getOffset();
      accesses.push_back({kernel::Space::Arena, isSample, begin, begin + arenaBytes(buffer, entry), writes});
      break;
    }
    case kernel::Space::CacheK:
    case kernel::Space::CacheV: {
      int64_t layer = *buffer.getLayer();
      accesses.push_back({buffer.getSpace(), false, layer, layer + 1, writes});
      break;
    }
    default: // partial results, logits, drawn tokens: there is one of each
      accesses.push_back({buffer.getSpace(), false, 0, 1, writes});
    }
  }
  return accesses;
}

/// Panels follow one another, so a tile of columns reads a piece of each weight. Of experts it is known only
/// then.
void planPrefetches(sinter_gpu_task &task, kernel::FuncOp function, const kernel::Grid &grid) {
  auto matmul = dyn_cast<kernel::MatmulOp>(function.getAnchor().getOperation());
  if (!matmul || matmul.getExperts() || grid.rowsPerTile || grid.keysPerTile)
    return;
  for (auto [prefetch, weight] : llvm::zip(task.prefetches, matmul.getWeights())) {
    auto type = cast<kernel::WeightType>(weight.getType());
    prefetch.buffer = cast<BlockArgument>(weight).getArgNumber();
    prefetch.tile_bytes = static_cast<uint32_t>(kernel::WeightLayout(type).bytes() / grid.columns);
  }
}

bool conflict(const std::vector<Access> &a, const std::vector<Access> &b) {
  return llvm::any_of(a, [&](const Access &mine) {
    return llvm::any_of(b, [&](const Access &other) { return mine.conflictsWith(other); });
  });
}

} // namespace

PersistentTasks planTasks(kernel::EntryOp decode, kernel::EntryOp sample, const CudaKernels &kernels,
                          const PersistentKernel &persistent) {
  PersistentTasks plan;
  SymbolTable symbols(decode->getParentOfType<ModuleOp>());
  std::vector<std::vector<Access>> accesses;
  std::vector<llvm::BitVector> before; // what is finished when a task is
  uint32_t addresses = 0;
  for (kernel::EntryOp entry : {decode, sample}) {
    if (!entry)
      continue;
    for (auto launch : entry.getOps<kernel::LaunchOp>()) {
      uint32_t number = plan.tasks.size();
      kernel::Grid grid = kernels.kernels.at(launch.getCallee().str()).grid;
      auto kernel = llvm::find(persistent.kernels, launch.getCallee()) - persistent.kernels.begin();
      sinter_gpu_task task = {static_cast<uint32_t>(kernel),
                              static_cast<uint32_t>(grid.domain),
                              static_cast<uint32_t>(grid.columns),
                              static_cast<uint32_t>(grid.rowsPerTile),
                              static_cast<uint32_t>(grid.keysPerTile),
                              static_cast<uint32_t>(plan.waits.size()),
                              0,
                              addresses,
                              static_cast<uint32_t>(launch.getBuffers().size()),
                              {}};
      auto function = symbols.lookup<kernel::FuncOp>(launch.getCallee());
      planPrefetches(task, function, grid);
      addresses += task.address_count;
      accesses.push_back(accessesOf(launch, entry, function));
      llvm::BitVector known(number);
      for (uint32_t earlier = number; earlier-- > 0;) {
        if (known.test(earlier) || !conflict(accesses.back(), accesses[earlier]))
          continue;
        plan.waits.push_back(earlier);
        ++task.wait_count;
        known |= before[earlier];
        known.set(earlier);
      }
      before.push_back(std::move(known));
      plan.tasks.push_back(task);
    }
  }
  return plan;
}

} // namespace sinter
