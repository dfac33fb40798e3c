// SPDX-License-Identifier: Apache-2.0
// kernel.matmul for many rows by wgmma (sm_90a). The product is turned round: columns of the product (rows of
// the weights) are the 64 rows of wgmma, rows of the left side its up to 128 columns. So weights are the
// operand in registers, where every format can be made from its packed bytes, and a panel is a warp's share.
//
//   producer warpgroup                                 1 or 2 consumer warpgroups, 64 columns each
//     wait until the stage is empty                      wait until the next stage is full
//     ask for 64 columns of each panel (bulk copies)     its panels to registers, dequantised to f16
//     64 columns of the left rows: to f16 or bf16,       meanwhile wgmma multiplies the stage before
//       swizzled, to shared memory                       wait for wgmma; that stage is empty
//
// The producer runs ahead into the next tile while consumers run the epilogue, which stores by tensor maps
// what it can (TileStores). Numbers: rows of f32 are rounded to the weights' type. Quantised: rows of 8-bit
// blocks are made f16 relative to the largest scale of the row, weights f16 times PanelFragments::gain; both
// are undone in f32 after the sum, so nothing leaves f16's range.
#include "passes/lowering/gpu/matmul/MatmulWarpgroup.h"

#include "passes/lowering/gpu/matmul/PanelFragments.h"
#include "passes/lowering/gpu/matmul/SplitK.h"
#include "passes/lowering/gpu/matmul/TileStores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t chunkColumns = PanelFragments::columns, leftLine = 2 * chunkColumns;
constexpr int64_t widestChunk = 128, mostTokens = 128, mostConsumers = 2;
/// Sums and weights in registers a thread.
constexpr int64_t mostSums = 64;
/// A producer of f32 has two chunks on their way: of 3 * 168 registers it gets more than a consumer.
constexpr int64_t consumerRegisters = 152, producerRegisters = 200;
/// Left integers times scale / largest scale, in f16, have this factor: small blocks stay normal numbers.
constexpr double leftGain = 256, leastScale = 1e-30;

class WarpgroupMatmul {
public:
  WarpgroupMatmul(Frame &frame, kernel::MatmulOp op);

  /// Quantised: where two warpgroups share the activations; else integers, which are exact, are as good.
  bool fits() const { return tokens >= 8 && stages >= 2 && (!isQuantised || consumers == 2); }
  LogicalResult run();

private:
  void planStores(int64_t sumBytes, int64_t stageBytes);
  void initBarriers();
  //--- the producer
  void produce();
  void produceTile(Value first, Value lastRow, Value panelBegin, Value panelCount);
  void copyWeights(Value chunk, Value stage, Value panelBegin, Value panelCount);
  Registers rowMaxima(Value first, Value lastRow);
  Registers loadLeft(Value chunk, Value first, Value lastRow);
  Value loadHalves(Value from, Value column);
  void storeLeft(Value stage, ValueRange loaded, ValueRange maxima);
  void storeFloats(Value to, ValueRange loaded);
  void storeIntegers(Value to, ValueRange loaded, ValueRange maxima);
  //--- the consumers
  LogicalResult consume();
  Registers sumTile(Value panelCount);
  Registers loadWeights(Value chunk, Value stage, Value panelCount);
  /// `left` becomes the registers that are in use until the products are done.
  Registers multiplyChunk(Value stage, Registers &left, ValueRange sums);
  void scaleSums(Value stage, Registers &sums);
  void release(Value stage);
  void storeSums(ValueRange sums, Value panelCount);

