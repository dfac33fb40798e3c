// SPDX-License-Identifier: Apache-2.0
// kernel.matmul for many rows on tensor cores (mma.sync of sm_80): 64 rows x 64 columns a block (32 or 16
// rows where groups of columns are long), a panel a warp at a time.
//
// K goes in chunks of 4 steps; a step is 32 bytes of a left row: 32 integers of 8 bits (m16n8k32) or 16 of
// f16 or bf16 (m16n8k16). A chunk of the left rows, swizzled for ldmatrix, and the weights of the warps'
// panels come by cp.async one chunk ahead. Packed weights are right operands as they lie: a word holds the
// quads of columns that a lane's two registers want. A lane takes rows 2g and 2g + 1 of the panel for the two
// halves of the product, so that it ends up with 4 neighbouring columns. Quantised:
//   by sub-block: the exact integer dot product s; acc = fma(s, leftScale * scale, acc), and for formats with
//   minima acc = fma(minimum, leftScale * sum of the left integers, acc)
#include "passes/lowering/gpu/matmul/MatmulTensor.h"

#include "passes/lowering/gpu/Fp8.h"
#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/matmul/BlockScales.h"
#include "passes/lowering/gpu/matmul/SplitK.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t widestChunk = 64, chunkSteps = 4, stages = 2;
constexpr int64_t leftLine = chunkSteps * 32; // bytes of a row in a chunk
constexpr int64_t warps = 4, tileColumns = kernel::WeightLayout::tileColumns;

class TensorMatmul {
public:
  TensorMatmul(Frame &frame, kernel::MatmulOp op)
      : frame(frame), e(frame.e), m(frame, op, widestChunk), isQuantised(!m.layouts[0].isFloat()),
        tileRows(rowsThatFit()), rowTiles(tileRows / 16) {}

  LogicalResult run();

private:
  using Sums = SmallVector<Value>; // (weight, row tile, half, 4)

  void plan();
  void emitTile(Value first, Value rowEnd);
  void fetch(Value chunk, Value stage);
  void fetchLeft(Value chunk, Value stage);
  void fetchWeights(Value chunk, Value stage);
  Sums emitChunk(Value chunk, Value stage, ValueRange sums);
  Sums emitStep(Value chunk, Value step, Value stage, ValueRange sums);
  void addIntegers(int64_t weight, Value chunk, Value step, Value stage, ArrayRef<std::array<Value, 4>> left,
                   Sums &sums);
  void addHalves(int64_t weight, Value step, Value stage, ArrayRef<std::array<Value, 4>> left, Sums &sums);
  void storeSums(ValueRange sums, Value index);

  int64_t steps() const { return llvm::divideCeil(m.inputs, stepColumns()); }
  int64_t chunks() const { return llvm::divideCeil(steps(), chunkSteps); }
  /// What a left side of floats is rounded to; of 8 bits both sides are widened to it.
  Type halfType() { return m.layouts[0].format == kernel::WeightFormat::BF16 ? e.bf16() : e.f16(); }
  int64_t stepColumns() const { return isQuantised ? 32 : 16; }
  /// Bytes that a chunk of a panel takes in shared memory: the header of its super-block, then its blocks.
  int64_t weightBytes(const kernel::WeightLayout &layout) const {
    if (layout.isFloat())
      return chunkSteps * stepColumns() * kernel::panelRows * layout.elementBytes;
    return layout.block.hasSubScales() ? layout.headerBytes() + chunkSteps * layout.blockBytes()
                                       : chunkSteps * layout.superBytes();
  }
  int64_t weights() const { return m.weights.size(); }
  Type elementOf(int64_t weight) {
    return cast<kernel::WeightType>(m.op.getWeights()[weight].getType()).getElement();
  }
  /// Rows of a tile: 64, 32 where the columns of a chunk are many, 16 where those would not fit shared
  /// memory.
  int64_t rowsThatFit() {
    int64_t weightsOfStages = 0, rows = m.accumulatorColumns() > 2 * widestChunk ? 32 : 64;
    for (const kernel::WeightLayout &layout : m.layouts)
      weightsOfStages += stages * warps * llvm::alignTo(weightBytes(layout), 128);
    int64_t bytesOfRow = stages * leftLine + weights() * m.accumulatorColumns() * 4;
    while (rows > 16 && weightsOfStages + rows * bytesOfRow > maxSharedBytes(e.architecture) - reservedBytes)
      rows /= 2;
    return rows;
  }
  int64_t passes() const { return llvm::divideCeil(m.panelsPerChunk(), frame.warps()); }
  size_t number(int64_t weight, int64_t rowTile, int64_t half) const {
    return ((weight * rowTiles + rowTile) * 2 + half) * 4;
  }
  Value leftAt(Value stage) { return e.atByte(leftPlace, e.mul(stage, tileRows * leftLine)); }
  /// f32 (tileRows, chunkSteps) of a stage: scales, then scale times sum.
  Value statisticsAt(Value stage, int64_t which) {
    return e.at(statistics, e.add(e.mul(stage, 2 * tileRows * chunkSteps), which * tileRows * chunkSteps),
                e.f32());
  }
  Value weightAt(int64_t weight, Value stage) {
    Value index = e.add(e.mul(stage, frame.warps()), frame.warp());
    return e.atByte(weightPlaces[weight], e.mul(index, llvm::alignTo(weightBytes(m.layouts[weight]), 128)));
  }

