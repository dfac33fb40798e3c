// SPDX-License-Identifier: Apache-2.0
// kernel.matmul for many rows, both sides f16, bf16 or of 8 bits, on sm_90a: operands come by tensor maps,
// and blocks of a cluster share them. A cluster of 4 blocks takes 2 tiles of rows by 2 tiles of columns where
// the tiles of rows are an even number, else 1 by 4. A piece of the left side that the blocks of a row need,
// or of the weights that those of a column need, is read once by one of them and multicast. Where K is split
// a cluster has 8 blocks: in each of 2, 4 or 8 parts 4, 2 or 1 that share; then parts are summed (SplitK).
//
//   producer: a thread                                consumer warpgroups, 64 rows each
//     wait until all blocks have emptied the stage      wait until the stage is full
//     ask for this block's pieces of it                 the stage before is multiplied: tell all blocks
//                                                       wgmma, both operands in shared memory
//
// Rows are swizzled by 128 bytes. A panel of f16 is 64 lines of 32 bytes, 16 columns of the product each:
// swizzled by 32 bytes it is an operand that is contiguous along N as it lies in memory. Sums go where the
// stages are, and behind them what the epilogue stores by tensor maps, so the last stages of a tile are given
// back after its epilogue.
//
// A panel of bf16 has words of two columns of K: no operand in shared memory, but what registers of the left
// one hold. So the product is turned round: 64 columns of it are the rows of wgmma, a panel a warp, and the
// left rows its columns. Both halves of a panel's lines, 32 bytes each, are boxes of their own: lanes load
// their words without a conflict.
//
// Of 8 bits a tile of 16 rows x 16 columns is two core matrices of an operand that is contiguous along K,
// without swizzle. Hopper's tensor cores keep about 14 bits of such sums (DeepSeek-AI, "DeepSeek-V3 Technical
// Report", 3.3.2), so products of 128 columns of K are summed there and added to f32 sums of the thread,
// unless the operation says fast_accumulation.
#include "passes/lowering/gpu/matmul/MatmulMaps.h"

#include "passes/lowering/gpu/Fp8.h"
#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/matmul/MatmulHalf.h"
#include "passes/lowering/gpu/matmul/SplitK.h"
#include "passes/lowering/gpu/matmul/TileStores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

using namespace halves;

/// Blocks that share operands: without parts of K, and parts times those that share where it has parts.
constexpr int64_t sharingBlocks = 4, blocksOfParts = 8;
/// Of a thread of each kind, where one block has a multiprocessor: 384 threads have 168 each to begin with.
constexpr int64_t producerRegisters = 40, consumerRegisters = 232;

class MappedMatmul {
public:
  MappedMatmul(Frame &frame, kernel::MatmulOp op);

  bool fits() const { return stages > 0; }
  LogicalResult run();

private:
  /// A tile of the block in a turn of its cluster.
  struct Tile {
    Value firstRow, column, isReal; // column: number of the tile of columns; isReal: i1, it is one
    Value number;                   // of chunks that the block has seen before
  };

  void makeMaps();
  void initBarriers();
  void placeInCluster();
  void forEachTurn(llvm::function_ref<void(const Tile &)> body);
  void produceTile(const Tile &tile);
  LogicalResult consumeTile(const Tile &tile);
  Registers sumTile(const Tile &tile);
  /// Where `adds` (i32) is 0, the products alone.
  Registers multiply(Value left, Value right, Value adds, Registers sums);
  //--- 8 bits
  Registers sumParts(const Tile &tile);
  //--- bf16
  Registers sumPairs(const Tile &tile);
  /// A warp's words of a chunk: (block, step, 4).
  Registers loadPairs(Value stage);
  Registers multiplyPairs(ValueRange left, Value right, Value adds, Registers sums);
  void storePairs(ValueRange sums);
  /// Tells all blocks that share operands that the warp is done with the stage of an empty barrier.
  void release(Value barrier);

