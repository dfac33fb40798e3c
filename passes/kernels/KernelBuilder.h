// SPDX-License-Identifier: Apache-2.0
// Builds the kernel of one group: what all anchors share.
#ifndef SINTER_PASSES_KERNELS_KERNELBUILDER_H
#define SINTER_PASSES_KERNELS_KERNELBUILDER_H

#include "passes/kernels/GroupToKernel.h"
#include "passes/kernels/RowPrograms.h"

namespace sinter {

/// Builds one kernel: its arguments appear as they are asked for. Each of the first functions makes a whole
/// kernel, and is called once.
class KernelBuilder {
public:
  KernelBuilder(lm::GroupOp group, EntryBuffers &buffers);

  mlir::FailureOr<LaunchedKernel> matmul();
  mlir::FailureOr<LaunchedKernel> attention();
  /// A program on whole rows, or on groups of `width` columns (operations on heads or on elements).
  mlir::FailureOr<LaunchedKernel> rows();
  mlir::FailureOr<LaunchedKernel> columns(int64_t width);
  /// A kernel that writes the rows which attention has left as partial results.
  mlir::FailureOr<LaunchedKernel> combine(mlir::Value value);
  /// A kernel that quantises rows.
  mlir::FailureOr<LaunchedKernel> quantise(mlir::Value value);

  /// Experts: their choice, the sorting of rows by expert, the dispatched copies of rows (with the prologue
  /// of the group), and the products of dispatched rows.
  mlir::FailureOr<LaunchedKernel> route(lm::RouteOp op);
  mlir::FailureOr<LaunchedKernel> dispatch(mlir::Value chosen, int64_t experts);
  mlir::FailureOr<LaunchedKernel> gather(lm::ExpertLinearOp first, bool quantised);
  mlir::FailureOr<LaunchedKernel> expertMatmul(llvm::ArrayRef<lm::ExpertLinearOp> linears, bool quantised);

  /// Experts backwards (ExpertGradients.cpp). `dispatched` is a buffer of rows sorted by expert.
  mlir::FailureOr<LaunchedKernel> combineBackwardInput(lm::CombineBackwardInputOp op);
  mlir::FailureOr<LaunchedKernel> combineBackwardWeights(lm::CombineBackwardWeightsOp op, mlir::Value chosen);
  mlir::FailureOr<LaunchedKernel> routeBackward(lm::RouteBackwardOp op);
  mlir::FailureOr<LaunchedKernel> expertBackwardInput(lm::ExpertLinearBackwardInputOp op,
                                                      mlir::Value dispatched);
  mlir::FailureOr<LaunchedKernel> sumOverChoices(mlir::Value chosen, mlir::Value dispatched,
                                                 mlir::Value result);
  mlir::FailureOr<LaunchedKernel> dispatchedRows();

private:
  mlir::Value argument(mlir::Value buffer);
  /// The kernel, or failure where something was reported as misplaced.
  mlir::FailureOr<LaunchedKernel> finish();
  bool isInside(mlir::Value value) {
    return value.getDefiningOp() && value.getDefiningOp() != group &&
           group->isAncestor(value.getDefiningOp());
  }
  kernel::Domain domainOf(mlir::Value value) {
    return buffers.isSelected(value) ? kernel::Domain::Selected : kernel::Domain::Rows;
  }
  mlir::VectorType vectorOf(int64_t width) { return mlir::VectorType::get({width}, builder.getF32Type()); }
  mlir::Value index(int64_t number) { return mlir::arith::ConstantIndexOp::create(builder, loc, number); }
  /// What the group yields as `out`.
  mlir::Value yielded(mlir::OpResult out) {
    return group.getBody().front().getTerminator()->getOperand(out.getResultNumber());
  }

  /// The operations of the group that compute its matmuls' input `left`, and those that come after.
  void split(mlir::Value left, llvm::SmallVectorImpl<mlir::Operation *> &prologue,
             llvm::SmallVectorImpl<mlir::Operation *> &epilogue);
  /// Begins kernel.rows, with the builder in its region; gives the region. `columns` 0: on whole rows.
  mlir::Block *beginRows(kernel::Domain domain, int64_t columns = 0, int64_t width = 0);
  /// Programs on the row `row`, as wide as `width`; on `width` columns from `column` on.
  RowProgram rowProgram(mlir::Value row, int64_t width);
  RowProgram columnProgram(mlir::Value row, mlir::Value column, int64_t width);

  mlir::Value loadRow(mlir::Value value, mlir::Value row);
  mlir::Value loadTable(mlir::Value read, int64_t width, mlir::Value column);
  mlir::LogicalResult emitRowOps(RowProgram &program, llvm::ArrayRef<mlir::Operation *> ops, mlir::Value row);
  mlir::LogicalResult combineExperts(lm::CombineOp op, RowProgram &program, mlir::Value row);
  void storeRow(mlir::Value value, mlir::Value vector, mlir::Value row);
  void dropout(lm::DropoutOp op, RowProgram &program, mlir::Value row, mlir::Value column, int64_t columns);
  mlir::LogicalResult emitRange(llvm::ArrayRef<mlir::Operation *> linears, int64_t begin, int64_t end,
                                llvm::ArrayRef<mlir::Operation *> ops);
  mlir::LogicalResult emitColumnOps(RowProgram &program, llvm::ArrayRef<mlir::Operation *> ops,
                                    mlir::Value row, mlir::Value column, int64_t width);
  void append(lm::AppendOp op, RowProgram &program, mlir::Value row, mlir::Value column, int64_t width);
  int64_t groupWidth(int64_t columns, llvm::ArrayRef<mlir::Operation *> ops);
  /// Reports a value that a program reads and another one of the kernel computes.
  void checkOutside(mlir::Value value);

  lm::GroupOp group;
  EntryBuffers &buffers;
  mlir::OpBuilder builder;
  mlir::Location loc;
  LaunchedKernel kernel;
  llvm::DenseMap<mlir::Value, mlir::Value> arguments;
  bool misplaced = false; // an operation stands in a kernel that cannot compute it
};

/// The choices by which the rows of a value (rows, k, width) are sorted, or null.
mlir::Value choicesOf(mlir::Value value);

} // namespace sinter

#endif // SINTER_PASSES_KERNELS_KERNELBUILDER_H
