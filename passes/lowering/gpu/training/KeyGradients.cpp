// SPDX-License-Identifier: Apache-2.0
// The gradients of attention by keys and values, with factors rounded to bf16: a tile's keys go through all
// query heads that share them, and the queries that see one of them. Scores are made as (key, query).
#include "passes/lowering/Anchors.h"
#include "passes/lowering/SelfAttentionScores.h"
#include "passes/lowering/gpu/training/SelfAttentionGradients.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <limits>

using namespace mlir;

namespace sinter::gpu {
namespace {

template <typename Rows> class KeyGradients : public GradientPart {
  using Products = WarpProducts<Rows>;

public:
  KeyGradients(Frame &frame, kernel::SelfAttentionBackwardOp op, GradientCut cut)
      : frame(frame), e(frame.e), a(frame, op), op(op), cut(cut),
        keys(frame, cut.ownRows, columnsOf(frame, cut, a.keySize)),
        values(frame, cut.ownRows, columnsOf(frame, cut, a.valueSize)),
        queries(frame, cut.queries, keys.columns, cut.stages),
        gradients(frame, cut.queries, values.columns, cut.stages),
        numbers(frame.allocate(cut.stages * cut.queries * 8)),
        seen(frame.allocate(cut.stages * cut.queries * 8)),
        bounds(frame.allocate(cut.stages * warpsOfQueries() * 8)), ofKeys(a, keys), ofValues(a, values) {
    if (a.dropout)
      dropoutKeys = frame.allocate(cut.stages * cut.queries * 8);
  }

  void emit(Value ofTile, const SequencePart &part) override {
    a.setSequence(part.sequenceBegin, part.sequenceEnd);
    keyHead = ofTile;
    e.loop(part.begin, part.end, cut.ownRows, [&](Value first) { emitKeys(first); });
  }

private:
  int64_t valueColumns() const { return values.columns / cut.shares; }
  int64_t keyColumns() const { return keys.columns / cut.shares; }
  /// Whether scores are more than a positive factor times products.
  bool isMore() const { return a.cap > 0 || a.slopes || a.scale <= 0; }
  Value factor() { return e.constantF(e.f32(), scoreFactor(a.scale, a.cap)); }
  int64_t warpsOfQueries() const { return llvm::divideCeil(cut.queries, warpSize); }

  void emitKeys(Value first) {
    e.barrier(); // the keys before have been multiplied
    a.bringKeys(keys, values, first, keyHead);
    int64_t groups = cut.ownRows / 16;
    Value inBlock = e.mul(cut.shares > 1 ? e.rem(frame.warp(), groups) : frame.warp(), 16);
    Value share = cut.shares > 1 ? e.div(frame.warp(), groups) : e.constant(0);
    warpKey = e.add(first, inBlock);
    ofKeys.setRow(inBlock);
    ofValues.setRow(inBlock);
    // Queries before a warp's keys see none of them.
    Value unseen = cut.isWarpgroup ? e.alignDown(inBlock, 64) : e.alignDown(inBlock, cut.queries);
    Value ownBegin = cut.ownRows > cut.queries ? e.add(first, unseen) : first;
    keyEnd = e.min(e.add(first, cut.ownRows), a.rows);
    Value end = a.window ? e.min(a.rows, e.add(keyEnd, a.window - 1)) : a.rows;

    Numbers sums((valueColumns() + keyColumns()) / 8 * 4, e.constantF(e.f32(), 0)); // of values, then of keys
    Value firstHead = e.mul(keyHead, a.group);
    auto ofHead = [&](Value head, ValueRange before) {
      a.setHead(head);
      if (cut.stages > 1) {
        e.barrier(); // the head before has been multiplied
        bringQueries(first);
      }
      if (ownBegin != first)
        e.loop(first, e.min(ownBegin, end), cut.queries, [&](Value firstQuery) { advance(firstQuery, end); });
      return e.loop(ownBegin, end, cut.queries, before, [&](Value firstQuery, ValueRange carried) {
        advance(firstQuery, end);
        return whereSeen(firstQuery, carried, [&] {
          auto [weights, differences] = differentiate(firstQuery);
          ValueRange sums = carried;
          size_t values = valueColumns() / 8 * 4;
          typename Products::Sum all[] = {
              {weights, gradients, e.mul(share, valueColumns()), Numbers(sums.take_front(values))},
              {differences, queries, e.mul(share, keyColumns()), Numbers(sums.drop_front(values))}};
          Products::add(a, all);
          all[0].sums.append(all[1].sums);
          return all[0].sums;
        });
      });
    };
    sums = a.group > 1 ? Numbers(e.loop(firstHead, e.add(firstHead, a.group), 1, sums, ofHead))
                       : Numbers(ofHead(firstHead, sums));
    size_t valueSums = valueColumns() / 8 * 4;
    MutableArrayRef<Value> all(sums);
    a.storeRows(all.take_front(valueSums), op.getValueGradient(), warpKey, keyHead, a.valueSize,
                e.mul(share, valueColumns()));
    for (Value &sum : all.drop_front(valueSums))
      sum = e.mulF(sum, e.constantF(e.f32(), a.scale));
    a.storeRows(all.drop_front(valueSums), op.getKeyGradient(), warpKey, keyHead, a.keySize,
                e.mul(share, keyColumns()));
  }

  //--- queries

  void settle() {
    a.awaitCopies();
    if (cut.isWarpgroup)
      fenceAsyncShared(e);
    e.barrier();
  }
  /// Of a block of queries, number `row`, one of the arrays of them.
  Value at(Value array, Value row, int64_t bytes) {
    Value index = cut.stages > 1 ? e.add(e.mul(stage, cut.queries), row) : row;
    return e.atByte(array, e.mul(index, bytes));
  }
  void setStage(Value firstQuery) {
    stage = e.rem(e.div(firstQuery, cut.queries), cut.stages);
    queries.setStage(firstQuery);
    gradients.setStage(firstQuery);
  }
  void bringQueries(Value firstQuery) {
    setStage(firstQuery);
    a.bring(queries, a.query, firstQuery, a.head, a.keySize);
    if (op.getDots())
      a.bring(gradients, op.getRoundedGradient(), firstQuery, a.head, a.valueSize);
    else
      a.bring(gradients, op.getGradient(), firstQuery, a.head, a.valueSize,
              [&](const TensorSelfAttention::RowPieces &row) {
                a.storeDot(row, op.getOutput(), a.head, e.atByte(at(numbers, row.row, 8), 4));
              });
    describeRows(firstQuery);
  }
  /// Until these queries are there, and the next ones are on their way.
  void advance(Value firstQuery, Value end) {
    if (cut.stages == 1) {
      e.barrier(); // the queries before have been multiplied
      bringQueries(firstQuery);
      settle();
    } else {
      settle();
      Value next = e.add(firstQuery, cut.queries);
      e.ifThen(e.less(next, end), [&] { bringQueries(next); });
    }
    setStage(firstQuery);
  }

  /// What the queries from `firstRow` on see, for all threads; a thread has a row.
  void describeRows(Value firstRow) {
    Value thread = e.fresh(frame.thread), warp = e.div(thread, warpSize);
    e.ifThen(e.less(warp, e.constant(warpsOfQueries())), [&] {
      Value slot = e.min(thread, e.constant(cut.queries - 1)), row = e.add(firstRow, slot);
      Value inside = a.clamped(row), sees = a.firstKeyOf(inside), least = sees, most = sees;
      for (int64_t mask = warpSize / 2; mask >= 1; mask /= 2) {
        least = e.min(least, e.shuffleXor(least, mask));
        most = e.max(most, e.shuffleXor(most, mask));
      }
      auto putTwo = [&](Value one, Value other, Value to) { e.storeAligned(e.pack({one, other}), to); };
      e.ifThen(e.equal(e.rem(thread, warpSize), e.constant(0)), [&] { putTwo(least, most, boundsOf(warp)); });
      e.ifThen(e.less(thread, e.constant(cut.queries)), [&] {
        Value logSum = e.load(e.f32(), a.headOf(op.getLogSum(), inside, e.fresh(a.head), 1));
        Value minus = arith::NegFOp::create(e.b, e.loc, logSum);
        // Rows that are not there weigh nothing.
        Value none = e.constantF(e.f32(), -std::numeric_limits<float>::infinity());
        minus = e.select(e.less(row, a.rows), minus, none);
        if (op.getDots())
          putTwo(minus, e.load(e.f32(), a.headOf(op.getDots(), inside, e.fresh(a.head), 1)),
                 at(numbers, slot, 8));
        else
          e.store(minus, at(numbers, slot, 8));
        putTwo(sees, e.sub(e.add(row, 1), sees), at(seen, slot, 8));
        if (a.dropout)
          e.store(a.dropoutKeyOf(inside), at(dropoutKeys, slot, 8));
      });
    });
  }
  Value boundsOf(Value warp) {
    return e.atByte(bounds, e.mul(e.add(e.mul(stage, warpsOfQueries()), warp), 8));
  }
  /// The first key that one of the block's queries sees, or the last one that is the first of a query.
  Value boundOf(bool isLast) {
    Value bound;
    for (int64_t warp = 0; warp < warpsOfQueries(); ++warp) {
      Value other = e.load(e.i32(), e.atByte(boundsOf(e.constant(warp)), isLast ? 4 : 0));
      bound = !bound ? other : isLast ? e.max(bound, other) : e.min(bound, other);
    }
    return bound;
  }
  Numbers whereSeen(Value firstQuery, ValueRange state, llvm::function_ref<Numbers()> body) {
    auto choice = scf::IfOp::create(e.b, e.loc, state.getTypes(), e.less(boundOf(false), keyEnd),
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, state);
    e.b.setInsertionPointToStart(choice.thenBlock());
    scf::YieldOp::create(e.b, e.loc, body());
    return Numbers(choice.getResults());
  }

  //--- scores (8 queries, 4): a lane has keys g and g + 8, and of every 8 queries 2t and 2t + 1

  Value keyOf(int64_t r) { return e.add(e.add(warpKey, a.laneRow()), 8 * r); }
  Value columnOf(int64_t tile) { return e.add(a.laneColumn(), tile * 8); }
  /// Two neighbouring queries' numbers of an array.
  Value twoOf(Type type, Value array, int64_t tile) {
    return e.loadAligned(e.vec(4, type), at(array, columnOf(tile), 8));
  }

  /// Products become scores; where these are capped the result is 1 - tanh^2 of each.
  Numbers finishScores(Value firstQuery, Numbers &scores) {
    Numbers derivatives(a.cap > 0 ? scores.size() : 0);
    for (auto [i, score] : llvm::enumerate(scores)) {
      Value row = e.add(firstQuery, e.add(columnOf(i / 4), i % 2)), capped;
      Value one = e.splat(e.mulF(score, factor()), 1);
      one = selfAttentionScores(e, one, a.cap, a.slope, row, keyOf(i % 4 / 2), &capped);
      score = e.extract(one, 0);
      if (!capped)
        continue;
      capped = e.extract(capped, 0);
      derivatives[i] = e.subF(e.constantF(e.f32(), 1), e.mulF(capped, capped));
    }
    return derivatives;
  }

  /// Lowest scores for keys that a query does not see.
  void mask(Value firstQuery, Numbers &scores) {
    Value isCut = e.b.createOrFold<arith::OrIOp>(e.loc, e.less(firstQuery, e.add(warpKey, 15)),
                                                 e.less(warpKey, boundOf(/*isLast=*/true)));
    auto choice = scf::IfOp::create(e.b, e.loc, SmallVector<Type>(scores.size(), e.f32()), isCut,
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, scores);
    e.b.setInsertionPointToStart(choice.thenBlock());
    for (int64_t tile = 0; tile < cut.queries / 8; ++tile) {
      Value firsts = twoOf(e.i32(), seen, tile);
      for (int64_t i = 0; i < 4; ++i) {
        int64_t c = i % 2;
        // first <= key <= row: one unsigned comparison.
        Value sees = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult,
                                           e.sub(keyOf(i / 2), e.extract(firsts, 2 * c)),
                                           e.extract(firsts, 2 * c + 1));
        Value &score = scores[tile * 4 + i];
        score = e.select(sees, score, e.constantF(e.f32(), invisible));
      }
    }
    scf::YieldOp::create(e.b, e.loc, scores);
    scores.assign(choice.getResults().begin(), choice.getResults().end());
  }