  Frame &frame;
  Emitter &e;
  Matmul m;
  bool isQuantised, needsSums = false;
  int64_t tileRows, rowTiles;
  Value leftPlace, statistics;
  SmallVector<Value> weightPlaces;
  Accumulators accumulators;
  Value rowBegin, lastRow, panelBegin, panelEnd; // of the tile
  Value panel;                                   // of the warp
};

void TensorMatmul::plan() {
  frame.threads = 32 * warps;
  frame.blocksPerSm = 3;
  for (const kernel::WeightLayout &layout : m.layouts)
    needsSums |= isQuantised && layout.block.minima && layout.block.subBlock == kernel::q8Block;
  int64_t stride = m.accumulatorColumns(), before = frame.sharedBytes;
  leftPlace = frame.allocate(stages * tileRows * leftLine);
  if (isQuantised)
    statistics = frame.allocate(stages * 2 * tileRows * chunkSteps * 4);
  for (const kernel::WeightLayout &layout : m.layouts)
    weightPlaces.push_back(frame.allocate(stages * frame.warps() * llvm::alignTo(weightBytes(layout), 128)));
  // Accumulators take the place of what is done with by then, unless there are several passes over K.
  int64_t after = frame.sharedBytes, bytes = weights() * tileRows * stride * 4;
  Value place = e.atByte(frame.shared, before);
  if (passes() == 1)
    frame.sharedBytes = std::max(after, before + static_cast<int64_t>(llvm::alignTo(bytes, 128)));
  else
    place = frame.allocate(bytes);
  accumulators = {place, stride, tileRows * stride, passes() == 1 ? tileRows : 0};
  beginParts(m, tileRows);
}

LogicalResult TensorMatmul::run() {
  plan();
  LogicalResult result = success();
  m.forEachChunk([&](Value begin, Value end, Value firstRow, Value rowEnd) {
    panelBegin = m.firstPanel(begin);
    panelEnd = m.panelEnd(end);
    e.loop(firstRow, rowEnd, tileRows, [&](Value first) {
      emitTile(first, rowEnd);
      Value rows = e.min(e.sub(rowEnd, first), e.constant(tileRows));
      if (failed(emitEpilogues(m, accumulators, panelBegin, begin, end, first, rows)))
        result = failure();
      e.barrier();
    });
  });
  return result;
}

void TensorMatmul::emitTile(Value first, Value rowEnd) {
  rowBegin = first;
  lastRow = e.sub(rowEnd, 1);
  Value count = m.stepsOfSplit(chunks());
  e.loop(e.constant(0), e.constant(passes()), 1, [&](Value pass) {
    // Warps without a panel do the last one again, and drop it.
    Value index = e.add(panelBegin, e.add(e.mul(pass, frame.warps()), frame.warp()));
    panel = e.min(index, e.sub(panelEnd, 1));
    fetch(m.stepOfSplit(e.constant(0), chunks()), e.constant(0));
    asyncCommit(e);
    Sums sums(weights() * rowTiles * 2 * 4, e.constantF(e.f32(), 0));
    sums = e.loop(e.constant(0), count, 1, sums, [&](Value chunk, ValueRange carried) {
      Value stage = e.rem(chunk, stages), next = e.add(chunk, 1);
      e.ifThen(e.less(next, count), [&] { fetch(m.stepOfSplit(next, chunks()), e.rem(next, stages)); });
      asyncCommit(e); // the last one is empty
      asyncWait(e, 1);
      e.barrier();
      Sums added = emitChunk(m.stepOfSplit(chunk, chunks()), stage, carried);
      e.barrier();
      return added;
    });
    e.ifThen(e.less(index, panelEnd), [&] { storeSums(sums, index); });
    e.barrier();
  });
}

