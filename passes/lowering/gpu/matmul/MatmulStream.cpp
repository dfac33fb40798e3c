// SPDX-License-Identifier: Apache-2.0
// kernel.matmul for few rows: bound by reading every weight once.
//
// The forms of one kernel, chosen by the number of rows: tensor cores (MatmulStreamTensor.cpp), and for fewer
// multiply-adds and dp4a, as follows.
//
// A warp takes a panel of 16 rows of the weight, or a slice of its blocks. Each lane reads 16 bytes at a
// time: a word of 4 rows, where 4 neighbouring lanes have the 16 rows of a block and 8 such quartets 8
// blocks. Integers are multiplied with the left side's by dp4a and never leave their registers:
//   floats     acc = fma(left[k], weight[k], acc)
//              of 8 bits 16 columns of one row are 16 bytes, and a lane adds even and odd ones apart
//   quantised  by sub-block: the exact integer dot product s; acc = fma(s, scale * leftScale, acc); in
//              formats with minima then acc = fma(minimum, leftScale * sum of the left integers, acc)
// Lanes and slices add up at the end. Each row's numbers come from the same operations whatever the other
// rows.
#include "passes/lowering/gpu/matmul/MatmulStream.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "passes/lowering/gpu/Fp8.h"
#include "passes/lowering/gpu/matmul/BlockScales.h"
using namespace mlir;

