// SPDX-License-Identifier: Apache-2.0
// kernel.matmul for up to 16 rows on tensor cores (mma.sync): bound by reading every weight once.
//
// The product is turned round: 16 rows of weights are mma's left operand, 8 rows of the left side its right
// one, so a panel fills a product. Weights go from global memory to the operand's registers; rows lie in
// shared memory. Of a lane, number 4 g + t:
//   f16, bf16   columns 4t to 4t + 3 of each step of 16, of 2, 4 or 8 neighbouring rows. Products are of TF32
//               (m16n8k8), which holds both types; a number of the left side is two of them, its first 11
//               bits and the 11 behind these, so that rows are as good as f32: only the last two bits are
//               dropped
//   quantised   rows 2g and 2g + 1, quads t and t + 4 of a block (loadBlockQuads). By sub-block: the exact
//               integer dot product s; acc = fma(s, scale * leftScale, acc), and for formats with minima acc
//               = fma(minimum, leftScale * sum of the left integers, acc). Blocks are added up in the order
//               in which the lanes of the form for fewer rows do it: the same bits
// The order of columns in a step is the lane's own: both operands have the same.
#include "passes/lowering/gpu/matmul/MatmulStream.h"

#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/matmul/BlockScales.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t productRows = 8; // of the left side
constexpr int64_t halfStep = 16;

class TensorRows : public StreamedRows {
public:
  TensorRows(Matmul &m, LeftSide &left, int64_t segment, int64_t mostOfForms)
      : StreamedRows(m, left, left.rows()), segment(segment) {
    // Of as many panels as their sums leave room for, loads are longer. All forms take as many, so that
    // slices are the same.
    constexpr int64_t mostSumBytes = 16 * 1024;
    bool isF16 = m.layouts[0].format == kernel::WeightFormat::F16;
    int64_t widest = isF16 ? 4 : m.layouts[0].format == kernel::WeightFormat::BF16 ? 2 : 1;
    if (m.panelsPerChunk() % 2) // columnInSlice
      widest = std::min<int64_t>(widest, 2);
    for (panels = std::min(widest, m.panelsPerChunk());
         !llvm::isPowerOf2_64(panels) || (panels > 1 && sumBytes() / most * mostOfForms > mostSumBytes);)
      --panels;
  }
  // Of four rows that differ in their number modulo 4 a warp stores 32 bytes each at once, to different
  // banks.
  int64_t rowStride() const override { return m.accumulatorColumns() + 8; }

private:
  Value columnInSlice(Value row, Value column) override {
    if (panels == 4) // 16 of every 32 bytes
      return e.bitXor(column, e.add(e.mul(e.rem(row, 2), 4), e.mul(e.rem(e.div(row, 2), 2), 16)));
    bool isShort = m.panelsPerChunk() % 2; // rows end in the middle of the banks
    return e.bitXor(column, e.mul(isShort ? e.rem(e.div(row, 2), 2) : e.rem(row, 4), 8));
  }
  int64_t panelsAtOnce() const override { return panels; }
  void emitPanels(int64_t weight, Value count, bool adds) override;
  /// `products`: of 8 rows each.
  void emitPanels(int64_t weight, Value count, int64_t products, bool adds);
  SmallVector<Value> floatSums(int64_t weight, Value count, int64_t products, SmallVector<Value> sums);
  SmallVector<Value> segmentSums(int64_t weight, int64_t begin, int64_t end, ArrayRef<Value> rows);
  SmallVector<Value> blockSums(int64_t weight, Value count, int64_t products);
  SmallVector<Value> addBlock(int64_t weight, Value index, Value count, int64_t products, ValueRange carried);
  SmallVector<Value> storedSums(int64_t weight, Value index, Value count, int64_t products);
  void storeSums(int64_t weight, Value index, Value count, int64_t products, ValueRange sums, bool adds);
  /// Whether the lane has sums of a row, and of a panel: of both there may be fewer.
  Value isThere(Value row, Value count, Value index) {
    return e.both(e.less(row, count), e.less(index, panelEnd));
  }
  int64_t sumsAtOnce() const { return std::min<int64_t>(2 * panels, 4); }
  /// The column of the lane's first sum of a panel, from the tile's first on.
  Value columnOfSums(Value index) {
    return e.add(e.mul(e.sub(index, panelBegin), kernel::panelRows), firstOfLane);
  }

