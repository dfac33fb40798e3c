// SPDX-License-Identifier: Apache-2.0
// kernel.matmul for many rows, both sides of 16 bits and of one type: nothing is converted on the way, so
// what a block does is copy and multiply. Up to 128 rows x 256 columns a block; K in chunks of 64 columns, up
// to four of them in a ring:
//
//   wait until this chunk is there and the chunk before is multiplied, by all warps
//   ask for the chunk that takes the place of the one before (cp.async, 16 bytes a lane)
//   multiply
//
// sm_80: mma.sync. 2 warps share the rows and the others the panels; operands come by ldmatrix. sm_90a: wgmma
// with both operands in shared memory, 64 rows a warpgroup: a line of f16 panels, 16 rows of one column, is
// two pieces of an operand that is contiguous along N. Where a piece of 16 bytes goes is chosen by the copy,
// so that no access collides.
//
// Numbers of 8 bits are widened to f16 on the way, once for the block: a thread loads 16 of them at a time,
// while the chunk before is multiplied, and then stores them. Tiles of 16 rows x 16 columns have columns side
// by side: both sides' chunks are lines of 64 columns, swizzled by 128 bytes. Two stages:
//
//   wait until this chunk is stored and the chunk before is multiplied, by all warps
//   load the next chunk's bytes; multiply; store them, widened, where the chunk before was
#include "passes/lowering/gpu/matmul/MatmulHalf.h"

#include "passes/lowering/gpu/Fp8.h"
#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/matmul/SplitK.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

using namespace halves;

/// Panels beside each other in an operand of wgmma: 64 rows, 128 bytes.
constexpr int64_t blockPanels = 4;

class HalfMatmul {
public:
  HalfMatmul(Frame &frame, kernel::MatmulOp op);

  bool fits() const { return stages >= 2; }
  LogicalResult run();

private:
  /// Where a thread's next copies come from: a pointer to the first row of the left side that it copies (of 8
  /// bits one a row), then one a panel (one a weight where a tile has all its panels).
  using Sources = Registers;

  bool plan(int64_t tileRows);
  Registers multiplyTile(Value first, Value rowEnd, Value panelBegin, Value panelEnd);
  Sources sourcesOf(Value first, Value rowEnd, Value panelBegin, Value panelEnd);
  Sources advance(ValueRange sources);
  /// How far source number `number` goes from chunk to chunk.
  int64_t bytesOfChunk(int64_t number) const {
    return (number < leftSources() ? leftLine : panelChunk) / (isBytes ? 2 : 1);
  }
  void fetch(ValueRange sources, Value chunk, Value stage);
  /// Where the thread's 16 bytes of the panel of copy number `copy` lie in the stage (i32).
  Value placeOfPiece(int64_t copy);
  //--- 8 bits
  Registers sumWidened(Sources sources);
  Registers loadBytes(ValueRange sources, Value chunk);
  void storeWide(ValueRange bytes, Value stage);
  //--- products of the first `steps` steps of a chunk
  Registers multiplySync(Value stage, Registers sums, int64_t steps = chunkSteps);
  Registers multiplyGroup(Value stage, Value chunk, Registers sums, int64_t steps = chunkSteps);
  std::array<Two, 2> rightOperands(Value from);
  /// Of all rows, or of part `part` of them.
  void storeSums(ValueRange sums, int64_t part);

