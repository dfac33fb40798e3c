// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/FlashAttention.h"

#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {

constexpr int64_t stages = 2, panel = kernel::cachePanel;
/// Maxima before any key: above every factor times what is invisible, so blocks that a row does not see add
/// nothing, and below every score.
constexpr double lowest = -1e20;
static_assert(lowest > invisible * 1e-9);

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
  lane = frame.lane();
  group = e.div(lane, 4);
  inGroup = e.rem(lane, 4);
  warpRow = e.mul(frame.warp(), 16);
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
  Numbers state(2, e.constantF(e.f32(), lowest)); // 2 maxima, 2 sums, then (8 columns, 4)
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
  Team quad = Team::ofWarp(frame, 4);
  for (int64_t r = 0; r < 2; ++r) {
    Value row = e.add(e.add(first, warpRow), e.add(group, 8 * r));
    Value inverse = e.divF(e.constantF(e.f32(), 1), quad.sum(frame, state[2 + r]));
    e.ifThen(e.less(row, end), [&] {
      Value output = e.at(frame.rowOf(shape.op.getOutput(), row), e.mul(head, shape.valueSize), e.f32());
      output = e.at(output, e.mul(inGroup, 2), e.f32());
      for (int64_t tile = 0; tile < valueTiles(); ++tile) {
        size_t place = 4 + tile * 4 + r * 2;
        Value two = e.pack({e.mulF(state[place], inverse), e.mulF(state[place + 1], inverse)});
        e.storeAligned(two, e.at(output, tile * 8, e.f32()));
      }
    });
  }
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

/// Products to scores, where there is more to it than a factor.
bool FlashAttention::finishScores(Value block, Numbers &scores) {
  if (shape.op.getSoftcap().convertToDouble() <= 0 && !shape.hasSlopes())
    return false;
  for (int64_t r = 0; r < 2; ++r) {
    Value position = e.add(firstPosition, e.add(e.add(warpRow, group), 8 * r));
    Value distance = e.sub(e.add(block, e.mul(inGroup, 2)), position);
    for (int64_t tile = 0; tile < blockKeys / 8; ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value &score = scores[tile * 4 + r * 2 + c];
        score = e.mulF(score, e.constantF(e.f32(), shape.queryFactor()));
        score = shape.finishScore(frame, score, head, e.add(distance, tile * 8 + c));
      }
  }
  return true;
}

FlashAttention::Numbers FlashAttention::masked(Value block, const Numbers &scores) {
  Numbers result(scores);
  Value none = e.constantF(e.f32(), invisible), before = e.add(block, e.mul(inGroup, 2));
  for (int64_t r = 0; r < 2; ++r) {
    Value position = e.add(firstPosition, e.add(e.add(warpRow, group), 8 * r));
    Value end = e.sub(e.min(e.add(position, 1), keyEnd), before);
    Value begin = e.sub(shape.firstKey(e, position), before);
    for (int64_t tile = 0; tile < blockKeys / 8; ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value &score = result[tile * 4 + r * 2 + c];
        Value token = e.constant(tile * 8 + c), isSeen = e.less(token, end);
        if (shape.window)
          isSeen = e.both(isSeen, e.less(begin, e.add(token, 1)));
        score = e.select(isSeen, score, none);
      }
  }
  return result;
}

/// The state relative to larger maxima. A maximum that is `slack` too low costs nothing but range: weights
/// are up to 2^slack, which all types have. So most blocks leave the sums alone, which would be as many
/// multiplications as there are sums.
FlashAttention::Numbers FlashAttention::raised(ValueRange carried, ValueRange highs) {
  constexpr double slack = 8;
  Value grows;
  for (int64_t r = 0; r < 2; ++r) {
    Value limit = e.addF(carried[r], e.constantF(e.f32(), slack));
    Value isHigher = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGT, highs[r], limit);
    grows = grows ? e.b.createOrFold<arith::OrIOp>(e.loc, grows, isHigher) : isHigher;
  }
  // Warps stay together: what follows is for whole ones.
  grows = e.intrinsic("llvm.nvvm.vote.any.sync", e.b.getI1Type(), {e.constant(-1), grows});
  auto choice = scf::IfOp::create(e.b, e.loc, carried.getTypes(), grows, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.thenBlock());
  Numbers state(carried);
  for (int64_t r = 0; r < 2; ++r) {
    Value high = combine(e, vector::CombiningKind::MAXNUMF, carried[r], highs[r]);
    Value correction = e.exp2(e.subF(carried[r], high));
    state[r] = high;
    state[2 + r] = e.mulF(carried[2 + r], correction);
    for (int64_t tile = 0; tile < valueTiles(); ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value &number = state[4 + tile * 4 + r * 2 + c];
        number = e.mulF(number, correction);
      }
  }
  scf::YieldOp::create(e.b, e.loc, state);
  e.b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(e.b, e.loc, carried);
  return Numbers(choice.getResults());
}

FlashAttention::Numbers FlashAttention::emitBlock(Value block, Value stage, ValueRange carried) {
  Team quad = Team::ofWarp(frame, 4);
  Numbers weights = multiplyKeys(stage);
  bool isFinal = finishScores(block, weights);
  Value factor = e.constantF(e.f32(), shape.queryFactor());
  // Most blocks are seen as a whole by all rows of the warp.
  Value firstRow = e.add(firstPosition, warpRow);
  Value isCut = e.less(firstRow, e.add(block, blockKeys - 1));
  if (shape.window)
    isCut =
        e.b.createOrFold<arith::OrIOp>(e.loc, isCut, e.less(block, shape.firstKey(e, e.add(firstRow, 15))));
  SmallVector<Type> types(weights.size(), e.f32());
  auto choice = scf::IfOp::create(e.b, e.loc, types, isCut, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.thenBlock());
    scf::YieldOp::create(e.b, e.loc, masked(block, weights));
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, weights);
  }
  weights.assign(choice.getResults().begin(), choice.getResults().end());
  Numbers highs;
  for (int64_t r = 0; r < 2; ++r) {
    Value high;
    for (int64_t tile = 0; tile < blockKeys / 8; ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value score = weights[tile * 4 + r * 2 + c];
        high = high ? combine(e, vector::CombiningKind::MAXNUMF, high, score) : score;
      }
    high = quad.max(frame, high);
    highs.push_back(isFinal ? high : e.mulF(high, factor));
  }
  Numbers state = raised(carried, highs);
  for (int64_t r = 0; r < 2; ++r) {
    Value below = arith::NegFOp::create(e.b, e.loc, state[r]), sum = e.constantF(e.f32(), 0);
    for (int64_t tile = 0; tile < blockKeys / 8; ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value &weight = weights[tile * 4 + r * 2 + c];
        weight = e.exp2(isFinal ? e.addF(weight, below) : e.fma(weight, factor, below));
        sum = e.addF(sum, weight);
      }
    state[2 + r] = e.addF(state[2 + r], sum); // of the lane's columns
  }
  Numbers sums = multiplyValues(stage, weights, ArrayRef<Value>(state).drop_front(4));
  llvm::copy(sums, state.begin() + 4);
  return state;
}

} // namespace sinter::gpu
