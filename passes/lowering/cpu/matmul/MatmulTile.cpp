// SPDX-License-Identifier: Apache-2.0
// Tiles that read packed weights: floats widened in the loop, quantised blocks taken apart in the loop.
#include "passes/lowering/cpu/matmul/MatmulTile.h"

#include "passes/lowering/cpu/Fp8.h"
#include "passes/lowering/cpu/matmul/MatmulBlock.h"
#include "passes/lowering/cpu/matmul/MatmulTurns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

/// Loads columns of a float panel: bf16 two at a time, 8 bits four, the others one.
class FloatPanel {
public:
  FloatPanel(Emitter &e, const kernel::WeightLayout &layout)
      : e(e), layout(layout), lanes(e.target.lanes()) {}
  int64_t columnsAtOnce() const {
    return layout.isFp8() ? 4 : layout.format == kernel::WeightFormat::BF16 ? 2 : 1;
  }
  /// Column `column` and those behind it that come with it. `address`: of column 0, where a tile begins.
  SmallVector<Value, 4> load(Value address, int64_t column, int64_t half) {
    address = e.atByte(address, (layout.isFp8() ? column / tile * tile : column) * kernel::panelRows *
                                    layout.elementBytes);
    if (layout.isFp8()) {
      Type element = layout.format == kernel::WeightFormat::F8E5M2 ? Type(e.b.getType<Float8E5M2Type>())
                                                                   : e.b.getType<Float8E4M3FNType>();
      Value words = loadFp8Quad(e, address, column % tile / 4, half);
      SmallVector<Value, 4> columns;
      for (int64_t i = 0; i < 4; ++i)
        columns.push_back(columnOfFp8(e, element, words, i));
      return columns;
    }
    if (layout.format == kernel::WeightFormat::F32)
      return {e.loadWide(e.f32(), lanes, e.atByte(address, half * lanes * 4))};
    if (layout.format == kernel::WeightFormat::F16)
      return {e.loadWide(e.f16(), lanes, e.atByte(address, half * lanes * 2))};
    Type type = e.vec(lanes, e.i32());
    Value words = e.load(type, e.atByte(address, half * lanes * 4));
    Value low = arith::ShLIOp::create(e.b, e.loc, words, e.constantI(type, 16));
    Value high = arith::AndIOp::create(e.b, e.loc, words, e.constantI(type, int32_t(0xffff0000)));
    auto asFloat = [&](Value v) -> Value { return vector::BitCastOp::create(e.b, e.loc, e.vec(lanes), v); };
    return {asFloat(low), asFloat(high)};
  }

private:
  static constexpr int64_t tile = kernel::WeightLayout::tileColumns;
  Emitter &e;
  const kernel::WeightLayout &layout;
  int64_t lanes;
};

void prefetchLines(Emitter &e, Value address, int64_t bytes, int64_t ahead) {
  if (ahead)
    for (int64_t line = 0; line < bytes; line += 64)
      e.prefetch(e.atByte(address, line + ahead));
}

SmallVector<Value> emitFloats(Emitter &e, const kernel::WeightLayout &layout, const Left &left, int64_t rows,
                              ArrayRef<Value> panels, int64_t prefetch) {
  FloatPanel panel(e, layout);
  int64_t lanes = e.target.lanes(), halves = halvesOf(e.target), step = panel.columnsAtOnce();
  // With many rows more than a few weights at once would not stay in registers.
  int64_t unroll = rows > 4 ? 2 : 4, columnBytes = kernel::panelRows * layout.elementBytes;
  if (layout.isFp8())
    unroll = kernel::WeightLayout::tileColumns;
  // Columns `column` to column + count - 1; not all that come together may be there.
  auto columns = [&](Value column, int64_t count, SmallVector<Value> sums) {
    SmallVector<Value> addresses;
    for (Value address : panels) {
      addresses.push_back(e.atByte(address, e.mul(column, columnBytes)));
      prefetchLines(e, addresses.back(), count * columnBytes, prefetch);
    }
    Value leftColumn = e.at(left.floats.address, column, e.f32());
    for (int64_t k = 0; k < count; k += step) {
      SmallVector<SmallVector<Value, 4>> weights; // (panel, half), column
      for (Value address : addresses)
        for (int64_t half = 0; half < halves; ++half)
          weights.push_back(panel.load(address, k, half));
      for (int64_t i = 0; i < std::min(step, count - k); ++i)
        for (int64_t row = 0; row < rows; ++row) {
          Value address = e.at(e.atByte(leftColumn, row * left.floats.stride), k + i, e.f32());
          Value x = e.splat(e.load(e.f32(), address), lanes);
          for (size_t p = 0; p < panels.size(); ++p)
            for (int64_t half = 0; half < halves; ++half) {
              Value &sum = sums[(p * rows + row) * halves + half];
              sum = e.fma(x, weights[p * halves + half][i], sum);
            }
        }
    }
    return sums;
  };
  int64_t whole = layout.columns / unroll * unroll;
  SmallVector<Value> sums(panels.size() * rows * halves, e.zeros(lanes));
  if (whole)
    sums = e.loop(e.constant(0), e.constant(whole), unroll, sums, [&](Value column, ValueRange carried) {
      return columns(column, unroll, llvm::to_vector(carried));
    });
  if (whole < layout.columns)
    sums = columns(e.constant(whole), layout.columns - whole, sums);
  return sums;
}