  int64_t weights() const { return m.weights.size(); }
  Type stored() { return cast<kernel::WeightType>(m.op.getWeights().front().getType()).getElement(); }
  int64_t slots() const { return weights() * panels; }
  int64_t chunks() const { return llvm::divideCeil(m.inputs, chunkColumns); }
  int64_t stageBytes() const { return rows * leftLine + slots() * panelChunk; }
  /// Pieces of 16 bytes of a chunk: of a row, of a panel.
  int64_t rowPieces() const { return isBytes ? 4 : 8; }
  int64_t panelPieces() const { return isBytes ? 64 : 128; }
  int64_t leftCopies() const { return rows * rowPieces() / threads; }
  int64_t weightCopies() const { return slots() * panelPieces() / threads; }
  /// Pointers of the left side.
  int64_t leftSources() const { return isBytes ? leftCopies() : 1; }
  int64_t sumsOfThread() const { return rows * slots() * kernel::panelRows / threads; }
  /// The weight and the panel of copy number `copy`; threads that the first panel does not need copy the next
  /// ones.
  int64_t weightOf(int64_t copy) const { return copy * (threads / panelPieces()) / panels; }
  int64_t panelOf(int64_t copy) const { return copy * (threads / panelPieces()) % panels; }
  Value stageAt(Value stage) { return e.atByte(place, stage); }
  //--- sm_80: warps by rows and panels
  int64_t columnWarps() const { return threads / warpSize / 2; }
  int64_t panelsPerWarp() const { return slots() / columnWarps(); }
  int64_t rowTiles() const { return rows / 32; }
  Value warpRow() { return e.mul(e.rem(frame.warp(), 2), rows / 2); }
  int64_t partRows() const { return rows / parts; }
  Value firstSlot() { return e.mul(e.div(frame.warp(), 2), panelsPerWarp()); }

  Frame &frame;
  Emitter &e;
  Matmul m;
  bool isGroup, isPairs, isBytes; // wgmma; weights of bf16; both sides of 8 bits
  bool isWhole;                   // all tiles have all their panels
  int64_t panels;                 // of each weight in a tile, a multiple of blockPanels
  int64_t rows = 0, threads = 0, stages = 0;
  int64_t parts = 1;  // that the sums go through shared memory in: 2 are a warp's rows each
  Registers rowSizes; // bytes of a copy of each row that the thread copies: 16, or 0 without the row
  Value place;        // of the stages, then of the accumulators
  Accumulators accumulators;
};

HalfMatmul::HalfMatmul(Frame &frame, kernel::MatmulOp op)
    : frame(frame), e(frame.e), m(frame, op, widestColumns), isGroup(e.architecture == Architecture::Sm90),
      isPairs(m.layouts[0].format == kernel::WeightFormat::BF16), isBytes(m.layouts[0].isFp8()),
      isWhole(!m.straddles && !op.getExperts() &&
              m.columnsPerChunk % (blockPanels * kernel::panelRows) == 0 &&
              m.outputs % m.columnsPerTile == 0 && m.columnsPerTile % m.columnsPerChunk == 0),
      panels(llvm::alignTo(m.panelsPerChunk(), blockPanels)) {
  kernel::RowsType left = op.getLeft().getType();
  Type element = isPairs ? e.bf16() : isBytes ? stored() : e.f16();
  if (left.getElement() != element || left.getRowBytes() % 16 || (isGroup && isPairs))
    return;
  int64_t asked = op.getScheduleAttr().getRowsPerTile(), fewest = isGroup ? 64 : 32;
  for (int64_t tileRows = std::max<int64_t>(fewest, asked > 64   ? 128
                                                    : asked > 32 ? 64
                                                                 : 32);
       tileRows >= fewest; tileRows /= 2)
    if (plan(tileRows))
      return;
}

