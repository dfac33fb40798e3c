// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/attention/FlashAttention.h"

#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {

constexpr int64_t stages = 2, panel = kernel::cachePanel;
void FlashAttention::allocate(int64_t queryBytes, int64_t keys, int64_t values) {
  keyBytes = keys;
  valueBytes = values;
  query = frame.allocate(queryBytes);
  keyStage = frame.allocate(stages * keyBytes);
  valueStage = frame.allocate(stages * valueBytes);
}

LogicalResult FlashAttention::emit() {
  frame.keepStep(abi::stepCacheSlotBytes + 8);
  turnNumbers = frame.allocate(4 * 4);
  placeThread(e.mul(frame.warp(), 16));
  forEachTile(frame, shape.op.getGrid(), [&](Value tileHead, Value rowBegin, Value rowEnd, Value) {
    head = tileHead;
    e.loop(rowBegin, rowEnd, rows, [&](Value first) {
      emitTurn(first, e.min(e.add(first, rows), rowEnd));
      e.barrier();
    });
  });
  return success();
}

void FlashAttention::emitTurn(Value first, Value end) {
  Value last = e.sub(end, 1);
  readTurn(first, last);
  Value begin = e.alignDown(shape.firstKey(e, firstPosition), panel);
  // At least one, said for LLVM: else it makes a second state, of no blocks.
  Value blocks = e.max(e.ceilDiv(e.sub(keyEnd, begin), blockKeys), e.constant(1));
  fetch(begin, e.constant(0));
  loadQuery(first, last);
  asyncCommit(e);
  Numbers state(2, e.constantF(e.f32(), lowestMaximum)); // 2 maxima, 2 sums, then (8 columns, 4)
  state.append(2 + valueTiles() * 4, e.constantF(e.f32(), 0));
  state = e.loop(e.constant(0), blocks, 1, state, [&](Value number, ValueRange carried) {
    Value next = e.add(number, 1);
    asyncWait(e, 0);
    publish();
    e.barrier();
    e.ifThen(e.less(next, blocks), [&] { fetch(e.add(begin, e.mul(next, blockKeys)), e.rem(next, stages)); });
    asyncCommit(e); // the last one is empty
    Value block = e.add(begin, e.mul(number, blockKeys));
    return whereSeen(block, carried, [&] { return emitBlock(block, e.rem(number, stages), carried); });
  });
  ValueRange all(state);
  storeRows(e.add(first, warpRow), end, all.slice(2, 2), all.drop_front(4));
}

/// One thread reads what all need: each warp would touch the same sectors.
void FlashAttention::readTurn(Value first, Value last) {
  auto number = [&](int64_t i) { return e.at(turnNumbers, i, e.i32()); };
  e.ifThen(e.equal(frame.thread, e.constant(0)), [&] {
    e.store(frame.stepEntry(abi::stepPositions, first), number(0));
    e.store(frame.stepEntry(abi::stepPositions, last), number(1));
    e.store(frame.stepEntry(abi::stepSlots, first), number(2));
    e.store(e.constant(0), number(3)); // LLVM reads all by one access of 16 bytes
  });
  e.barrier();
  firstPosition = e.load(e.i32(), number(0));
  keyEnd = e.add(e.load(e.i32(), number(1)), 1);
  Value slot = e.load(e.i32(), number(2)), keyHead = e.div(head, shape.group);
  keys = shape.keysOf(frame, slot, keyHead);
  values = shape.valuesOf(frame, slot, keyHead);
}

Value FlashAttention::isSeen(Value block) {
  Value firstRow = e.add(firstPosition, e.alignDown(warpRow, rowsTogether));
  Value result = e.both(e.less(block, e.add(firstRow, rowsTogether)), e.less(firstRow, keyEnd));
  if (shape.window)
    result = e.both(result, e.less(shape.firstKey(e, firstRow), e.add(block, blockKeys)));
  return result;
}

