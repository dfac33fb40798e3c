// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/training/QueryScores.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/SelfAttentionScores.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/attention/FlashScores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {

//===--- which keys rows see

Value QueryScores::describeRows(Value first) {
  Value group = frame.warp(); // of warps that share rows each has a part of the sums
  if (frame.warps() > ownRows / 16)
    group = e.rem(group, ownRows / 16);
  firstRow = e.add(first, e.mul(group, 16));
  row.clear(), firstSeen.clear(), dropoutKeys.clear();
  Value least;
  for (int64_t r = 0; r < 2; ++r) {
    Value number = e.add(e.add(firstRow, a.laneRow()), 8 * r), inside = a.clamped(number);
    Value sees = a.firstKeyOf(inside);
    row.push_back(number);
    firstSeen.push_back(sees);
    least = least ? e.min(least, sees) : sees;
    lastSeen = r ? e.max(lastSeen, sees) : sees;
    if (a.dropout)
      dropoutKeys.push_back(a.dropoutKeyOf(inside));
  }
  for (int64_t mask = 4; mask < warpSize; mask *= 2) { // lanes of a row agree
    least = e.min(least, e.shuffleXor(least, mask));
    lastSeen = e.max(lastSeen, e.shuffleXor(lastSeen, mask));
  }
  if (!lowest)
    lowest = frame.allocate(4 * frame.warps());
  e.ifThen(e.equal(frame.lane(), e.constant(0)),
           [&] { e.store(least, e.at(lowest, frame.warp(), e.i32())); });
  e.barrier();
  least = e.load(e.i32(), lowest);
  for (int64_t warp = 1; warp < frame.warps(); ++warp)
    least = e.min(least, e.load(e.i32(), e.at(lowest, warp, e.i32())));
  return least;
}

Numbers QueryScores::forEachKeys(Value begin, Value ownEnd, Value end, bool isOne, ValueRange state,
                                 Emitter::CarriedBody body, Emitter::Body pass) {
  Value count = e.div(e.add(e.sub(ownEnd, begin), blockKeys - 1), blockKeys);
  if (isOne)
    count = e.max(count, e.constant(1));
  auto keyAt = [&](Value number) { return e.add(begin, e.mul(number, blockKeys)); };
  Numbers result = e.loop(e.constant(0), count, 1, state,
                          [&](Value number, ValueRange carried) { return body(keyAt(number), carried); });
  if (ownEnd != end)
    e.loop(keyAt(count), end, blockKeys, pass);
  return result;
}

//===--- scores (8 keys, 4)

Value QueryScores::factor() { return e.constantF(e.f32(), scoreFactor(a.scale, a.cap)); }

Numbers QueryScores::finishScores(Value firstKey, Numbers &scores) {
  Numbers derivatives(a.cap > 0 ? scores.size() : 0);
  for (int64_t r = 0; r < 2; ++r)
    for (int64_t tile = 0; tile < blockKeys / 8; ++tile) {
      size_t number = tile * 4 + 2 * r;
      Value two = e.pack({scores[number], scores[number + 1]}), capped;
      two = e.mulF(two, e.splat(factor(), 2));
      two = selfAttentionScores(e, two, a.cap, a.slope, row[r], keyOf(firstKey, tile), &capped);
      for (int64_t c = 0; c < 2; ++c)
        scores[number + c] = e.extract(two, c);
      if (!capped)
        continue;
      Value derivative = e.subF(e.constantF(capped.getType(), 1), e.mulF(capped, capped));
      for (int64_t c = 0; c < 2; ++c)
        derivatives[number + c] = e.extract(derivative, c);
    }
  return derivatives;
}

void QueryScores::mask(Value firstKey, Numbers &scores) {
  Value none = e.constantF(e.f32(), invisible), own = e.add(firstKey, a.laneColumn());
  // `limits`: of the lane's rows, from its first key on; keys before them are seen, or those from them on.
  auto maskWhere = [&](Value isCut, ArrayRef<Value> limits, bool areBefore) {
    auto choice = scf::IfOp::create(e.b, e.loc, SmallVector<Type>(scores.size(), e.f32()), isCut,
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, scores);
    e.b.setInsertionPointToStart(choice.thenBlock());
    for (auto [i, score] : llvm::enumerate(scores)) {
      Value isBefore = e.less(e.constant(static_cast<int64_t>(i / 4 * 8 + i % 2)), limits[i % 4 / 2]);
      score = areBefore ? e.select(isBefore, score, none) : e.select(isBefore, none, score);
    }
    scf::YieldOp::create(e.b, e.loc, scores);
    scores.assign(choice.getResults().begin(), choice.getResults().end());
  };
  maskWhere(e.less(firstRow, e.add(firstKey, blockKeys - 1)),
            {e.sub(e.add(row[0], 1), own), e.sub(e.add(row[1], 1), own)}, /*areBefore=*/true);
  maskWhere(e.less(firstKey, lastSeen), {e.sub(firstSeen[0], own), e.sub(firstSeen[1], own)},
            /*areBefore=*/false);
}