bool HalfMatmul::plan(int64_t tileRows) {
  rows = tileRows;
  threads = isGroup ? rows * 2 : rows * slots() >= 1024 ? 256 : 128;
  if (leftCopies() == 0)
    return false;
  int64_t kept = epilogueBytes(m, threads), all = maxSharedBytes(e.architecture);
  int64_t most = all - std::max(reservedBytes, kept), half = halfSharedBytes(e.architecture);
  accumulators.weightStride = panels * kernel::panelRows;
  // What lanes store lies in different banks: 4 rows of 8 numbers, or 2 of 16.
  accumulators.rowStride = slots() * kernel::panelRows + (isPairs ? 16 : 8);
  int64_t sums = sumsOfThread(), wide = panels * kernel::panelRows;
  if (sums > mostSums || (isGroup && wide > 256))
    return false;
  parts = !isGroup && sums > fewSums ? 2 : 1;
  if (parts == 2) // 2 stages are nearly all there is
    most = all - kept;
  if (std::max(2 * stageBytes(), partRows() * accumulators.rowStride * 4) > most)
    return false;
  stages =
      std::clamp<int64_t>((sums > fewSums ? most : std::min(half, most)) / stageBytes(), 2, isBytes ? 2 : 4);
  return true;
}

LogicalResult HalfMatmul::run() {
  assert(frame.sharedBytes == 0 && "operands of wgmma begin at a multiple of 1024");
  frame.threads = threads;
  bool isSmall = threads == 128 && !(isBytes && sumsOfThread() > fewSums / 2);
  frame.blocksPerSm = sumsOfThread() > fewSums ? 1 : isSmall ? 4 : 2;
  place = frame.allocate(std::max(stages * stageBytes(), partRows() * accumulators.rowStride * 4));
  accumulators.address = place;
  accumulators.rows = partRows();
  beginParts(m, partRows());
  LogicalResult result = success();
  m.forEachChunk([&](Value begin, Value end, Value firstRow, Value rowEnd) {
    Value panelBegin = m.firstPanel(begin), panelEnd = m.panelEnd(end);
    e.loop(firstRow, rowEnd, rows, [&](Value first) {
      Value thread = frame.thread;
      Registers sums = multiplyTile(first, rowEnd, panelBegin, panelEnd);
      for (int64_t part = 0; part < parts; ++part) {
        e.barrier(); // all have read what lies where the sums go
        storeSums(sums, part);
        e.barrier();
        Value from = e.add(first, part * partRows());
        Value count = e.min(e.sub(rowEnd, from), e.constant(partRows()));
        if (failed(emitEpilogues(m, accumulators, panelBegin, begin, end, from, count)))
          result = failure();
      }
      frame.thread = thread;
      e.barrier();
    });
  });
  return result;
}

Registers HalfMatmul::multiplyTile(Value first, Value rowEnd, Value panelBegin, Value panelEnd) {
  Sources sources = sourcesOf(first, rowEnd, panelBegin, panelEnd);
  if (isBytes)
    return sumWidened(sources);
  Value count = m.stepsOfSplit(chunks());
  for (int64_t chunk = 0; chunk < stages - 1; ++chunk) {
    auto fetchIt = [&] {
      fetch(sources, m.stepOfSplit(e.constant(chunk), chunks()), e.constant(chunk * stageBytes()));
    };
    if (chunk < m.fewestSteps(chunks()))
      fetchIt();
    else if (m.splits > 1)
      e.ifThen(e.less(e.constant(chunk), count), fetchIt);
    sources = advance(sources);
    asyncCommit(e); // may be empty
  }
  int64_t sumCount = sumsOfThread();
  // The first products of wgmma do not add.
  Value none = isGroup ? Value(LLVM::PoisonOp::create(e.b, e.loc, e.f32())) : e.constantF(e.f32(), 0);
  Registers carried(sumCount, none);
  carried.push_back(e.constant(0)); // the stage, in bytes; 2 and 4 stages follow from the chunk
  bool isEven = stages % 2 == 0;
  auto stageOf = [&](Value chunk) { return e.mul(e.rem(chunk, stages), stageBytes()); };
  carried.append(sources);
  carried = e.loop(e.constant(0), count, 1, carried, [&](Value chunk, ValueRange before) {
    Registers sums(before.take_front(sumCount));
    Value stage = isEven ? stageOf(chunk) : before[sumCount], next = e.add(chunk, stages - 1);
    ValueRange from = before.drop_front(sumCount + 1);
    asyncWait(e, stages - 2);
    if (isGroup) {
      sums = waitProducts(e, sums, {});
      fenceAsyncShared(e);
    }
    e.barrier();
    Value free = isEven ? stageOf(next)
                        : e.select(e.equal(stage, e.constant(0)), e.constant((stages - 1) * stageBytes()),
                                   e.sub(stage, stageBytes()));
    e.ifThen(e.less(next, count), [&] { fetch(from, m.stepOfSplit(next, chunks()), free); });
    asyncCommit(e);
    sums = isGroup ? multiplyGroup(stage, chunk, sums) : multiplySync(stage, sums);
    Value after = e.add(stage, stageBytes()), isLast = e.equal(after, e.constant(stages * stageBytes()));
    sums.push_back(isEven ? e.constant(0) : e.select(isLast, e.constant(0), after));
    sums.append(advance(from));
    return sums;
  });
  Registers sums(ValueRange(carried).take_front(sumCount));
  if (isGroup)
    sums = waitProducts(e, sums, {});
  frame.thread = e.threadAnew();
  return sums;
}

