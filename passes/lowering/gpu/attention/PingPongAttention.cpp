// SPDX-License-Identifier: Apache-2.0
// kernel.attention prefill by wgmma (sm_90a), in the manner of FlashAttention-3 (Shah et al., 2024): a warp
// asks for blocks of keys and values by tensor maps, two warpgroups of 64 rows each multiply, in turns.
//
//   producer: a warp                 consumer warpgroup, for each block of keys but the first
//     the turn's numbers, queries      wait until the keys are there, and for its turn to ask for products
//     for each block:                  ask: scores = queries * keys, sums += weights before * values before
//       a stage is empty: its keys     the other warpgroup's turn; scores are there: that stage is empty
//       a stage is empty: its values   scores -> weights; sums are there: that stage is empty
//
// So tensor cores multiply for one warpgroup while the other makes weights, and within one they add the
// values of the block before meanwhile. A panel of keys is lines of 32 bytes, 16 keys each, and values are
// rows: with a swizzle of 32 and of 128 bytes, which the copies add, both are operands that are contiguous
// along the products' columns. Copies are of whole blocks; behind the last key they bring what happens to be
// there: its scores are masked, and the producer makes its values zeros.
//
// Two blocks are a cluster, each of which copies half of every block of keys and values to both: where an
// even number of query heads shares keys those of two heads, else those of two neighbouring tiles of rows.
// The latter take their turn over the keys that either sees.
#include "passes/lowering/StepOps.h"
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/attention/FlashScores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t cluster = 2;
/// A line of keys: a dimension of 16 keys.
constexpr int64_t keyLine = 2 * kernel::cachePanel;
constexpr int64_t groups = 2, groupRows = 64, rows = groups * groupRows;
constexpr int64_t consumers = groups * warpgroupSize, longestBox = 256;
/// Of a thread of each kind: 384 threads have 168 each to begin with.
constexpr int64_t producerRegisters = 24, consumerRegisters = 240;
/// Barriers of a consumer warpgroup, and of its turns.
constexpr int64_t firstGroupBarrier = 1, firstTurnBarrier = firstGroupBarrier + groups;

class PingPongAttention : protected FlashScores {
public:
  PingPongAttention(Frame &frame, kernel::AttentionOp op);
  LogicalResult emit();

private:
  void allocate();
  void makeMaps();
  void initBarriers();
  /// Calls body(first row, row after the last) of the cluster's turns.
  void forEachTurn(llvm::function_ref<void(Value first, Value end)> body);
  //--- the producer
  void produceTurn(Value first, Value end);
  void copyQuery(Value first);
  void copyKeys(Value stage, Value token, Value slot);
  void copyValues(Value stage, Value token, Value slot, Value barrier);
  void clearValues(Value stage, Value left);
  //--- the consumers
  void consumeTurn(Value first, Value end);
  void loadQuery(Value first, Value end);
  void passBlocks(Value from, Value to);
  void multiplyBlocks(Value from, Value to, Value first, Value end);
  Registers startScores(Value stage, Registers scores);
  Registers startSums(Value stage, ValueRange pairs, Registers sums);
  /// Scores -> weights; `running`: maxima and sums of weights (2 each). Whether numbers before are to be
  /// scaled by the corrections.
  Value soften(Value number, Numbers &scores, Numbers &running, Numbers &corrections);
  void release(Value barrier);
  /// The same of a stage of keys or values, which all blocks of the cluster write.
  void releaseStage(Value barrier);