namespace sinter::gpu {

int64_t StreamedRows::slices() const {
  // Warps share panels first, then the blocks of a panel.
  int64_t turns = llvm::divideCeil(m.panelsPerChunk(), panelsAtOnce()), slices = 1;
  while (slices * 2 * turns <= frame.warps())
    slices *= 2;
  return slices;
}

int64_t StreamedRows::sumBytes() const { return slices() > 1 ? slices() * sliceStride() * 4 : 0; }

LogicalResult StreamedRows::addUp(const Accumulators &accumulators, Value partial, Value begin, Value end,
                                  Value first, Value count) {
  int64_t stride = m.accumulatorColumns();
  sums = slices() > 1 ? Accumulators{partial, stride, most * stride} : accumulators;
  slice = e.rem(frame.warp(), slices());
  panelBegin = m.firstPanel(begin);
  panelEnd = m.panelEnd(end);
  left.setFirst(first);
  LogicalResult result = success();
  // All blocks make the prologue's rows; what it stores, others read: once.
  Value stores = e.equal(begin, e.constant(0)), never = e.less(e.constant(0), e.constant(0));
  for (int64_t piece = 0; piece < left.pieces(); ++piece) {
    auto prepare = [&] { result = left.prepare(first, count, piece, piece ? never : stores); };
    if (piece > 0)
      e.barrier(); // the one before is read
    if (m.op.getExperts() || m.op.getGrid().rowsPerTile || left.pieces() > 1) {
      prepare();
    } else {
      // Where all rows fit, the block's first tile makes them ready for all its tiles.
      Value isLong = e.less(e.constant(most), frame.domainRows(m.op.getDomain()));
      e.ifThen(arith::OrIOp::create(e.b, e.loc, isLong, m.isFirstChunk), prepare);
    }
    if (failed(result))
      return failure();
    bool isLast = piece + 1 == left.pieces();
    for (int64_t weight = 0; weight < static_cast<int64_t>(m.weights.size()); ++weight) {
      bool isFloat = m.layouts[weight].isFloat();
      if (isFloat || isLast) // integers are complete then
        emitPanels(weight, count, isFloat && piece > 0);
    }
  }
  e.barrier();
  if (slices() > 1)
    addSlices(accumulators, count);
  return success();
}

/// Of the panels that there are: the last tile may have fewer.
void StreamedRows::addSlices(const Accumulators &accumulators, Value count) {
  constexpr int64_t n = 4;
  bool isOne = m.panelsPerChunk() == 1;
  Value quads = isOne ? e.constant(kernel::panelRows / n)
                      : e.mul(e.sub(panelEnd, panelBegin), e.constant(kernel::panelRows / n));
  frame.share(e.mul(quads, count), [&](Value i) {
    Value row = e.div(i, quads), column = e.mul(e.rem(i, quads), n);
    for (size_t weight = 0; weight < m.weights.size(); ++weight) {
      Value place = sums.at(e, weight, row, columnInSlice(row, column)), sum = e.loadWide(e.f32(), n, place);
      for (int64_t s = 1; s < slices(); ++s)
        sum = e.addF(sum, e.loadWide(e.f32(), n, e.at(place, s * sliceStride(), e.f32())));
      e.storeAligned(sum, accumulators.at(e, weight, row, column));
    }
  });
  e.barrier();
}

void StreamedRows::forEachPanel(llvm::function_ref<void(Value)> body) {
  int64_t n = panelsAtOnce();
  Value mine = e.mul(e.div(frame.warp(), slices()), n);
  e.loop(e.add(panelBegin, mine), panelEnd, frame.warps() / slices() * n, body);
}

Value StreamedRows::sumsAt(int64_t weight, Value row, Value column) {
  if (slices() > 1)
    column = columnInSlice(row, column);
  return e.at(sums.at(e, weight, row, column), e.mul(slice, sliceStride()), e.f32());
}

SmallVector<Value> StreamedRows::forEachStep(Value begin, int64_t steps, int64_t stride, int64_t unroll,
                                             SmallVector<Value> sums, Turn turn) {
  auto turns = [&](int64_t count) {
    return [&turn, count](Value step, ValueRange carried) { return turn(step, count, carried); };
  };
  int64_t whole = steps / (unroll * stride) * unroll * stride;
  if (whole)
    sums = e.loop(begin, e.constant(whole), unroll * stride, sums, turns(unroll));
  if (whole < steps)
    sums = e.loop(e.add(begin, whole), e.constant(steps), stride, sums, turns(1));
  return sums;
}

namespace {

constexpr int64_t widestChunk = 128, mostScalarRows = 4;

/// By multiply-adds and dp4a.
class ScalarRows : public StreamedRows {
public:
  using StreamedRows::StreamedRows;

private:
  void emitPanels(int64_t weight, Value count, bool adds) override;
  void emitPanels(int64_t weight, Value row, int64_t rows, bool adds);
  /// Sums of a panel: (row, weight row of the lane).
  SmallVector<Value> floatSums(const kernel::WeightLayout &layout, Value panel, Value row, int64_t rows);
  SmallVector<Value> fp8Sums(int64_t weight, Value panel, Value row, int64_t rows);
  SmallVector<Value> blockSums(const kernel::WeightLayout &layout, Value panel, Value row, int64_t rows);
  SmallVector<Value> addBlock(const kernel::WeightLayout &layout, Value panel, Value index, Value row,
                              int64_t rows, ValueRange sums);
  /// Weight rows of a lane: as many as 16 bytes hold (of bf16 pairs of columns, of 8 bits 16 columns).
  int64_t laneRows(const kernel::WeightLayout &layout) const {
    if (layout.isFp8())
      return 1;
    return layout.format == kernel::WeightFormat::F16 ? 8 : 4;
  }
};

void ScalarRows::emitPanels(int64_t weight, Value count, bool adds) {
  Value isFull = e.equal(count, e.constant(most));
  if (most > 1)
    e.ifThen(isFull, [&] { emitPanels(weight, e.constant(0), most, adds); });
  Value single = most > 1 ? e.select(isFull, e.constant(0), count) : count;
  e.loop(e.constant(0), single, 1, [&](Value row) { emitPanels(weight, row, 1, adds); });
}

/// All panels of the warp, `rows` rows from `row` (of the prepared ones) on.
void ScalarRows::emitPanels(int64_t weight, Value row, int64_t rows, bool adds) {
  const kernel::WeightLayout &layout = m.layouts[weight];
  int64_t n = laneRows(layout), lanes = kernel::panelRows / n;
  forEachPanel([&](Value index) {
    Value panel = m.panel(weight, index);
    SmallVector<Value> sums = layout.isFp8()     ? fp8Sums(weight, panel, row, rows)
                              : layout.isFloat() ? floatSums(layout, panel, row, rows)
                                                 : blockSums(layout, panel, row, rows);
    for (Value &sum : sums)
      for (int64_t mask = warpSize / 2; mask >= lanes; mask /= 2)
        sum = e.addF(sum, e.shuffleXor(sum, mask));
    e.ifThen(e.less(frame.lane(), e.constant(lanes)), [&] {
      Value column = e.add(e.mul(e.sub(index, panelBegin), kernel::panelRows), e.mul(frame.lane(), n));
      Value address = sumsAt(weight, row, column);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < n; i += 4) {
          int64_t some = std::min<int64_t>(n, 4);
          Value place = e.at(address, r * this->sums.rowStride + i, e.f32());
          Value four = e.pack(ArrayRef(sums).slice(r * n + i, some));
          if (adds) // this lane has stored them
            four = e.addF(four, e.loadWide(e.f32(), some, place));
          e.storeAligned(four, place);
        }
    });
  });
}

/// Lines of 16 rows: one column, of bf16 a pair.
SmallVector<Value> ScalarRows::floatSums(const kernel::WeightLayout &layout, Value panel, Value row,
                                         int64_t rows) {
  bool pairs = layout.format == kernel::WeightFormat::BF16;
  int64_t n = laneRows(layout), lanes = kernel::panelRows / n, units = warpSize / lanes;
  // Of the piece of the left side that is there.
  int64_t depth = pairs ? 2 : 1, firstLine = left.piece().first / depth;
  int64_t lines = std::min(left.piece().second, layout.paddedColumns()) / depth - firstLine;
  Type element = layout.format == kernel::WeightFormat::F32 ? e.f32() : pairs ? e.bf16() : e.f16();
  int64_t lineBytes = kernel::panelRows * depth * layout.elementBytes;
  Value mine = e.atByte(panel, e.add(e.mul(e.rem(frame.lane(), lanes), 16), firstLine * lineBytes));
  Value begin = e.add(e.mul(slice, units), e.div(frame.lane(), lanes));
  int64_t step = units * slices();
  auto turn = [&](Value line, int64_t count, ValueRange carried) {
    SmallVector<Value> sums(carried), numbers;
    for (int64_t u = 0; u < count; ++u) // all loads first: many in flight
      numbers.push_back(
          e.loadWide(element, n * depth, e.atByte(mine, e.mul(e.add(line, u * step), lineBytes))));
    for (int64_t u = 0; u < count; ++u)
      for (int64_t r = 0; r < rows; ++r) {
        Value column = e.add(e.mul(e.add(line, u * step), depth), firstLine * depth);
        Value values = left.numbers(e.add(row, r), column, depth);
        for (int64_t i = 0; i < n; ++i)
          for (int64_t d = 0; d < depth; ++d)
            sums[r * n + i] =
                e.fma(e.extract(values, d), e.extract(numbers[u], i * depth + d), sums[r * n + i]);
      }
    return sums;
  };
  SmallVector<Value> sums(rows * n, e.constantF(e.f32(), 0));
  return forEachStep(begin, lines, step, /*unroll=*/4, sums, turn);
}

/// A lane has a row of each tile of 16 columns; half of a warp has a tile.
SmallVector<Value> ScalarRows::fp8Sums(int64_t weight, Value panel, Value row, int64_t rows) {
  constexpr int64_t depth = kernel::WeightLayout::tileColumns, units = warpSize / kernel::panelRows;
  Type element = cast<kernel::WeightType>(m.op.getWeights()[weight].getType()).getElement();
  int64_t firstTile = left.piece().first / depth, tileBytes = depth * kernel::panelRows;
  int64_t tiles = std::min(left.piece().second, m.layouts[weight].paddedColumns()) / depth - firstTile;
  Value mine =
      e.atByte(panel, e.add(e.mul(e.rem(frame.lane(), kernel::panelRows), depth), firstTile * tileBytes));
  Value begin = e.add(e.mul(slice, units), e.div(frame.lane(), kernel::panelRows));
  int64_t step = units * slices();
  Type line = e.vec(depth, e.i8());
  auto turn = [&](Value tile, int64_t count, ValueRange carried) {
    SmallVector<Value> sums(carried), bytes;
    for (int64_t u = 0; u < count; ++u) // all loads first: many in flight
      bytes.push_back(e.loadAligned(line, e.atByte(mine, e.mul(e.add(tile, u * step), tileBytes))));
    for (int64_t u = 0; u < count; ++u) {
      Value numbers = fp8ToFloats(e, element, bytes[u]);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < depth; i += 4) {
          Value column = e.add(e.mul(e.add(tile, u * step), depth), firstTile * depth + i);
          Value values = left.numbers(e.add(row, r), column, 4);
          for (int64_t d = 0; d < 4; ++d) {
            Value &sum = sums[r * 2 + d % 2];
            sum = e.fma(e.extract(values, d), e.extract(numbers, i + d), sum);
          }
        }
    }
    return sums;
  };
  SmallVector<Value> sums(rows * 2, e.constantF(e.f32(), 0));
  sums = forEachStep(begin, tiles, step, /*unroll=*/4, sums, turn);
  SmallVector<Value> all;
  for (int64_t r = 0; r < rows; ++r)
    all.push_back(e.addF(sums[r * 2], sums[r * 2 + 1]));
  return all;
}