void TensorMatmul::fetch(Value chunk, Value stage) {
  fetchLeft(chunk, stage);
  fetchWeights(chunk, stage);
}

void TensorMatmul::fetchLeft(Value chunk, Value stage) {
  constexpr int64_t pieces = leftLine / 16;
  Value to = leftAt(stage);
  auto left = m.op.getLeft();
  frame.share(e.constant(tileRows * pieces), [&](Value item) {
    Value row = e.div(item, pieces), piece = e.rem(item, pieces);
    Value from = frame.rowOf(left, e.min(e.add(rowBegin, row), lastRow));
    Value place = e.atByte(to, placeInLine(e, row, piece));
    Value index = e.add(e.mul(chunk, pieces), piece);
    if (isQuantised)
      return copyAsync(e, place, e.atByte(from, e.min(e.mul(index, 16), e.constant(m.inputs - 16))), 16);
    Value column = e.mul(index, 8);
    Type given = left.getType().getElement();
    SmallVector<Value> numbers;
    for (int64_t i = 0; i < 8; i += m.inputs % 4 ? 1 : 4) {
      int64_t n = m.inputs % 4 ? 1 : 4;
      Value at = e.add(column, i), inside = e.less(at, e.constant(m.inputs));
      Value x = e.loadWide(given, n, e.at(from, e.min(at, e.constant(m.inputs - n)), given));
      x = e.select(inside, x, e.zeros(n));
      for (int64_t k = 0; k < n; ++k)
        numbers.push_back(e.extract(x, k));
    }
    e.storeNarrow(e.pack(numbers), halfType(), place);
  });
  if (!isQuantised)
    return;
  frame.share(e.constant(tileRows * chunkSteps), [&](Value item) {
    Value row = e.div(item, chunkSteps), step = e.rem(item, chunkSteps);
    Value from = frame.rowOf(left, e.min(e.add(rowBegin, row), lastRow));
    Value block = e.min(e.add(e.mul(chunk, chunkSteps), step), e.constant(steps() - 1));
    Value scales = e.at(e.atByte(from, m.inputs), block, e.f32());
    copyAsync(e, e.at(statisticsAt(stage, 0), item, e.f32()), scales, 4);
    if (needsSums)
      copyAsync(e, e.at(statisticsAt(stage, 1), item, e.f32()), e.at(scales, steps(), e.f32()), 4);
  });
}

/// Each warp its panel's chunk: contiguous, but for the header of a long super-block.
void TensorMatmul::fetchWeights(Value chunk, Value stage) {
  for (int64_t weight = 0; weight < weights(); ++weight) {
    const kernel::WeightLayout &layout = m.layouts[weight];
    Value to = weightAt(weight, stage), base = m.panel(weight, panel), from;
    int64_t header = 0, bytes = weightBytes(layout), last = layout.panelBytes() - 16;
    if (!layout.isFloat() && layout.block.hasSubScales()) {
      int64_t chunksPerSuper = layout.block.superBlock / kernel::weightBlock / chunkSteps;
      header = layout.headerBytes();
      Value super = e.mul(e.div(chunk, chunksPerSuper), layout.superBytes());
      e.ifThen(e.less(frame.lane(), e.constant(header / 16)), [&] {
        Value offset = e.mul(frame.lane(), 16);
        copyAsync(e, e.atByte(to, offset), e.atByte(base, e.add(super, offset)), 16);
      });
      from =
          e.add(e.add(super, header), e.mul(e.rem(chunk, chunksPerSuper), chunkSteps * layout.blockBytes()));
    } else {
      from = e.mul(chunk, bytes);
    }
    e.loop(e.mul(frame.lane(), 16), e.constant(bytes - header), 16 * warpSize, [&](Value offset) {
      copyAsync(e, e.atByte(e.atByte(to, header), offset),
                e.atByte(base, e.min(e.add(from, offset), e.constant(last))), 16);
    });
  }
}

TensorMatmul::Sums TensorMatmul::emitChunk(Value chunk, Value stage, ValueRange sums) {
  Value count = e.min(e.sub(e.constant(steps()), e.mul(chunk, chunkSteps)), e.constant(chunkSteps));
  return e.loop(e.constant(0), count, 1, sums,
                [&](Value step, ValueRange carried) { return emitStep(chunk, step, stage, carried); });
}