  static int64_t linesOf(int64_t numbers) { return llvm::divideCeil(numbers, swizzledNumbers); }
  /// Whether the blocks of a cluster have rows of the same head each.
  bool sharesRows() const { return shape.group % cluster; }
  /// Rows of a cluster's turn.
  int64_t turnRows() const { return sharesRows() ? cluster * rows : rows; }
  /// Of the block, in a turn that begins at `first`.
  Value firstRowOf(Value first) { return sharesRows() ? e.add(first, e.mul(rank, rows)) : first; }
  bool isNarrow() const { return !shape.op.getQuery().getType().getElement().isF32(); }
  int64_t panelsOfBox() const {
    return std::min<int64_t>(llvm::bit_floor<uint64_t>(longestBox / shape.keySize),
                             share() / kernel::cachePanel);
  }
  /// Tokens of a block of keys that a block of the cluster copies.
  int64_t share() const { return blockKeys / cluster; }
  /// All blocks of the cluster (i32).
  Value everyone() { return e.constant((1 << cluster) - 1); }
  int64_t queryBytes() const { return linesOf(shape.keySize) * rows * swizzledLine; }
  int64_t keyBytes() const { return blockKeys * shape.keySize * 2; }
  int64_t valueBytes() const { return linesOf(shape.valueSize) * blockKeys * swizzledLine; }
  void ifFirst(llvm::function_ref<void()> body) { e.ifThen(e.equal(frame.lane(), e.constant(0)), body); }
  //--- numbers of the turn and of the block since the kernel began
  Value get(Value counter) { return e.load(e.i32(), counter); }
  void raise(Value counter, Value by) { e.store(e.add(get(counter), by), counter); }
  Value stageOf(Value number) { return e.rem(number, stages); }
  Value parityOf(Value number) { return e.bitAnd(e.div(number, stages), 1); }
  Value before(Value parity) { return e.bitXor(parity, e.constant(1)); }
  //--- addresses in shared memory (i32)
  Value keysAt(Value stage) { return e.add(keyPlace, e.mul(stage, keyBytes())); }
  Value valuesAt(Value stage) { return e.add(valuePlace, e.mul(stage, valueBytes())); }
  Value turnFull() { return barriers; }
  Value turnEmpty() { return e.add(barriers, 8); }
  Value tail() { return e.add(barriers, 16); }
  Value keysFull(Value stage) { return e.add(barriers, e.add(e.mul(stage, 32), 32)); }
  Value keysEmpty(Value stage) { return e.add(keysFull(stage), 8); }
  Value valuesFull(Value stage) { return e.add(keysFull(stage), 16); }
  Value valuesEmpty(Value stage) { return e.add(keysFull(stage), 24); }
  Value number(int64_t i) { return e.at(turnNumbers, i, e.i32()); }

  int64_t stages = 4;
  Value query, turnNumbers; // shared; the positions of the turn's first and last row
  Value keyPlace, valuePlace, barriers;
  Value queryMap, keyMap, valueMap;
  Value turns, blocks, tails; // counters: of turns, of blocks, of blocks that need zeros
  Value rank;                 // of the block in its cluster
  Value warpgroup;            // of the consumers
  Value begin;                // of the turn: its first key
};

PingPongAttention::PingPongAttention(Frame &frame, kernel::AttentionOp op) : FlashScores(frame, op) {
  assert(frame.sharedBytes == 0 && "operands of wgmma begin at a multiple of 1024");
  frame.threads = consumers + warpgroupSize;
  frame.blocksPerSm = 1;
  frame.cluster = cluster;
  int64_t longest = std::max(shape.keySize, shape.valueSize);
  blockKeys = longest <= 128 ? 128 : 64;
  // What scores are made of takes registers, too.
  bool isCapped = op.getSoftcap().convertToDouble() > 0;
  int64_t parts = isCapped + shape.hasSlopes() + (shape.window > 0);
  if (longest > 64 && (parts > 1 || (isCapped && longest > 128)))
    blockKeys /= 2;
  while (queryBytes() + stages * (keyBytes() + valueBytes()) > maxSharedBytes(e.architecture) - reservedBytes)
    stages /= 2;
}