  /// A row of the left side; behind the last one that one again.
  Value thatIs(Value row, Value count) { return e.min(row, e.sub(count, 1)); }
  /// The row that is column `column` of a product: a Gray code, so that no two lanes meet in a bank, neither
  /// those that read neighbouring columns nor those that store every other one.
  Value rowOf(int64_t product, Value column) {
    return e.add(e.bitXor(column, e.div(column, 2)), product * productRows);
  }
  Value leftRow(int64_t product, Value column, Value count) { return thatIs(rowOf(product, column), count); }
  /// The rows that the lane has sums of: columns 2t + i of a product.
  Value rowOfSums(int64_t product, int64_t i) { return rowOf(product, e.add(e.mul(e.rem(lane, 4), 2), i)); }
  size_t number(int64_t product, int64_t pair) const { return (product * panels + pair) * 4; }

  const int64_t segment;
  int64_t panels = 1;
  Value lane;
  Value panel;       // the lane's, its address
  Value firstOfLane; // of 2 * panels neighbouring rows of the panel
};

void TensorRows::emitPanels(int64_t weight, Value count, bool adds) {
  lane = e.fresh(frame.lane()); // another form does not wait for what is computed from it
  if (most <= productRows)
    return emitPanels(weight, count, 1, adds);
  auto choice =
      scf::IfOp::create(e.b, e.loc, e.less(count, e.constant(productRows + 1)), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.thenBlock());
  emitPanels(weight, count, 1, adds);
  e.b.setInsertionPointToStart(choice.elseBlock());
  emitPanels(weight, count, most / productRows, adds);
}

void TensorRows::emitPanels(int64_t weight, Value count, int64_t products, bool adds) {
  const kernel::WeightLayout &layout = m.layouts[weight];
  int64_t lanesOfPanel = 8 / panels; // of the eight that have rows
  Value group = e.div(lane, 4);
  firstOfLane = e.mul(e.rem(group, lanesOfPanel), 2 * panels);
  forEachPanel([&](Value first) {
    // Lanes without a panel take the last one again, and drop it.
    Value index = e.add(first, e.div(group, lanesOfPanel));
    panel = m.panel(weight, panels == 1 ? index : e.min(index, e.sub(panelEnd, 1)));
    if (!layout.isFloat())
      return storeSums(weight, index, count, products, blockSums(weight, count, products), adds);
    // Segments are added in their order, whatever pieces they come in.
    auto [begin, end] = left.piece();
    SmallVector<Value> before;
    if (adds && end - begin > segment)
      before = storedSums(weight, index, count, products);
    bool addsLater = adds && before.empty();
    storeSums(weight, index, count, products, floatSums(weight, count, products, before), addsLater);
  });
}

/// `sums`: of the columns before, or none.
SmallVector<Value> TensorRows::floatSums(int64_t weight, Value count, int64_t products,
                                         SmallVector<Value> sums) {
  auto [begin, end] = left.piece();
  Value group = e.div(lane, 4), inGroup = e.rem(lane, 4);
  SmallVector<Value> rows; // of the lane's columns
  for (int64_t product = 0; product < products; ++product)
    rows.push_back(e.atByte(left.floats(leftRow(product, group, count)), e.mul(inGroup, 16)));
  for (int64_t first = begin; first < end; first += segment) {
    SmallVector<Value> some = segmentSums(weight, first, std::min({first + segment, end, m.inputs}), rows);
    for (auto [i, sum] : llvm::enumerate(sums))
      some[i] = e.addF(some[i], sum);
    sums = some;
    for (Value &row : rows)
      row = e.atByte(row, segment * 4);
  }
  return sums;
}

