// SPDX-License-Identifier: Apache-2.0
// A matmul with random weights: its kernel in text, its buffers, and what naive double-precision code gives.
#ifndef SINTER_TEST_EXECUTE_MATMULCASE_H
#define SINTER_TEST_EXECUTE_MATMULCASE_H

#include "test/execute/KernelRunner.h"

#include <map>

namespace sinter::test {

/// Half: of the type of the weights, f16, bf16 or 8 bits. Region: a prologue that doubles a row of f32.
/// Scaled: which then divides it by its largest number.
enum class LeftKind { F32, Half, Q8, Region, Scaled };

struct MatmulCase {
  std::string format = "f32"; // as the kernel dialect spells it
  int64_t rows = 1, outputs = 16, inputs = 32;
  LeftKind left = LeftKind::F32;
  bool quantisesRows = true; // rows of f32 for a quantised weight; else they are rounded, as AMX does it
  std::string schedule;      // "columns_per_tile = 32, ..."
  int64_t columnsPerTile = 0, rowsPerTile = 0;
  /// Ranges of columns and their groups; each stores to a buffer of its own. Empty: one range, group 16 or
  /// the widest that divides.
  struct Range {
    int64_t begin, end, group;
  };
  std::vector<Range> ranges;
  int weights = 1; // 2: the epilogue stores gate * up
  /// Of the stored rows, as the dialect spells it. adds: other rows; addsLargest: the largest number of the
  /// group.
  std::string output = "f32";
  bool adds = false, addsLargest = false;
  bool selected = false;
  int64_t splits = 1;  // of K, on GPUs
  bool isFast = false; // fast_accumulation
  bool stores = false; // the prologue stores the doubled row
  /// Rows that each expert has: the first of each, and the end. Empty: no experts.
  std::vector<int32_t> segments;

  /// Bytes of a row of the left side, and its elements as the dialect spells them.
  int64_t leftRowBytes() const;
  bool hasRegion() const { return left == LeftKind::Region || left == LeftKind::Scaled; }
  std::string leftElement() const {
    return left == LeftKind::Q8 ? "q8" : left == LeftKind::Half ? format : "f32";
  }
  int64_t experts() const { return segments.empty() ? 1 : static_cast<int64_t>(segments.size()) - 1; }
  std::string text() const;
  std::vector<Range> allRanges() const;
  /// The same in tiles of so many rows and columns; 0: all.
  MatmulCase tiled(int64_t rowsPerTile, int64_t columnsPerTile) const;
  int64_t tiles() const;
};

/// Tolerance of a case on a CPU: AVX512-BF16 multiplies whole tiles of bf16 weights by rows rounded to bf16,
/// by 2^-9 at most; AMX so, and rounds quantised weights, too.
double toleranceOnCpu(const MatmulCase &c, cpu::Isa isa);

/// Random weights of a case, packed and in double precision, and a random left side.
class MatmulData {
public:
  MatmulData(const MatmulCase &c, unsigned seed);

  /// Runs the kernel in `pieces` calls and gives (rows, outputs).
  std::vector<float> run(const KernelRunner &runner, int64_t pieces = 1);
  /// The product, and the tolerance of each number: `relative` of the sum of the magnitudes.
  void expected(std::vector<double> &values, std::vector<double> &tolerances, double relative) const;
  /// Runs and compares. f32 sums of some hundred products are within 2e-6.
  void check(const KernelRunner &runner, int64_t pieces = 1, double relative = 2e-6);

  uint64_t weightBytes() const;
  const MatmulCase &c;
  std::vector<std::vector<float>> weights; // (experts, outputs, inputs), dequantised
  std::vector<float> added;                // (rows, outputs)
  std::vector<float> left;                 // (rows, inputs), as the kernel sees it: quantised and back
  std::vector<AlignedBytes> packed;
  AlignedBytes leftBytes, storedBytes;
  std::vector<AlignedBytes> outputs, addedBytes; // of each range
};

struct RowsOfCase {
  MatmulCase c;
  std::vector<int64_t> rows;
};
/// 512 columns of `c` in tiles of all shapes, whole ones and the last of the rows, with every epilogue. On
/// sm_90a tiles that have all their rows go through shared memory and by tensor maps, others do not.
std::vector<RowsOfCase> storedTiles(MatmulCase c);

/// Whether each row of `many`, in tiles of rows, has the bits that a kernel for one row gives it.
void expectBitsOfDecode(const MatmulCase &many, Machine machine);

} // namespace sinter::test

#endif // SINTER_TEST_EXECUTE_MATMULCASE_H
