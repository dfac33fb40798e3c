// SPDX-License-Identifier: Apache-2.0
// What the forms of kernel.matmul for few rows share: some rows of the left side in shared memory, panels of
// weights that warps read from global memory to registers, once for these rows, and sums that the epilogues
// take from shared memory.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULSTREAM_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULSTREAM_H

#include "passes/lowering/gpu/matmul/MatmulLeft.h"

#include <memory>

namespace sinter::gpu {

/// Shared memory for the left side: accumulators and what regions keep need the rest.
inline constexpr int64_t streamedLeftBytes = 56 * 1024;
/// Of rows of integers for tensor cores: three tasks share a block of a persistent kernel.
inline constexpr int64_t tensorIntegerBytes = 28 * 1024;
/// Of their floats: three blocks share a multiprocessor.
inline int64_t tensorLeftBytes(Architecture architecture) {
  return (architecture == Architecture::Sm80 ? 40 : 64) * 1024;
}
/// Rows that tensor cores multiply at once, of the most a kernel is made for; where fewer than the least fit
/// they do not take part.
inline constexpr int64_t fewestTensorRows = 8, mostTensorRows = 16;

/// Adds up panels for some rows at once.
class StreamedRows {
public:
  StreamedRows(Matmul &m, LeftSide &left, int64_t most)
      : m(m), frame(m.frame), e(m.e), left(left), most(most) {}
  virtual ~StreamedRows() = default;

  /// Rows at once.
  int64_t rows() const { return most; }
  /// Slices of K, each of which has sums of its own; a warp has one.
  int64_t slices() const;

  /// Floats that a row of the accumulators takes where a warp stores to them itself (one slice).
  virtual int64_t rowStride() const { return m.accumulatorColumns(); }
  /// Of the slices' sums, where there are several.
  int64_t sumBytes() const;

  /// Fills `accumulators` with sums of `count` rows from row `first` of the step on and columns begin to
  /// end - 1, for which the block has waited then; `partial`: sumBytes() of shared memory. What the prologue
  /// stores is stored by the block of the first columns.
  mlir::LogicalResult addUp(const Accumulators &accumulators, mlir::Value partial, mlir::Value begin,
                            mlir::Value end, mlir::Value first, mlir::Value count);

protected:
  /// Panels that a warp takes at once.
  virtual int64_t panelsAtOnce() const { return 1; }
  /// All panels of the warp. `adds`: to the sums of the columns before.
  virtual void emitPanels(int64_t weight, mlir::Value count, bool adds) = 0;
  /// Calls `body` with the first panel of each turn of the warp.
  void forEachPanel(llvm::function_ref<void(mlir::Value index)> body);
  /// Which column a slice's sums have those of `column` in, a multiple of 2 or, where that many are stored
  /// at once, 4.
  virtual mlir::Value columnInSlice(mlir::Value row, mlir::Value column) { return column; }
  /// Sums of the warp's slice, as Accumulators::at.
  mlir::Value sumsAt(int64_t weight, mlir::Value row, mlir::Value column);
  /// Carries sums through the slice's steps, from `begin` on below `steps` and `stride` apart: `turn` gets a
  /// first step, how many, and the sums. Whole turns of `unroll` steps, then one at a time.
  using Turn = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value step, int64_t count,
                                                                 mlir::ValueRange sums)>;
  llvm::SmallVector<mlir::Value> forEachStep(mlir::Value begin, int64_t steps, int64_t stride, int64_t unroll,
                                             llvm::SmallVector<mlir::Value> sums, Turn turn);

  Matmul &m;
  Frame &frame;
  Emitter &e;
  LeftSide &left;
  const int64_t most;
  Accumulators sums; // of slice 0
  mlir::Value slice, panelBegin, panelEnd;

private:
  int64_t sliceStride() const {
    return static_cast<int64_t>(m.weights.size()) * most * m.accumulatorColumns();
  }
  void addSlices(const Accumulators &accumulators, mlir::Value count);
};

/// Whether tensor cores multiply few rows by these weights: of 16 bits, or quantised.
bool fitsTensorRows(const Matmul &m);
/// Bytes that a row in shared memory is further than a multiple of 128, so that these read it without
/// conflicts.
int64_t tensorRowShift(const Matmul &m);
/// `segment`: columns whose products are added up by themselves, so that sums are the same whatever pieces
/// the left side is made in, multiples of it. `mostOfForms`: rows at once of the kernel's form with the most.
std::unique_ptr<StreamedRows> makeTensorRows(Matmul &m, LeftSide &left, int64_t segment, int64_t mostOfForms);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULSTREAM_H
