// SPDX-License-Identifier: Apache-2.0
// Reads one block (16 rows x 32 columns) of a packed quantised weight, in the registers of the target.
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULBLOCK_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULBLOCK_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/cpu/Emitter.h"

namespace sinter::cpu {

/// Registers that hold a value for each of the 16 rows of a panel.
inline int64_t halvesOf(Target target) { return kernel::panelRows / target.lanes(); }

/// What must be taken from the integers as `PackedBlock::quad` gives them: AVX-512 multiplies unsigned
/// weights only, so signed ones are moved up by 128 there.
inline int64_t zeroOf(const kernel::BlockTraits &block, Target target) {
  return block.isSigned && target.vnni() ? 128 : block.zero;
}

class PackedBlock {
public:
  /// `header`: where the super-block begins, `block`: where the block begins.
  PackedBlock(Emitter &e, const kernel::WeightLayout &layout, mlir::Value header, mlir::Value block)
      : e(e), layout(layout), header(header), block(block) {}

  /// Columns 4q to 4q + 3 of the rows of a half: i8 x 4 lanes, unsigned but for 8 bits on AVX2 (see zeroOf).
  mlir::Value quad(int64_t q, int64_t half);
  /// f32 x lanes. A number is scale * (integer - zero) + minimum.
  mlir::Value scale(int64_t subBlock, int64_t half);
  mlir::Value minimum(int64_t subBlock, int64_t half);

private:
  mlir::Value word(int64_t index, int64_t half);
  /// (word >> right, or << -right) & mask in every byte.
  mlir::Value field(mlir::Value word, int64_t right, int64_t mask);
  mlir::Value halfFloats(int64_t offset, int64_t half);
  mlir::Value subScale(int64_t offset, int64_t half, int64_t shift, int64_t mask);

  Emitter &e;
  const kernel::WeightLayout &layout;
  mlir::Value header, block;
  llvm::DenseMap<std::pair<int64_t, int64_t>, mlir::Value> words;
};

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULBLOCK_H