//===--- copies

HalfMatmul::Sources HalfMatmul::sourcesOf(Value first, Value rowEnd, Value panelBegin, Value panelEnd) {
  Sources sources;
  Value lastRow = e.sub(rowEnd, 1), lastPanel = e.sub(panelEnd, 1);
  Value row = e.add(first, e.div(frame.thread, rowPieces()));
  Value piece = e.mul(e.rem(frame.thread, rowPieces()), 16);
  rowSizes.clear();
  for (int64_t copy = 0; copy < leftCopies(); ++copy) { // rows behind the last one are zeros
    Value number = e.add(row, copy * (threads / rowPieces()));
    if (isBytes) // or the last one again: they are dropped
      sources.push_back(e.atByte(frame.rowOf(m.op.getLeft(), e.min(number, lastRow)), piece));
    else
      rowSizes.push_back(e.select(e.less(lastRow, number), e.constant(0), e.constant(16)));
  }
  if (!isBytes)
    sources.push_back(e.atByte(frame.rowOf(m.op.getLeft(), row), piece));
  for (int64_t copy = 0; copy < weightCopies(); ++copy) {
    if (isWhole && panelOf(copy) != 0)
      continue;
    Value panel = e.add(e.add(panelBegin, e.div(frame.thread, panelPieces())), panelOf(copy));
    if (!isWhole)
      panel = e.min(panel, lastPanel); // absent ones are some other panel's, and dropped
    sources.push_back(
        e.atByte(m.panel(weightOf(copy), panel), e.mul(e.rem(frame.thread, panelPieces()), 16)));
  }
  if (m.splits > 1)
    for (auto [number, source] : llvm::enumerate(sources))
      source = e.atByte(source, e.mul(m.stepOfSplit(e.constant(0), chunks()), bytesOfChunk(number)));
  return sources;
}

HalfMatmul::Sources HalfMatmul::advance(ValueRange sources) {
  Sources next;
  for (auto [number, source] : llvm::enumerate(sources))
    next.push_back(e.atByte(source, bytesOfChunk(number)));
  return next;
}

Value HalfMatmul::placeOfPiece(int64_t copy) {
  Value piece = e.rem(frame.thread, 128), second = e.div(frame.thread, 128);
  if (isPairs) { // a line is two columns of 16 rows; the second pair of its pieces comes first in every other
                 // two lines
    Value line = e.div(piece, 4), turned = e.bitXor(e.rem(piece, 4), e.mul(e.rem(e.div(line, 2), 2), 2));
    Value inPanel = e.add(e.mul(line, 64), e.mul(turned, 16));
    return e.add(e.add(e.mul(second, panelChunk), inPanel), copy * (threads / 128) * panelChunk);
  }
  Value line = e.div(piece, 2), half = e.rem(piece, 2);
  if (!isGroup)
    return e.add(e.add(e.mul(second, panelChunk), placeInShortLine(e, line, half)),
                 copy * (threads / 128) * panelChunk);
  // Lines of 4 panels beside each other, swizzled by 128 bytes.
  int64_t panel = copy * (threads / 128), inBlock = panel % blockPanels;
  Value inLine = e.bitXor(e.add(e.mul(second, 2), half), e.rem(line, 8));
  inLine = e.bitXor(e.mul(inLine, 16), e.constant(inBlock * 32));
  return e.add(e.add(e.mul(line, 128), inLine), panel / blockPanels * blockPanels * panelChunk);
}