void PingPongAttention::allocate() {
  auto address = [&](int64_t bytes) -> Value {
    return LLVM::PtrToIntOp::create(e.b, e.loc, e.i32(), frame.allocate(bytes));
  };
  query = frame.allocate(queryBytes());
  keyPlace = address(stages * keyBytes());
  valuePlace = address(stages * valueBytes());
  turnNumbers = frame.allocate(2 * 4);
  barriers = address(32 + stages * 32);
  auto counter = [&]() -> Value {
    Value place = LLVM::AllocaOp::create(e.b, e.loc, e.ptr(), e.i32(), e.constant(1));
    e.store(e.constant(0), place);
    return place;
  };
  turns = counter();
  blocks = counter();
  tails = counter();
}

void PingPongAttention::makeMaps() {
  kernel::RowsType type = shape.op.getQuery().getType();
  if (isNarrow())
    queryMap = frame.tensorMap(shape.op.getQuery(), {.swizzle = swizzledLine,
                                                     .sizes = {shape.heads * shape.keySize, 0, 1},
                                                     .box = {swizzledNumbers, rows, 1},
                                                     .strides = {type.getRowBytes(), 0}});
  keyMap =
      frame.tensorMap(shape.op.getKeys(),
                      {.swizzle = keyLine,
                       .sizes = {kernel::cachePanel, shape.keyHeads * shape.keySize / kernel::cachePanel, 1},
                       .box = {kernel::cachePanel, panelsOfBox() * shape.keySize, 1},
                       .strides = {keyLine, 0},
                       .ofCache = true});
  valueMap = frame.tensorMap(shape.op.getValues(), {.swizzle = swizzledLine,
                                                    .sizes = {shape.valueSize, shape.keyHeads, 1},
                                                    .box = {swizzledNumbers, share(), 1},
                                                    .strides = {2 * shape.valueSize, 0},
                                                    .ofCache = true});
}

void PingPongAttention::initBarriers() {
  constexpr int64_t warps = consumers / warpSize;
  e.ifThen(e.equal(frame.thread, e.constant(0)), [&] {
    initBarrier(e, turnFull(), 1);
    initBarrier(e, turnEmpty(), warps);
    initBarrier(e, tail(), 1);
    for (int64_t i = 0; i < stages; ++i) {
      Value stage = e.constant(i);
      initBarrier(e, keysFull(stage), 1);
      initBarrier(e, keysEmpty(stage), cluster * warps);
      initBarrier(e, valuesFull(stage), 1);
      initBarrier(e, valuesEmpty(stage), cluster * warps);
    }
    fenceBarriers(e);
  });
}

LogicalResult PingPongAttention::emit() {
  allocate();
  makeMaps();
  initBarriers();
  frame.keepStep(abi::stepCacheSlotBytes + 8); // all meet
  rank = clusterRank(e);
  waitCluster(e); // barriers are there
  Value warp = frame.warp();
  warpgroup = e.div(warp, warpgroupSize / warpSize);
  placeThread(e.mul(warp, 16));
  e.ifThen(e.less(frame.thread, e.constant(consumers)), [&] {
    setRegisters(e, consumerRegisters, true);
    Value isFirst = e.equal(warpgroup, e.constant(0)), firstTurn = e.constant(firstTurnBarrier);
    e.ifThen(e.isFalse(isFirst), [&] { passBy(e, firstTurn, consumers); });
    forEachTurn([&](Value first, Value end) { consumeTurn(first, end); });
    e.ifThen(isFirst, [&] { meetAt(e, firstTurn, consumers); });
  });
  e.ifThen(e.less(e.constant(consumers - 1), frame.thread), [&] {
    setRegisters(e, producerRegisters, false);
    e.ifThen(e.equal(warp, e.constant(consumers / warpSize)),
             [&] { forEachTurn([&](Value first, Value end) { produceTurn(first, end); }); });
  });
  waitCluster(e); // until no block sends to this one any more
  return success();
}

