// SPDX-License-Identifier: Apache-2.0
// Register tiles of some rows x two vectors; the last columns and rows have tiles of their own.
#include "passes/lowering/cpu/matmul/TileProduct.h"

#include "passes/lowering/cpu/attention/Attention.h"

using namespace mlir;

namespace sinter::cpu {

/// Rows row to row + count - 1 and the columns of `segments` from `column` on.
static void emitRegisterTile(Emitter &e, const TileProduct &p, Value row, int64_t count, Value column,
                             ArrayRef<Segment> segments, Value depth) {
  Type bElement = p.bElement ? p.bElement : e.f32();
  Value a0 = e.at(p.a, e.mul(row, p.aRow), e.f32()), b0 = e.at(p.b, column, bElement);
  Value c0 = e.at(e.at(p.c, e.mul(row, p.cRow), e.f32()), column, e.f32());
  auto place = [&](int64_t i, Segment segment) { return e.at(c0, i * p.cRow + segment.first, e.f32()); };
  SmallVector<Value> sums;
  for (int64_t i = 0; i < count; ++i)
    for (Segment segment : segments)
      sums.push_back(p.adds ? e.load(e.vec(segment.n), place(i, segment)) : e.zeros(segment.n));
  sums = e.loop(e.constant(0), depth, 1, sums, [&](Value k, ValueRange carried) {
    SmallVector<Value> next(carried), b;
    Value line = e.at(b0, e.mul(k, p.bRow), bElement), a = e.at(a0, e.mul(k, p.aK), e.f32());
    for (Segment segment : segments)
      b.push_back(e.loadWide(bElement, segment.n, e.at(line, segment.first, bElement)));
    for (int64_t i = 0; i < count; ++i) {
      Value x = e.load(e.f32(), e.at(a, i * p.aRow, e.f32()));
      for (size_t j = 0; j < segments.size(); ++j)
        next[i * segments.size() + j] = e.fma(e.splat(x, segments[j].n), b[j], next[i * segments.size() + j]);
    }
    return next;
  });
  for (int64_t i = 0; i < count; ++i)
    for (auto [j, segment] : llvm::enumerate(segments))
      e.store(sums[i * segments.size() + j], place(i, segment));
}

void emitTileProduct(Emitter &e, const TileProduct &p, Value rows, Value depth) {
  int64_t lanes = e.target.lanes(), width = 2 * lanes,
          strip = e.target.registers() == 16 ? 4 : 8; // divide a block of attention
  Value main = e.mul(e.div(rows, strip), strip);
  auto columnsOf = [&](Value row, int64_t count) {
    int64_t whole = p.columns / width * width, tail = p.columns - whole;
    if (whole)
      e.loop(e.constant(0), e.constant(whole), width, [&](Value column) {
        emitRegisterTile(e, p, row, count, column, {{0, lanes}, {lanes, lanes}}, depth);
      });
    if (tail)
      emitRegisterTile(e, p, row, count, e.constant(whole), segmentsOf(tail, lanes), depth);
  };
  e.loop(e.constant(0), main, strip, [&](Value row) { columnsOf(row, strip); });
  e.loop(main, rows, 1, [&](Value row) { columnsOf(row, 1); });
}

} // namespace sinter::cpu