  int64_t weights() const { return m.weights.size(); }
  int64_t slots() const { return weights() * panels; }
  /// Whether numbers have 8 bits: then a chunk has twice as many columns, in as many bytes.
  bool hasBytes() const { return m.layouts[0].isFp8(); }
  /// Of a part of K; the last part may have some behind the last column, which copies fill with zeros.
  int64_t chunks() const {
    return llvm::divideCeil(m.inputs, m.splits * (hasBytes() ? 2 * chunkColumns : chunkColumns));
  }
  /// Blocks that share operands.
  int64_t sharing() const { return m.splits == 1 ? sharingBlocks : blocksOfParts / m.splits; }
  int64_t columnTiles() { return m.op.getGrid().columns / m.splits; }
  int64_t stageBytes() const { return rows * leftLine + slots() * panelChunk; }
  bool hasPairs() const { return m.layouts[0].format == kernel::WeightFormat::BF16; }
  /// bf16: blocks of 64 columns of the product that a warpgroup has.
  int64_t blocksOfGroup() const { return slots() / 4 / consumers(); }
  int64_t consumers() const { return hasPairs() ? std::min<int64_t>(2, slots() / 4) : rows / 64; }
  int64_t sumsOfThread() const { return rows * slots() * kernel::panelRows / (consumers() * warpgroupSize); }
  /// Of 8 bits: whether the sums of a chunk are added to others in f32, and so are apart.
  bool hasParts() const { return hasBytes() && !m.op.getFastAccumulation(); }
  int64_t heldSums() const { return sumsOfThread() * (hasParts() ? 2 : 1); }
  /// Bytes of 16 columns of K of all panels of a weight, of 8 bits.
  int64_t tileLine() const { return panels * kernel::panelRows * kernel::WeightLayout::tileColumns; }
  /// Whether a block has a multiprocessor for itself: words of bf16 take registers, too.
  bool isAlone() const { return heldSums() > (hasPairs() ? fewSums / 2 : fewSums); }
  /// Whether the producer is a warpgroup, which gives registers to the two of the consumers.
  bool givesRegisters() const { return heldSums() > fewSums && consumers() == 2; }
  int64_t sumBytes() const { return rows * accumulators.rowStride * 4; }
  Value stageOf(Value number) { return e.rem(number, stages); }
  Value parityOf(Value number) { return e.bitAnd(e.div(number, stages), 1); }
  //--- addresses in shared memory (i32)
  Value full(Value stage) { return e.add(e.add(start, e.mul(stage, 16)), barriersAt); }
  Value empty(Value stage) { return e.add(full(stage), 8); }
  Value leftAt(Value stage) { return e.add(start, e.mul(stage, stageBytes())); }
  Value rightAt(Value stage) { return e.add(leftAt(stage), rows * leftLine); }
  /// The descriptor of the first stage's weights, of f16 and of 8 bits.
  Value describeRight() {
    Value at = e.add(start, rows * leftLine);
    return hasBytes() ? describeTiles(e, at, tileLine()) : describePanels(e, at, panelChunk);
  }

  Frame &frame;
  Emitter &e;
  Matmul m;
  int64_t panels, rows = 0, stages = 0; // panels of each weight in a tile
  Value place, start, leftMap;          // start: the address of the stages, which begin at `place`
  int64_t barriersAt = 0;               // behind it
  SmallVector<Value> weightMaps;
  //--- of those that share: tiles of rows, of columns; the block's place, and the blocks in its row and
  // column
  Value rowTiles, high, wide, rowIndex, columnIndex, rowMask, columnMask;
  Value firstRank; // of the blocks that share operands
  Accumulators accumulators;
  std::optional<TileStores> stores;
};