/// Columns begin to end - 1; `rows`: where the lane's columns of each row of the left side begin there.
SmallVector<Value> TensorRows::segmentSums(int64_t weight, int64_t begin, int64_t end, ArrayRef<Value> rows) {
  bool isPairs = m.layouts[weight].format == kernel::WeightFormat::BF16;
  Type element = isPairs ? e.bf16() : e.f16();
  constexpr int64_t columnBytes = 2 * kernel::panelRows, stepBytes = halfStep * columnBytes;
  int64_t steps = (end - begin) / halfStep, products = rows.size();
  Value inGroup = e.rem(lane, 4);
  // Of bf16 a line is two columns of the panel, of f16 one.
  int64_t lines = isPairs ? 2 : 4, depth = isPairs ? 2 : 1, laneRows = 2 * panels;
  Value mine = e.atByte(e.atByte(panel, begin * columnBytes),
                        e.add(e.mul(inGroup, 4 * columnBytes), e.mul(firstOfLane, 2 * depth)));
  auto turn = [&](Value step, int64_t turns, ValueRange carried) {
    SmallVector<Value> sums(carried), loaded;
    for (int64_t u = 0; u < turns; ++u) // all loads first: many in flight
      for (int64_t i = 0; i < lines; ++i) {
        Value place = e.atByte(mine, e.mul(e.add(step, u * slices()), stepBytes));
        loaded.push_back(e.loadWide(element, laneRows * depth, e.atByte(place, i * depth * columnBytes)));
      }
    for (int64_t u = 0; u < turns; ++u) {
      SmallVector<std::array<Two, 4>> right; // of each column
      for (Value row : rows) {
        Value place = e.atByte(row, e.mul(e.add(step, u * slices()), 4 * halfStep));
        Value four = e.loadWide(e.f32(), 4, place);
        Value low = left.isCut() ? e.loadWide(e.f32(), 4, e.atByte(place, left.cutBytes())) : Value();
        std::array<Two, 4> &columns = right.emplace_back();
        for (int64_t column = 0; column < 4; ++column)
          columns[column] = low ? Two{e.extract(four, column), e.extract(low, column)}
                                : cutToTf32(e, e.extract(four, column));
      }
      auto number = [&](int64_t row, int64_t column) {
        return e.extract(loaded[u * lines + column / depth], row * depth + column % depth);
      };
      for (int64_t pair = 0; pair < panels; ++pair)
        for (int64_t column = 0; column < 4; column += 2) {
          Four operand = {number(2 * pair, column), number(2 * pair + 1, column),
                          number(2 * pair, column + 1), number(2 * pair + 1, column + 1)};
          for (int64_t product = 0; product < products; ++product)
            for (int64_t part = 0; part < 2; ++part) {
              size_t first = this->number(product, pair);
              const auto &columns = right[product];
              Four sum = {sums[first], sums[first + 1], sums[first + 2], sums[first + 3]};
              llvm::copy(mmaTf32(e, operand, {columns[column][part], columns[column + 1][part]}, sum),
                         sums.begin() + first);
            }
        }
    }
    return sums;
  };
  SmallVector<Value> sums(products * panels * 4, e.constantF(e.f32(), 0));
  return forEachStep(slice, steps, slices(), /*unroll=*/panels > 2 ? 2 : 4, sums, turn);
}