SmallVector<Value> ScalarRows::blockSums(const kernel::WeightLayout &layout, Value panel, Value row,
                                         int64_t rows) {
  int64_t units = warpSize / 4;
  SmallVector<Value> sums(rows * 4, e.constantF(e.f32(), 0));
  Value begin = e.add(e.mul(slice, units), e.div(frame.lane(), 4));
  return e.loop(
      begin, e.constant(layout.blocks()), units * slices(), sums,
      [&](Value index, ValueRange carried) { return addBlock(layout, panel, index, row, rows, carried); });
}

SmallVector<Value> ScalarRows::addBlock(const kernel::WeightLayout &layout, Value panel, Value index,
                                        Value row, int64_t rows, ValueRange carried) {
  const kernel::BlockTraits &traits = layout.block;
  int64_t perSuper = traits.superBlock / kernel::weightBlock, subBlocks = traits.subBlocks();
  Value group = e.rem(frame.lane(), 4), super = e.div(index, perSuper);
  Value header = e.atByte(panel, e.mul(super, layout.superBytes()));
  Value block =
      e.atByte(header, e.add(e.mul(e.rem(index, perSuper), layout.blockBytes()), layout.headerBytes()));
  Type four = e.vec(4, e.i32());
  // All loads first.
  SmallVector<Value> words;
  for (int64_t w = 0; w < layout.lowWords() + layout.highWords(); ++w)
    words.push_back(e.loadAligned(four, e.at(e.atByte(block, layout.scaleBytes() + 64 * w), group, four)));
  auto [subScales, subMinima] = loadBlockScales(e, layout, header, block, group);

  /// Columns 4q to 4q + 3 of weight row i of the lane.
  auto quad = [&](int64_t q, int64_t i) {
    auto field = [&](Value word, int64_t right, int64_t bits) {
      return e.bitAnd(e.shiftRight(word, right), ((1 << bits) - 1) * 0x01010101);
    };
    auto word = [&](int64_t w) { return e.extract(words[w], i); };
    Value value = traits.lowBits == 8   ? word(q)
                  : traits.lowBits == 4 ? field(word(q % 4), q / 4 * 4, 4)
                                        : field(word(q / 4), q % 4 * 2, 2);
    if (!traits.highBits)
      return value;
    bool single = traits.highBits == 1;
    Value high =
        field(word(layout.lowWords() + (single ? 0 : q / 4)), single ? q : q % 4 * 2, traits.highBits);
    return e.bitOr(value, e.shiftLeft(high, traits.lowBits));
  };

  SmallVector<Value> sums(carried);
  SmallVector<std::array<Value, 8>> integers;
  SmallVector<Value> leftScales;
  for (int64_t r = 0; r < rows; ++r) {
    Value line = e.atByte(left.integers(e.add(row, r)), e.mul(index, kernel::weightBlock));
    std::array<Value, 8> &quads = integers.emplace_back();
    for (int64_t half = 0; half < 2; ++half) {
      Value loaded = e.loadAligned(four, e.atByte(line, half * 16));
      for (int64_t q = 0; q < 4; ++q)
        quads[half * 4 + q] = e.extract(loaded, q);
    }
    leftScales.push_back(e.load(e.f32(), e.at(left.scales(e.add(row, r)), index, e.f32())));
  }
  int64_t quadsPerSub = 8 / subBlocks;
  bool hasSums = traits.zero || traits.minima;
  for (int64_t sub = 0; sub < subBlocks; ++sub) {
    SmallVector<Value> leftSums;
    for (int64_t r = 0; r < rows && hasSums; ++r) {
      Value place =
          e.at(left.sums(e.add(row, r), traits.subBlock), e.add(e.mul(index, subBlocks), sub), e.i32());
      leftSums.push_back(e.load(e.i32(), place));
    }
    for (int64_t i = 0; i < 4; ++i) {
      SmallVector<Value> weights;
      for (int64_t q = 0; q < quadsPerSub; ++q)
        weights.push_back(quad(sub * quadsPerSub + q, i));
      for (int64_t r = 0; r < rows; ++r) {
        Value dot = traits.zero ? e.mul(leftSums[r], -traits.zero) : e.constant(0);
        for (int64_t q = 0; q < quadsPerSub; ++q)
          dot = e.dot4(weights[q], traits.isSigned, integers[r][sub * quadsPerSub + q], dot);
        Value &sum = sums[r * 4 + i];
        sum = e.fma(e.toFloat(dot), e.mulF(e.extract(subScales[sub], i), leftScales[r]), sum);
        if (traits.minima)
          sum = e.fma(e.extract(subMinima[sub], i), e.mulF(leftScales[r], e.toFloat(leftSums[r])), sum);
      }
    }
  }
  return sums;
}