  /// F * P and dS of these queries, rounded: left operands (16 queries, 4).
  std::pair<Numbers, Numbers> differentiate(Value firstQuery) {
    Numbers scores = ofKeys.start(queries), along = ofValues.start(gradients), derivatives;
    scores = ofKeys.await(scores, 1);
    if (isMore())
      derivatives = finishScores(firstQuery, scores);
    mask(firstQuery, scores);
    along = ofValues.await(along, 0);
    for (int64_t tile = 0; tile < cut.queries / 8; ++tile) {
      Value own = twoOf(e.f32(), numbers, tile); // - log_sum and D of either query
      SmallVector<Value> factors;
      if (a.dropout)
        factors = factorsOf(firstQuery, tile);
      for (int64_t i = 0; i < 4; ++i) {
        Value &p = scores[tile * 4 + i], &dP = along[tile * 4 + i];
        Value below = e.extract(own, i % 2 * 2), dot = e.extract(own, i % 2 * 2 + 1);
        p = e.exp2(isMore() ? e.addF(p, below) : e.fma(p, factor(), below));
        dP = e.mulF(p, e.subF(a.dropout ? e.mulF(dP, factors[i]) : dP, dot));
        if (!derivatives.empty())
          dP = e.mulF(dP, derivatives[tile * 4 + i]);
        if (a.dropout)
          p = e.mulF(p, factors[i]);
      }
    }
    return {a.pairsOf(scores), a.pairsOf(along)};
  }