MappedMatmul::MappedMatmul(Frame &frame, kernel::MatmulOp op)
    : frame(frame), e(frame.e), m(frame, op, widestColumns), panels(m.panelsPerChunk()) {
  int64_t tileRows = op.getGrid().rowsPerTile;
  bool isWhole = !m.straddles && !op.getExperts() && m.columnsPerTile == m.columnsPerChunk &&
                 m.columnsPerTile % (2 * kernel::panelRows) == 0;
  kernel::RowsType given = op.getLeft().getType();
  Type stored = cast<kernel::WeightType>(op.getWeights().front().getType()).getElement();
  bool isTaken = hasPairs() ? slots() == 4 || slots() % 8 == 0 : stored && (stored.isF16() || isFp8(stored));
  if (e.architecture != Architecture::Sm90 || !isTaken || (m.splits > 1 && !m.isClustered) ||
      given.getElement() != stored || given.getRowBytes() % 16 || !isWhole ||
      (tileRows != 64 && tileRows != 128) || m.columnsPerTile > widestColumns)
    return;
  rows = tileRows;
  accumulators.weightStride = panels * kernel::panelRows;
  // What lanes store lies in different banks.
  accumulators.rowStride = slots() * kernel::panelRows + (hasPairs() ? 4 : 8);
  accumulators.rows = rows;
  int64_t most =
      maxSharedBytes(e.architecture) - std::max(reservedBytes, epilogueBytes(m, consumers() * warpgroupSize));
  if (heldSums() > mostSums || std::max(2 * stageBytes(), sumBytes()) > most)
    return;
  if (!isAlone())
    most = std::min(halfSharedBytes(e.architecture), most);
  // A tile has used all of them before its sums go there: the producer is never in the next tile by then.
  stages = std::min(std::clamp<int64_t>(most / stageBytes(), 2, 4), chunks());
  stores.emplace(m, m.rowsOfBlock(rows));
  stores->fit(std::max(most, stages * stageBytes()) - sumBytes());
}

/// Maps are of f16: two numbers of 8 bits are one.
void MappedMatmul::makeMaps() {
  int64_t rowBytes = m.op.getLeft().getType().getRowBytes();
  leftMap = frame.tensorMap(m.op.getLeft(), {.swizzle = leftLine,
                                             .sizes = {rowBytes / 2, 0, 1},
                                             .box = {chunkColumns, rows / sharing(), 1},
                                             .strides = {rowBytes, 0}});
  constexpr int64_t columns = kernel::WeightLayout::tileColumns, tile = kernel::panelRows * columns;
  for (auto [weight, layout] : llvm::zip(m.op.getWeights(), m.layouts)) {
    TensorMapPlan plan{.swizzle = panelLine,
                       .sizes = {kernel::panelRows, m.inputs, layout.panels()},
                       .box = {kernel::panelRows, chunkColumns, panels / 2},
                       .strides = {panelLine, layout.panelBytes()}};
    if (hasPairs())
      plan = {.swizzle = 0,
              .sizes = {2 * kernel::panelRows, m.inputs / 2, layout.panels()},
              .box = {kernel::panelRows, chunkColumns / 2, panels},
              .strides = {2 * panelLine, layout.panelBytes()}};
    if (hasBytes()) // (16 columns, panel, tile): panels of a tile beside each other
      plan = {.swizzle = 0,
              .sizes = {tile / 2, layout.panels(), layout.paddedColumns() / columns},
              .box = {tile / 2, panels, chunkColumns / columns},
              .strides = {layout.panelBytes(), tile}};
    weightMaps.push_back(frame.tensorMap(weight, plan));
  }
}

void MappedMatmul::initBarriers() {
  barriersAt = frame.sharedBytes;
  frame.allocate(stages * 16);
  start = LLVM::PtrToIntOp::create(e.b, e.loc, e.i32(), place);
  e.ifThen(e.equal(frame.thread, e.constant(0)), [&] {
    for (int64_t stage = 0; stage < stages; ++stage) {
      initBarrier(e, full(e.constant(stage)), 1);
      initBarrier(e, empty(e.constant(stage)), sharing() * consumers() * warpgroupSize / warpSize);
    }
    fenceBarriers(e);
  });
  waitCluster(e);
}

void MappedMatmul::placeInCluster() {
  Value rank = clusterRank(e), zero = e.constant(0), one = e.constant(1);
  rowTiles = e.ceilDiv(frame.domainRows(m.op.getDomain()), rows);
  const int64_t blocks = sharing();
  firstRank = zero;
  if (m.splits > 1) {
    firstRank = e.sub(rank, e.rem(rank, blocks));
    rank = e.sub(rank, firstRank);
    m.split = e.div(firstRank, blocks);
    m.firstPeer = rank;
    m.peersApart = blocks;
  }
  auto shifted = [&](int64_t bits, Value by) -> Value {
    return arith::ShLIOp::create(e.b, e.loc, e.constant(bits), e.add(by, firstRank));
  };
  if (blocks == 1) {
    high = wide = one;
    rowIndex = columnIndex = zero;
    rowMask = columnMask = shifted(1, zero);
    return;
  }
  Value isEven = e.equal(e.rem(rowTiles, 2), zero);
  high = e.select(isEven, e.constant(2), one);
  wide = e.select(isEven, e.constant(blocks / 2), e.constant(blocks));
  rowIndex = e.select(isEven, e.rem(rank, 2), zero);
  columnIndex = e.select(isEven, e.div(rank, 2), rank);
  int64_t all = (int64_t(1) << blocks) - 1;
  rowMask = e.select(isEven, shifted(0b0101 & all, rowIndex), shifted(all, zero));
  columnMask = e.select(isEven, shifted(0b11, e.mul(columnIndex, 2)), shifted(1, rank));
}