void HalfMatmul::fetch(ValueRange sources, Value chunk, Value stage) {
  Value to = stageAt(stage);
  // Columns behind the last one are zeros, on both sides.
  auto sizeAt = [&](Value column, Value whole) -> Value {
    if (m.inputs % chunkColumns == 0)
      return whole;
    Value inside = e.less(e.add(e.mul(chunk, chunkColumns), column), e.constant(m.inputs));
    return e.select(inside, whole ? whole : e.constant(16), e.constant(0));
  };
  Value row = e.div(frame.thread, 8), piece = e.rem(frame.thread, 8);
  Value left = e.atByte(to, placeInLine(e, row, piece));
  int64_t rowBytes = m.op.getLeft().getType().getRowBytes();
  for (int64_t copy = 0; copy < leftCopies(); ++copy) {
    int64_t further = copy * (threads / 8);
    copyAsync(e, e.atByte(left, further * leftLine), e.atByte(sources[0], further * rowBytes), 16,
              sizeAt(e.mul(piece, 8), rowSizes[copy]));
  }
  Value line = e.div(e.rem(frame.thread, 128), isPairs ? 4 : 2);
  Value size = sizeAt(isPairs ? e.mul(line, 2) : line, Value());
  int64_t number = 1;
  Value base;
  for (int64_t copy = 0; copy < weightCopies(); ++copy) {
    if (!isWhole || panelOf(copy) == 0)
      base = sources[number++];
    Value from = isWhole ? e.atByte(base, panelOf(copy) * m.layouts[0].panelBytes()) : base;
    copyAsync(e, e.atByte(e.atByte(to, placeOfPiece(copy)), rows * leftLine), from, 16, size);
  }
}

//===--- 8 bits

Registers HalfMatmul::sumWidened(Sources sources) {
  Value count = m.stepsOfSplit(chunks());
  storeWide(loadBytes(sources, e.constant(0)), e.constant(0));
  size_t sumCount = sumsOfThread();
  Value none = isGroup ? Value(LLVM::PoisonOp::create(e.b, e.loc, e.f32())) : e.constantF(e.f32(), 0);
  Registers carried(sumCount, none);
  carried.append(advance(sources));
  auto meet = [&](Registers sums) {
    if (isGroup) {
      sums = waitProducts(e, sums, {});
      fenceAsyncShared(e);
    }
    e.barrier();
    return sums;
  };
  auto multiply = [&](Value chunk, Registers sums, int64_t steps) {
    Value stage = e.mul(e.rem(chunk, stages), stageBytes());
    return isGroup ? multiplyGroup(stage, chunk, sums, steps) : multiplySync(stage, sums, steps);
  };
  Value last = e.sub(count, 1);
  carried = e.loop(e.constant(0), last, 1, carried, [&](Value chunk, ValueRange before) {
    Registers sums = meet(Registers(before.take_front(sumCount)));
    Value next = e.add(chunk, 1);
    Registers bytes = loadBytes(before.drop_front(sumCount), next);
    sums = multiply(chunk, sums, chunkSteps);
    storeWide(bytes, e.mul(e.rem(next, stages), stageBytes()));
    sums.append(advance(before.drop_front(sumCount)));
    return sums;
  });
  // Of the last chunk only what there is; a part of K may end before.
  int64_t rest = m.splits > 1 ? 0 : m.inputs % chunkColumns / 16;
  Registers sums = meet(Registers(ValueRange(carried).take_front(sumCount)));
  sums = multiply(last, sums, rest ? rest : chunkSteps);
  if (isGroup)
    sums = waitProducts(e, sums, {});
  frame.thread = e.threadAnew();
  return sums;
}

