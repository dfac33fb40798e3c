// SPDX-License-Identifier: Apache-2.0
// kernel.matmul for few rows: bound by reading every weight once.
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
#include "passes/lowering/gpu/matmul/MatmulLeft.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "passes/lowering/gpu/Fp8.h"
#include "passes/lowering/gpu/matmul/BlockScales.h"
using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t widestChunk = 128, mostRows = 4;

class StreamedMatmul {
public:
  StreamedMatmul(Frame &frame, kernel::MatmulOp op) : frame(frame), e(frame.e), m(frame, op, widestChunk) {}

  LogicalResult run();

private:
  LogicalResult emitRows(Value begin, Value end, Value first, Value count);
  /// All panels of the warp, `rows` rows from `row` (of the prepared ones) on. `adds`: to the sums of the
  /// columns before.
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

  Frame &frame;
  Emitter &e;
  Matmul m;
  std::optional<LeftSide> left;
  int64_t slices = 1;
  Value slice, panelBegin, panelEnd;
  Accumulators accumulators; // of slice 0
  int64_t sliceStride = 0;
};

LogicalResult StreamedMatmul::run() {
  frame.threads = 128;
  // Up to 168 registers: with 4 rows and unpacked words ptxas spills before it takes as many.
  frame.blocksPerSm = 3;
  if (m.op.getDomain() != kernel::Domain::Draws)
    frame.keepStep(abi::stepSelected + 8); // the numbers of rows: one sector
  left.emplace(m, mostRows);
  // Warps share panels first, then the blocks of a panel.
  while (slices * 2 * m.panelsPerChunk() <= frame.warps())
    slices *= 2;
  int64_t stride = m.accumulatorColumns(), rows = left->rows();
  sliceStride = m.weights.size() * rows * stride;
  accumulators = {frame.allocate(slices * sliceStride * 4), stride, rows * stride};
  if (frame.sharedBytes > maxSharedBytes(frame.e.architecture))
    return m.op.emitOpError() << "expected a left side that fits " << maxSharedBytes(frame.e.architecture)
                              << " bytes of shared memory, found " << m.inputs << " inputs";
  slice = e.rem(frame.warp(), slices);
  LogicalResult result = success();
  m.forEachChunk([&](Value begin, Value end, Value rowBegin, Value rowEnd) {
    e.loop(rowBegin, rowEnd, left->rows(), [&](Value first) {
      Value count = e.min(e.sub(rowEnd, first), e.constant(left->rows()));
      if (failed(emitRows(begin, end, first, count)))
        result = failure();
    });
  });
  return result;
}

LogicalResult StreamedMatmul::emitRows(Value begin, Value end, Value first, Value count) {
  LogicalResult result = success();
  left->setFirst(first);
  panelBegin = m.firstPanel(begin);
  panelEnd = m.panelEnd(end);
  // All blocks make the prologue's rows; what it stores, others read: once.
  Value stores = e.equal(begin, e.constant(0)), never = e.less(e.constant(0), e.constant(0));
  for (int64_t piece = 0; piece < left->pieces(); ++piece) {
    auto prepare = [&] { result = left->prepare(first, count, piece, piece ? never : stores); };
    if (piece > 0)
      e.barrier(); // the one before is read
    if (m.op.getExperts() || m.op.getGrid().rowsPerTile || left->pieces() > 1) {
      prepare();
    } else {
      // Where all rows fit, the block's first tile makes them ready for all its tiles.
      Value isLong = e.less(e.constant(left->rows()), m.frame.domainRows(m.op.getDomain()));
      e.ifThen(arith::OrIOp::create(e.b, e.loc, isLong, m.isFirstChunk), prepare);
    }
    if (failed(result))
      return failure();
    bool isLast = piece + 1 == left->pieces();
    for (int64_t weight = 0; weight < static_cast<int64_t>(m.weights.size()); ++weight) {
      if (!m.layouts[weight].isFloat() && !isLast) // integers are complete then
        continue;
      bool adds = m.layouts[weight].isFloat() && piece > 0;
      Value isFull = e.equal(count, e.constant(left->rows()));
      if (left->rows() > 1)
        e.ifThen(isFull, [&] { emitPanels(weight, e.constant(0), left->rows(), adds); });
      Value single = left->rows() > 1 ? e.select(isFull, e.constant(0), count) : count;
      e.loop(e.constant(0), single, 1, [&](Value row) { emitPanels(weight, row, 1, adds); });
    }
  }
  e.barrier();
  if (slices > 1) {
    // Of the panels that there are: the last tile may have fewer.
    bool isOne = m.panelsPerChunk() == 1;
    Value width = isOne ? e.constant(accumulators.rowStride)
                        : e.mul(e.sub(panelEnd, panelBegin), e.constant(kernel::panelRows));
    for (size_t weight = 0; weight < m.weights.size(); ++weight)
      frame.share(e.mul(count, width), [&](Value i) {
        Value row = isOne ? e.constant(0) : e.div(i, width), column = isOne ? i : e.rem(i, width);
        Value place = accumulators.at(e, weight, row, column), sum = e.load(e.f32(), place);
        for (int64_t s = 1; s < slices; ++s)
          sum = e.addF(sum, e.load(e.f32(), e.at(place, s * sliceStride, e.f32())));
        e.store(sum, place);
      });
    e.barrier();
  }
  result = emitEpilogues(m, accumulators, panelBegin, begin, end, first, count);
  e.barrier();
  return result;
}

