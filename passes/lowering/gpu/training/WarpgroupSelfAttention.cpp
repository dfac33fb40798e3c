// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention with factors rounded to bf16 on sm_90a, by wgmma: 64 queries a warpgroup, by blocks
// of 64 keys that one of them sees, with a running maximum. Queries, keys and values are operands in shared
// memory, weights in registers. The products of the next keys are asked for before those of the last values,
// so weights are made while the tensor cores multiply values. Meanwhile the block's threads bring the keys
// behind these, and these keys' values: rows of bf16 by cp.async, others rounded on their way.
#include "passes/lowering/gpu/training/TensorSelfAttention.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/SelfAttentionScores.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/attention/FlashScores.h"
#include "passes/lowering/gpu/training/SwizzledRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <numbers>

using namespace mlir;

namespace sinter::gpu {
namespace {

class WarpgroupForward {
public:
  WarpgroupForward(Frame &frame, kernel::SelfAttentionOp op)
      : frame(frame), e(frame.e), a(frame, op), op(op),
        blockKeys(std::max(a.keySize, a.valueSize) > 128 ? 32 : 64), scoreCount(blockKeys / 2),
        pairCount(blockKeys / 4), queries(frame, block, llvm::alignTo(a.keySize, 16), 1),
        keys(frame, blockKeys, queries.columns, 2),
        values(frame, blockKeys, llvm::alignTo(a.valueSize, 16), 2),
        lowest(frame.allocate(4 * frame.warps())) {}

  void emit() {
    forEachTile(frame, op.getGrid(), [&](Value head, Value begin, Value end, Value) {
      SequencePart part = partOf(frame, op.getSequence(), op.getRowsPerTile(), begin, end).mirrored(e);
      a.setSequence(part.sequenceBegin, part.sequenceEnd);
      a.setHead(head);
      e.loop(part.begin, part.end, block, [&](Value first) { emitQueries(first); });
    });
  }

private:
  static constexpr int64_t block = TensorSelfAttention::block;

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
    firstRow = e.add(first, e.mul(frame.warp(), 16));
    Value begin = e.alignDown(describeRows(), blockKeys), end = e.min(e.add(first, block), a.rows);
    bringKeys(begin);
    settle();
    Registers poison(scoreCount, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
    Registers scores = startScores(begin, fenceRegisters(e, poison));
    bringNext(begin, end);
    scores = waitProducts(e, scores, {});
    Numbers running(2, e.constantF(e.f32(), lowestMaximum)), corrections;
    running.append(2, e.constantF(e.f32(), 0));
    soften(begin, scores, running, corrections);
    settle();

    // Carried: maxima and sums of weights, pairs of weights, sums.
    size_t sumCount = values.columns / 2;
    Registers state(running);
    state.append(a.pairsOf(scores));
    state.append(sumCount, e.constantF(e.f32(), 0));
    state = e.loop(e.add(begin, blockKeys), end, blockKeys, state, [&](Value firstKey, ValueRange carried) {
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
    });
    Registers all = fenceRegisters(e, ArrayRef<Value>(state).drop_front(4));
    ArrayRef<Value> pairs = ArrayRef<Value>(all).take_front(pairCount);
    Value last = e.alignDown(e.sub(end, 1), blockKeys);
    Registers sums = startSums(last, pairs, ArrayRef<Value>(all).drop_front(pairCount));
    finish(ArrayRef<Value>(state).take_front(4), waitProducts(e, sums, pairs));
  }

  /// The keys behind those from `firstKey` on, if there are, and the values of these.
  void bringNext(Value firstKey, Value end) {
    Value next = e.add(firstKey, blockKeys);
    e.ifThen(e.less(next, end), [&] { bringKeys(next); });
    bringValues(firstKey);
  }

  /// What the lane's rows see; the result is the first key that one of the block's does.
  Value describeRows() {
    row.clear(), firstSeen.clear(), dropoutKeys.clear();
    Value least;
    for (int64_t r = 0; r < 2; ++r) {
      Value number = e.add(e.add(firstRow, a.laneRow()), 8 * r), inside = a.clamped(number);
      Value sees = a.firstKeyOf(inside);
      row.push_back(number);
      firstSeen.push_back(e.select(e.less(number, a.rows), sees, e.add(number, 1)));
      least = least ? e.min(least, sees) : sees;
      lastSeen = r ? e.max(lastSeen, sees) : sees;
      if (a.dropout)
        dropoutKeys.push_back(a.dropoutKeyOf(inside));
    }
    for (int64_t mask = 4; mask < warpSize; mask *= 2) { // lanes of a row agree
      least = e.min(least, e.shuffleXor(least, mask));
      lastSeen = e.max(lastSeen, e.shuffleXor(lastSeen, mask));
    }
    e.ifThen(e.equal(frame.lane(), e.constant(0)),
             [&] { e.store(least, e.at(lowest, frame.warp(), e.i32())); });
    e.barrier();
    least = e.load(e.i32(), lowest);
    for (int64_t warp = 1; warp < frame.warps(); ++warp)
      least = e.min(least, e.load(e.i32(), e.at(lowest, warp, e.i32())));
    return least;
  }