/// Tiles of rows change first: those of one column of tiles are near in time, and share the weights in the
/// second-level cache.
void MappedMatmul::forEachTurn(llvm::function_ref<void(const Tile &)> body) {
  Value columnTiles = e.constant(this->columnTiles());
  Value rowTurns = e.div(rowTiles, high), columnTurns = e.div(e.sub(e.add(columnTiles, wide), 1), wide);
  Value cluster = e.div(e.block(), frame.cluster), clusters = e.div(e.blocks(), frame.cluster);
  e.loopBy(cluster, e.mul(rowTurns, columnTurns), clusters, [&](Value turn) {
    Value column = e.add(e.mul(e.div(turn, rowTurns), wide), columnIndex);
    Value row = e.add(e.mul(e.rem(turn, rowTurns), high), rowIndex);
    Value number = e.mul(e.div(e.sub(turn, cluster), clusters), chunks());
    body({e.mul(row, rows), column, e.less(column, columnTiles), number});
  });
}

LogicalResult MappedMatmul::run() {
  assert(frame.sharedBytes == 0 && "operands of wgmma begin at a multiple of 1024");
  int64_t consuming = consumers() * warpgroupSize;
  int64_t producing = givesRegisters() ? warpgroupSize : warpSize;
  frame.threads = consuming + producing;
  frame.cluster = sharing() * m.splits;
  frame.blocksPerSm = isAlone() ? 1 : consumers() == 1 ? 3 : 2;
  int64_t behindSums = llvm::alignTo(sumBytes(), 128);
  place = frame.allocate(
      std::max(stages * stageBytes(), stores->empty() ? sumBytes() : behindSums + stores->bytes()));
  accumulators.address = place;
  beginParts(m, rows);
  makeMaps();
  stores->begin(e.atByte(place, behindSums));
  m.tileStores = &*stores;
  initBarriers();
  placeInCluster();
  LogicalResult result = success();
  e.ifThen(e.less(frame.thread, e.constant(consuming)), [&] {
    frame.threads = consuming;
    e.barrierScope = {1, consuming};
    if (givesRegisters())
      setRegisters(e, consumerRegisters, true);
    forEachTurn([&](const Tile &tile) { result = consumeTile(tile); });
    if (!stores->empty())
      stores->finish();
    e.barrierScope = {};
  });
  e.ifThen(e.less(e.constant(consuming - 1), frame.thread), [&] {
    if (givesRegisters())
      setRegisters(e, producerRegisters, false);
    e.ifThen(e.equal(frame.thread, e.constant(consuming)),
             [&] { forEachTurn([&](const Tile &tile) { produceTile(tile); }); });
  });
  frame.threads = consuming + producing;
  waitCluster(e); // until no block sends to this one any more
  return result;
}

