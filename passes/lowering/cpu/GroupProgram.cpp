// SPDX-License-Identifier: Apache-2.0
// Regions emitted once for a group of columns: each operation as it stands, on vectors of the group's length.
#include "passes/lowering/Dropout.h"
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/RegionOps.h"
#include "passes/lowering/cpu/RowProgram.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {

Value columnAddress(Frame &frame, Value buffer, Value row, Value column) {
  Value address = frame.rowOf(buffer, row);
  return column ? frame.e.at(address, column, elementOf(buffer)) : address;
}

/// Keys go to a panel of 16 tokens, one element a line of 16; values to a row.
static void emitAppend(Frame &frame, kernel::AppendOp op, Value vector, Value row, Value head) {
  Emitter &e = frame.e;
  Value position = frame.stepEntry(abi::stepPositions, row);
  Value slot = frame.slotOf(op.getCache(), row);
  Value tokens = frame.stepField(abi::stepCacheTokens);
  if (auto values = dyn_cast<kernel::CacheVType>(op.getCache().getType())) {
    Value index = e.mul(e.add(e.mul(head, tokens), position), values.getSize());
    return e.storeNarrow(vector, values.getElement(), e.at(slot, index, values.getElement()));
  }
  auto keys = cast<kernel::CacheKType>(op.getCache().getType());
  Value panel = e.mul(e.div(position, kernel::cachePanel), keys.getSize() * kernel::cachePanel);
  Value index =
      e.add(e.add(e.mul(head, e.mul(tokens, keys.getSize())), panel), e.rem(position, kernel::cachePanel));
  Value base = e.at(slot, index, keys.getElement());
  // A loop over parts: LLVM looks for stores to merge among all of a block, in time that grows with their
  // square.
  constexpr int64_t unrolled = 16;
  Type element = keys.getElement();
  auto scatter = [&](Value part, Value first, int64_t n) {
    Value line = e.at(base, e.mul(first, kernel::cachePanel), element);
    for (int64_t i = 0; i < n; ++i)
      e.store(vector::ExtractOp::create(e.b, e.loc, part, i), e.at(line, i * kernel::cachePanel, element));
  };
  Value narrow = e.narrow(vector, element);
  if (keys.getSize() <= unrolled)
    return scatter(narrow, e.constant(0), keys.getSize());
  Value inOrder = frame.allocate(keys.getSize() * element.getIntOrFloatBitWidth() / 8);
  e.store(narrow, inOrder);
  int64_t whole = keys.getSize() / unrolled * unrolled;
  e.loop(e.constant(0), e.constant(whole), unrolled, [&](Value first) {
    scatter(e.load(e.vec(unrolled, element), e.at(inOrder, first, element)), first, unrolled);
  });
  if (whole < keys.getSize())
    scatter(e.slice(narrow, whole, keys.getSize() - whole), e.constant(whole), keys.getSize() - whole);
}

LogicalResult emitGroup(Frame &frame, Region &region, ValueRange arguments) {
  return emitWhole(frame, region, arguments, nullptr);
}

LogicalResult emitWhole(Frame &frame, Region &region, ValueRange arguments, const RowDestination *yielded) {
  Emitter &e = frame.e;
  Block &block = region.front();
  IRMapping values;
  assert(arguments.size() == block.getNumArguments() && "a value for each argument of the region");
  for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
    values.map(argument, argument.getType().isIndex() ? e.toIndex(value) : value);
  auto number = [&](Value index) { return index ? e.fromIndex(values.lookup(index)) : Value(); };

  for (Operation &op : block) {
    if (emitStepOp(frame, op, values))
      continue;
    if (auto load = dyn_cast<kernel::LoadOp>(op)) {
      Value address = columnAddress(frame, load.getBuffer(), number(load.getRow()), number(load.getColumn()));
      int64_t n = cast<VectorType>(load.getType()).getDimSize(0);
      values.map(load.getResult(), e.loadWide(elementOf(load.getBuffer()), n, address));
    } else if (auto store = dyn_cast<kernel::StoreOp>(op)) {
      Value column = store.getColumn() ? number(store.getColumn()) : e.constant(0);
      storeColumns(e, values.lookup(store.getValue()), store.getBuffer().getType(),
                   frame.rowOf(store.getBuffer(), number(store.getRow())), column);
    } else if (auto append = dyn_cast<kernel::AppendOp>(op)) {
      emitAppend(frame, append, values.lookup(append.getValue()), number(append.getRow()),
                 number(append.getHead()));
    } else if (auto dropout = dyn_cast<kernel::DropoutOp>(op)) {
      Value column = dropout.getColumn() ? number(dropout.getColumn()) : e.constant(0);
      int64_t n = cast<VectorType>(dropout.getType()).getDimSize(0);
      values.map(dropout.getResult(), emitDropout(frame, dropout, number(dropout.getRow()), column, n));
    } else if (isa<kernel::LookupOp, kernel::CombineOp>(op)) {
      int64_t n = cast<VectorType>(op.getResult(0).getType()).getDimSize(0);
      Value address = frame.allocate(n * 4);
      if (failed(emitSource(frame, op, number(op.getOperand(1)), address)))
        return failure();
      values.map(op.getResult(0), e.loadWide(e.f32(), n, address));
    } else if (auto yield = dyn_cast<kernel::YieldOp>(op)) {
      if (yielded)
        storeColumns(e, values.lookup(yield.getValues().front()), yielded->type, yielded->pointer,
                     e.constant(0));
    } else {
      Operation *clone = e.b.clone(op, values);
      if (auto reduction = dyn_cast<vector::ReductionOp>(clone))
        reduction.setFastmath(reduction.getFastmath() | arith::FastMathFlags::reassoc);
    }
  }
  return success();
}

Value emitDropout(Frame &frame, kernel::DropoutOp op, Value row, Value column, int64_t n) {
  Dropout dropout =
      dropoutAt(frame, frame.stepField(abi::stepSeed), op.getSite(), op.getRate().convertToDouble());
  return dropout.factors(dropout.keyOf(row), column, 1, n);
}

LogicalResult emitSource(Frame &frame, Operation &op, Value index, Value destination) {
  if (auto lookup = dyn_cast<kernel::LookupOp>(op))
    return emitLookup(frame, lookup, index, destination);
  emitCombine(frame, cast<kernel::CombineOp>(op), index, destination);
  return success();
}

} // namespace sinter::cpu