  int64_t weights() const { return m.weights.size(); }
  bool givesRegisters() const { return !isQuantised && !isHalf && consumers == 2; }
  int64_t chunks() const { return llvm::divideCeil(m.inputs, chunkColumns); }
  /// Items of the left side that a producer's thread makes: 4 columns of f32 or 8 bits, 8 of 16 bits, or 16
  /// of q8.
  int64_t items() const { return llvm::divideCeil(tokens * itemsPerRow(), warpgroupSize); }
  int64_t itemsPerRow() const { return isQuantised ? 4 : isHalf ? 8 : 16; }
  Value itemRow(int64_t item) {
    return e.add(e.div(frame.thread, itemsPerRow()), item * (warpgroupSize / itemsPerRow()));
  }
  /// Panel of the chunk that the warp has in its `unit`.
  Value panelOf(int64_t unit) {
    Value block = e.add(e.div(frame.warp(), 4), unit * consumers);
    return e.add(e.mul(block, 4), e.rem(frame.warp(), 4));
  }
  Value fullBarrier(Value stage) { return e.atByte(barriers, e.mul(stage, 16)); }
  Value emptyBarrier(Value stage) { return e.atByte(fullBarrier(stage), 8); }
  Value leftAt(Value stage) { return e.atByte(leftPlace, e.mul(stage, tokens * leftLine)); }
  Value scalesAt(Value stage) { return e.at(rowScales, e.mul(stage, tokens), e.f32()); }
  int64_t slotBytes(int64_t weight) const { return llvm::alignTo(fragments[weight].bytes(), 128); }
  Value weightAt(int64_t weight, Value stage, Value panel) {
    return e.atByte(weightPlaces[weight],
                    e.mul(e.add(e.mul(stage, m.panelsPerChunk()), panel), slotBytes(weight)));
  }
  //--- the number of chunks that the warpgroup has seen so far, in all tiles
  Value seen() { return e.load(e.i32(), counter); }
  void setSeen(Value value) { e.store(value, counter); }
  Value stageOf(Value number) { return e.rem(number, stages); }
  Value parityOf(Value number) { return e.bitAnd(e.div(number, stages), 1); }

  Frame &frame;
  Emitter &e;
  Matmul m;
  bool isQuantised, isHalf;              // kinds of the left side
  SmallVector<PanelFragments> fragments; // of each weight
  int64_t consumers = 1, units = 1;      // warpgroups; blocks of 64 columns of each weight a warpgroup
  int64_t tokens = 0, stages = 0;        // rows of the left side at once
  Value leftPlace, rowScales, barriers, counter;
  SmallVector<Value> weightPlaces;
  Accumulators accumulators;
  std::optional<TileStores> stores;
};

WarpgroupMatmul::WarpgroupMatmul(Frame &frame, kernel::MatmulOp op)
    : frame(frame), e(frame.e), m(frame, op, widestChunk), isQuantised(!m.layouts[0].isFloat()),
      isHalf(op.getLeft().getType().getElement().isF16() || op.getLeft().getType().getElement().isBF16()) {
  int64_t stageWeights = 0;
  for (auto [weight, layout] : llvm::zip_equal(op.getWeights(), m.layouts)) {
    fragments.emplace_back(frame, layout, cast<kernel::WeightType>(weight.getType()).getElement());
    stageWeights += m.panelsPerChunk() * slotBytes(fragments.size() - 1);
  }
  int64_t blocks = llvm::divideCeil(m.panelsPerChunk(), 4);
  consumers = std::min(mostConsumers, blocks);
  units = llvm::divideCeil(blocks, consumers);
  if (weights() * units > 4) // left operands alone are 16 registers each
    return;
  int64_t rows = llvm::alignTo(op.getScheduleAttr().getRowsPerTile(), 8);
  tokens = std::min({mostTokens, rows, mostSums * 2 / (weights() * units) / 8 * 8});
  int64_t most = maxSharedBytes(e.architecture) - reservedBytes, sums = 0, stage = 0;
  for (; tokens >= 8; tokens -= 8) {
    sums = weights() * tokens * (m.accumulatorColumns() + 4) * 4;
    stage = stageWeights + tokens * (leftLine + (isQuantised ? 4 : 0));
    stages = (most - sums) / stage;
    if (stages >= 2)
      break;
  }
  stages = std::min<int64_t>(stages, 4);
  planStores(sums, stage);
}

/// What the stages leave is for stores by tensor maps, or a fourth stage makes room for them. Where two
/// blocks share a multiprocessor they still do.
void WarpgroupMatmul::planStores(int64_t sumBytes, int64_t stageBytes) {
  stores.emplace(m, m.rowsOfBlock(tokens));
  if (stores->empty() || !fits())
    return;
  const int64_t half = halfSharedBytes(e.architecture);
  int64_t kept = epilogueBytes(m, consumers * warpgroupSize);
  int64_t room = maxSharedBytes(e.architecture) - std::max(reservedBytes, kept) - sumBytes;
  if (consumers == 1 && sumBytes + stages * stageBytes + kept <= half)
    room = half - kept - sumBytes;
  auto fitsBeside = [&](int64_t count) { return stores->fewestBytes() <= room - count * stageBytes; };
  if (stages == 4 && !fitsBeside(4) && fitsBeside(3))
    --stages;
  stores->fit(room - stages * stageBytes);
}