void StreamedMatmul::emitPanels(int64_t weight, Value row, int64_t rows, bool adds) {
  const kernel::WeightLayout &layout = m.layouts[weight];
  int64_t n = laneRows(layout), lanes = kernel::panelRows / n;
  e.loop(e.add(panelBegin, e.div(frame.warp(), slices)), panelEnd, frame.warps() / slices, [&](Value index) {
    Value panel = m.panel(weight, index);
    SmallVector<Value> sums = layout.isFp8()     ? fp8Sums(weight, panel, row, rows)
                              : layout.isFloat() ? floatSums(layout, panel, row, rows)
                                                 : blockSums(layout, panel, row, rows);
    for (Value &sum : sums)
      for (int64_t mask = warpSize / 2; mask >= lanes; mask /= 2)
        sum = e.addF(sum, e.shuffleXor(sum, mask));
    e.ifThen(e.less(frame.lane(), e.constant(lanes)), [&] {
      Value column = e.add(e.mul(e.sub(index, panelBegin), kernel::panelRows), e.mul(frame.lane(), n));
      Value address = accumulators.at(e, weight, row, column);
      address = e.at(address, e.mul(slice, sliceStride), e.f32());
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < n; i += 4) {
          int64_t some = std::min<int64_t>(n, 4);
          Value place = e.at(address, r * accumulators.rowStride + i, e.f32());
          Value four = e.pack(ArrayRef(sums).slice(r * n + i, some));
          if (adds) // this lane has stored them
            four = e.addF(four, e.loadWide(e.f32(), some, place));
          e.storeAligned(four, place);
        }
    });
  });
}

/// Lines of 16 rows: one column, of bf16 a pair.
SmallVector<Value> StreamedMatmul::floatSums(const kernel::WeightLayout &layout, Value panel, Value row,
                                             int64_t rows) {
  bool pairs = layout.format == kernel::WeightFormat::BF16;
  int64_t n = laneRows(layout), lanes = kernel::panelRows / n, units = warpSize / lanes;
  // Of the piece of the left side that is there.
  int64_t depth = pairs ? 2 : 1, firstLine = left->piece().first / depth;
  int64_t lines = std::min(left->piece().second, layout.paddedColumns()) / depth - firstLine;
  Type element = layout.format == kernel::WeightFormat::F32 ? e.f32() : pairs ? e.bf16() : e.f16();
  int64_t lineBytes = kernel::panelRows * depth * layout.elementBytes;
  Value mine = e.atByte(panel, e.add(e.mul(e.rem(frame.lane(), lanes), 16), firstLine * lineBytes));
  Value begin = e.add(e.mul(slice, units), e.div(frame.lane(), lanes));
  int64_t step = units * slices;
  auto turn = [&](int64_t unroll) {
    return [&, unroll](Value line, ValueRange carried) {
      SmallVector<Value> sums(carried), numbers;
      for (int64_t u = 0; u < unroll; ++u) // all loads first: many in flight
        numbers.push_back(
            e.loadWide(element, n * depth, e.atByte(mine, e.mul(e.add(line, u * step), lineBytes))));
      for (int64_t u = 0; u < unroll; ++u)
        for (int64_t r = 0; r < rows; ++r) {
          Value column = e.add(e.mul(e.add(line, u * step), depth), firstLine * depth);
          Value values = left->numbers(e.add(row, r), column, depth);
          for (int64_t i = 0; i < n; ++i)
            for (int64_t d = 0; d < depth; ++d)
              sums[r * n + i] =
                  e.fma(e.extract(values, d), e.extract(numbers[u], i * depth + d), sums[r * n + i]);
        }
      return sums;
    };
  };
  SmallVector<Value> sums(rows * n, e.constantF(e.f32(), 0));
  constexpr int64_t unroll = 4;
  // Whole turns for every lane, then one line at a time.
  int64_t whole = lines / (unroll * step) * unroll * step;
  if (whole)
    sums = e.loop(begin, e.constant(whole), unroll * step, sums, turn(unroll));
  if (whole < lines)
    sums = e.loop(e.add(begin, whole), e.constant(lines), step, sums, turn(1));
  return sums;
}

