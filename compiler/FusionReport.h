// SPDX-License-Identifier: Apache-2.0
// What fusion saves: launches and bytes that a token's step moves, before and after. `sinter compile -v`
// shows it.
#ifndef SINTER_COMPILER_FUSIONREPORT_H
#define SINTER_COMPILER_FUSIONREPORT_H

#include "dialects/lm/Interfaces.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

namespace sinter {

class FusionReport {
public:
  /// The imported graph: without fusion each of its operations were a launch that reads and writes memory.
  void addGraph(mlir::ModuleOp module);
  /// The graph after the stage `fuse`, whose groups read and write memory at their ends only.
  void addFused(mlir::ModuleOp module);
  /// A table with the entries of the stage `kernels` or a later one.
  void print(llvm::raw_ostream &stream, mlir::ModuleOp module) const;

private:
  struct Row {
    std::string name;
    uint64_t launches;
    lm::Cost cost;
  };
  void addRow(mlir::ModuleOp module, llvm::StringRef function, llvm::StringRef name);
  static void print(llvm::raw_ostream &stream, llvm::StringRef name, uint64_t launches, const lm::Cost &cost);

  std::vector<Row> rows;
};

} // namespace sinter

#endif // SINTER_COMPILER_FUSIONREPORT_H