void WarpgroupMatmul::initBarriers() {
  barriers = frame.allocate(stages * 16);
  e.ifThen(e.equal(frame.thread, e.constant(0)), [&] {
    for (int64_t stage = 0; stage < stages; ++stage) {
      initBarrier(e, fullBarrier(e.constant(stage)), warpgroupSize);
      initBarrier(e, emptyBarrier(e.constant(stage)), consumers * warpgroupSize / warpSize);
    }
    fenceBarriers(e);
  });
  e.barrier();
}

LogicalResult WarpgroupMatmul::run() {
  assert(frame.sharedBytes == 0 && "rows of the right operand begin at a multiple of 1024");
  frame.threads = (consumers + 1) * warpgroupSize;
  frame.blocksPerSm = consumers == 1 ? 2 : 1;
  leftPlace = frame.allocate(stages * tokens * leftLine);
  for (int64_t weight = 0; weight < weights(); ++weight)
    weightPlaces.push_back(frame.allocate(stages * m.panelsPerChunk() * slotBytes(weight)));
  if (isQuantised)
    rowScales = frame.allocate(stages * tokens * 4);
  // 4 more columns: what lanes of a warp store lies in different banks.
  int64_t stride = m.accumulatorColumns() + 4;
  accumulators = {frame.allocate(weights() * tokens * stride * 4), stride, tokens * stride, tokens};
  beginParts(m, tokens);
  if (!stores->empty())
    stores->begin(frame.allocate(stores->bytes()));
  m.tileStores = &*stores;
  initBarriers();
  counter = LLVM::AllocaOp::create(e.b, e.loc, e.ptr(), e.i32(), e.constant(1));
  setSeen(e.constant(0));
  Value thread = frame.thread, isConsumer = e.less(thread, e.constant(consumers * warpgroupSize));
  LogicalResult result = success();
  e.ifThen(isConsumer, [&] {
    frame.threads = consumers * warpgroupSize;
    e.barrierScope = {1, frame.threads};
    if (givesRegisters())
      setRegisters(e, consumerRegisters, false);
    result = consume();
  });
  e.ifThen(e.less(e.constant(consumers * warpgroupSize - 1), thread), [&] {
    frame.thread = e.sub(thread, consumers * warpgroupSize);
    frame.threads = warpgroupSize;
    e.barrierScope = {2, frame.threads};
    if (givesRegisters())
      setRegisters(e, producerRegisters, true);
    produce();
  });
  e.barrierScope = {};
  frame.thread = thread;
  frame.threads = (consumers + 1) * warpgroupSize;
  return result;
}

//===--- the producer

void WarpgroupMatmul::produce() {
  m.forEachChunk([&](Value begin, Value end, Value firstRow, Value rowEnd) {
    Value panelBegin = m.firstPanel(begin), panelCount = e.sub(m.panelEnd(end), panelBegin);
    e.loop(firstRow, rowEnd, tokens,
           [&](Value first) { produceTile(first, e.sub(rowEnd, 1), panelBegin, panelCount); });
  });
}

void WarpgroupMatmul::produceTile(Value first, Value lastRow, Value panelBegin, Value panelCount) {
  Registers maxima = isQuantised ? rowMaxima(first, lastRow) : Registers();
  // The next chunk's numbers are on their way while this one's stage is waited for.
  Value count = m.stepsOfSplit(chunks());
  auto chunkAt = [&](Value turn) { return m.stepOfSplit(turn, chunks()); };
  Registers loaded = loadLeft(chunkAt(e.constant(0)), first, lastRow);
  e.loop(e.constant(0), count, 1, loaded, [&](Value turn, ValueRange carried) {
    Value chunk = chunkAt(turn);
    Registers next = loadLeft(chunkAt(e.min(e.add(turn, 1), e.sub(count, 1))), first, lastRow);
    Value number = seen(), stage = stageOf(number);
    waitBarrier(e, emptyBarrier(stage), e.bitXor(parityOf(number), e.constant(1)));
    copyWeights(chunk, stage, panelBegin, panelCount);
    storeLeft(stage, carried, maxima);
    fenceAsyncShared(e);
    arrive(e, fullBarrier(stage));
    setSeen(e.add(number, 1));
    return next;
  });
}

void WarpgroupMatmul::copyWeights(Value chunk, Value stage, Value panelBegin, Value panelCount) {
  e.ifThen(e.less(frame.thread, panelCount), [&] {
    for (int64_t weight = 0; weight < weights(); ++weight)
      fragments[weight].copy(m.panel(weight, e.add(panelBegin, frame.thread)), chunk,
                             weightAt(weight, stage, frame.thread), fullBarrier(stage));
  });
}