  Registers startScores(Value firstKey, ValueRange registers) {
    keys.setStage(firstKey);
    return SwizzledRows::startProducts(queries, keys, registers);
  }
  Registers startSums(Value firstKey, ValueRange pairs, ValueRange before) {
    values.setStage(firstKey);
    return SwizzledRows::startSums(pairs, values, before);
  }

  Registers whereGrown(Value grows, ValueRange sums, ValueRange corrections) {
    auto choice = scf::IfOp::create(e.b, e.loc, sums.getTypes(), grows, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, sums);
    e.b.setInsertionPointToStart(choice.thenBlock());
    Registers scaled;
    for (auto [i, sum] : llvm::enumerate(sums))
      scaled.push_back(e.mulF(sum, corrections[i % 4 / 2]));
    scf::YieldOp::create(e.b, e.loc, scaled);
    return Registers(choice.getResults());
  }

  //--- scores (8 keys, 4): a lane has rows g and g + 8, and of every 8 keys 2t and 2t + 1

  /// Whether scores are more than a positive factor times products.
  bool isMore() const { return a.cap > 0 || a.slopes || a.scale <= 0; }
  Value factor() { return e.constantF(e.f32(), scoreFactor(a.scale, a.cap)); }
  Value keyOf(Value firstKey, int64_t tile) { return e.add(e.add(firstKey, a.laneColumn()), tile * 8); }

  /// Products become weights, 2^(score - maximum), and maxima and totals those with them. The result is
  /// whether a row of the warp has outgrown its maximum (i1, the warp's); `corrections` are then what is
  /// before is multiplied by. A maximum that is too low by the powers of two that are let pass costs nothing
  /// but range, so most blocks leave sums alone.
  Value soften(Value firstKey, Numbers &scores, Numbers &running, Numbers &corrections) {
    if (isMore())
      finishScores(firstKey, scores);
    mask(firstKey, scores);
    Numbers highs = highsOf(scores);
    Value grows = areHigher(running, highs), one = e.constantF(e.f32(), 1);
    Numbers kept{running[0], running[1], one, one}, raised;
    auto choice = scf::IfOp::create(e.b, e.loc, SmallVector<Type>(4, e.f32()), grows, true);
    {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(choice.elseBlock());
      scf::YieldOp::create(e.b, e.loc, kept);
      e.b.setInsertionPointToStart(choice.thenBlock());
      for (int64_t r = 0; r < 2; ++r)
        raised.push_back(combine(e, vector::CombiningKind::MAXNUMF, running[r], highs[r]));
      for (int64_t r = 0; r < 2; ++r)
        raised.push_back(e.exp2(e.subF(running[r], raised[r])));
      scf::YieldOp::create(e.b, e.loc, raised);
    }
    corrections.assign(choice.getResults().begin() + 2, choice.getResults().end());
    for (int64_t r = 0; r < 2; ++r) {
      running[r] = choice.getResult(r);
      Value added = weigh(firstKey, scores, r, running[r]);
      running[2 + r] = e.fma(running[2 + r], corrections[r], added);
    }
    return grows;
  }

  void finishScores(Value firstKey, Numbers &scores) {
    for (int64_t r = 0; r < 2; ++r)
      for (int64_t tile = 0; tile < blockKeys / 8; ++tile) {
        size_t number = tile * 4 + 2 * r;
        Value two = e.pack({scores[number], scores[number + 1]});
        two = e.mulF(two, e.splat(factor(), 2));
        two = selfAttentionScores(e, two, a.cap, a.slope, row[r], keyOf(firstKey, tile));
        for (int64_t c = 0; c < 2; ++c)
          scores[number + c] = e.extract(two, c);
      }
  }

  /// Lowest scores for keys that a row does not see. Most blocks are seen as a whole by all rows of the warp.
  void mask(Value firstKey, Numbers &scores) {
    Value isCut = e.b.createOrFold<arith::OrIOp>(e.loc, e.less(firstRow, e.add(firstKey, blockKeys - 1)),
                                                 e.less(firstKey, lastSeen));
    auto choice =
        scf::IfOp::create(e.b, e.loc, SmallVector<Type>(scoreCount, e.f32()), isCut, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, scores);
    e.b.setInsertionPointToStart(choice.thenBlock());
    for (int64_t r = 0; r < 2; ++r) {
      // first <= key <= row: one unsigned comparison.
      Value reach = e.sub(e.add(row[r], 1), firstSeen[r]), none = e.constantF(e.f32(), invisible);
      for (int64_t tile = 0; tile < blockKeys / 8; ++tile)
        for (int64_t c = 0; c < 2; ++c) {
          Value steps = e.sub(e.add(keyOf(firstKey, tile), c), firstSeen[r]);
          Value sees = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, steps, reach);
          Value &score = scores[tile * 4 + 2 * r + c];
          score = e.select(sees, score, none);
        }
    }
    scf::YieldOp::create(e.b, e.loc, scores);
    scores.assign(choice.getResults().begin(), choice.getResults().end());
  }