SmallVector<Value> emitQuantized(Emitter &e, const kernel::WeightLayout &layout, const Left &left,
                                 int64_t rows, ArrayRef<Value> panels, int64_t prefetch) {
  const kernel::BlockTraits &traits = layout.block;
  QuadDot dot(e, traits);
  int64_t lanes = e.target.lanes(), halves = halvesOf(e.target), subBlocks = traits.subBlocks();
  int64_t subQuads = 8 / subBlocks;
  bool hasZero = zeroOf(traits, e.target) != 0;

  int64_t columns = panels.size() * halves;

  // A sub-block of all panels. A quad goes through all panels before the next one: its activations are in
  // registers only so long.
  auto unrolled = [&](SmallVector<PackedBlock> &packed, Value integers, int64_t sub,
                      SmallVector<Value> &totals) {
    for (int64_t first = 0; first < subQuads; first += dot.quads()) {
      SmallVector<Value> running(rows * columns);
      if (!dot.isNarrow())
        running.swap(totals);
      for (int64_t i = first; i < first + dot.quads(); ++i) {
        // Both halves of the bytes of a word, then the next word.
        int64_t quad = subBlocks == 1 && traits.lowBits == 4 ? i / 2 + i % 2 * 4 : sub * subQuads + i;
        SmallVector<Value> activations;
        for (int64_t row = 0; row < rows; ++row)
          activations.push_back(dot.broadcast(e.atByte(integers, row * left.integers.stride + quad * 4)));
        for (int64_t column = 0; column < columns; ++column) {
          Value weights = packed[column / halves].quad(quad, column % halves);
          for (int64_t row = 0; row < rows; ++row) {
            Value &sum = running[row * columns + column];
            sum = dot.add(sum, weights, activations[row]);
          }
        }
      }
      for (int64_t n = 0; n < rows * columns; ++n)
        totals[n] = dot.finish(totals[n], running[n]);
    }
  };

  // Block `index` (of the row) of all panels: header and block are offsets in a panel.
  auto block = [&](Value header, Value offset, Value index, SmallVector<Value> sums) {
    Value integers = e.atByte(left.integers.address, e.mul(index, kernel::weightBlock));
    Value scales = e.at(left.scales.address, index, e.f32());
    Value subIndex = e.mul(index, subBlocks);
    SmallVector<PackedBlock> packed;
    for (Value panel : panels) {
      packed.emplace_back(e, layout, e.atByte(panel, header), e.atByte(panel, offset));
      prefetchLines(e, e.atByte(panel, offset), layout.blockBytes(), prefetch);
    }
    SmallVector<SmallVector<Value>> totals(subBlocks, SmallVector<Value>(rows * columns)); // (row, column)
    for (int64_t sub = 0; hasZero && sub < subBlocks; ++sub)
      for (int64_t row = 0; row < rows; ++row) {
        Value address = e.at(e.at(left.zeros.row(e, row), subIndex, e.i32()), sub, e.i32());
        std::fill_n(totals[sub].begin() + row * columns, columns, e.splat(e.load(e.i32(), address), lanes));
      }
    if (takesTurns(traits, e.target)) {
      SmallVector<Value> blocks;
      for (Value panel : panels)
        blocks.push_back(e.atByte(panel, offset));
      emitTurns(e, layout, blocks, integers, left.integers.stride, rows, totals.front());
    } else {
      for (int64_t sub = 0; sub < subBlocks; ++sub)
        unrolled(packed, integers, sub, totals[sub]);
    }
    for (int64_t sub = 0; sub < subBlocks; ++sub) {
      for (int64_t column = 0; column < columns; ++column) {
        Value scale = packed[column / halves].scale(sub, column % halves);
        Value minimum = traits.minima ? packed[column / halves].minimum(sub, column % halves) : Value();
        for (int64_t row = 0; row < rows; ++row) {
          Value &sum = sums[(column / halves * rows + row) * halves + column % halves];
          Value leftScale = e.splat(e.load(e.f32(), e.atByte(scales, row * left.scales.stride)), lanes);
          Value number =
              arith::SIToFPOp::create(e.b, e.loc, e.vec(lanes), totals[sub][row * columns + column]);
          sum = e.fma(number, e.mulF(scale, leftScale), sum);
          if (minimum) {
            Value leftSum =
                e.load(e.f32(), e.at(e.at(left.sums.row(e, row), subIndex, e.f32()), sub, e.f32()));
            sum = e.fma(minimum, e.splat(leftSum, lanes), sum);
          }
        }
      }
    }
    return sums;
  };

  int64_t perSuper = traits.superBlock / kernel::weightBlock, supers = layout.blocks() / perSuper;
  SmallVector<Value> zeros(panels.size() * rows * halves, e.zeros(lanes));
  return e.loop(e.constant(0), e.constant(supers), 1, zeros, [&](Value super, ValueRange carried) {
    Value header = e.mul(super, layout.superBytes());
    Value first = e.add(header, layout.headerBytes());
    if (perSuper == 1)
      return block(header, first, super, llvm::to_vector(carried));
    return e.loop(e.constant(0), e.constant(perSuper), 1, carried, [&](Value i, ValueRange inner) {
      Value index = e.add(e.mul(super, perSuper), i);
      return block(header, e.add(first, e.mul(i, layout.blockBytes())), index, llvm::to_vector(inner));
    });
  });
}

} // namespace

TileResult emitPackedTile(Emitter &e, const kernel::WeightLayout &layout, const Left &left, int64_t rows,
                          ArrayRef<Value> panels, int64_t prefetch) {
  auto emit = layout.isFloat() ? emitFloats : emitQuantized;
  return {emit(e, layout, left, rows, panels, prefetch), rows, halvesOf(e.target)};
}

} // namespace sinter::cpu
