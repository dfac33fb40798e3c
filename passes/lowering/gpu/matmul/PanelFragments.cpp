// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/matmul/PanelFragments.h"

#include "passes/lowering/gpu/Fp8.h"
#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/matmul/BlockScales.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {

Value bytesToHalves(Emitter &e, Value word, int64_t pair, int64_t zero) {
  // f16 0x6400 is 1024, and its last bit counts 1.
  Value both = e.intrinsic("llvm.nvvm.prmt", e.i32(),
                           {word, e.constant(0x64646464), e.constant(pair ? 0x4342 : 0x4140)});
  Type halves = e.vec(2, e.f16());
  return e.subF(e.bitcast(halves, both), e.constantF(halves, 1024.0 + zero));
}

int64_t PanelFragments::bytes() const {
  if (layout.isFloat())
    return columns * kernel::panelRows * layout.elementBytes;
  constexpr int64_t blocks = columns / kernel::weightBlock;
  return layout.block.hasSubScales() ? layout.headerBytes() + blocks * layout.blockBytes()
                                     : blocks * layout.superBytes();
}

void PanelFragments::copy(Value panel, Value chunk, Value to, Value barrier) {
  if (layout.isFloat() || !layout.block.hasSubScales()) {
    Value from = e.mul(chunk, bytes());
    Value count = e.min(e.sub(e.constant(layout.panelBytes()), from), e.constant(bytes()));
    expectBytes(e, barrier, count);
    return bulkCopy(e, to, e.atByte(panel, from), count, barrier);
  }
  int64_t chunks = layout.block.superBlock / columns, header = layout.headerBytes(), rest = bytes() - header;
  Value super = e.mul(e.div(chunk, chunks), layout.superBytes());
  expectBytes(e, barrier, e.constant(bytes()));
  bulkCopy(e, to, e.atByte(panel, super), e.constant(header), barrier);
  Value blocks = e.add(e.add(super, header), e.mul(e.rem(chunk, chunks), rest));
  bulkCopy(e, e.atByte(to, header), e.atByte(panel, blocks), e.constant(rest), barrier);
}

Registers PanelFragments::load(Value from, Value chunk) {
  Registers registers;
  if (layout.format == kernel::WeightFormat::F16)
    loadF16(from, chunk, registers);
  else if (layout.isFp8())
    loadFp8(from, chunk, registers);
  else if (layout.isFloat())
    loadBf16(from, chunk, registers);
  else
    loadQuantised(from, chunk, registers);
  return registers;
}

Value PanelFragments::inside(Value number, Value chunk, int64_t unit) {
  int64_t count = layout.isFloat() ? layout.paddedColumns() : layout.columns;
  if (count % columns == 0)
    return number;
  return e.min(number, e.sub(e.constant(count / unit - 1), e.mul(chunk, columns / unit)));
}

/// Lines of 16 rows. A lane names 8 of them for ldmatrix; matrices take the first 8 rows of four columns and
/// the last 8 of the next four, so that their 8 pieces lie in different banks. Then lanes of t >= 2 have the
/// registers of rows g and g + 8 the other way round.
void PanelFragments::loadF16(Value from, Value chunk, Registers &registers) {
  Value lane = frame.lane(), matrix = e.div(lane, 8), piece = e.rem(lane, 8);
  Value column = e.add(e.mul(e.div(matrix, 2), 8), piece);
  Value half = e.bitXor(e.div(piece, 4), e.rem(matrix, 2));
  Value turned = e.equal(e.bitAnd(lane, 2), e.constant(2));
  for (int64_t step = 0; step < steps; ++step) {
    Value line = inside(e.add(column, 16 * step), chunk, 1);
    Four four =
        loadMatricesTransposed(e, e.atByte(from, e.add(e.mul(line, 2 * kernel::panelRows), e.mul(half, 16))));
    for (int64_t i = 0; i < 4; i += 2) {
      registers.push_back(e.select(turned, four[i + 1], four[i]));
      registers.push_back(e.select(turned, four[i], four[i + 1]));
    }
  }
}