/// A lane has a row of each tile of 16 columns; half of a warp has a tile.
SmallVector<Value> StreamedMatmul::fp8Sums(int64_t weight, Value panel, Value row, int64_t rows) {
  constexpr int64_t depth = kernel::WeightLayout::tileColumns, units = warpSize / kernel::panelRows;
  Type element = cast<kernel::WeightType>(m.op.getWeights()[weight].getType()).getElement();
  int64_t firstTile = left->piece().first / depth, tileBytes = depth * kernel::panelRows;
  int64_t tiles = std::min(left->piece().second, m.layouts[weight].paddedColumns()) / depth - firstTile;
  Value mine =
      e.atByte(panel, e.add(e.mul(e.rem(frame.lane(), kernel::panelRows), depth), firstTile * tileBytes));
  Value begin = e.add(e.mul(slice, units), e.div(frame.lane(), kernel::panelRows));
  int64_t step = units * slices;
  Type line = e.vec(depth, e.i8());
  auto turn = [&](int64_t unroll) {
    return [&, unroll](Value tile, ValueRange carried) {
      SmallVector<Value> sums(carried), bytes;
      for (int64_t u = 0; u < unroll; ++u) // all loads first: many in flight
        bytes.push_back(e.loadAligned(line, e.atByte(mine, e.mul(e.add(tile, u * step), tileBytes))));
      for (int64_t u = 0; u < unroll; ++u) {
        Value numbers = fp8ToFloats(e, element, bytes[u]);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t i = 0; i < depth; i += 4) {
            Value column = e.add(e.mul(e.add(tile, u * step), depth), firstTile * depth + i);
            Value values = left->numbers(e.add(row, r), column, 4);
            for (int64_t d = 0; d < 4; ++d) {
              Value &sum = sums[r * 2 + d % 2];
              sum = e.fma(e.extract(values, d), e.extract(numbers, i + d), sum);
            }
          }
      }
      return sums;
    };
  };
  SmallVector<Value> sums(rows * 2, e.constantF(e.f32(), 0));
  constexpr int64_t unroll = 4;
  int64_t whole = tiles / (unroll * step) * unroll * step;
  if (whole)
    sums = e.loop(begin, e.constant(whole), unroll * step, sums, turn(unroll));
  if (whole < tiles)
    sums = e.loop(e.add(begin, whole), e.constant(tiles), step, sums, turn(1));
  SmallVector<Value> all;
  for (int64_t r = 0; r < rows; ++r)
    all.push_back(e.addF(sums[r * 2], sums[r * 2 + 1]));
  return all;
}

SmallVector<Value> StreamedMatmul::blockSums(const kernel::WeightLayout &layout, Value panel, Value row,
                                             int64_t rows) {
  int64_t units = warpSize / 4;
  SmallVector<Value> sums(rows * 4, e.constantF(e.f32(), 0));
  Value begin = e.add(e.mul(slice, units), e.div(frame.lane(), 4));
  return e.loop(
      begin, e.constant(layout.blocks()), units * slices, sums,
      [&](Value index, ValueRange carried) { return addBlock(layout, panel, index, row, rows, carried); });
}

SmallVector<Value> StreamedMatmul::addBlock(const kernel::WeightLayout &layout, Value panel, Value index,
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
    Value line = e.atByte(left->integers(e.add(row, r)), e.mul(index, kernel::weightBlock));
    std::array<Value, 8> &quads = integers.emplace_back();
    for (int64_t half = 0; half < 2; ++half) {
      Value loaded = e.loadAligned(four, e.atByte(line, half * 16));
      for (int64_t q = 0; q < 4; ++q)
        quads[half * 4 + q] = e.extract(loaded, q);
    }
    leftScales.push_back(e.load(e.f32(), e.at(left->scales(e.add(row, r)), index, e.f32())));
  }
  int64_t quadsPerSub = 8 / subBlocks;
  bool hasSums = traits.zero || traits.minima;
  for (int64_t sub = 0; sub < subBlocks; ++sub) {
    SmallVector<Value> leftSums;
    for (int64_t r = 0; r < rows && hasSums; ++r) {
      Value place =
          e.at(left->sums(e.add(row, r), traits.subBlock), e.add(e.mul(index, subBlocks), sub), e.i32());
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

} // namespace

LogicalResult emitStreamedMatmul(Frame &frame, kernel::MatmulOp op) {
  return StreamedMatmul(frame, op).run();
}

} // namespace sinter::gpu