void PingPongAttention::forEachTurn(llvm::function_ref<void(Value, Value)> body) {
  auto tile = [&](Value tileHead, Value rowBegin, Value rowEnd, Value) {
    head = tileHead;
    e.loop(rowBegin, rowEnd, turnRows(), [&](Value first) {
      body(first, e.min(e.add(first, turnRows()), rowEnd));
      raise(turns, e.constant(1));
    });
  };
  // Blocks of a cluster take the same rows of neighbouring heads, or neighbouring rows of the same head.
  kernel::Grid grid = shape.op.getGrid();
  int64_t heads = sharesRows() ? 1 : cluster;
  grid.rowsPerTile *= cluster / heads;
  TileNumbers<Frame> numbers(frame, grid);
  Value count = e.mul(e.constant(grid.columns / heads), numbers.rowTiles);
  e.loopBy(e.div(e.block(), cluster), count, e.div(e.blocks(), cluster), [&](Value i) {
    Value column = e.mul(e.div(i, numbers.rowTiles), heads);
    if (!sharesRows())
      column = e.add(column, rank);
    numbers.visit(e.add(e.mul(column, numbers.rowTiles), e.rem(i, numbers.rowTiles)), tile);
  });
}

//===--- the producer

void PingPongAttention::produceTurn(Value first, Value end) {
  Value last = e.sub(end, 1), parity = e.bitAnd(get(turns), 1);
  Value firstRow = frame.stepEntry(abi::stepPositions, first), slot = frame.stepEntry(abi::stepSlots, first);
  Value lastRow = frame.stepEntry(abi::stepPositions, last);
  waitBarrier(e, turnEmpty(), before(parity));
  ifFirst([&] {
    e.store(firstRow, number(0));
    e.store(lastRow, number(1));
    isNarrow() ? copyQuery(firstRowOf(first)) : arrive(e, turnFull());
  });
  Value keyHead = e.mul(e.div(head, shape.group), frame.stepField(abi::stepCacheTokens));
  Value firstKey = e.alignDown(shape.firstKey(e, firstRow), kernel::cachePanel), lastKey = e.add(lastRow, 1);
  e.loop(firstKey, lastKey, blockKeys, [&](Value block) {
    Value now = get(blocks), stage = stageOf(now), empty = before(parityOf(now));
    Value token = e.add(keyHead, block), left = e.sub(lastKey, block);
    waitClusterBarrier(e, keysEmpty(stage), empty);
    ifFirst([&] { copyKeys(stage, token, slot); });
    waitClusterBarrier(e, valuesEmpty(stage), empty);
    Value isTail = e.less(left, e.constant(blockKeys));
    Value full = valuesFull(stage);
    ifFirst([&] { copyValues(stage, token, slot, e.select(isTail, tail(), full)); });
    e.ifThen(isTail, [&] {
      waitBarrier(e, tail(), e.bitAnd(get(tails), 1));
      clearValues(stage, left);
      fenceAsyncShared(e);
      e.warpBarrier();
      ifFirst([&] { arrive(e, full); });
      raise(tails, e.constant(1));
    });
    raise(blocks, e.constant(1));
  });
}

void PingPongAttention::copyQuery(Value first) {
  arriveExpecting(e, turnFull(), e.constant(queryBytes()));
  for (int64_t i = 0; i < linesOf(shape.keySize); ++i)
    copyBox(e, e.atByte(query, i * rows * swizzledLine), queryMap,
            {e.add(e.mul(head, shape.keySize), i * swizzledNumbers), first}, turnFull());
}

/// `token`: number of the token in all heads of the slot.
void PingPongAttention::copyKeys(Value stage, Value token, Value slot) {
  int64_t lines = panelsOfBox() * shape.keySize;
  arriveExpecting(e, keysFull(stage), e.constant(keyBytes()));
  int64_t all = share() / kernel::cachePanel * shape.keySize;
  Value first = e.mul(e.div(token, kernel::cachePanel), shape.keySize), mine = e.mul(rank, all);
  for (int64_t at = 0; at < all; at += lines) {
    Value from = e.add(mine, at);
    copyBox(e, e.add(keysAt(stage), e.mul(from, keyLine)), keyMap, {e.constant(0), e.add(first, from), slot},
            keysFull(stage), everyone());
  }
}