void MappedMatmul::produceTile(const Tile &tile) {
  int64_t pieceRows = rows / sharing();
  Value firstPanel = e.mul(tile.column, panels);
  e.loop(e.constant(0), e.constant(chunks()), 1, [&](Value turn) {
    Value number = e.add(tile.number, turn), stage = stageOf(number);
    Value chunk = m.splits > 1 ? e.add(turn, e.mul(m.split, chunks())) : turn, k = e.mul(chunk, chunkColumns);
    waitClusterBarrier(e, empty(stage), e.bitXor(parityOf(number), e.constant(1)));
    arriveExpecting(e, full(stage), e.constant(stageBytes()));
    e.loop(e.constant(0), high, 1, [&](Value i) {
      Value piece = e.add(e.mul(columnIndex, high), i), row = e.mul(piece, pieceRows);
      copyBox(e, e.add(leftAt(stage), e.mul(row, leftLine)), leftMap, {k, e.add(tile.firstRow, row)},
              full(stage), rowMask);
    });
    // Halves of the panels of each weight, of all their lines, or of their tiles: one, or both.
    e.loopBy(rowIndex, e.constant(2), high, [&](Value half) {
      Value panel = e.mul(half, panels / 2), to = e.add(rightAt(stage), e.mul(panel, panelChunk));
      if (hasPairs())
        to = e.add(rightAt(stage), e.mul(half, slots() * panelChunk / 2));
      SmallVector<Value> from = {e.constant(0), k, e.add(firstPanel, panel)};
      constexpr int64_t halfTiles = chunkColumns / kernel::WeightLayout::tileColumns;
      if (hasBytes())
        from = {e.constant(0), firstPanel, e.mul(e.add(e.mul(chunk, 2), half), halfTiles)};
      for (int64_t weight = 0; weight < weights(); ++weight)
        if (hasPairs())
          copyBox(e, e.add(to, weight * panels * panelChunk / 2), weightMaps[weight],
                  {e.mul(half, kernel::panelRows), e.div(k, 2), firstPanel}, full(stage), columnMask);
        else
          copyBox(e, e.add(to, weight * panels * panelChunk), weightMaps[weight], from, full(stage),
                  columnMask);
    });
  });
}

void MappedMatmul::release(Value barrier) {
  e.ifThen(e.less(frame.lane(), e.constant(sharing())),
           [&] { arriveAt(e, barrier, e.add(firstRank, frame.lane())); });
}