/// A kernel with its forms, by the number of rows.
class StreamedMatmul {
public:
  StreamedMatmul(Frame &frame, kernel::MatmulOp op) : frame(frame), e(frame.e), m(frame, op, widestChunk) {}

  LogicalResult run();

private:
  void plan();
  bool planTensorRows();
  LogicalResult emitTile(Value begin, Value end, Value rowBegin, Value rowEnd);

  Frame &frame;
  Emitter &e;
  Matmul m;
  std::unique_ptr<LeftSide> left, leftOfFew;
  /// `few`: of fewer rows, where that is another form.
  std::unique_ptr<StreamedRows> rows, few;
  Accumulators accumulators;
  Value partial; // sums of slices
};

bool StreamedMatmul::planTensorRows() {
  if (!fitsTensorRows(m))
    return false;
  bool isQuantised = !m.layouts[0].isFloat();
  int64_t before = frame.sharedBytes, shift = tensorRowShift(m);
  int64_t budget = isQuantised ? tensorIntegerBytes : tensorLeftBytes(e.architecture);
  // Of integers a product's rows at once: the sums of a block's eight units take the registers.
  left = std::make_unique<LeftSide>(m, isQuantised ? fewestTensorRows : mostTensorRows, budget, shift);
  if (left->rows() < fewestTensorRows) {
    frame.sharedBytes = before;
    return false;
  }
  auto [begin, segment] = left->piece();
  rows = makeTensorRows(m, *left, segment, left->rows());
  if (isQuantised) { // dp4a does one row faster, from the same integers
    few = std::make_unique<ScalarRows>(m, *left, 1);
  } else { // cut once, and fewer rows fit as a whole where all do not
    int64_t after = frame.sharedBytes, most = mostScalarRows;
    while (most > 1 && m.inputs * 8 > budget / most)
      most /= 2;
    frame.sharedBytes = before; // a launch has one form
    leftOfFew =
        std::make_unique<LeftSide>(m, most, budget / (segment * 8) * (segment * 8), shift, /*cuts=*/true);
    few = makeTensorRows(m, *leftOfFew, segment, left->rows());
    frame.sharedBytes = std::max(after, frame.sharedBytes);
  }
  return true;
}