/// 4 words a copy. Columns behind the last one are those of the chunk's first 16, or zeros.
Registers HalfMatmul::loadBytes(ValueRange sources, Value chunk) {
  constexpr int64_t columns = kernel::WeightLayout::tileColumns;
  Type four = e.vec(4, e.i32());
  bool hasRest = m.inputs % chunkColumns;
  /// Number `number` of the chunk's 16 columns, `bytes` apart.
  struct Place {
    Value isInside, further;
  };
  auto placeOf = [&](Value number, int64_t bytes) -> Place {
    if (!hasRest)
      return {Value(), e.constant(0)};
    Value column = e.add(e.mul(m.stepOfSplit(chunk, chunks()), chunkColumns), e.mul(number, columns));
    Value isInside = e.less(column, e.constant(m.inputs)), back = e.sub(e.constant(0), e.mul(number, bytes));
    return {isInside, e.select(isInside, e.constant(0), back)};
  };
  auto load = [&](Value from, const Place &place) {
    Value words = e.loadAligned(four, e.atByte(from, place.further));
    return hasRest && m.splits > 1 ? e.select(place.isInside, words, e.constantI(four, 0)) : words;
  };
  Registers bytes;
  Place place = placeOf(e.rem(frame.thread, rowPieces()), columns);
  for (int64_t copy = 0; copy < leftCopies(); ++copy)
    bytes.push_back(load(sources[copy], place));
  Value tile = e.div(e.rem(frame.thread, panelPieces()), kernel::panelRows), base;
  place = placeOf(tile, kernel::panelRows * columns);
  int64_t number = leftSources();
  for (int64_t copy = 0; copy < weightCopies(); ++copy) {
    if (!isWhole || panelOf(copy) == 0)
      base = sources[number++];
    bytes.push_back(load(isWhole ? e.atByte(base, panelOf(copy) * m.layouts[0].panelBytes()) : base, place));
  }
  return bytes;
}

/// A line of a panel is a row of the weight.
void HalfMatmul::storeWide(ValueRange bytes, Value stage) {
  auto store = [&](Value sixteen, Value line, Value piece, int64_t further) {
    for (int64_t half = 0; half < 2; ++half) {
      SmallVector<Value> words;
      for (int64_t pair = 0; pair < 4; ++pair)
        words.push_back(
            e.bitcast(e.i32(), fp8ToHalves(e, stored(), e.extract(sixteen, half * 2 + pair / 2), pair % 2)));
      Value to = placeInLine(e, line, e.add(e.mul(piece, 2), half));
      e.storeAligned(e.pack(words), e.atByte(e.atByte(stageAt(stage), to), further));
    }
  };
  Value row = e.div(frame.thread, rowPieces()), piece = e.rem(frame.thread, rowPieces());
  for (int64_t copy = 0; copy < leftCopies(); ++copy)
    store(bytes[copy], row, piece, copy * (threads / rowPieces()) * leftLine);
  // 16 pieces of a tile, 4 tiles of a panel.
  Value inPanel = e.rem(frame.thread, panelPieces()), panel = e.div(frame.thread, panelPieces());
  Value line = e.add(e.mul(panel, kernel::panelRows), e.rem(inPanel, kernel::panelRows));
  Value tile = e.div(inPanel, kernel::panelRows);
  for (int64_t copy = 0; copy < weightCopies(); ++copy)
    store(bytes[leftCopies() + copy], line, tile,
          rows * leftLine + copy * (threads / panelPieces()) * panelChunk);
}