/// The largest scale of each row that the thread has items of; 4 lanes have a row.
Registers WarpgroupMatmul::rowMaxima(Value first, Value lastRow) {
  int64_t blocks = m.inputs / kernel::q8Block;
  SmallVector<Value> scales;
  for (int64_t item = 0; item < items(); ++item) {
    Value row = frame.rowOf(m.op.getLeft(), e.min(e.add(first, itemRow(item)), lastRow));
    scales.push_back(e.atByte(row, m.inputs));
  }
  Registers maxima(items(), e.constantF(e.f32(), leastScale));
  maxima = e.loop(
      e.constant(0), e.constant(llvm::divideCeil(blocks, 4)), 1, maxima, [&](Value turn, ValueRange so) {
        Value block = e.min(e.add(e.mul(turn, 4), e.rem(frame.thread, 4)), e.constant(blocks - 1));
        Registers larger;
        for (int64_t item = 0; item < items(); ++item)
          larger.push_back(e.maxF(so[item], e.load(e.f32(), e.at(scales[item], block, e.f32()))));
        return larger;
      });
  for (Value &maximum : maxima)
    for (int64_t mask : {1, 2})
      maximum = e.maxF(maximum, e.shuffleXor(maximum, mask));
  return maxima;
}

/// f32 and 8 bits: 4 columns an item. q8: 16 columns, and their block's scale, an item.
Registers WarpgroupMatmul::loadLeft(Value chunk, Value first, Value lastRow) {
  auto left = m.op.getLeft();
  Registers loaded;
  Type given = left.getType().getElement();
  Value column = e.add(e.mul(chunk, chunkColumns),
                       e.mul(e.rem(frame.thread, itemsPerRow()), chunkColumns / itemsPerRow()));
  bool isWhole = m.inputs % chunkColumns == 0;
  for (int64_t item = 0; item < items(); ++item) {
    Value from = frame.rowOf(left, e.min(e.add(first, itemRow(item)), lastRow));
    if (isQuantised) {
      Value inside = e.less(column, e.constant(m.inputs)), block = e.div(column, kernel::q8Block),
            at = column;
      if (!isWhole) {
        at = e.min(column, e.constant(m.inputs - 16));
        block = e.min(block, e.constant(m.inputs / kernel::q8Block - 1));
      }
      loaded.push_back(e.loadAligned(e.vec(4, e.i32()), e.atByte(from, at)));
      Value scale = e.load(e.f32(), e.at(e.atByte(from, m.inputs), block, e.f32()));
      loaded.push_back(isWhole ? scale : e.select(inside, scale, e.constantF(e.f32(), 0)));
      continue;
    }
    if (isHalf) {
      loaded.push_back(loadHalves(from, column));
      continue;
    }
    if (isWhole) {
      loaded.push_back(e.loadWide(given, 4, e.at(from, column, given)));
      continue;
    }
    int64_t n = m.inputs % 4 ? 1 : 4;
    SmallVector<Value> numbers;
    for (int64_t i = 0; i < 4; i += n) {
      Value at = e.add(column, i), inside = e.less(at, e.constant(m.inputs));
      Value x = e.loadWide(given, n, e.at(from, e.min(at, e.constant(m.inputs - n)), given));
      x = e.select(inside, x, e.zeros(n));
      for (int64_t k = 0; k < n; ++k)
        numbers.push_back(e.extract(x, k));
    }
    loaded.push_back(e.pack(numbers));
  }
  return loaded;
}

/// 8 columns, 4 words; zeros behind the last one.
Value WarpgroupMatmul::loadHalves(Value from, Value column) {
  Type words = e.vec(4, e.i32());
  if (m.inputs % chunkColumns == 0)
    return e.loadAligned(words, e.at(from, column, fragments[0].element()));
  Value inside = e.less(column, e.constant(m.inputs));
  Value at = e.min(column, e.constant(m.inputs - 8));
  return e.select(inside, e.loadAligned(words, e.at(from, at, fragments[0].element())),
                  e.constantI(words, 0));
}