/// Blocks behind the diagonal of the warp's rows, and all blocks where it has no rows, leave the state.
FlashAttention::Numbers FlashAttention::whereSeen(Value block, ValueRange state,
                                                  llvm::function_ref<Numbers()> emit) {
  auto choice = scf::IfOp::create(e.b, e.loc, state.getTypes(), isSeen(block), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(e.b, e.loc, emit());
  e.b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(e.b, e.loc, state);
  return Numbers(choice.getResults());
}

void FlashAttention::loadQuery(Value first, Value last) {
  kernel::RowsType type = shape.op.getQuery().getType();
  // 16 bytes a lane: neighbours share sectors of memory.
  int64_t items = shape.keySize / (type.getElement().isF32() ? 4 : 8);
  frame.share(e.constant(rows * items), [&](Value item) {
    Value row = e.div(item, items), inRow = e.rem(item, items);
    Value source = frame.rowOf(shape.op.getQuery(), e.min(e.add(first, row), last));
    source = e.at(source, e.mul(head, shape.keySize), type.getElement());
    source = e.atByte(source, e.mul(inRow, 16));
    if (!type.getElement().isF32())
      return copyAsync(e, e.atByte(query, placeOfQuery(row, inRow)), source, 16);
    Value q = e.loadWide(e.f32(), 4, source);
    Value place = e.add(placeOfQuery(row, e.div(inRow, 2)), e.mul(e.rem(inRow, 2), 8));
    e.storeNarrow(q, shape.element, e.atByte(query, place));
  });
}

/// A block of keys is whole panels, and a block of values whole rows: one piece of memory each. What lies
/// behind the last panel or row is zeros: it is masked, but must be numbers.
void FlashAttention::fetch(Value block, Value stage) {
  Value left = e.sub(keyEnd, block), panels = e.ceilDiv(left, panel);
  Value offset = e.extend(block);
  copyBlock(keysAt(stage), e.at(keys, e.mul(offset, shape.keySize), shape.element), keyCopies(),
            blockKeys * shape.keySize / 8, e.mul(panels, panel * shape.keySize / 8),
            [&](int64_t copy) { return placeOfKeys(copy); });
  copyBlock(valuesAt(stage), e.at(values, e.mul(offset, shape.valueSize), shape.element), valueCopies(),
            blockKeys * shape.valueSize / 8, e.mul(left, shape.valueSize / 8),
            [&](int64_t copy) { return placeOfValues(copy); });
}

/// `valid`: pieces that there are (i32).
void FlashAttention::copyBlock(Value to, Value from, int64_t copies, int64_t pieces, Value valid,
                               llvm::function_ref<Value(int64_t)> placeOf) {
  from = e.atByte(from, e.mul(frame.thread, 16));
  auto copyAll = [&](bool isWhole) {
    for (int64_t copy = 0; copy < copies; ++copy) {
      auto one = [&] {
        Value size;
        if (!isWhole)
          size = e.select(e.less(pieceOf(copy), valid), e.constant(16), e.constant(0));
        copyAsync(e, e.atByte(to, placeOf(copy)), e.atByte(from, copy * frame.threads * 16), 16, size);
      };
      if ((copy + 1) * frame.threads <= pieces)
        one();
      else
        e.ifThen(e.less(pieceOf(copy), e.constant(pieces)), one);
    }
  };
  auto choice = scf::IfOp::create(e.b, e.loc, e.less(e.constant(pieces - 1), valid), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.thenBlock());
  copyAll(true);
  e.b.setInsertionPointToStart(choice.elseBlock());
  copyAll(false);
}

/// The state relative to larger maxima, where they have grown.
FlashAttention::Numbers FlashAttention::raised(ValueRange carried, ValueRange highs) {
  auto choice = scf::IfOp::create(e.b, e.loc, carried.getTypes(), areHigher(e, carried, highs),
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.thenBlock());
  Numbers state(carried);
  for (int64_t r = 0; r < 2; ++r) {
    state[r] = combine(e, vector::CombiningKind::MAXNUMF, carried[r], highs[r]);
    Value correction = e.exp2(e.subF(carried[r], state[r]));
    state[2 + r] = e.mulF(carried[2 + r], correction);
    scale(e, MutableArrayRef<Value>(state).drop_front(4), r, correction);
  }
  scf::YieldOp::create(e.b, e.loc, state);
  e.b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(e.b, e.loc, carried);
  return Numbers(choice.getResults());
}

FlashAttention::Numbers FlashAttention::emitBlock(Value block, Value stage, ValueRange carried) {
  Numbers weights = multiplyKeys(stage);
  finish(block, weights);
  Numbers state = raised(carried, highsOf(weights));
  Numbers added = weigh(weights, ValueRange(state).take_front(2));
  for (int64_t r = 0; r < 2; ++r)
    state[2 + r] = e.addF(state[2 + r], added[r]); // of the lane's columns
  Numbers sums = multiplyValues(stage, weights, ArrayRef<Value>(state).drop_front(4));
  llvm::copy(sums, state.begin() + 4);
  return state;
}

} // namespace sinter::gpu