void PingPongAttention::copyValues(Value stage, Value token, Value slot, Value barrier) {
  arriveExpecting(e, barrier, e.constant(valueBytes()));
  Value mine = e.mul(rank, share());
  for (int64_t i = 0; i < linesOf(shape.valueSize); ++i)
    copyBox(e, e.add(valuesAt(stage), e.mul(e.add(mine, i * blockKeys), swizzledLine)), valueMap,
            {e.constant(i * swizzledNumbers), e.add(token, mine), slot}, barrier, everyone());
}

/// Rows `left` and further.
void PingPongAttention::clearValues(Value stage, Value left) {
  constexpr int64_t piece = 16;
  Value zeros = e.constantI(e.vec(4, e.i32()), 0);
  Value place = LLVM::IntToPtrOp::create(e.b, e.loc, e.sharedPtr(), valuesAt(stage));
  e.loop(e.add(e.mul(left, swizzledLine / piece), frame.lane()), e.constant(blockKeys * swizzledLine / piece),
         warpSize, [&](Value i) {
           for (int64_t part = 0; part < linesOf(shape.valueSize); ++part)
             e.storeAligned(zeros,
                            e.atByte(e.atByte(place, part * blockKeys * swizzledLine), e.mul(i, piece)));
         });
}

//===--- the consumers

void PingPongAttention::consumeTurn(Value turnFirst, Value end) {
  waitBarrier(e, turnFull(), e.bitAnd(get(turns), 1));
  Value turnPosition = e.load(e.i32(), number(0)), first = firstRowOf(turnFirst);
  firstPosition = firstRowOf(turnPosition);
  keyEnd = e.add(e.load(e.i32(), number(1)), 1);
  if (!isNarrow())
    loadQuery(first, end);
  begin = e.alignDown(shape.firstKey(e, turnPosition), kernel::cachePanel);
  Value count = e.ceilDiv(e.sub(keyEnd, begin), blockKeys);
  // Blocks that some row of the warpgroup sees: from `from` to `to`.
  Value firstRow = e.add(firstPosition, e.mul(warpgroup, groupRows)), hasRows = e.less(firstRow, keyEnd);
  Value from = e.div(e.sub(shape.firstKey(e, firstRow), begin), blockKeys);
  Value to = e.min(e.ceilDiv(e.sub(e.add(firstRow, groupRows), begin), blockKeys), count);
  from = e.select(hasRows, from, count);
  to = e.select(hasRows, to, count);
  passBlocks(e.constant(0), from);
  e.ifThen(hasRows, [&] { multiplyBlocks(from, to, e.add(first, warpRow), end); });
  e.ifThen(e.isFalse(hasRows), [&] { release(turnEmpty()); });
  passBlocks(to, count);
  raise(blocks, count);
}

/// Queries of f32, rounded: by each warpgroup its own.
void PingPongAttention::loadQuery(Value first, Value end) {
  int64_t items = shape.keySize / 4;
  Value begin = e.mul(warpgroup, groupRows), last = e.sub(end, 1);
  e.loop(e.rem(frame.thread, warpgroupSize), e.constant(groupRows * items), warpgroupSize, [&](Value item) {
    Value row = e.add(begin, e.div(item, items)), inRow = e.rem(item, items), piece = e.div(inRow, 2);
    Value source = frame.rowOf(shape.op.getQuery(), e.min(e.add(first, row), last));
    source = e.at(source, e.add(e.mul(head, shape.keySize), e.mul(inRow, 4)), e.f32());
    Value place = e.add(e.mul(e.div(piece, 8), rows * swizzledLine), placeInLine(e, row, e.rem(piece, 8)));
    place = e.add(place, e.mul(e.rem(inRow, 2), 8));
    e.storeNarrow(e.loadWide(e.f32(), 4, source), shape.element, e.atByte(query, place));
  });
  fenceAsyncShared(e);
  meetAt(e, e.add(warpgroup, firstGroupBarrier), warpgroupSize);
}