void StreamedMatmul::plan() {
  if (!planTensorRows()) {
    left = std::make_unique<LeftSide>(m, mostScalarRows, streamedLeftBytes);
    rows = std::make_unique<ScalarRows>(m, *left, left->rows());
  }
  int64_t stride = rows->slices() == 1 ? rows->rowStride() : m.accumulatorColumns(), most = rows->rows();
  int64_t weights = m.weights.size();
  accumulators = {frame.allocate(weights * most * stride * 4), stride, most * stride};
  if (int64_t bytes = std::max(rows->sumBytes(), few ? few->sumBytes() : 0))
    partial = frame.allocate(bytes);
}

LogicalResult StreamedMatmul::run() {
  frame.threads = 128;
  // Up to 168 registers: with 4 rows and unpacked words ptxas spills before it takes as many.
  frame.blocksPerSm = 3;
  if (m.op.getDomain() != kernel::Domain::Draws)
    frame.keepStep(abi::stepSelected + 8); // the numbers of rows: one sector
  plan();
  if (frame.sharedBytes > maxSharedBytes(frame.e.architecture))
    return m.op.emitOpError() << "expected a left side that fits " << maxSharedBytes(frame.e.architecture)
                              << " bytes of shared memory, found " << m.inputs << " inputs";
  LogicalResult result = success();
  m.forEachChunk([&](Value begin, Value end, Value rowBegin, Value rowEnd) {
    if (failed(emitTile(begin, end, rowBegin, rowEnd)))
      result = failure();
  });
  return result;
}

