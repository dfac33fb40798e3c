// SPDX-License-Identifier: Apache-2.0
// Groups without a matmul: programs on rows, on groups of columns, and rows in another form.
#include "passes/kernels/KernelBuilder.h"

using namespace mlir;

namespace sinter {

/// The operations of a group's body but reads of parameters.
static SmallVector<Operation *> operationsOf(lm::GroupOp group) {
  SmallVector<Operation *> ops;
  for (Operation &op : group.getBody().front().without_terminator())
    if (!isa<lm::ReadOp>(op))
      ops.push_back(&op);
  return ops;
}

FailureOr<LaunchedKernel> KernelBuilder::rows() {
  SmallVector<Operation *> ops = operationsOf(group);
  Value row = beginRows(domainOf(group.getResult(0)))->getArgument(0);
  if (auto concat = dyn_cast<lm::ConcatOp>(ops.front()); concat && ops.size() == 1) {
    int64_t column = 0;
    for (Value input : concat.getInputs()) {
      kernel::StoreOp::create(builder, loc, loadRow(input, row), argument(buffers.rows(group.getResult(0))),
                              row, index(column));
      column += lm::width(input);
    }
    if (buffers.usesOf(group.getResult(0)).quantised)
      kernel.notQuantised.push_back(group.getResult(0));
    kernel::YieldOp::create(builder, loc);
    return finish();
  }
  RowProgram program = rowProgram(row, lm::width(ops.back()->getResult(0)));
  if (failed(emitRowOps(program, ops, row)))
    return failure();
  for (OpResult out : group->getResults())
    storeRow(out, program.get(yielded(out)), row);
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::combine(Value value) {
  Value row = beginRows(domainOf(value))->getArgument(0);
  kernel::StoreOp::create(builder, loc, loadRow(value, row), argument(buffers.rows(value)), row, Value());
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::quantise(Value value) {
  Value row = beginRows(domainOf(value))->getArgument(0);
  Value vector = kernel::LoadOp::create(builder, loc, vectorOf(lm::width(value)),
                                        argument(buffers.rows(value)), row, Value());
  kernel::StoreOp::create(builder, loc, vector, argument(buffers.quantised(value)), row, Value());
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::columns(int64_t width) {
  SmallVector<Operation *> ops = operationsOf(group);
  auto appendOp = dyn_cast<lm::AppendOp>(ops.back());
  Value wide = appendOp ? Value(appendOp.getKey()) : Value(ops.back()->getResult(0));
  Block *region = beginRows(domainOf(wide), lm::width(wide), width);
  Value row = region->getArgument(0), column = region->getArgument(1);
  RowProgram program = columnProgram(row, column, width);
  if (appendOp) {
    (void)program.get(appendOp.getKey());
    (void)program.get(appendOp.getValue());
  }
  for (Operation *op : ops)
    if (auto slice = dyn_cast<lm::SliceOp>(op)) {
      Value from = arith::AddIOp::create(builder, loc, column, index(slice.getOffset()));
      program.set(slice.getResult(),
                  kernel::LoadOp::create(builder, loc, vectorOf(width),
                                         argument(buffers.rows(slice.getInput())), row, from));
    }
  llvm::erase_if(ops, [](Operation *op) { return isa<lm::SliceOp>(op); });
  if (failed(emitColumnOps(program, ops, row, column, width)))
    return failure();
  kernel::YieldOp::create(builder, loc);
  return finish();
}

} // namespace sinter
