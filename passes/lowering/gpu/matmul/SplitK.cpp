// SPDX-License-Identifier: Apache-2.0
// Sums of a tile whose K is split, `kernel.split_k` of them.
//
// sm_90a, 2, 4 or 8 parts: the blocks of a tile are a cluster. Each leaves its part's sums in its shared
// memory, and, when all have, adds those of its share of the rows, from all blocks in the order of K. It has
// the epilogue of these rows. Nobody overwrites its sums, or exits, before all others have read them.
//
// Else: each block stores its part's in device memory, and adds one to the tile's counter. Who finds that the
// others have done so reads all parts, adds them in the order of K, sets the counter back to 0 and runs the
// epilogue. Nobody waits for another block.
//
// Any number of blocks (of clusters) is right, and the order of sums does not depend on it. The parts lie
// behind the address that is the kernel's last parameter, (tile, part, weight, row, column) in f32, the
// counters before it: tile t's is the u32 t + 1 before.
#include "passes/lowering/gpu/matmul/SplitK.h"

#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/matmul/MatmulTensor.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <numeric>

using namespace mlir;

namespace sinter::gpu {

bool canSplit(kernel::MatmulOp op) {
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  int64_t columns = schedule ? schedule.getColumnsPerTile() : 0, whole = kernel::panelRows;
  if (!fitsTensorCores(op) || op.getExperts() || !columns || op.getOutputs() % columns)
    return false;
  bool straddles = false;
  for (auto range : op.getRanges().getOps<kernel::RangeOp>()) {
    int64_t group = range.getGroup(), begin = range.getBegin();
    straddles |= columns % group || begin % group;
    whole = std::lcm(whole, group);
  }
  constexpr int64_t shortest = 64, longest = 256; // chunks of columns of all forms
  return !straddles && columns % kernel::panelRows == 0 &&
         (columns <= shortest || (columns == whole && columns <= longest));
}

bool clustersFor(int64_t splits, Architecture architecture) {
  return architecture == Architecture::Sm90 && (splits == 2 || splits == 4 || splits == 8);
}
bool splitsInCluster(kernel::MatmulOp op, Architecture architecture) {
  return clustersFor(op.getSplits(), architecture);
}

/// Behind each other: all blocks have sums; all blocks have read them; the parity of this tile's phases.
constexpr int64_t readAt = 8, parityAt = 16, barrierBytes = 24;

void beginParts(Matmul &m, int64_t rows) {
  Emitter &e = m.e;
  Frame &frame = m.frame;
  m.sumRows = rows;
  if (m.splits == 1)
    return;
  if (!m.isClustered) {
    frame.splitSums();
    return;
  }
  assert(rows % m.splits == 0 && "each block has a share of the rows");
  frame.cluster = std::max(frame.cluster, m.splits);
  frame.blocksOfTile = m.splits;
  m.partBarriers = frame.allocate(barrierBytes);
  e.ifThen(e.equal(frame.thread, e.constant(0)), [&] {
    initBarrier(e, m.partBarriers, m.splits);
    initBarrier(e, e.atByte(m.partBarriers, readAt), m.splits);
    e.store(e.constant(0), e.atByte(m.partBarriers, parityAt));
    fenceBarriers(e);
  });
  waitCluster(e);
}

using SumsBody = llvm::function_ref<void(const Accumulators &, Value, Value)>;

/// Threads take 4 columns of a row at a time: `body` gets the row, the weight and the column.
static void forEachQuad(Matmul &m, Value rows, llvm::function_ref<void(Value, int64_t, Value)> body) {
  Emitter &e = m.e;
  int64_t quads = m.columnsPerChunk / 4;
  for (int64_t weight = 0; weight < static_cast<int64_t>(m.weights.size()); ++weight)
    m.frame.share(e.mul(rows, quads),
                  [&](Value item) { body(e.div(item, quads), weight, e.mul(e.rem(item, quads), 4)); });
}

static void combineInCluster(Matmul &m, const Accumulators &accumulators, Value firstRow, Value rows,
                             SumsBody body) {
  Emitter &e = m.e;
  Value ready = m.partBarriers, read = e.atByte(ready, readAt), parityWord = e.atByte(ready, parityAt);
  Type four = e.vec(4, e.f32());
  auto rankOf = [&](Value part) {
    Value rank = e.mul(part, m.peersApart);
    return m.firstPeer ? e.add(m.firstPeer, rank) : rank;
  };
  auto tellAll = [&](Value barrier) {
    e.ifThen(e.less(m.frame.thread, e.constant(m.splits)),
             [&] { arriveAt(e, barrier, rankOf(m.frame.thread)); });
  };
  int64_t shareRows = m.rowsOfBlock(m.sumRows);
  Value begin = e.mul(m.split, shareRows);
  Value count = e.min(e.max(e.sub(rows, begin), e.constant(0)), e.constant(shareRows));
  Accumulators mine = accumulators;
  mine.address = e.atByte(accumulators.address, e.mul(begin, accumulators.rowStride * 4));
  mine.rows = m.rowsOfBlock(accumulators.rows);

  tellAll(ready);
  Value parity = e.load(e.i32(), parityWord);
  waitClusterBarrier(e, ready, parity);
  SmallVector<Accumulators> parts;
  for (int64_t part = 0; part < m.splits; ++part) {
    parts.push_back(mine);
    parts.back().address = placeIn(e, mine.address, rankOf(e.constant(part)));
  }
  forEachQuad(m, count, [&](Value row, int64_t weight, Value column) {
    Value sum = e.loadAligned(four, parts[0].at(e, weight, row, column));
    for (const Accumulators &part : llvm::drop_begin(parts))
      sum = e.addF(sum, e.loadAligned(four, part.at(e, weight, row, column)));
    e.storeAligned(sum, mine.at(e, weight, row, column));
  });
  e.barrier();
  tellAll(read);
  e.ifThen(e.less(e.constant(0), count), [&] { body(mine, e.add(firstRow, begin), count); });
  waitClusterBarrier(e, read, parity);
  e.ifThen(e.equal(m.frame.thread, e.constant(0)),
           [&] { e.store(e.bitXor(parity, e.constant(1)), parityWord); });
}

/// One more at `address`, seen by all blocks; what the block's threads wrote before a barrier is visible to
/// who finds the new number, and what blocks wrote whose numbers are found here. Yields the number before.
static Value addOne(Emitter &e, Value address) {
  return e.assemble("atom.acq_rel.gpu.global.add.u32 $0, [$1], 1;", "=r,l,~{memory}", e.i32(), address)
      .getResult(0);
}

static void combineInMemory(Matmul &m, const Accumulators &accumulators, Value firstRow, Value begin,
                            Value rows, SumsBody body) {
  Emitter &e = m.e;
  Frame &frame = m.frame;
  int64_t columns = m.columnsPerChunk, weights = m.weights.size();
  int64_t weightBytes = m.sumRows * columns * 4;
  // Tiles of rows begin at multiples of this.
  int64_t unit = std::gcd(m.sumRows, m.op.getScheduleAttr().getRowsPerTile());
  frame.splitK = {m.splits, unit, m.outputs / columns, weights * weightBytes};

  Value tile = e.add(e.mul(e.div(firstRow, unit), m.outputs / columns), e.div(begin, columns));
  Value all = frame.farAt(frame.splitSums(), tile, m.splits * weights * weightBytes);
  Value mine = frame.farAt(all, m.split, weights * weightBytes);
  Value counter = frame.farAt(e.atByte(frame.splitSums(), -4), tile, -4);
  Value numberBefore = frame.allocate(4), sumRows = e.constant(m.sumRows);
  Type four = e.vec(4, e.f32());
  auto offsetOf = [&](Value row, int64_t weight, Value column) {
    return e.add(e.mul(e.add(e.mul(row, columns), column), 4), weight * weightBytes);
  };
  forEachQuad(m, sumRows, [&](Value row, int64_t weight, Value column) {
    e.storeAligned(e.loadAligned(four, accumulators.at(e, weight, row, column)),
                   e.atByte(mine, offsetOf(row, weight, column)));
  });
  e.barrier();
  Value isFirstThread = e.equal(frame.thread, e.constant(0));
  e.ifThen(isFirstThread, [&] { e.store(addOne(e, counter), numberBefore); });
  e.barrier();
  Value isLast = e.equal(e.load(e.i32(), numberBefore), e.constant(m.splits - 1));
  e.ifThen(isLast, [&] {
    e.ifThen(isFirstThread, [&] { e.store(e.constant(0), counter); });
    forEachQuad(m, sumRows, [&](Value row, int64_t weight, Value column) {
      Value from = e.atByte(all, offsetOf(row, weight, column)), sum = e.loadAligned(four, from);
      for (int64_t split = 1; split < m.splits; ++split)
        sum = e.addF(sum, e.loadAligned(four, e.atByte(from, split * weights * weightBytes)));
      e.storeAligned(sum, accumulators.at(e, weight, row, column));
    });
    e.barrier();
    body(accumulators, firstRow, rows);
  });
}

void combineParts(Matmul &m, const Accumulators &accumulators, Value firstRow, Value begin, Value rows,
                  SumsBody body) {
  assert(m.sumRows && m.outputs % m.columnsPerChunk == 0 && "tiles are whole");
  m.isClustered ? combineInCluster(m, accumulators, firstRow, rows, body)
                : combineInMemory(m, accumulators, firstRow, begin, rows, body);
}

} // namespace sinter::gpu