void WarpgroupMatmul::storeLeft(Value stage, ValueRange loaded, ValueRange maxima) {
  int64_t each = isQuantised ? 2 : 1, rowsPerItem = warpgroupSize / itemsPerRow();
  for (int64_t item = 0; item < items(); ++item) {
    auto store = [&] {
      Value line = e.atByte(leftAt(stage), e.mul(itemRow(item), leftLine));
      isQuantised ? storeIntegers(line, loaded.slice(item * each, each), maxima.slice(item, 1))
                  : storeFloats(line, loaded.slice(item * each, each));
      if (isQuantised)
        e.ifThen(e.equal(e.rem(frame.thread, 4), e.constant(0)), [&] {
          Value scale = e.mulF(maxima[item], e.constantF(e.f32(), 1 / (leftGain * PanelFragments::gain)));
          e.store(scale, e.at(scalesAt(stage), itemRow(item), e.f32()));
        });
    };
    if ((item + 1) * rowsPerItem <= tokens)
      store();
    else
      e.ifThen(e.less(itemRow(item), e.constant(tokens)), store);
  }
}

/// 4 columns: half of 16 bytes, which lie at (number of the 16 bytes) ^ (row % 8). 16 bits: all of them.
void WarpgroupMatmul::storeFloats(Value line, ValueRange loaded) {
  if (isHalf) {
    Value piece = e.bitXor(e.rem(frame.thread, 8), e.rem(itemRow(0), 8));
    return e.storeAligned(loaded[0], e.atByte(line, e.mul(piece, 16)));
  }
  Value inRow = e.rem(frame.thread, 16), piece = e.bitXor(e.div(inRow, 2), e.rem(itemRow(0), 8));
  Value place = e.atByte(line, e.add(e.mul(piece, 16), e.mul(e.rem(inRow, 2), 8)));
  e.storeNarrow(loaded[0], fragments[0].element(), place);
}

/// 16 columns: a step, in the order of PanelFragments.
void WarpgroupMatmul::storeIntegers(Value line, ValueRange loaded, ValueRange maxima) {
  Value ratio = e.divF(e.mulF(loaded[1], e.constantF(e.f32(), leftGain)), maxima[0]);
  Value factor = e.splat(e.narrow(ratio, e.f16()), 2);
  for (int64_t pair = 0; pair < 2; ++pair) {
    SmallVector<Value> words;
    for (int64_t quad = 0; quad < 4; ++quad) {
      Value bytes = e.bitXor(e.extract(loaded[0], quad), e.constant(static_cast<int32_t>(0x80808080)));
      words.push_back(e.bitcast(e.i32(), e.mulF(bytesToHalves(e, bytes, pair, 128), factor)));
    }
    Value piece = e.add(e.mul(e.rem(frame.thread, 4), 2), pair);
    e.storeAligned(e.pack(words), e.atByte(line, e.mul(e.bitXor(piece, e.rem(itemRow(0), 8)), 16)));
  }
}

//===--- the consumers

LogicalResult WarpgroupMatmul::consume() {
  LogicalResult result = success();
  m.forEachChunk([&](Value begin, Value end, Value firstRow, Value rowEnd) {
    Value panelBegin = m.firstPanel(begin), panelCount = e.sub(m.panelEnd(end), panelBegin);
    e.loop(firstRow, rowEnd, tokens, [&](Value first) {
      storeSums(sumTile(panelCount), panelCount);
      e.barrier();
      Value rows = e.min(e.sub(rowEnd, first), e.constant(tokens));
      if (failed(emitEpilogues(m, accumulators, panelBegin, begin, end, first, rows)))
        result = failure();
      e.barrier();
    });
  });
  if (!stores->empty())
    stores->finish();
  return result;
}

Registers WarpgroupMatmul::sumTile(Value panelCount) {
  size_t sumCount = weights() * units * tokens / 2;
  Value number = seen(), count = m.stepsOfSplit(chunks());
  auto chunkAt = [&](Value turn) { return m.stepOfSplit(turn, chunks()); };
  waitBarrier(e, fullBarrier(stageOf(number)), parityOf(number));
  Registers carried(sumCount, e.constantF(e.f32(), 0));
  carried.append(loadWeights(chunkAt(e.constant(0)), stageOf(number), panelCount));
  carried = e.loop(e.constant(0), e.sub(count, 1), 1, carried, [&](Value chunk, ValueRange before) {
    Value stage = stageOf(e.add(number, chunk)), next = e.add(e.add(number, chunk), 1);
    Registers multiplied = before.drop_front(sumCount);
    Registers sums = multiplyChunk(stage, multiplied, before.take_front(sumCount));
    waitBarrier(e, fullBarrier(stageOf(next)), parityOf(next));
    Registers left = loadWeights(chunkAt(e.add(chunk, 1)), stageOf(next), panelCount);
    sums = waitProducts(e, sums, multiplied);
    release(stage);
    sums.append(left);
    return sums;
  });
  Value last = stageOf(e.add(number, e.sub(count, 1)));
  ValueRange before(carried);
  Registers multiplied = before.drop_front(sumCount);
  Registers sums = multiplyChunk(last, multiplied, before.take_front(sumCount));
  sums = waitProducts(e, sums, multiplied);
  if (isQuantised)
    scaleSums(last, sums);
  release(last);
  setSeen(e.add(number, count));
  return sums;
}

