// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/attention/FlashScores.h"

#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {

static_assert(lowestMaximum > invisible * 1e-9);

void FlashScores::placeThread(Value row) {
  lane = frame.lane();
  group = e.div(lane, 4);
  inGroup = e.rem(lane, 4);
  warpRow = row;
}

void FlashScores::finish(Value block, Numbers &products) {
  if (isMore())
    for (int64_t r = 0; r < 2; ++r) {
      Value position = e.add(firstPosition, e.add(e.add(warpRow, group), 8 * r));
      Value distance = e.sub(e.add(block, e.mul(inGroup, 2)), position);
      for (int64_t tile = 0; tile < blockKeys / 8; ++tile)
        for (int64_t c = 0; c < 2; ++c) {
          Value &score = products[tile * 4 + r * 2 + c];
          score = e.mulF(score, e.constantF(e.f32(), shape.queryFactor()));
          score = shape.finishScore(frame, score, head, e.add(distance, tile * 8 + c));
        }
    }
  // Most blocks are seen as a whole by all rows of the warp.
  Value firstRow = e.add(firstPosition, warpRow);
  Value isCut = e.less(firstRow, e.add(block, blockKeys - 1));
  if (shape.window)
    isCut =
        e.b.createOrFold<arith::OrIOp>(e.loc, isCut, e.less(block, shape.firstKey(e, e.add(firstRow, 15))));
  SmallVector<Type> types(products.size(), e.f32());
  auto choice = scf::IfOp::create(e.b, e.loc, types, isCut, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(e.b, e.loc, masked(block, products));
  e.b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(e.b, e.loc, products);
  products.assign(choice.getResults().begin(), choice.getResults().end());
}

FlashScores::Numbers FlashScores::masked(Value block, const Numbers &scores) {
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

SmallVector<Value> highsOf(Frame &frame, ValueRange scores, Value factor) {
  Emitter &e = frame.e;
  Team quad = Team::ofWarp(frame, 4);
  SmallVector<Value> highs;
  for (size_t r = 0; r < 2; ++r) {
    Value high;
    for (size_t number = 2 * r; number < scores.size(); number += 4)
      for (size_t c = 0; c < 2; ++c) {
        Value score = scores[number + c];
        high = high ? combine(e, vector::CombiningKind::MAXNUMF, high, score) : score;
      }
    high = quad.max(frame, high);
    highs.push_back(factor ? e.mulF(high, factor) : high);
  }
  return highs;
}

Value areHigher(Emitter &e, ValueRange maxima, ValueRange highs) {
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

FlashScores::Numbers FlashScores::highsOf(const Numbers &scores) {
  return gpu::highsOf(frame, scores, isMore() ? Value() : e.constantF(e.f32(), shape.queryFactor()));
}

FlashScores::Numbers FlashScores::weigh(Numbers &scores, ValueRange maxima) {
  Value factor = e.constantF(e.f32(), shape.queryFactor());
  Numbers sums;
  for (int64_t r = 0; r < 2; ++r) {
    Value below = arith::NegFOp::create(e.b, e.loc, maxima[r]), sum = e.constantF(e.f32(), 0);
    for (int64_t tile = 0; tile < blockKeys / 8; ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value &weight = scores[tile * 4 + r * 2 + c];
        weight = e.exp2(isMore() ? e.addF(weight, below) : e.fma(weight, factor, below));
        sum = e.addF(sum, weight);
      }
    sums.push_back(sum);
  }
  return sums;
}

void FlashScores::scale(Emitter &e, MutableArrayRef<Value> numbers, int64_t r, Value correction) {
  for (size_t first = 0; first < numbers.size(); first += 4)
    for (int64_t c = 0; c < 2; ++c) {
      Value &number = numbers[first + r * 2 + c];
      number = e.mulF(number, correction);
    }
}

FlashScores::Numbers FlashScores::pairsOf(ValueRange weights) {
  Numbers pairs;
  for (size_t first = 0; first < weights.size(); first += 2)
    pairs.push_back(
        e.bitcast(e.i32(), e.narrow(e.pack({weights[first], weights[first + 1]}), shape.element)));
  return pairs;
}

void FlashScores::storeRows(Value first, Value end, ValueRange sums, ValueRange numbers) {
  Team quad = Team::ofWarp(frame, 4);
  for (int64_t r = 0; r < 2; ++r) {
    Value row = e.add(first, e.add(group, 8 * r));
    Value inverse = e.divF(e.constantF(e.f32(), 1), quad.sum(frame, sums[r]));
    e.ifThen(e.less(row, end), [&] {
      Value output = e.at(frame.rowOf(shape.op.getOutput(), row), e.mul(head, shape.valueSize), e.f32());
      output = e.at(output, e.mul(inGroup, 2), e.f32());
      for (int64_t tile = 0; tile < valueTiles(); ++tile) {
        size_t place = tile * 4 + r * 2;
        Value two = e.pack({e.mulF(numbers[place], inverse), e.mulF(numbers[place + 1], inverse)});
        e.storeAligned(two, e.at(output, tile * 8, e.f32()));
      }
    });
  }
}

} // namespace sinter::gpu