/// Block b belongs to unit b % 8, as in the form for fewer rows a quartet of lanes; units are added as its
/// shuffles do. A loop has one or two of them: all sums and what is loaded for them would not fit the
/// registers.
SmallVector<Value> TensorRows::blockSums(int64_t weight, Value count, int64_t products) {
  constexpr int64_t units = warpSize / 4;
  const int64_t unitsAtOnce = m.layouts[weight].block.minima ? 1 : 2;
  int64_t each = products * 4, blocks = m.layouts[weight].blocks(), stride = units * slices();
  int64_t whole = blocks / stride * stride;
  Value first = e.mul(slice, units);
  SmallVector<Value> all;
  for (int64_t begin = 0; begin < units; begin += unitsAtOnce) {
    lane = e.fresh(lane); // addresses of one loop are not kept for the next
    SmallVector<Value> sums(unitsAtOnce * each, e.constantF(e.f32(), 0));
    if (whole)
      sums = e.loop(first, e.constant(whole), stride, sums, [&](Value block, ValueRange carried) {
        SmallVector<Value> next;
        for (int64_t unit = 0; unit < unitsAtOnce; ++unit)
          llvm::append_range(next, addBlock(weight, e.add(block, begin + unit), count, products,
                                            carried.slice(unit * each, each)));
        return next;
      });
    for (int64_t unit = 0; unit < std::min(unitsAtOnce, blocks - whole - begin); ++unit) {
      SmallVector<Value> some(ArrayRef(sums).slice(unit * each, each));
      some = e.loop(
          e.add(first, whole + begin + unit), e.constant(blocks), stride, some,
          [&](Value block, ValueRange carried) { return addBlock(weight, block, count, products, carried); });
      llvm::copy(some, sums.begin() + unit * each);
    }
    llvm::append_range(all, sums);
  }
  for (int64_t far = units / 2; far > 0; far /= 2)
    for (int64_t i = 0; i < far * each; ++i)
      all[i] = e.addF(all[i], all[i + far * each]);
  all.resize(each);
  return all;
}

SmallVector<Value> TensorRows::addBlock(int64_t weight, Value index, Value count, int64_t products,
                                        ValueRange carried) {
  const kernel::WeightLayout &layout = m.layouts[weight];
  const kernel::BlockTraits &traits = layout.block;
  int64_t perSuper = traits.superBlock / kernel::weightBlock, subBlocks = traits.subBlocks();
  bool hasSums = traits.zero || traits.minima;
  Signs signs = {.left = traits.isSigned};
  Value group = e.div(lane, 4), inGroup = e.rem(lane, 4);
  Value header = e.atByte(panel, e.mul(e.div(index, perSuper), layout.superBytes()));
  Value block =
      e.atByte(header, e.add(e.mul(e.rem(index, perSuper), layout.blockBytes()), layout.headerBytes()));
  BlockQuads quads = loadBlockQuads(e, layout, block, lane);
  auto [scales, minima] = loadBlockScales(e, layout, header, block, group, 2);
  SmallVector<Value> sums(carried);
  for (int64_t product = 0; product < products; ++product) {
    Value line = e.atByte(left.integers(leftRow(product, group, count)), e.mul(index, kernel::weightBlock));
    Value right[2];
    for (int64_t half = 0; half < 2; ++half)
      right[half] = e.load(e.i32(), e.at(line, e.add(inGroup, 4 * half), e.i32()));
    Value rows[2], leftScales[2];
    for (int64_t i = 0; i < 2; ++i) {
      rows[i] = thatIs(rowOfSums(product, i), count);
      leftScales[i] = e.load(e.f32(), e.at(left.scales(rows[i]), index, e.f32()));
    }
    for (int64_t sub = 0; sub < subBlocks; ++sub) {
      Value leftSums[2];
      for (int64_t i = 0; i < 2 && hasSums; ++i)
        leftSums[i] = e.load(
            e.i32(), e.at(left.sums(rows[i], traits.subBlock), e.add(e.mul(index, subBlocks), sub), e.i32()));
      auto start = [&](int64_t i) { return traits.zero ? e.mul(leftSums[i], -traits.zero) : e.constant(0); };
      Value even = start(0), odd = start(1);
      Four dots = {even, odd, even, odd};
      if (subBlocks == 1)
        dots = mmaInt8(e, signs, {quads.bytes[0][0], quads.bytes[1][0], quads.bytes[0][1], quads.bytes[1][1]},
                       {right[0], right[1]}, dots);
      else
        dots = mmaInt8Short(e, signs, {quads.bytes[0][sub], quads.bytes[1][sub]}, right[sub], dots);
      for (int64_t r = 0; r < 2; ++r)
        for (int64_t i = 0; i < 2; ++i) {
          Value &sum = sums[number(product, 0) + r * 2 + i];
          sum = e.fma(e.toFloat(dots[r * 2 + i]), e.mulF(e.extract(scales[sub], r), leftScales[i]), sum);
          if (traits.minima)
            sum = e.fma(e.extract(minima[sub], r), e.mulF(leftScales[i], e.toFloat(leftSums[i])), sum);
        }
    }
  }
  return sums;
}

