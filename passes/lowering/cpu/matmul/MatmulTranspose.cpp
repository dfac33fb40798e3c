// SPDX-License-Identifier: Apache-2.0
// Panels of the transpose of a packed f32 weight: a block of 16 x 16 of the weight lies together, so that it
// is turned in registers, 8 x 8 at a time.
#include "passes/lowering/cpu/matmul/MatmulTile.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/cpu/Rounding.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

constexpr int64_t side = 8;

/// Rows to columns of 8 vectors of 8.
SmallVector<Value> transpose(Emitter &e, ArrayRef<Value> rows) {
  auto shuffle = [&](Value a, Value b, ArrayRef<int64_t> order) -> Value {
    return vector::ShuffleOp::create(e.b, e.loc, a, b, order);
  };
  SmallVector<Value> pairs(side), quads(side), result(side);
  for (int64_t i = 0; i < side; i += 2) {
    pairs[i] = shuffle(rows[i], rows[i + 1], {0, 8, 1, 9, 4, 12, 5, 13});
    pairs[i + 1] = shuffle(rows[i], rows[i + 1], {2, 10, 3, 11, 6, 14, 7, 15});
  }
  for (int64_t i = 0; i < side; i += 4)
    for (int64_t j = 0; j < 2; ++j) {
      quads[i + 2 * j] = shuffle(pairs[i + j], pairs[i + j + 2], {0, 1, 8, 9, 4, 5, 12, 13});
      quads[i + 2 * j + 1] = shuffle(pairs[i + j], pairs[i + j + 2], {2, 3, 10, 11, 6, 7, 14, 15});
    }
  for (int64_t j = 0; j < 4; ++j) {
    result[j] = shuffle(quads[j], quads[j + 4], {0, 1, 2, 3, 8, 9, 10, 11});
    result[j + 4] = shuffle(quads[j], quads[j + 4], {4, 5, 6, 7, 12, 13, 14, 15});
  }
  return result;
}

} // namespace

void emitTransposePanel(Emitter &e, Value weight, int64_t columns, Value panel, Value first, Value count,
                        Value to, bool rounds) {
  constexpr int64_t unit = kernel::panelRows;
  auto emit = [&](int64_t lines) {
    e.loop(e.constant(0), count, 1, [&](Value number) {
      Value line = e.add(e.mul(e.add(first, number), columns), e.mul(panel, unit));
      Value from = e.at(weight, e.mul(line, unit), e.f32());
      Value target = e.at(to, e.mul(number, unit * unit), e.f32());
      for (int64_t i = 0; i < unit; i += side)
        for (int64_t o = 0; o < unit; o += side) {
          SmallVector<Value> rows;
          for (int64_t j = i; j < i + side; ++j)
            rows.push_back(j < lines ? e.load(e.vec(side), e.at(from, j * unit + o, e.f32()))
                                     : e.zeros(side));
          for (auto [j, row] : llvm::enumerate(transpose(e, rows)))
            e.store(rounds ? roundToBf16(e, row) : row, e.at(target, (o + j) * unit + i, e.f32()));
        }
    });
  };
  // Behind the weight's last column begins its next panel.
  int64_t whole = columns / unit, tail = columns % unit;
  if (!tail)
    return emit(unit);
  e.ifThen(e.less(panel, e.constant(whole)), [&] { emit(unit); });
  e.ifThen(e.equal(panel, e.constant(whole)), [&] { emit(tail); });
}

} // namespace sinter::cpu