//===--- products

/// sums: (row tile, panel, half, 4).
Registers HalfMatmul::multiplySync(Value stage, Registers sums, int64_t steps) {
  Type element = isPairs ? e.bf16() : e.f16();
  // Lane l names row l % 8 of matrix l / 8: rows 0-7, 8-15 of the first 16 bytes, then of the second.
  Value lane = frame.lane(), row = e.add(warpRow(), e.rem(lane, 16));
  Value inLine = e.mul(e.bitXor(e.div(lane, 16), e.rem(lane, 8)), 16);
  Value line = e.mul(row, leftLine), at = stageAt(stage), right = e.atByte(at, rows * leftLine), inRight;
  if (isPairs) {
    // Columns 2t and 2t + 1 of the panel's rows 2g and 2g + 1.
    Value group = e.div(lane, 4), inGroup = e.rem(lane, 4);
    Value quarter = e.bitXor(e.div(group, 2), e.mul(e.div(inGroup, 2), 2));
    right = e.atByte(right, e.add(e.add(e.mul(inGroup, 64), e.mul(quarter, 16)), e.mul(e.rem(group, 2), 8)));
  } else if (isBytes) {
    // The panel's first 8 rows, columns 0-7 and 8-15, then the others.
    Value outputs = e.add(e.rem(lane, 8), e.mul(e.div(lane, 16), 8));
    right = e.atByte(right, e.mul(outputs, leftLine));
    inRight = e.mul(e.bitXor(e.rem(e.div(lane, 8), 2), e.rem(lane, 8)), 16);
  } else {
    // Columns 0-7, 8-15 of the panel's first 8 rows, then of the others.
    Value column = e.add(e.rem(lane, 8), e.mul(e.rem(e.div(lane, 8), 2), 8));
    right = e.atByte(right, placeInShortLine(e, column, e.div(lane, 16)));
  }
  right = e.atByte(right, e.mul(firstSlot(), panelChunk));
  for (int64_t step = 0; step < steps; ++step) {
    Value mine = e.atByte(at, e.add(line, e.bitXor(inLine, e.constant(step * 32))));
    Value columns = isBytes ? e.atByte(right, e.bitXor(inRight, e.constant(step * 32)))
                            : e.atByte(right, step * 16 * kernel::panelRows * 2);
    // Of all panels: fewer registers than the left side of all row tiles.
    SmallVector<std::array<Two, 2>> both;
    for (int64_t panel = 0; panel < panelsPerWarp(); ++panel)
      both.push_back(rightOperands(e.atByte(columns, panel * panelChunk)));
    for (int64_t tile = 0; tile < rowTiles(); ++tile) {
      Four left = loadMatrices(e, e.atByte(mine, tile * 16 * leftLine));
      for (int64_t panel = 0; panel < panelsPerWarp(); ++panel)
        for (int64_t half = 0; half < 2; ++half)
          addProduct(e, element, left, both[panel][half], sums,
                     ((tile * panelsPerWarp() + panel) * 2 + half) * 4);
    }
  }
  return sums;
}

/// Of 16 columns of a panel, for both halves of the product: rows 0-7 and 8-15, or even and odd ones.
std::array<Two, 2> HalfMatmul::rightOperands(Value from) {
  if (!isPairs) {
    Four four = isBytes ? loadMatrices(e, from) : loadMatricesTransposed(e, from);
    return {Two{four[0], four[1]}, Two{four[2], four[3]}};
  }
  std::array<Two, 2> both;
  for (int64_t r = 0; r < 2; ++r) { // 8 columns further
    Value words = e.loadAligned(e.vec(2, e.i32()), e.atByte(from, r * 4 * 64));
    for (int64_t half = 0; half < 2; ++half)
      both[half][r] = e.extract(words, half);
  }
  return both;
}