/// Blocks that the warpgroup does not see: it takes part in turns and gives stages back.
void PingPongAttention::passBlocks(Value from, Value to) {
  Value base = get(blocks), mine = e.add(warpgroup, firstTurnBarrier);
  Value other = e.sub(e.constant(2 * firstTurnBarrier + 1), mine);
  e.loop(from, to, 1, [&](Value i) {
    Value now = e.add(base, i), stage = stageOf(now), parity = parityOf(now);
    waitBarrier(e, keysFull(stage), parity);
    meetAt(e, mine, consumers);
    passBy(e, other, consumers);
    releaseStage(keysEmpty(stage));
    waitBarrier(e, valuesFull(stage), parity);
    releaseStage(valuesEmpty(stage));
  });
}

/// The warp is done with what the barrier is of.
void PingPongAttention::release(Value barrier) {
  e.warpBarrier();
  ifFirst([&] { arrive(e, barrier); });
}

void PingPongAttention::releaseStage(Value barrier) {
  e.warpBarrier();
  e.ifThen(e.less(frame.lane(), e.constant(cluster)), [&] { arriveAt(e, barrier, frame.lane()); });
}

void PingPongAttention::multiplyBlocks(Value from, Value to, Value firstRow, Value end) {
  Value base = get(blocks), mine = e.add(warpgroup, firstTurnBarrier);
  Value other = e.sub(e.constant(2 * firstTurnBarrier + 1), mine);
  size_t sumCount = valueTiles() * 4, scoreCount = blockKeys / 2, pairCount = scoreCount / 2;
  Registers poison(scoreCount, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));

  Value now = e.add(base, from), stage = stageOf(now);
  waitBarrier(e, keysFull(stage), parityOf(now));
  meetAt(e, mine, consumers);
  Registers scores = startScores(stage, fenceRegisters(e, poison));
  passBy(e, other, consumers);
  scores = waitProducts(e, scores, {});
  releaseStage(keysEmpty(stage));
  Numbers running(2, e.constantF(e.f32(), lowestMaximum)), corrections;
  running.append(2, e.constantF(e.f32(), 0));
  soften(from, scores, running, corrections);

  // Carried: maxima and sums of weights, pairs of weights, sums.
  Registers state(running);
  state.append(pairsOf(scores));
  state.append(sumCount, e.constantF(e.f32(), 0));
  state = e.loop(e.add(from, 1), to, 1, state, [&](Value i, ValueRange carried) {
    Value now = e.add(base, i), stage = stageOf(now);
    Value last = e.sub(now, 1), lastStage = stageOf(last);
    waitBarrier(e, keysFull(stage), parityOf(now));
    meetAt(e, mine, consumers);
    Registers scores = startScores(stage, fenceRegisters(e, poison));
    waitBarrier(e, valuesFull(lastStage), parityOf(last));
    Registers all = fenceRegisters(e, carried.drop_front(4));
    ArrayRef<Value> pairs = ArrayRef<Value>(all).take_front(pairCount);
    Registers sums = startSums(lastStage, pairs, Registers(ArrayRef<Value>(all).drop_front(pairCount)));
    passBy(e, other, consumers);
    scores = waitProducts(e, scores, {}, /*pending=*/1);
    releaseStage(keysEmpty(stage));
    Numbers running(carried.take_front(4)), corrections;
    Value grows = soften(i, scores, running, corrections);
    // Weights pass through the wait: else they would be rounded, into more registers, before it.
    sums.append(scores);
    sums = waitProducts(e, sums, pairs);
    scores.assign(sums.begin() + sumCount, sums.end());
    sums.truncate(sumCount);
    releaseStage(valuesEmpty(lastStage));
    auto scaled = scf::IfOp::create(e.b, e.loc, SmallVector<Type>(sumCount, e.f32()), grows, true);
    {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(scaled.elseBlock());
      scf::YieldOp::create(e.b, e.loc, sums);
      e.b.setInsertionPointToStart(scaled.thenBlock());
      for (int64_t r = 0; r < 2; ++r)
        scale(e, sums, r, corrections[r]);
      scf::YieldOp::create(e.b, e.loc, sums);
    }
    Registers next(running);
    next.append(pairsOf(scores));
    next.append(scaled.getResults().begin(), scaled.getResults().end());
    return next;
  });
  release(turnEmpty()); // queries are read
  now = e.add(base, e.sub(to, 1));
  stage = stageOf(now);
  waitBarrier(e, valuesFull(stage), parityOf(now));
  Registers all = fenceRegisters(e, ArrayRef<Value>(state).drop_front(4));
  ArrayRef<Value> pairs = ArrayRef<Value>(all).take_front(pairCount);
  Registers sums = startSums(stage, pairs, Registers(ArrayRef<Value>(all).drop_front(pairCount)));
  sums = waitProducts(e, sums, pairs);
  releaseStage(valuesEmpty(stage));
  storeRows(firstRow, end, ArrayRef<Value>(state).slice(2, 2), sums);
}

