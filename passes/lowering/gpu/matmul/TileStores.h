// SPDX-License-Identifier: Apache-2.0
// Epilogues that store by tensor maps, on sm_90a: what a range's program stores of a whole tile goes to
// shared memory, some rows at a time, and from there on as boxes, while the next rows are made:
//
//   rows i:  programs of all teams, which store to half i % 2 of the shared memory
//            fence; one thread waits until the boxes of rows i - 1 are read; barrier; it asks for those of i
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_TILESTORES_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_TILESTORES_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

class TileStores {
public:
  /// Finds the stores that go this way; `tileRows`: of the accumulators. None where experts have the rows.
  TileStores(Matmul &m, int64_t tileRows);

  bool empty() const { return stores.empty(); }
  /// Shared memory that it takes: two halves of `partRows()` rows, of a chunk's columns of the widest
  /// element.
  int64_t bytes() const { return 2 * partBytes(); }
  /// The same of the fewest rows at a time.
  int64_t fewestBytes() const;
  /// Takes fewer rows at a time, until `bytes()` is at most `room`; none where that is too few.
  void fit(int64_t room);
  /// Reserves tensor maps, behind all other parameters; the shared memory begins at `place`, 128-byte
  /// aligned.
  void begin(mlir::Value place);

  /// Whether the range's tiles go this way, `step` rows a turn of all teams.
  bool takes(kernel::RangeOp range, int64_t step);
  int64_t partRows() const { return rows; }
  /// Lets stores of the range's program go to shared memory: rows `firstRow` and following, of which `row` is
  /// the number in the tile, and columns from `column` (of the product) on.
  void open(kernel::RangeOp range, mlir::Value row, mlir::Value firstRow, mlir::Value column);
  /// Sends what they have stored. All threads come here; those of the block that run epilogues meet.
  void send();
  /// Until what was sent is read, by the thread that sent it: then the memory is free.
  void waitUntilRead();
  /// Until all is stored.
  void finish();

private:
  struct Store {
    kernel::RangeOp range;
    kernel::StoreOp op;
    int64_t shift; // the buffer's column 0 is column -shift of the product
    mlir::Value map;
  };
  int64_t partBytes() const { return rows * m.columnsPerChunk * widest; }
  static int64_t elementBytes(kernel::StoreOp op);
  int64_t boxColumns(kernel::StoreOp op) const;
  Store *find(kernel::RangeOp range);
  void byOneThread(llvm::function_ref<void()> body);

  Matmul &m;
  Emitter &e;
  llvm::SmallVector<Store> stores;
  int64_t rows = 0, widest = 0; // at a time; bytes of the widest element
  mlir::Value place;
  Store *current = nullptr;
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_TILESTORES_H