  Numbers highsOf(ArrayRef<Value> scores) {
    Team quad = Team::ofWarp(frame, 4);
    Numbers highs;
    for (int64_t r = 0; r < 2; ++r) {
      Value high;
      for (size_t number = 2 * r; number < scores.size(); number += 4)
        for (int64_t c = 0; c < 2; ++c) {
          Value score = scores[number + c];
          high = high ? combine(e, vector::CombiningKind::MAXNUMF, high, score) : score;
        }
      high = quad.max(frame, high);
      highs.push_back(isMore() ? high : e.mulF(high, factor()));
    }
    return highs;
  }

  Value areHigher(ValueRange maxima, ValueRange highs) {
    constexpr double slack = 8;
    Value grows;
    for (int64_t r = 0; r < 2; ++r) {
      Value limit = e.addF(maxima[r], e.constantF(e.f32(), slack));
      Value isHigher = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGT, highs[r], limit);
      grows = grows ? e.b.createOrFold<arith::OrIOp>(e.loc, grows, isHigher) : isHigher;
    }
    // Warps stay together: what follows is for whole ones.
    return e.intrinsic("llvm.nvvm.vote.any.sync", e.b.getI1Type(), {e.constant(-1), grows});
  }

  /// The result is the sum of the weights of row r; with dropout those that are left are then made greater.
  Value weigh(Value firstKey, Numbers &scores, int64_t r, Value maximum) {
    Value below = arith::NegFOp::create(e.b, e.loc, maximum), sum = e.constantF(e.f32(), 0);
    for (int64_t tile = 0; tile < blockKeys / 8; ++tile) {
      MutableArrayRef<Value> weights = MutableArrayRef<Value>(scores).slice(tile * 4 + 2 * r, 2);
      for (Value &weight : weights) {
        weight = e.exp2(isMore() ? e.addF(weight, below) : e.fma(weight, factor(), below));
        sum = e.addF(sum, weight);
      }
      if (!a.dropout)
        continue;
      Value behind = e.extend(e.sub(row[r], keyOf(firstKey, tile)));
      Value factors = a.dropout->factors(dropoutKeys[r], behind, -1, 2);
      for (int64_t c = 0; c < 2; ++c)
        weights[c] = e.mulF(weights[c], e.extract(factors, c));
    }
    return sum;
  }

  void finish(ArrayRef<Value> running, Registers sums) {
    Team quad = Team::ofWarp(frame, 4);
    for (int64_t r = 0; r < 2; ++r) {
      Value total = quad.sum(frame, running[2 + r]), inverse = e.divF(e.constantF(e.f32(), 1), total);
      for (size_t number = 2 * r; number < sums.size(); number += 4)
        for (int64_t c = 0; c < 2; ++c)
          sums[number + c] = e.mulF(sums[number + c], inverse);
      e.ifThen(e.both(e.less(row[r], a.rows), e.equal(a.laneColumn(), e.constant(0))), [&] {
        Value logTotal =
            e.mulF(math::LogOp::create(e.b, e.loc, total), e.constantF(e.f32(), std::numbers::log2e));
        e.store(e.addF(running[r], logTotal), a.headOf(op.getLogSum(), row[r], a.head, 1));
      });
    }
    a.storeRows(sums, op.getOutput(), firstRow, a.head, a.valueSize, e.constant(0), /*adds=*/false);
  }

  Frame &frame;
  Emitter &e;
  TensorSelfAttention a;
  kernel::SelfAttentionOp op;
  const int64_t blockKeys;            // of a block of keys
  const size_t scoreCount, pairCount; // of a thread
  SwizzledRows queries, keys, values;
  Value lowest;             // shared memory: the first key that a row of a warp sees
  Value firstRow, lastSeen; // of the warp: its first row, and the last key that is the first of a row
  // Of the lane's two rows: number; first key, behind the row where there is none; key of dropout.
  SmallVector<Value> row, firstSeen, dropoutKeys;
};

} // namespace

static int64_t longestHead(kernel::SelfAttentionOp op) {
  return std::max(op.getQuery().getType().getColumns() / static_cast<int64_t>(op.getHeads()),
                  op.getValue().getType().getColumns() / static_cast<int64_t>(op.getKvHeads()));
}

/// Beside sums of more than 160 columns there are not enough registers for rows that are rounded on their
/// way.
bool fitsWarpgroupSelfAttention(Frame &frame, kernel::SelfAttentionOp op) {
  bool areCopied = elementOf(op.getKey()).isBF16() && elementOf(op.getValue()).isBF16();
  return frame.e.architecture == Architecture::Sm90 && longestHead(op) <= (areCopied ? 256 : 160);
}

void emitWarpgroupSelfAttention(Frame &frame, kernel::SelfAttentionOp op) {
  int64_t longest = longestHead(op);
  frame.threads = warpgroupSize;
  frame.blocksPerSm = longest <= 64 ? 3 : longest <= 128 ? 2 : 1;
  WarpgroupForward(frame, op).emit();
}

} // namespace sinter::gpu