TensorMatmul::Sums TensorMatmul::emitStep(Value chunk, Value step, Value stage, ValueRange carried) {
  // Lane l names row l % 8 of matrix l / 8: rows 0-7, 8-15 of the first 16 bytes, then of the second.
  Value lane = frame.lane(), inTile = e.rem(lane, 16);
  Value piece = e.bitXor(e.add(e.mul(step, 2), e.div(lane, 16)), e.rem(lane, 8));
  Value mine = e.atByte(leftAt(stage), e.add(e.mul(inTile, leftLine), e.mul(piece, 16)));
  SmallVector<std::array<Value, 4>> left;
  for (int64_t tile = 0; tile < rowTiles; ++tile)
    left.push_back(loadMatrices(e, e.atByte(mine, tile * 16 * leftLine)));
  Sums sums(carried);
  for (int64_t weight = 0; weight < weights(); ++weight)
    isQuantised ? addIntegers(weight, chunk, step, stage, left, sums)
                : addHalves(weight, step, stage, left, sums);
  return sums;
}

void TensorMatmul::addHalves(int64_t weight, Value step, Value stage, ArrayRef<std::array<Value, 4>> left,
                             Sums &sums) {
  Value group = e.div(frame.lane(), 4), inGroup = e.rem(frame.lane(), 4);
  bool isPairs = halfType().isBF16();
  Value base = e.atByte(weightAt(weight, stage), e.mul(group, isPairs ? 8 : 4));
  Two right[2]; // of the lane's two rows: columns 2t and 2t + 1 of the step, and 8 further
  if (m.layouts[0].isFp8()) {
    // A step is a tile: two columns of a row are 16 bits.
    Value tile = e.atByte(weightAt(weight, stage), e.mul(step, kernel::panelRows * tileColumns));
    Value mine = e.atByte(tile, e.add(e.mul(group, 2 * tileColumns), e.mul(inGroup, 2)));
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t r = 0; r < 2; ++r) {
        Value two = e.load(e.i16(), e.atByte(mine, half * tileColumns + r * 8));
        two = arith::ExtUIOp::create(e.b, e.loc, e.i32(), two);
        right[half][r] = e.bitcast(e.i32(), fp8ToHalves(e, elementOf(weight), two, 0));
      }
  } else if (isPairs) {
    // A word is a pair of columns: both rows' at once.
    Type pair = e.vec(2, e.i32());
    Value line = e.atByte(base, e.mul(e.add(e.mul(step, 8), inGroup), 4 * kernel::panelRows));
    for (int64_t r = 0; r < 2; ++r) {
      Value words = e.loadAligned(pair, e.atByte(line, r * 4 * 4 * kernel::panelRows));
      for (int64_t half = 0; half < 2; ++half)
        right[half][r] = e.extract(words, half);
    }
  } else {
    // A word is both rows of a column: two columns are put together for each row.
    Value line = e.atByte(base, e.mul(e.add(e.mul(step, 16), e.mul(inGroup, 2)), 2 * kernel::panelRows));
    for (int64_t r = 0; r < 2; ++r) {
      Value even = e.load(e.i32(), e.atByte(line, r * 8 * 2 * kernel::panelRows));
      Value odd = e.load(e.i32(), e.atByte(line, (r * 8 + 1) * 2 * kernel::panelRows));
      right[0][r] = e.bitOr(e.bitAnd(even, 0xffff), e.shiftLeft(odd, 16));
      right[1][r] = e.bitOr(e.shiftRight(even, 16), e.bitAnd(odd, -0x10000));
    }
  }
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t tile = 0; tile < rowTiles; ++tile)
      addProduct(e, halfType(), left[tile], right[half], sums, number(weight, tile, half));
}