Registers MappedMatmul::sumTile(const Tile &tile) {
  Value left = describeRows(e, e.add(start, e.mul(e.div(frame.warp(), 4), 64 * leftLine)));
  Value right = describeRight();
  // Carried: the sums, which the first products do not add to; the stage, its parity, and the barrier of the
  // stage before.
  int64_t count = sumsOfThread();
  Registers sums(count, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
  sums.append({stageOf(tile.number), parityOf(tile.number), e.constant(0)});
  sums = e.loop(e.constant(0), e.constant(chunks()), 1, sums, [&](Value chunk, ValueRange carried) {
    Value stage = carried[count], parity = carried[count + 1];
    waitBarrier(e, full(stage), parity);
    Registers now = waitProducts(e, carried.take_front(count), {});
    // The chunk before makes room for one of this tile.
    Value isUsed = e.less(chunk, e.constant(chunks() - stages + 1));
    e.ifThen(e.both(e.less(e.constant(0), chunk), isUsed), [&] { release(carried[count + 2]); });
    Value further = e.extend(e.mul(stage, stageBytes() / 16));
    now = multiply(e.add(left, further), e.add(right, further), chunk, now);
    Value next = e.add(stage, 1), wraps = e.equal(next, e.constant(stages));
    now.append({e.select(wraps, e.constant(0), next),
                e.select(wraps, e.bitXor(parity, e.constant(1)), parity), empty(stage)});
    return now;
  });
  sums.truncate(count);
  return waitProducts(e, sums, {});
}

/// Products of a chunk, and then the sums, which are carried with the stage and its parity: the first chunk's
/// are those of the tensor cores. While a warpgroup adds the other one multiplies.
Registers MappedMatmul::sumParts(const Tile &tile) {
  Value left = describeRows(e, e.add(start, e.mul(e.div(frame.warp(), 4), 64 * leftLine)));
  Value right = describeRight();
  int64_t count = sumsOfThread();
  /// The chunk's products, and then the next stage and its parity.
  auto take = [&](Value chunk, Value stage, Value parity) {
    waitBarrier(e, full(stage), parity);
    Value further = e.extend(e.mul(stage, stageBytes() / 16));
    Registers part(count, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
    part = multiply(e.add(left, further), e.add(right, further), e.constant(0), part);
    part = waitProducts(e, part, {});
    // Lanes that went apart would add apart.
    Value lane = frame.lane(), isUsed = e.less(chunk, e.constant(chunks() - stages));
    arriveAtWhere(e, e.both(isUsed, e.less(lane, e.constant(sharing()))), empty(stage),
                  e.add(firstRank, e.rem(lane, sharing())));
    Value next = e.add(stage, 1), wraps = e.equal(next, e.constant(stages));
    part.append(
        {e.select(wraps, e.constant(0), next), e.select(wraps, e.bitXor(parity, e.constant(1)), parity)});
    return part;
  };
  Registers sums = take(e.constant(0), stageOf(tile.number), parityOf(tile.number));
  sums = e.loop(e.constant(1), e.constant(chunks()), 1, sums, [&](Value chunk, ValueRange carried) {
    Registers now = take(chunk, carried[count], carried[count + 1]);
    for (int64_t i = 0; i < count; ++i)
      now[i] = e.addF(carried[i], now[i]);
    return now;
  });
  sums.truncate(count);
  return sums;
}

LogicalResult MappedMatmul::consumeTile(const Tile &tile) {
  Registers sums = hasPairs() ? sumPairs(tile) : hasParts() ? sumParts(tile) : sumTile(tile);
  Value thread = frame.thread;
  frame.thread = e.threadAnew();
  e.barrier(); // all have read the stages, where the sums go
  hasPairs() ? storePairs(sums) : storeGroupSums(frame, accumulators, sums);
  e.barrier();
  LogicalResult result = success();
  e.ifThen(tile.isReal, [&] {
    Value begin = e.mul(tile.column, m.columnsPerTile);
    Value end = e.min(e.add(begin, m.columnsPerTile), e.constant(m.outputs));
    Value left = e.sub(frame.domainRows(m.op.getDomain()), tile.firstRow);
    result = emitEpilogues(m, accumulators, m.firstPanel(begin), begin, end, tile.firstRow,
                           e.min(left, e.constant(rows)));
  });
  fenceAsyncShared(e);
  if (!stores->empty())
    stores->waitUntilRead();
  e.warpBarrier();
  for (int64_t chunk = std::max<int64_t>(0, chunks() - stages); chunk < chunks(); ++chunk)
    release(empty(stageOf(e.add(tile.number, chunk))));
  frame.thread = thread;
  return result;
}

/// sums: (weight, 8 columns, 4).
Registers MappedMatmul::multiply(Value left, Value right, Value adds, Registers sums) {
  int64_t each = sums.size() / weights();
  sums = fenceRegisters(e, sums);
  for (int64_t weight = 0; weight < weights(); ++weight)
    for (int64_t step = 0; step < chunkSteps; ++step) {
      Registers some(ArrayRef<Value>(sums).slice(weight * each, each));
      int64_t stepBytes = hasBytes() ? 2 * tileLine() : 16 * panelLine;
      some = multiplyShared(e, m.op.getLeft().getType().getElement(), describeFurther(e, left, step * 32),
                            describeFurther(e, right, weight * panels * panelChunk + step * stepBytes),
                            step ? Value() : adds, some);
      llvm::copy(some, sums.begin() + weight * each);
    }
  commitProducts(e);
  return sums;
}

//===--- bf16: weights in registers

/// The next chunk's words are loaded while this one is multiplied.
Registers MappedMatmul::sumPairs(const Tile &tile) {
  Value right = describeRows(e, start), stage = stageOf(tile.number), parity = parityOf(tile.number);
  waitBarrier(e, full(stage), parity);
  // Carried: the sums, which the first products do not add to; words; the stage and its parity.
  size_t count = sumsOfThread(), words = blocksOfGroup() * chunkSteps * 4;
  Registers carried(count, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
  carried.append(loadPairs(stage));
  carried.append({stage, parity});
  auto ask = [&](Value chunk, ValueRange state, Registers &left) {
    Registers all = fenceRegisters(e, state.take_front(count + words));
    left.assign(all.begin() + count, all.end());
    all.truncate(count);
    Value rows = e.add(right, e.extend(e.mul(state[count + words], stageBytes() / 16)));
    return multiplyPairs(left, rows, chunk, all);
  };
  auto multiplyAndLoad = [&](Value chunk, ValueRange before) {
    Registers left, sums = ask(chunk, before, left);
    Value stage = before[count + words], parity = before[count + words + 1];
    Value wraps = e.equal(stage, e.constant(stages - 1));
    Value next = e.select(wraps, e.constant(0), e.add(stage, 1));
    parity = e.select(wraps, e.bitXor(parity, e.constant(1)), parity);
    waitBarrier(e, full(next), parity);
    Registers loaded = loadPairs(next);
    sums = waitProducts(e, sums, left);
    e.warpBarrier();
    // It makes room for a chunk of this tile.
    e.ifThen(e.less(chunk, e.constant(chunks() - stages)), [&] { release(empty(stage)); });
    sums.append(loaded);
    sums.append({next, parity});
    return sums;
  };
  // Two chunks a turn: words stay where they are loaded.
  int64_t last = chunks() - 1;
  carried = e.loop(e.constant(0), e.constant(last / 2 * 2), 2, carried, [&](Value chunk, ValueRange before) {
    return multiplyAndLoad(e.add(chunk, 1), multiplyAndLoad(chunk, before));
  });
  if (last % 2)
    carried = multiplyAndLoad(e.constant(last - 1), carried);
  Registers left, sums = ask(e.constant(last), carried, left);
  return waitProducts(e, sums, left);
}

/// A lane has rows 2g and 2g + 1 of its panel, as rows g and g + 8 of the operand.
Registers MappedMatmul::loadPairs(Value stage) {
  constexpr int64_t halfLine = panelLine, halfPanel = panelChunk / 2;
  Value group = e.div(frame.lane(), 4), inGroup = e.rem(frame.lane(), 4), warp = frame.warp();
  Value mine = e.add(e.mul(e.div(group, 4), slots() * halfPanel), e.mul(e.rem(group, 4), 8));
  mine = e.add(e.add(mine, e.mul(warp, halfPanel)), e.mul(inGroup, halfLine));
  Value from = e.atByte(e.atByte(place, e.mul(stage, stageBytes())), e.add(mine, rows * leftLine));
  Registers words;
  for (int64_t block = 0; block < blocksOfGroup(); ++block)
    for (int64_t line = 0; line < chunkColumns / 2; line += 4) {
      int64_t further = block * consumers() * 4 * halfPanel + line * halfLine;
      Value two = e.loadAligned(e.vec(2, e.i32()), e.atByte(from, further));
      words.append({e.extract(two, 0), e.extract(two, 1)});
    }
  return words;
}

/// sums: (block, 8 rows, 4).
Registers MappedMatmul::multiplyPairs(ValueRange left, Value right, Value adds, Registers sums) {
  int64_t each = sums.size() / blocksOfGroup();
  for (int64_t block = 0; block < blocksOfGroup(); ++block)
    for (int64_t step = 0; step < chunkSteps; ++step) {
      Registers some(ArrayRef<Value>(sums).slice(block * each, each));
      some = gpu::multiply(e, e.bf16(), left.slice((block * chunkSteps + step) * 4, 4),
                           describeFurther(e, right, step * 32), some, /*isTransposed=*/false,
                           step ? Value() : adds);
      llvm::copy(some, sums.begin() + block * each);
    }
  commitProducts(e);
  return sums;
}

void MappedMatmul::storePairs(ValueRange sums) {
  Value group = e.div(frame.lane(), 4), row = e.mul(e.rem(frame.lane(), 4), 2);
  Value column = e.add(e.mul(frame.warp(), kernel::panelRows), e.mul(group, 2));
  Value place = accumulators.at(e, 0, row, column);
  size_t each = sums.size() / blocksOfGroup();
  for (size_t number = 0; number < sums.size(); number += 4)
    for (int64_t r = 0; r < 2; ++r) {
      int64_t block = number / each, first = number % each * 2;
      Value to = e.at(place, (first + r) * accumulators.rowStride + block * consumers() * 64, e.f32());
      e.storeAligned(e.pack({sums[number + r], sums[number + 2 + r]}), to);
    }
}

} // namespace

bool fitsMaps(Frame &frame, kernel::MatmulOp op) { return MappedMatmul(frame, op).fits(); }

LogicalResult emitMappedMatmul(Frame &frame, kernel::MatmulOp op) { return MappedMatmul(frame, op).run(); }

} // namespace sinter::gpu