/// What storeSums stored; zeros where it did not.
SmallVector<Value> TensorRows::storedSums(int64_t weight, Value index, Value count, int64_t products) {
  Value column = columnOfSums(index), zero = e.constantF(e.f32(), 0);
  SmallVector<Value> sums(products * panels * 4);
  for (int64_t product = 0; product < products; ++product)
    for (int64_t i = 0; i < 2; ++i) {
      Value row = rowOfSums(product, i);
      SmallVector<Type> types(2 * panels, e.f32());
      auto choice = scf::IfOp::create(e.b, e.loc, types, isThere(row, count, index), /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(choice.thenBlock());
      SmallVector<Value> loaded;
      for (int64_t first = 0, n = sumsAtOnce(); first < 2 * panels; first += n) {
        Value some = e.loadWide(e.f32(), n, sumsAt(weight, row, e.add(column, first)));
        for (int64_t j = 0; j < n; ++j)
          loaded.push_back(e.extract(some, j));
      }
      scf::YieldOp::create(e.b, e.loc, loaded);
      e.b.setInsertionPointToStart(choice.elseBlock());
      scf::YieldOp::create(e.b, e.loc, SmallVector<Value>(2 * panels, zero));
      for (int64_t pair = 0; pair < panels; ++pair)
        for (int64_t r = 0; r < 2; ++r)
          sums[number(product, pair) + r * 2 + i] = choice.getResult(pair * 2 + r);
    }
  return sums;
}

/// A lane has 2 * panels neighbouring columns of two rows of each product.
void TensorRows::storeSums(int64_t weight, Value index, Value count, int64_t products, ValueRange sums,
                           bool adds) {
  Value column = columnOfSums(index);
  int64_t n = sumsAtOnce();
  for (int64_t product = 0; product < products; ++product)
    for (int64_t i = 0; i < 2; ++i) {
      Value row = rowOfSums(product, i);
      SmallVector<Value> numbers;
      for (int64_t pair = 0; pair < panels; ++pair)
        for (int64_t r = 0; r < 2; ++r)
          numbers.push_back(sums[number(product, pair) + r * 2 + i]);
      e.ifThen(isThere(row, count, index), [&] {
        for (int64_t first = 0; first < 2 * panels; first += n) {
          Value place = sumsAt(weight, row, e.add(column, first)),
                some = e.pack(ArrayRef(numbers).slice(first, n));
          if (adds) // this lane has stored them
            some = e.addF(some, e.loadWide(e.f32(), n, place));
          e.storeAligned(some, place);
        }
      });
    }
}

} // namespace

bool fitsTensorRows(const Matmul &m) {
  const kernel::WeightLayout &first = m.layouts[0];
  auto isSame = [&](const kernel::WeightLayout &layout) {
    return first.isFloat() ? layout.format == first.format : !layout.isFloat();
  };
  bool isHalf = first.elementBytes == 2 && m.inputs % halfStep == 0;
  return (isHalf || !first.isFloat()) && llvm::all_of(m.layouts, isSame);
}

int64_t tensorRowShift(const Matmul &m) {
  // Floats: two rows side by side, 64 bytes of each; integers: 8 rows, 16 bytes.
  return m.layouts[0].isFloat() ? 64 : 16;
}

std::unique_ptr<StreamedRows> makeTensorRows(Matmul &m, LeftSide &left, int64_t segment,
                                             int64_t mostOfForms) {
  return std::make_unique<TensorRows>(m, left, segment, mostOfForms);
}

} // namespace sinter::gpu
