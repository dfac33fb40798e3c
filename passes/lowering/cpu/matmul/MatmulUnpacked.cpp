// SPDX-License-Identifier: Apache-2.0
// Quantised panels taken apart once for many rows, and the tiles that read them.
#include "passes/lowering/cpu/matmul/MatmulTile.h"

#include "passes/lowering/cpu/matmul/MatmulBlock.h"
#include "passes/lowering/cpu/matmul/MatmulDot.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

constexpr int64_t quadBytes = 4 * kernel::panelRows;
constexpr int64_t scaleBytes = 4 * kernel::panelRows;

int64_t scaleOffset(int64_t subBlock) { return 8 * quadBytes + subBlock * scaleBytes; }
int64_t minimumOffset(const kernel::BlockTraits &traits, int64_t subBlock) {
  return scaleOffset(traits.subBlocks() + subBlock);
}

} // namespace

int64_t unpackedBlockBytes(const kernel::WeightLayout &layout) {
  return scaleOffset(layout.block.subBlocks() * (layout.block.minima ? 2 : 1));
}

void emitUnpackPanel(Emitter &e, const kernel::WeightLayout &layout, Value panel, Value to) {
  const kernel::BlockTraits &traits = layout.block;
  int64_t perSuper = traits.superBlock / kernel::weightBlock, bytes = unpackedBlockBytes(layout);
  int64_t half = e.target.lanes() * 4; // bytes of a half of a quad, or of its scales
  e.loop(e.constant(0), e.constant(layout.blocks() / perSuper), 1, [&](Value super) {
    Value header = e.atByte(panel, e.mul(super, layout.superBytes()));
    e.loop(e.constant(0), e.constant(perSuper), 1, [&](Value i) {
      PackedBlock block(e, layout, header,
                        e.atByte(header, e.add(e.mul(i, layout.blockBytes()), layout.headerBytes())));
      Value out = e.atByte(to, e.mul(e.add(e.mul(super, perSuper), i), bytes));
      for (int64_t h = 0; h < halvesOf(e.target); ++h) {
        for (int64_t quad = 0; quad < 8; ++quad)
          e.store(block.quad(quad, h), e.atByte(out, quad * quadBytes + h * half));
        for (int64_t sub = 0; sub < traits.subBlocks(); ++sub) {
          e.store(block.scale(sub, h), e.atByte(out, scaleOffset(sub) + h * half));
          if (traits.minima)
            e.store(block.minimum(sub, h), e.atByte(out, minimumOffset(traits, sub) + h * half));
        }
      }
    });
  });
}