void TensorMatmul::addIntegers(int64_t weight, Value chunk, Value step, Value stage,
                               ArrayRef<std::array<Value, 4>> left, Sums &sums) {
  const kernel::WeightLayout &layout = m.layouts[weight];
  const kernel::BlockTraits &traits = layout.block;
  int64_t subBlocks = traits.subBlocks();
  Value group = e.div(frame.lane(), 4), inGroup = e.rem(frame.lane(), 4);
  Value header = weightAt(weight, stage), block;
  if (traits.hasSubScales()) {
    block = e.atByte(e.atByte(header, layout.headerBytes()), e.mul(step, layout.blockBytes()));
  } else {
    header = e.atByte(header, e.mul(step, layout.superBytes()));
    block = e.atByte(header, layout.headerBytes());
  }
  BlockQuads quads = loadBlockQuads(e, layout, block, frame.lane());
  if (traits.zero) // bytes minus zero, each by itself: with the top bit set nothing is borrowed from the next
    for (auto &row : quads.bytes)
      for (Value &bytes : row) {
        Value top = e.constant(static_cast<int32_t>(0x80808080));
        bytes = e.bitXor(e.wrappingSub(e.bitOr(bytes, top), e.constant(traits.zero * 0x01010101)), top);
      }

  // The lane's columns are rows 4 * inGroup to + 3 of the panel.
  BlockScales all = loadBlockScales(e, layout, header, block, inGroup);
  auto statistic = [&](int64_t which, int64_t row) { // of row group + row of the tile
    Value index = e.add(e.mul(e.add(group, row), chunkSteps), step);
    return e.load(e.f32(), e.at(statisticsAt(stage, which), index, e.f32()));
  };
  Value zero = e.constant(0), ones = e.constant(0x01010101);
  bool isSigned = traits.isSigned || traits.zero;
  for (int64_t sub = 0; sub < subBlocks; ++sub) {
    Value scales = all.scales[sub], minima = all.minima[sub];
    for (int64_t tile = 0; tile < rowTiles; ++tile) {
      auto product = [&](std::array<Value, 2> right, bool rightIsSigned) {
        const std::array<Value, 4> &a = left[tile];
        std::array<Value, 4> none = {zero, zero, zero, zero};
        Signs signs = {.right = rightIsSigned};
        if (subBlocks == 1)
          return mmaInt8(e, signs, a, right, none);
        return mmaInt8Short(e, signs, {a[2 * sub], a[2 * sub + 1]}, right[sub], none);
      };
      std::array<Value, 2> leftScales = {statistic(0, tile * 16), statistic(0, tile * 16 + 8)}, leftSums;
      if (minima && subBlocks == 1)
        leftSums = {statistic(1, tile * 16), statistic(1, tile * 16 + 8)};
      else if (minima) { // sums of a half of a block: a product with ones
        std::array<Value, 4> counted = product({ones, ones}, true);
        leftSums = {e.mulF(e.toFloat(counted[0]), leftScales[0]),
                    e.mulF(e.toFloat(counted[2]), leftScales[1])};
      }
      for (int64_t half = 0; half < 2; ++half) {
        std::array<Value, 4> dots = product({quads.bytes[half][0], quads.bytes[half][1]}, isSigned);
        for (int64_t i = 0; i < 4; ++i) {
          Value &sum = sums[number(weight, tile, half) + i];
          int64_t column = i % 2 * 2 + half, row = i / 2;
          sum = e.fma(e.toFloat(dots[i]), e.mulF(e.extract(scales, column), leftScales[row]), sum);
          if (minima)
            sum = e.fma(e.extract(minima, column), leftSums[row], sum);
        }
      }
    }
  }
}

void TensorMatmul::storeSums(ValueRange sums, Value index) {
  Value group = e.div(frame.lane(), 4), inGroup = e.rem(frame.lane(), 4);
  Value column = e.add(e.mul(e.sub(index, panelBegin), kernel::panelRows), e.mul(inGroup, 4));
  for (int64_t weight = 0; weight < weights(); ++weight) {
    Value place = accumulators.at(e, weight, group, column);
    for (int64_t tile = 0; tile < rowTiles; ++tile)
      for (int64_t r = 0; r < 2; ++r) {
        SmallVector<Value> four;
        for (int64_t c = 0; c < 4; ++c)
          four.push_back(sums[number(weight, tile, c % 2) + r * 2 + c / 2]);
        e.storeAligned(e.pack(four), e.at(place, (tile * 16 + r * 8) * accumulators.rowStride, e.f32()));
      }
  }
}

} // namespace

bool fitsTensorCores(kernel::MatmulOp op) {
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  if (!op.getLeft() || !schedule || !schedule.getRowsPerTile())
    return false;
  kernel::RowsType left = op.getLeft().getType();
  auto first = cast<kernel::WeightType>(op.getWeights().front().getType()).getFormat();
  return llvm::all_of(op.getWeights().getTypes(), [&](Type type) {
    kernel::WeightLayout layout(cast<kernel::WeightType>(type));
    Type element = cast<kernel::WeightType>(type).getElement();
    if (!layout.isFloat())
      return left.isQuantized();
    if (layout.isFp8()) // f32 is rounded to f16
      return layout.format == first && (left.getElement().isF32() || left.getElement() == element);
    bool isBf16 = layout.format == kernel::WeightFormat::BF16;
    bool isSame =
        left.getColumns() % 8 == 0 && (isBf16 ? left.getElement().isBF16() : left.getElement().isF16());
    return layout.elementBytes == 2 && layout.format == first && (isSame || left.getElement().isF32());
  });
}

LogicalResult emitTensorMatmul(Frame &frame, kernel::MatmulOp op) { return TensorMatmul(frame, op).run(); }

} // namespace sinter::gpu