Registers WarpgroupMatmul::loadWeights(Value chunk, Value stage, Value panelCount) {
  Registers left;
  for (int64_t weight = 0; weight < weights(); ++weight)
    for (int64_t unit = 0; unit < units; ++unit) { // without a panel: the last one again, to be dropped
      Value panel = e.min(panelOf(unit), e.sub(panelCount, 1));
      left.append(fragments[weight].load(weightAt(weight, stage, panel), chunk));
    }
  return left;
}

Registers WarpgroupMatmul::multiplyChunk(Value stage, Registers &left, ValueRange sums) {
  Value right = describeRows(e, leftAt(stage));
  Registers all(left);
  all.append(sums.begin(), sums.end());
  all = fenceRegisters(e, all);
  constexpr int64_t each = PanelFragments::steps * 4;
  ArrayRef<Value> operands = ArrayRef<Value>(all).take_front(left.size());
  Registers result;
  for (int64_t product = 0; product < weights() * units; ++product) {
    Registers sum(ArrayRef<Value>(all).slice(left.size() + product * tokens / 2, tokens / 2));
    for (int64_t step = 0; step < PanelFragments::steps; ++step)
      sum = multiply(e, fragments[0].element(), operands.slice(product * each + step * 4, 4),
                     describeFurther(e, right, step * 32), sum);
    result.append(sum);
  }
  commitProducts(e);
  left.assign(operands.begin(), operands.end());
  return result;
}

/// The lane's sums of 8 rows are those of rows 2t and 2t + 1, for two columns.
void WarpgroupMatmul::scaleSums(Value stage, Registers &sums) {
  Value place = e.at(scalesAt(stage), e.mul(e.rem(frame.lane(), 4), 2), e.f32());
  for (int64_t first = 0; first < tokens; first += 8) {
    Value scales = e.loadAligned(e.vec(2), e.at(place, first, e.f32()));
    for (int64_t product = 0; product < weights() * units; ++product)
      for (int64_t i = 0; i < 4; ++i) {
        Value &sum = sums[product * tokens / 2 + first / 2 + i];
        sum = e.mulF(sum, e.extract(scales, i % 2));
      }
  }
}

void WarpgroupMatmul::release(Value stage) {
  e.warpBarrier();
  e.ifThen(e.equal(frame.lane(), e.constant(0)), [&] { arrive(e, emptyBarrier(stage)); });
}

void WarpgroupMatmul::storeSums(ValueRange sums, Value panelCount) {
  Value group = e.div(frame.lane(), 4), row = e.mul(e.rem(frame.lane(), 4), 2);
  for (int64_t weight = 0; weight < weights(); ++weight)
    for (int64_t unit = 0; unit < units; ++unit) {
      ValueRange mine = sums.slice((weight * units + unit) * tokens / 2, tokens / 2);
      Value panel = panelOf(unit), column = e.mul(panel, kernel::panelRows);
      bool pairs = fragments[weight].pairsRows();
      Value place = accumulators.at(e, weight, row, e.add(column, pairs ? e.mul(group, 2) : group));
      e.ifThen(e.less(panel, panelCount), [&] {
        for (int64_t first = 0; first < tokens; first += 8)
          for (int64_t r = 0; r < 2; ++r) {
            Value to = e.at(place, (first + r) * accumulators.rowStride, e.f32());
            Value a = mine[first / 2 + r], b = mine[first / 2 + 2 + r];
            if (pairs) {
              e.storeAligned(e.pack({a, b}), to);
            } else {
              e.store(a, to);
              e.store(b, e.at(to, 8, e.f32()));
            }
          }
      });
    }
}

} // namespace

bool fitsWarpgroups(Frame &frame, kernel::MatmulOp op) { return WarpgroupMatmul(frame, op).fits(); }

LogicalResult emitWarpgroupMatmul(Frame &frame, kernel::MatmulOp op) {
  return WarpgroupMatmul(frame, op).run();
}

} // namespace sinter::gpu