LogicalResult StreamedMatmul::emitTile(Value begin, Value end, Value rowBegin, Value rowEnd) {
  LogicalResult result = success();
  auto addUp = [&](StreamedRows &rows, Value first, Value count) {
    if (failed(rows.addUp(accumulators, partial, begin, end, first, count)))
      result = failure();
  };
  Value isFew, step = e.constant(rows->rows());
  if (few) {
    isFew = e.less(e.sub(rowEnd, rowBegin), e.constant(few->rows() + 1));
    step = e.select(isFew, e.constant(few->rows()), step);
  }
  e.loopBy(rowBegin, rowEnd, step, [&](Value first) {
    Value count = e.min(e.sub(rowEnd, first), step);
    if (few) {
      auto choice = scf::IfOp::create(e.b, e.loc, isFew, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(choice.thenBlock());
      addUp(*few, first, count);
      e.b.setInsertionPointToStart(choice.elseBlock());
      addUp(*rows, first, count);
    } else {
      addUp(*rows, first, count);
    }
    if (failed(emitEpilogues(m, accumulators, m.firstPanel(begin), begin, end, first, count)))
      result = failure();
    e.barrier();
  });
  return result;
}

} // namespace

LogicalResult emitStreamedMatmul(Frame &frame, kernel::MatmulOp op) {
  return StreamedMatmul(frame, op).run();
}

} // namespace sinter::gpu