Registers PingPongAttention::startScores(Value stage, Registers scores) {
  Value left = describeRows(e, e.atByte(query, e.mul(warpgroup, groupRows * swizzledLine)));
  Value right = describePanels(e, keysAt(stage), shape.keySize * keyLine);
  for (int64_t step = 0; step < shape.keySize / 16; ++step) {
    Value mine = describeFurther(e, left, step / 4 * rows * swizzledLine + step % 4 * 32);
    scores = multiplyShared(e, shape.element, mine, describeFurther(e, right, step * 16 * keyLine),
                            step ? Value() : e.constant(0), scores);
  }
  commitProducts(e);
  return scores;
}

/// 16 keys at a time: of two tiles of weights rows g and g + 8.
Registers PingPongAttention::startSums(Value stage, ValueRange pairs, Registers sums) {
  Value right = describeColumns(e, valuesAt(stage), blockKeys * swizzledLine);
  for (int64_t step = 0; step < blockKeys / 16; ++step)
    sums = multiply(e, shape.element, pairs.slice(step * 4, 4),
                    describeFurther(e, right, step * 16 * swizzledLine), sums, /*isTransposed=*/true);
  commitProducts(e);
  return sums;
}

Value PingPongAttention::soften(Value number, Numbers &scores, Numbers &running, Numbers &corrections) {
  finish(e.add(begin, e.mul(number, blockKeys)), scores);
  Numbers highs = highsOf(scores);
  Value grows = areHigher(e, running, highs);
  Numbers kept(running.begin(), running.begin() + 2), raised;
  kept.append(2, e.constantF(e.f32(), 1));
  auto choice = scf::IfOp::create(e.b, e.loc, SmallVector<Type>(4, e.f32()), grows, true);
  {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.thenBlock());
    for (int64_t r = 0; r < 2; ++r)
      raised.push_back(combine(e, vector::CombiningKind::MAXNUMF, running[r], highs[r]));
    for (int64_t r = 0; r < 2; ++r)
      raised.push_back(e.exp2(e.subF(running[r], raised[r])));
    scf::YieldOp::create(e.b, e.loc, raised);
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, kept);
  }
  corrections.assign(choice.getResults().begin() + 2, choice.getResults().end());
  Numbers added = weigh(scores, choice.getResults().take_front(2));
  for (int64_t r = 0; r < 2; ++r) {
    running[r] = choice.getResult(r);
    running[2 + r] = e.fma(running[2 + r], corrections[r], added[r]);
  }
  return grows;
}

} // namespace

LogicalResult emitPingPongAttention(Frame &frame, kernel::AttentionOp op) {
  return PingPongAttention(frame, op).emit();
}

} // namespace sinter::gpu