Value QueryScores::dropoutFactors(Value firstKey, int64_t tile, int64_t r) {
  return a.dropout->factors(dropoutKeys[r], e.extend(e.sub(row[r], keyOf(firstKey, tile))), -1, 2);
}

//===--- the forward pass

void ForwardScores::forEachQueries(llvm::function_ref<void(Value)> emitQueries) {
  forEachTile(frame, op.getGrid(), [&](Value head, Value begin, Value end, Value) {
    SequencePart part = partOf(frame, op.getSequence(), op.getRowsPerTile(), begin, end).mirrored(e);
    a.setSequence(part.sequenceBegin, part.sequenceEnd);
    a.setHead(head);
    e.loop(part.begin, part.end, ownRows, emitQueries);
  });
}

Numbers ForwardScores::noWeights() {
  Numbers running(2, e.constantF(e.f32(), lowestMaximum));
  running.append(2, e.constantF(e.f32(), 0));
  return running;
}

Value ForwardScores::soften(Value firstKey, Numbers &scores, Numbers &running, Numbers &corrections) {
  if (isMore())
    finishScores(firstKey, scores);
  mask(firstKey, scores);
  Numbers highs = highsOf(frame, scores, isMore() ? Value() : factor());
  Value grows = areHigher(e, running, highs), one = e.constantF(e.f32(), 1);
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

/// The result is the sum of the weights of row r; with dropout those that are left are then made greater.
Value ForwardScores::weigh(Value firstKey, Numbers &scores, int64_t r, Value maximum) {
  Value below = arith::NegFOp::create(e.b, e.loc, maximum), sum = e.constantF(e.f32(), 0);
  for (int64_t tile = 0; tile < blockKeys / 8; ++tile) {
    MutableArrayRef<Value> weights = MutableArrayRef<Value>(scores).slice(tile * 4 + 2 * r, 2);
    for (Value &weight : weights) {
      weight = e.exp2(isMore() ? e.addF(weight, below) : e.fma(weight, factor(), below));
      sum = e.addF(sum, weight);
    }
    if (!a.dropout)
      continue;
    Value factors = dropoutFactors(firstKey, tile, r);
    for (int64_t c = 0; c < 2; ++c)
      weights[c] = e.mulF(weights[c], e.extract(factors, c));
  }
  return sum;
}

Numbers ForwardScores::whereGrown(Value grows, ValueRange sums, ValueRange corrections) {
  auto choice = scf::IfOp::create(e.b, e.loc, sums.getTypes(), grows, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(e.b, e.loc, sums);
  e.b.setInsertionPointToStart(choice.thenBlock());
  Numbers scaled;
  for (auto [i, sum] : llvm::enumerate(sums))
    scaled.push_back(e.mulF(sum, corrections[i % 4 / 2]));
  scf::YieldOp::create(e.b, e.loc, scaled);
  return Numbers(choice.getResults());
}

void ForwardScores::finish(ArrayRef<Value> running, Numbers sums) {
  Team quad = Team::ofWarp(frame, 4);
  for (int64_t r = 0; r < 2; ++r) {
    Value total = quad.sum(frame, running[2 + r]), inverse = e.divF(e.constantF(e.f32(), 1), total);
    for (size_t number = 2 * r; number < sums.size(); number += 4)
      for (int64_t c = 0; c < 2; ++c)
        sums[number + c] = e.mulF(sums[number + c], inverse);
    e.ifThen(e.both(e.less(row[r], a.rows), e.equal(a.laneColumn(), e.constant(0))), [&] {
      // By the special function unit: within 2^-22, as far as f32 tells of their sum.
      Value logTotal = e.intrinsic("llvm.nvvm.lg2.approx.ftz.f", e.f32(), {total});
      e.store(e.addF(running[r], logTotal), a.headOf(op.getLogSum(), row[r], a.head, 1));
    });
  }
  a.storeRows(sums, op.getOutput(), firstRow, a.head, a.valueSize, e.constant(0));
}

} // namespace sinter::gpu
