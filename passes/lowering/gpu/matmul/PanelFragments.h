// SPDX-License-Identifier: Apache-2.0
// Panels of packed weights as left operands of wgmma: a warp's 16 x 64 in registers, out of shared memory.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_PANELFRAGMENTS_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_PANELFRAGMENTS_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/gpu/Frame.h"
#include "passes/lowering/gpu/Warpgroup.h"

namespace sinter::gpu {

/// A panel in chunks of 64 columns, as they lie in memory; a K format's chunk begins with the header of its
/// super-block.
///
/// Rows of the fragment: f16 and 8 bits row r of the panel is row r; other formats: row 2g is row g, row 2g +
/// 1 row g
/// + 8. Columns of a step of 16: floats in order; quantised: columns 4t, 4t + 1 are 2t, 2t + 1, and
/// columns 4t + 2, 4t + 3 are 2t + 8, 2t + 9, so that a lane has whole words.
class PanelFragments {
public:
  static constexpr int64_t columns = 64, steps = 4;
  /// What dequantised numbers are multiplied by, so that small scales stay normal numbers of f16.
  static constexpr double gain = 16;

  PanelFragments(Frame &frame, const kernel::WeightLayout &layout, mlir::Type stored)
      : frame(frame), e(frame.e), layout(layout), stored(stored) {}

  /// Bytes of a chunk in shared memory.
  int64_t bytes() const;
  /// Asks for the chunk's bytes; by one thread. `panel`: where the panel begins in global memory.
  void copy(mlir::Value panel, mlir::Value chunk, mlir::Value to, mlir::Value barrier);
  /// 4 registers a step. Columns behind the last one are some other column's.
  Registers load(mlir::Value from, mlir::Value chunk);

  bool pairsRows() const { return layout.format != kernel::WeightFormat::F16 && !layout.isFp8(); }
  mlir::Type element() { return layout.format == kernel::WeightFormat::BF16 ? e.bf16() : e.f16(); }

private:
  void loadF16(mlir::Value from, mlir::Value chunk, Registers &registers);
  void loadFp8(mlir::Value from, mlir::Value chunk, Registers &registers);
  void loadBf16(mlir::Value from, mlir::Value chunk, Registers &registers);
  void loadQuantised(mlir::Value from, mlir::Value chunk, Registers &registers);
  /// A number that counts columns of the chunk, at most the last one's; `unit` columns each.
  mlir::Value inside(mlir::Value number, mlir::Value chunk, int64_t unit);

  Frame &frame;
  Emitter &e;
  const kernel::WeightLayout &layout;
  mlir::Type stored; // element of a float format
};

/// Bytes number 2 `pair` and 2 `pair` + 1 of a word (i32), which are integers from 0 to 255, minus `zero`:
/// two f16.
mlir::Value bytesToHalves(Emitter &e, mlir::Value word, int64_t pair, int64_t zero);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_PANELFRAGMENTS_H