TileResult emitUnpackedTile(Emitter &e, const kernel::WeightLayout &layout, const Left &left, int64_t rows,
                            ArrayRef<Value> panels) {
  const kernel::BlockTraits &traits = layout.block;
  QuadDot dot(e, traits);
  int64_t lanes = e.target.lanes(), halves = halvesOf(e.target), subBlocks = traits.subBlocks();
  int64_t subQuads = 8 / subBlocks, half = lanes * 4, count = panels.size() * halves;
  bool hasZero = zeroOf(traits, e.target) != 0;
  // Register number (row, column): `count` columns.
  auto number = [&](int64_t row, int64_t column) { return row * count + column; };

  auto block = [&](Value index, SmallVector<Value> sums) {
    Value integers = e.atByte(left.integers.address, e.mul(index, kernel::weightBlock));
    Value scales = e.at(left.scales.address, index, e.f32());
    Value subIndex = e.mul(index, subBlocks);
    SmallVector<Value> blocks;
    for (Value panel : panels)
      blocks.push_back(e.atByte(panel, e.mul(index, unpackedBlockBytes(layout))));
    auto weight = [&](int64_t column, Value offset) {
      return e.atByte(e.atByte(blocks[column / halves], offset), column % halves * half);
    };

    for (int64_t sub = 0; sub < subBlocks; ++sub) {
      SmallVector<Value> totals(rows * count);
      if (hasZero)
        for (int64_t row = 0; row < rows; ++row) {
          Value address = e.at(e.at(left.zeros.row(e, row), subIndex, e.i32()), sub, e.i32());
          Value zero = e.splat(e.load(e.i32(), address), lanes);
          for (int64_t column = 0; column < count; ++column)
            totals[number(row, column)] = zero;
        }
      for (int64_t first = 0; first < subQuads; first += dot.quads()) {
        // A loop, a quad or two a turn: LLVM would hoist the loads of a whole block and spill.
        SmallVector<Value> running(rows * count);
        Value nothing = e.constantI(dot.sumType(), 0);
        for (int64_t i = 0; i < rows * count; ++i)
          running[i] = dot.isNarrow() || !totals[i] ? nothing : totals[i];
        int64_t turn = dot.quads() % 2 ? 1 : 2;
        Value begin = e.constant(sub * subQuads + first);
        Value end = e.constant(sub * subQuads + first + dot.quads());
        running = e.loop(begin, end, turn, running, [&](Value quad, ValueRange carried) {
          SmallVector<Value> next = llvm::to_vector(carried);
          Value leftQuad = e.atByte(integers, e.mul(quad, 4)), offset = e.mul(quad, quadBytes);
          for (int64_t t = 0; t < turn; ++t) {
            SmallVector<Value> weights;
            for (int64_t column = 0; column < count; ++column)
              weights.push_back(
                  e.load(e.vec(4 * lanes, e.i8()), e.atByte(weight(column, offset), t * quadBytes)));
            for (int64_t row = 0; row < rows; ++row) {
              Value activations = dot.broadcast(e.atByte(leftQuad, row * left.integers.stride + t * 4));
              for (int64_t column = 0; column < count; ++column) {
                Value &sum = next[number(row, column)];
                sum = dot.add(sum, weights[column], activations);
              }
            }
          }
          return next;
        });
        for (int64_t i = 0; i < rows * count; ++i)
          totals[i] = dot.isNarrow() ? dot.finish(totals[i], running[i]) : running[i];
      }
      SmallVector<Value> weightScales, minima;
      for (int64_t column = 0; column < count; ++column) {
        weightScales.push_back(e.loadWide(e.f32(), lanes, weight(column, e.constant(scaleOffset(sub)))));
        if (traits.minima)
          minima.push_back(
              e.loadWide(e.f32(), lanes, weight(column, e.constant(minimumOffset(traits, sub)))));
      }
      for (int64_t row = 0; row < rows; ++row) {
        Value leftScale = e.splat(e.load(e.f32(), e.atByte(scales, row * left.scales.stride)), lanes);
        Value leftSum;
        if (traits.minima)
          leftSum = e.splat(
              e.load(e.f32(), e.at(e.at(left.sums.row(e, row), subIndex, e.f32()), sub, e.f32())), lanes);
        for (int64_t column = 0; column < count; ++column) {
          Value &sum = sums[number(row, column)];
          Value integer = arith::SIToFPOp::create(e.b, e.loc, e.vec(lanes), totals[number(row, column)]);
          sum = e.fma(integer, e.mulF(weightScales[column], leftScale), sum);
          if (traits.minima)
            sum = e.fma(minima[column], leftSum, sum);
        }
      }
    }
    return sums;
  };

  SmallVector<Value> zeros(rows * count, e.zeros(lanes));
  SmallVector<Value> sums =
      e.loop(e.constant(0), e.constant(layout.blocks()), 1, zeros,
             [&](Value index, ValueRange carried) { return block(index, llvm::to_vector(carried)); });
  TileResult result{{}, rows, halves};
  for (size_t panel = 0; panel < panels.size(); ++panel)
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t h = 0; h < halves; ++h)
        result.values.push_back(sums[number(row, panel * halves + h)]);
  return result;
}

} // namespace sinter::cpu