/// sums: (weight, 8 columns, 4).
Registers HalfMatmul::multiplyGroup(Value stage, Value chunk, Registers sums, int64_t steps) {
  Value group = e.div(frame.warp(), 4), further = e.extend(e.shiftRight(stage, 4));
  Value left = e.add(describeRows(e, e.atByte(place, e.mul(group, 64 * leftLine))), further);
  Value rightAt = e.atByte(place, rows * leftLine);
  Value right = e.add(
      isBytes ? describeRows(e, rightAt) : describeColumns(e, rightAt, blockPanels * panelChunk), further);
  int64_t each = sums.size() / weights();
  sums = fenceRegisters(e, sums);
  for (int64_t weight = 0; weight < weights(); ++weight)
    for (int64_t step = 0; step < steps; ++step) {
      Registers some(ArrayRef<Value>(sums).slice(weight * each, each));
      int64_t stepBytes = isBytes ? 32 : 16 * 128;
      some = multiplyShared(e, e.f16(), describeFurther(e, left, step * 32),
                            describeFurther(e, right, weight * panels * panelChunk + step * stepBytes),
                            step ? Value() : chunk, some, /*isLeftTransposed=*/false,
                            /*isRightTransposed=*/!isBytes);
      llvm::copy(some, sums.begin() + weight * each);
    }
  commitProducts(e);
  return sums;
}

void HalfMatmul::storeSums(ValueRange sums, int64_t part) {
  if (isGroup)
    return storeGroupSums(frame, accumulators, sums);
  Value group = e.div(frame.lane(), 4), inGroup = e.rem(frame.lane(), 4);
  Value column = e.add(e.mul(firstSlot(), kernel::panelRows), e.mul(inGroup, isPairs ? 4 : 2));
  Value row = parts == 2 ? group : e.add(warpRow(), group);
  Value place = accumulators.at(e, 0, row, column);
  auto store = [&](int64_t tile, int64_t panel) {
    for (int64_t r = 0; r < 2; ++r) {
      size_t first = (tile * panelsPerWarp() + panel) * 8 + r * 2;
      Value to =
          e.at(place, (tile * 16 + r * 8) * accumulators.rowStride + panel * kernel::panelRows, e.f32());
      Value a = sums[first], b = sums[first + 1], c = sums[first + 4], d = sums[first + 5];
      if (isPairs) { // even and odd columns of a quad
        e.storeAligned(e.pack({a, c, b, d}), to);
        continue;
      }
      e.storeAligned(e.pack({a, b}), to);
      e.storeAligned(e.pack({c, d}), e.at(to, 8, e.f32()));
    }
  };
  auto storeAll = [&] {
    for (int64_t tile = 0; tile < rowTiles(); ++tile)
      for (int64_t panel = 0; panel < panelsPerWarp(); ++panel)
        store(tile, panel);
  };
  if (parts == 1)
    return storeAll();
  e.ifThen(e.equal(e.rem(frame.warp(), 2), e.constant(part)), storeAll);
}

} // namespace

void storeGroupSums(Frame &frame, const Accumulators &accumulators, ValueRange sums) {
  Emitter &e = frame.e;
  Value group = e.div(frame.lane(), 4), inGroup = e.rem(frame.lane(), 4);
  Value place = accumulators.at(e, 0, e.add(e.mul(frame.warp(), 16), group), e.mul(inGroup, 2));
  for (size_t first = 0; first < sums.size(); first += 4)
    for (int64_t r = 0; r < 2; ++r)
      e.storeAligned(e.pack({sums[first + 2 * r], sums[first + 2 * r + 1]}),
                     e.at(place, r * 8 * accumulators.rowStride + first * 2, e.f32()));
}

bool fitsHalves(Frame &frame, kernel::MatmulOp op) { return HalfMatmul(frame, op).fits(); }

LogicalResult emitHalfMatmul(Frame &frame, kernel::MatmulOp op) { return HalfMatmul(frame, op).run(); }

} // namespace sinter::gpu