/// A step is a tile: two columns of a row are 16 bits.
void PanelFragments::loadFp8(Value from, Value chunk, Registers &registers) {
  constexpr int64_t tile = kernel::WeightLayout::tileColumns;
  Value lane = frame.lane(), mine = e.add(e.mul(e.div(lane, 4), tile), e.mul(e.rem(lane, 4), 2));
  for (int64_t step = 0; step < steps; ++step) {
    Value number = inside(e.constant(step), chunk, tile);
    Value place = e.atByte(from, e.add(e.mul(number, kernel::panelRows * tile), mine));
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t row = 0; row < 2; ++row) {
        Value two = e.load(e.i16(), e.atByte(place, row * 8 * tile + half * 8));
        two = arith::ExtUIOp::create(e.b, e.loc, e.i32(), two);
        registers.push_back(e.bitcast(e.i32(), fp8ToHalves(e, stored, two, 0)));
      }
  }
}

/// A word is a pair of columns of a row: what a register holds.
void PanelFragments::loadBf16(Value from, Value chunk, Registers &registers) {
  Value lane = frame.lane(), group = e.div(lane, 4), inGroup = e.rem(lane, 4);
  for (int64_t step = 0; step < steps; ++step)
    for (int64_t half = 0; half < 2; ++half) {
      Value line = inside(e.add(inGroup, 8 * step + 4 * half), chunk, 2);
      Value words = e.loadAligned(e.vec(2, e.i32()),
                                  e.atByte(from, e.add(e.mul(line, 4 * kernel::panelRows), e.mul(group, 8))));
      registers.push_back(e.extract(words, 0));
      registers.push_back(e.extract(words, 1));
    }
}

void PanelFragments::loadQuantised(Value from, Value chunk, Registers &registers) {
  const kernel::BlockTraits &traits = layout.block;
  Value lane = frame.lane(), group = e.div(lane, 4);
  // Signed bytes become offsets from -128.
  int64_t zero = traits.isSigned ? 128 : traits.zero;
  for (int64_t index = 0; index < columns / kernel::weightBlock; ++index) {
    Value number = inside(e.constant(index), chunk, kernel::weightBlock), header = from, block;
    if (traits.hasSubScales()) {
      block = e.atByte(from, layout.headerBytes() + index * layout.blockBytes());
    } else {
      header = e.atByte(from, e.mul(number, layout.superBytes()));
      block = e.atByte(header, layout.headerBytes());
    }
    BlockScales all = loadBlockScales(e, layout, header, block, group, 2);
    BlockQuads quads = loadBlockQuads(e, layout, block, lane);
    /// Of a row's sub-block, in both halves.
    auto spread = [&](Value numbers, int64_t row) {
      Value scaled = e.mulF(e.extract(numbers, row), e.constantF(e.f32(), gain));
      return e.splat(e.narrow(scaled, e.f16()), 2);
    };
    for (int64_t r = 0; r < 2; ++r) { // a step: quad r of each half
      int64_t sub = traits.subBlocks() == 1 ? 0 : r;
      Value scales[2], minima[2];
      for (int64_t row = 0; row < 2; ++row) {
        scales[row] = spread(all.scales[sub], row);
        minima[row] = all.minima[sub] ? spread(all.minima[sub], row) : Value();
      }
      for (int64_t pair = 0; pair < 2; ++pair)
        for (int64_t row = 0; row < 2; ++row) {
          Value bytes = quads.bytes[row][r];
          if (traits.isSigned)
            bytes = e.bitXor(bytes, e.constant(static_cast<int32_t>(0x80808080)));
          Value value = bytesToHalves(e, bytes, pair, zero);
          value = minima[row] ? e.fma(value, scales[row], minima[row]) : e.mulF(value, scales[row]);
          registers.push_back(e.bitcast(e.i32(), value));
        }
    }
  }
}

} // namespace sinter::gpu
