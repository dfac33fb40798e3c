// SPDX-License-Identifier: Apache-2.0
// --kernel-plan-memory: every activation buffer gets an offset in the entry's arena.
//
// A buffer lives from the first launch that names it to the last. Buffers are placed the largest first, each
// at the lowest offset that no buffer alive at the same time covers.
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_PLANMEMORYPASS
#include "passes/Passes.h.inc"

namespace {

constexpr int64_t kAlignment = 64;

/// Bytes of a buffer of the arena in a step of `rows` rows.
int64_t bytesOf(Type type, int64_t rows) {
  if (auto segments = dyn_cast<kernel::SegmentsType>(type))
    return segments.getBytes();
  auto activations = cast<kernel::RowsType>(type);
  return activations.getRowBytes() * activations.getPerRow() * rows;
}

struct Life {
  kernel::BufferOp buffer;
  int64_t bytes, first, last, offset = -1;
};

struct PlanMemoryPass : impl::PlanMemoryPassBase<PlanMemoryPass> {
  void runOnOperation() override {
    kernel::EntryOp entry = getOperation();
    llvm::DenseMap<Operation *, int64_t> place;
    for (auto [number, launch] : llvm::enumerate(entry.getOps<kernel::LaunchOp>()))
      place[launch] = number;
    std::vector<Life> lives;
    for (auto buffer : entry.getOps<kernel::BufferOp>()) {
      if (buffer.getSpace() != kernel::Space::Arena || buffer->use_empty() || buffer->hasAttr("argument") ||
          buffer->hasAttr("result"))
        continue;
      int64_t bytes = bytesOf(buffer.getType(), buffer.getRows().value_or(entry.getMaxRows()));
      Life life = {buffer, (bytes + kAlignment - 1) / kAlignment * kAlignment, INT64_MAX, -1};
      for (Operation *user : buffer->getUsers()) {
        life.first = std::min(life.first, place.at(user));
        life.last = std::max(life.last, place.at(user));
      }
      lives.push_back(life);
    }
    llvm::stable_sort(lives, [](const Life &a, const Life &b) { return a.bytes > b.bytes; });
    int64_t total = 0;
    for (size_t i = 0; i < lives.size(); ++i) {
      std::vector<std::pair<int64_t, int64_t>> taken;
      for (size_t j = 0; j < i; ++j)
        if (lives[j].first <= lives[i].last && lives[i].first <= lives[j].last)
          taken.emplace_back(lives[j].offset, lives[j].offset + lives[j].bytes);
      llvm::sort(taken);
      int64_t offset = 0;
      for (auto [begin, end] : taken) {
        if (offset + lives[i].bytes <= begin)
          break;
        offset = std::max(offset, end);
      }
      lives[i].offset = offset;
      lives[i].buffer.setOffset(offset);
      total = std::max(total, offset + lives[i].bytes);
    }
    entry.setArenaBytes(total);
  }
};

} // namespace
} // namespace sinter