  /// What four probabilities are multiplied by.
  SmallVector<Value> factorsOf(Value firstQuery, int64_t tile) {
    SmallVector<Value> factors(4);
    for (int64_t c = 0; c < 2; ++c) {
      Value column = e.add(columnOf(tile), c), key = e.load(e.i64(), at(dropoutKeys, column, 8));
      Value both = a.dropout->factors(key, e.extend(e.sub(e.add(firstQuery, column), keyOf(0))), -8, 2);
      for (int64_t r = 0; r < 2; ++r)
        factors[2 * r + c] = e.extract(both, r);
    }
    return factors;
  }

  Frame &frame;
  Emitter &e;
  TensorSelfAttention a;
  kernel::SelfAttentionBackwardOp op;
  const GradientCut cut;
  Rows keys, values, queries, gradients;
  // Shared memory, of a block's queries: - log_sum and D; first key, and how many up to the row; of each
  // warp's the least and the greatest first key; keys of dropout.
  Value numbers, seen, bounds, dropoutKeys;
  Products ofKeys, ofValues;
  Value keyHead, keyEnd; // of the tile; of the block
  Value warpKey, stage;  // the warp's first key; number of the stage of the queries
};

} // namespace

std::unique_ptr<GradientPart> keyGradients(Frame &frame, kernel::SelfAttentionBackwardOp op,
                                           GradientCut cut) {
  if (cut.isWarpgroup)
    return std::make_unique<KeyGradients<SwizzledRows>>(frame, op, cut);
  return std::make_unique<KeyGradients<HalfRows>>(frame, op, cut);
}

} // namespace sinter::gpu
