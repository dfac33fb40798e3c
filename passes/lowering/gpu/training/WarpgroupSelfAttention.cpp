// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention with factors rounded to bf16 on sm_90a, by wgmma: 64 queries a warpgroup, by blocks
// of 64 keys that one of them sees, with a running maximum. Queries, keys and values are operands in shared
// memory, weights in registers. The products of the next keys are asked for before those of the last values,
// so weights are made while the tensor cores multiply values. Meanwhile the block's threads bring the keys
// behind these, and these keys' values: rows of bf16 by cp.async, others rounded on their way.
#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/training/QueryScores.h"
#include "passes/lowering/gpu/training/SwizzledRows.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

class WarpgroupForward : ForwardScores {
public:
  WarpgroupForward(Frame &frame, kernel::SelfAttentionOp op, int64_t ownRows)
      : ForwardScores(frame, op, ownRows, longestHead(op) > 128 ? 32 : 64), scoreCount(blockKeys / 2),
        pairCount(blockKeys / 4),
        queries(frame, ownRows, llvm::alignTo(a.keySize, columnUnit(frame.threads, blockKeys))),
        keys(frame, blockKeys, queries.columns, 2),
        values(frame, blockKeys, llvm::alignTo(a.valueSize, columnUnit(frame.threads, blockKeys)), 2) {}

  void emit() {
    forEachQueries([&](Value first) { emitQueries(first); });
  }

private:
  static constexpr int64_t groupRows = 64;

  void settle() {
    a.awaitCopies();
    fenceAsyncShared(e);
    e.barrier();
  }
  void bringKeys(Value first) {
    keys.setStage(first);
    a.bring(keys, a.key, first, e.div(a.head, a.group), a.keySize);
  }
  void bringValues(Value first) {
    values.setStage(first);
    a.bring(values, a.value, first, e.div(a.head, a.group), a.valueSize);
  }

  void emitQueries(Value first) {
    e.barrier(); // what the queries before left has been read
    a.bring(queries, a.query, first, a.head, a.keySize);
    Value begin = e.alignDown(describeRows(first), blockKeys);
    Value end = e.min(e.add(first, ownRows), a.rows), ownEnd = end;
    groupRow = {};
    if (ownRows > groupRows) {
      groupRow = e.mul(e.div(frame.warp(), 4), groupRows);
      ownEnd = e.min(e.add(e.add(first, groupRow), groupRows), a.rows);
    }
    bringKeys(begin);
    settle();
    Registers poison(scoreCount, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
    Registers scores = startScores(begin, fenceRegisters(e, poison));
    bringNext(begin, end);
    scores = waitProducts(e, scores, {});
    Numbers running = noWeights(), corrections;
    soften(begin, scores, running, corrections);
    settle();

    // Carried: maxima and sums of weights, pairs of weights, sums.
    size_t sumCount = values.columns / 2;
    Registers state(running);
    state.append(a.pairsOf(scores));
    state.append(sumCount, e.constantF(e.f32(), 0));
    auto emitKeys = [&](Value firstKey, ValueRange carried) {
      Registers scores = startScores(firstKey, fenceRegisters(e, poison));
      Registers all = fenceRegisters(e, carried.drop_front(4));
      ArrayRef<Value> pairs = ArrayRef<Value>(all).take_front(pairCount);
      Registers sums =
          startSums(e.sub(firstKey, blockKeys), pairs, ArrayRef<Value>(all).drop_front(pairCount));
      bringNext(firstKey, end);
      scores = waitProducts(e, scores, {}, /*pending=*/1);
      Numbers running(carried.take_front(4)), corrections;
      Value grows = soften(firstKey, scores, running, corrections);
      // Weights pass through the wait: else they would be rounded, into more registers, before it.
      sums.append(scores);
      sums = waitProducts(e, sums, pairs);
      scores.assign(sums.begin() + sumCount, sums.end());
      sums.truncate(sumCount);
      settle();
      Registers next(running);
      next.append(a.pairsOf(scores));
      next.append(whereGrown(grows, sums, corrections));
      return next;
    };
    // Of 128 rows one block of keys at most is for the others alone: the last values stay where they are.
    state = forEachKeys(e.add(begin, blockKeys), ownEnd, end, /*isOne=*/false, state, emitKeys,
                        [&](Value firstKey) {
                          bringNext(firstKey, end);
                          settle();
                        });
    Registers all = fenceRegisters(e, ArrayRef<Value>(state).drop_front(4));
    ArrayRef<Value> pairs = ArrayRef<Value>(all).take_front(pairCount);
    Value last = e.alignDown(e.sub(ownEnd, 1), blockKeys);
    Registers sums = startSums(last, pairs, ArrayRef<Value>(all).drop_front(pairCount));
    finish(ArrayRef<Value>(state).take_front(4), waitProducts(e, sums, pairs));
  }

  /// The keys behind those from `firstKey` on, if there are, and the values of these.
  void bringNext(Value firstKey, Value end) {
    Value next = e.add(firstKey, blockKeys);
    e.ifThen(e.less(next, end), [&] { bringKeys(next); });
    bringValues(firstKey);
  }

  Registers startScores(Value firstKey, ValueRange registers) {
    keys.setStage(firstKey);
    return SwizzledRows::startProducts(queries, groupRow, keys, registers);
  }
  Registers startSums(Value firstKey, ValueRange pairs, ValueRange before) {
    values.setStage(firstKey);
    return SwizzledRows::startSums(pairs, values, before);
  }

  const size_t scoreCount, pairCount; // of a thread
  SwizzledRows queries, keys, values;
  Value groupRow; // the warpgroup's first row in the block; null: the block is one
};

} // namespace

/// Beside sums of more than 160 columns there are not enough registers for rows that are rounded on their
/// way.
bool fitsWarpgroupSelfAttention(Frame &frame, kernel::SelfAttentionOp op) {
  bool areCopied = elementOf(op.getKey()).isBF16() && elementOf(op.getValue()).isBF16();
  return frame.e.architecture == Architecture::Sm90 && longestHead(op) <= (areCopied ? 256 : 160);
}

void emitWarpgroupSelfAttention(Frame &frame, kernel::SelfAttentionOp op, int64_t ownRows) {
  int64_t longest = longestHead(op), groups = ownRows / 64;
  frame.threads = groups * warpgroupSize;
  frame.blocksPerSm = longest <= 64 ? (groups > 1 ? 1 : 3) : longest <= 128 ? 2 / groups : 1;
  WarpgroupForward(frame, op, ownRows).emit();
}

} // namespace sinter::gpu
