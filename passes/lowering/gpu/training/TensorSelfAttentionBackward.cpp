// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention_backward with factors rounded to bf16, as FlashAttention-2 goes (Dao 2023,
// arXiv:2307.08691, algorithm 2). A tile is a key head of a sequence: for each 64 keys, all its query heads
// and the queries that see one of them. With P = 2^(score - log_sum), F what dropout multiplied P by (else
// 1), D = sum of gradient * output:
//   value gradient += (F * P)^T * gradient    dP = gradient * value^T    dS = P * (F * dP - D) * d score / d
//   product query gradient += dS * key                key gradient += dS^T * query
//
// Scores are made as (key, query), 16 keys a warp: so F * P and dS are left operands of the sums for values
// and keys as they stand, and these stay in registers. dS alone goes through shared memory, to the sums for
// queries. The same thread always has the same place of those in memory, so they need no barriers.
//
// Products are those of mma.sync or, on sm_90a for heads of up to 128, of wgmma: 64 keys, or 64 queries in
// the sums for queries, are a warpgroup's. The accumulators lie alike, so all between products is the same.
#include "passes/lowering/Anchors.h"
#include "passes/lowering/SelfAttentionScores.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/training/SwizzledRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <cmath>

using namespace mlir;

namespace sinter::gpu {
namespace {

/// How heads up to a size are cut: sums of 16 keys by a head are as many registers as it is long.
struct HeadCut {
  int64_t queries; // of a block
  int64_t shares;  // warps that share 16 keys, each with a part of the head
  int64_t columns; // that heads are filled up to a multiple of, with zeros
};
HeadCut cutOf(int64_t size) {
  return size <= 64 ? HeadCut{64, 1, 16} : size <= 128 ? HeadCut{32, 1, 32} : HeadCut{16, 2, 128};
}

/// `Rows`: SwizzledRows where products are those of wgmma, else HalfRows.
template <typename Rows> class TensorBackward {
public:
  static constexpr int64_t blockKeys = TensorSelfAttention::block, keyTiles = blockKeys / 16;
  static constexpr bool isWarpgroup = std::is_same_v<Rows, SwizzledRows>;
  static constexpr int64_t warpgroupRows = 64; // of products of a warpgroup

  TensorBackward(Frame &frame, kernel::SelfAttentionBackwardOp op, HeadCut cut)
      : frame(frame), e(frame.e), a(frame, op), op(op), cut(cut),
        keys(frame, blockKeys, llvm::alignTo(a.keySize, cut.columns)),
        values(frame, blockKeys, llvm::alignTo(a.valueSize, cut.columns)),
        queries(frame, cut.queries, keys.columns), gradients(frame, cut.queries, values.columns),
        differences(frame, blockKeys, isWarpgroup ? warpgroupRows : cut.queries),
        firstSeen(frame.allocate(cut.queries * 4)), reaches(frame.allocate(cut.queries * 4)),
        logSums(frame.allocate(cut.queries * 4)), dots(frame.allocate(cut.queries * 4)),
        lowest(frame.allocate(4 * 2)), kept(frame.allocate(4 * 8)) {
    if (a.dropout)
      dropoutKeys = frame.allocate(cut.queries * 8);
  }

  void emit() {
    if (areFew()) {
      clearDifferences();
      zero = frame.allocate(4);
      e.ifThen(e.equal(frame.thread, e.constant(0)), [&] { e.store(e.constant(0), zero); });
    }
    forEachTile(frame, op.getGrid(), [&](Value column, Value begin, Value end, Value) {
      keyHead = op.isWhole() ? column : e.rem(column, a.keyHeads);
      SequencePart part = partOf(frame, op.getSequence(), op.getRowsPerTile(), begin, end);
      a.setSequence(part.sequenceBegin, part.sequenceEnd);
      keep(0, ofTile);
      auto emitAllKeys = [&] {
        frame.loopInShared(part.begin, part.end, e.constant(blockKeys),
                           [&](Value first) { emitKeys(first); });
      };
      if (op.isWhole())
        return emitAllKeys();
      auto choice =
          scf::IfOp::create(e.b, e.loc, e.less(column, e.constant(a.keyHeads)), /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(choice.elseBlock());
      emitQueriesAlone(part.mirrored(e));
      e.b.setInsertionPointToStart(choice.thenBlock());
      emitAllKeys();
    });
  }

private:
  /// Numbers of the tile, of the block of keys and of that of queries: in shared memory while products are
  /// made.
  std::array<Value *, 7> numbers() {
    return {&keyHead, &a.rowBegin, &a.rows, &firstKey, &keyEnd, &a.head, &blockRow};
  }
  static constexpr size_t ofTile = 3, ofKeys = 5; // the first of them, and those of keys, too
  void keep(size_t from, size_t to) {
    e.ifThen(e.equal(frame.thread, e.constant(0)), [&] {
      for (size_t i = from; i < to; ++i)
        e.store(*numbers()[i], e.at(kept, i, e.i32()));
      if (to > ofKeys) // 0 stands for none: LLVM loads all by fours
        e.store(a.slopes ? a.slope : e.constantF(e.f32(), 0), e.at(kept, to, e.f32()));
    });
  }
  /// By all threads, behind a barrier: which queries of which head follow.
  void setQueries(Value head, Value firstRow) {
    a.setHead(head);
    blockRow = firstRow;
    keep(ofKeys, numbers().size());
    describeRows(firstRow);
  }
  void recall(size_t count = ofKeys) {
    for (size_t i = 0; i < count; ++i)
      *numbers()[i] = e.load(e.i32(), e.at(kept, i, e.i32()));
    if (a.slopes && count > ofKeys)
      a.slope = e.load(e.f32(), e.at(kept, count, e.f32()));
    Value thread = e.fresh(frame.thread), warp = e.div(thread, warpSize), lane = e.rem(thread, warpSize);
    warpKey = e.mul(e.rem(warp, keyTiles), 16);
    share = e.div(warp, keyTiles);
    if constexpr (isWarpgroup)
      if (areFew()) {
        Value none = e.load(e.i32(), zero);
        for (Rows *each : {&keys, &values, &queries, &gradients, &differences})
          each->setZero(none);
      }
    laneRow = e.div(lane, 4);
    laneColumn = e.mul(e.rem(lane, 4), 2);
  }
  void recallAll() { recall(numbers().size()); }

  /// Loops whose numbers are those that setQueries() keeps: each turn has set queries. Their ends are made
  /// again, too, from what is kept.
  Numbers loopKept(Value begin, llvm::function_ref<Value()> end, ValueRange carried,
                   Emitter::CarriedBody body, llvm::function_ref<Value()> next) {
    SmallVector<Value> state{begin, end()};
    llvm::append_range(state, carried);
    SmallVector<Type> types(ValueRange(state).getTypes());
    SmallVector<Location> locations(types.size(), e.loc);
    auto loop = scf::WhileOp::create(e.b, e.loc, types, state);
    OpBuilder::InsertionGuard guard(e.b);
    Block *before = e.b.createBlock(&loop.getBefore(), {}, types, locations);
    ValueRange numbers = before->getArguments();
    scf::ConditionOp::create(e.b, e.loc, e.less(numbers[0], numbers[1]), numbers);
    Block *inside = e.b.createBlock(&loop.getAfter(), {}, types, locations);
    ValueRange arguments = inside->getArguments();
    SmallVector<Value> after = body(arguments[0], arguments.drop_front(2));
    recallAll();
    SmallVector<Value> yielded{next(), end()};
    llvm::append_range(yielded, after);
    scf::YieldOp::create(e.b, e.loc, yielded);
    return Numbers(loop.getResults().drop_front(2));
  }
  Numbers forEachHead(ValueRange carried, Emitter::CarriedBody body) {
    recall();
    return loopKept(
        e.mul(keyHead, a.group), [&] { return e.mul(e.add(keyHead, 1), a.group); }, carried, body,
        [&] { return e.add(a.head, 1); });
  }
  Numbers forEachQueries(Value begin, llvm::function_ref<Value()> end, ValueRange carried,
                         Emitter::CarriedBody body) {
    return loopKept(begin, end, carried, body, [&] { return e.add(blockRow, cut.queries); });
  }

  void emitKeys(Value first) {
    e.barrier(); // the keys before have been multiplied
    recall(ofTile);
    firstKey = first;
    keyEnd = e.min(e.add(first, blockKeys), a.rows);
    keep(ofTile, ofKeys);
    e.barrier();
    recall();
    bringKeys(firstKey);
    // Of values, then of keys.
    Numbers sums((valueColumns() + keyColumns()) / 8 * 4, e.constantF(e.f32(), 0));
    sums = forEachHead(sums, [&](Value head, ValueRange before) {
      auto end = [&] { // rows behind see none of these keys
        return a.window ? e.min(a.rows, e.add(keyEnd, a.window - 1)) : a.rows;
      };
      recall();
      return forEachQueries(firstKey, end, before, [&](Value firstRow, ValueRange carried) {
        return emitQueries(head, firstRow, carried);
      });
    });
    recall();
    ArrayRef<Value> all(sums), ofValues = all.take_front(valueColumns() / 8 * 4);
    Value row = e.add(firstKey, warpKey);
    a.storeRows(ofValues, op.getValueGradient(), row, keyHead, a.valueSize, e.mul(share, valueColumns()),
                /*adds=*/false);
    a.storeRows(all.drop_front(ofValues.size()), op.getKeyGradient(), row, keyHead, a.keySize,
                e.mul(share, keyColumns()), /*adds=*/false);
  }

  /// Whether registers are: sums of a thread are as long as a head.
  bool areFew() const { return isWarpgroup && cut.queries < warpgroupRows; }
  /// Of the warp's sums.
  int64_t valueColumns() const { return values.columns / cut.shares; }
  int64_t keyColumns() const { return keys.columns / cut.shares; }

  Numbers emitQueries(Value head, Value firstRow, ValueRange carried) {
    e.barrier(); // what the queries before left has been read
    recall();
    setQueries(head, firstRow);
    e.barrier();
    recallAll();
    SmallVector<Type> types(carried.getTypes());
    Value areSeen = e.less(leastSeen(), keyEnd);
    auto choice = scf::IfOp::create(e.b, e.loc, types, areSeen, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, carried);
    e.b.setInsertionPointToStart(choice.thenBlock());
    scf::YieldOp::create(e.b, e.loc, addQueries(carried));
    return Numbers(choice.getResults());
  }

  /// The first key that one of the described rows sees.
  Value leastSeen() {
    Value least = e.load(e.i32(), lowest);
    return cut.queries > warpSize ? e.min(least, e.load(e.i32(), e.at(lowest, 1, e.i32()))) : least;
  }

  /// What the queries from `firstRow` on see, for all threads; a thread has a row.
  void describeRows(Value firstRow) {
    int64_t warps = llvm::divideCeil(cut.queries, warpSize);
    Value thread = e.fresh(frame.thread), inWarps = e.div(thread, warpSize);
    e.ifThen(e.less(inWarps, e.constant(warps)), [&] {
      Value slot = e.min(thread, e.constant(cut.queries - 1)), row = e.add(firstRow, slot);
      Value inside = a.clamped(row), sees = a.firstKeyOf(inside), least = sees;
      for (int64_t mask = warpSize / 2; mask >= 1; mask /= 2)
        least = e.min(least, e.shuffleXor(least, mask));
      e.ifThen(e.equal(e.rem(thread, warpSize), e.constant(0)),
               [&] { e.store(least, e.at(lowest, inWarps, e.i32())); });
      e.ifThen(e.less(thread, e.constant(cut.queries)), [&] {
        auto put = [&](Value value, Value to) { e.store(value, e.at(to, slot, value.getType())); };
        put(sees, firstSeen);
        Value reach = e.sub(e.add(row, 1), sees);
        put(e.select(e.less(row, a.rows), reach, e.constant(0)), reaches);
        Value logSum = e.load(e.f32(), a.headOf(op.getLogSum(), inside, e.fresh(a.head), 1));
        put(arith::NegFOp::create(e.b, e.loc, logSum), logSums);
        if (a.dropout)
          put(a.dropoutKeyOf(inside), dropoutKeys);
      });
    });
  }

  void bringKeys(Value first) {
    a.bring(keys, a.key, first, keyHead, a.keySize);
    if (areFew()) // no number of the values is loaded before
      e.warpBarrier();
    a.bring(values, a.value, first, keyHead, a.valueSize);
  }
  /// What was brought is there for the products of all warps.
  void publish() {
    a.awaitCopies();
    if (isWarpgroup)
      fenceAsyncShared(e);
    e.barrier();
  }

  void fetchQueries() {
    a.bring(queries, a.query, blockRow, a.head, a.keySize);
    TensorSelfAttention::Pieces pieces = a.fetch(gradients, op.getGradient(), blockRow, a.head, a.valueSize);
    a.put(gradients, pieces);
    storeDots(pieces);
  }

  /// Adds products of left operands F * P and dS, and gradients and queries.
  void addProducts(Numbers &pairs, Numbers &differencePairs, Numbers &ofValues, Numbers &ofKeys) {
    if constexpr (isWarpgroup) {
      Registers all(pairs);
      for (Numbers *more : {&differencePairs, &ofValues, &ofKeys})
        llvm::append_range(all, *more);
      all = fenceRegisters(e, all);
      size_t count = pairs.size(), values = ofValues.size();
      ValueRange of(all), left = of.take_front(2 * count);
      Registers sums = Rows::startSums(left.take_front(count), gradients, of.slice(2 * count, values));
      llvm::append_range(sums,
                         Rows::startSums(left.drop_front(count), queries, of.drop_front(2 * count + values)));
      sums = waitProducts(e, sums, left);
      ofValues.assign(sums.begin(), sums.begin() + values);
      ofKeys.assign(sums.begin() + values, sums.end());
    } else {
      auto leftOf = [](Numbers &pairs) {
        return [&](int64_t step) {
          return Four{pairs[4 * step], pairs[4 * step + 1], pairs[4 * step + 2], pairs[4 * step + 3]};
        };
      };
      a.addWeighted(leftOf(pairs), gradients, e.mul(share, valueColumns()), ofValues);
      a.addWeighted(leftOf(differencePairs), queries, e.mul(share, keyColumns()), ofKeys);
    }
  }

  /// F * P and dS of the queries and keys in shared memory, rounded: left operands (16 queries, 4).
  std::pair<Numbers, Numbers> differentiate() {
    // Where registers are few P is rounded before dP is made, and then has the factors that dS gets besides.
    // What dropout left out has a negative one of those: so no other register says it.
    Numbers weights, along;
    auto startAlong = [&] {
      if constexpr (isWarpgroup) {
        Registers registers(queries.rows / 2, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
        along = Rows::startProducts(values, gradients, fenceRegisters(e, registers));
      }
    };
    if constexpr (isWarpgroup) {
      Registers registers(queries.rows / 2, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
      weights = Rows::startProducts(keys, queries, fenceRegisters(e, registers));
      if (!areFew())
        startAlong();
      weights = waitProducts(e, weights, {}, /*pending=*/areFew() ? 0 : 1);
    } else {
      weights = a.multiplyRows(keys, warpKey, queries);
    }
    Numbers slopes = weights;
    forEachPair([&](int64_t number, Value column, Value row) {
      Value first = two(e.i32(), firstSeen, column), reach = two(e.i32(), reaches, column),
            logSum = two(e.f32(), logSums, column);
      SmallVector<Value> factors;
      if (a.dropout)
        factors = factorsOf(column, row);
      for (int64_t i = 0; i < 4; ++i) {
        int64_t c = i % 2;
        Value ofKey = keyOf(i / 2), derivative, &p = weights[number + i];
        p = weight(p, e.add(row, c), ofKey, e.extract(logSum, c), derivative);
        // first <= key <= row: one unsigned comparison.
        Value sees = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult,
                                           e.sub(ofKey, e.extract(first, c)), e.extract(reach, c));
        p = e.select(sees, p, e.constantF(e.f32(), 0));
        Value &slope = slopes[number + i];
        slope = e.mulF(p, e.constantF(e.f32(), std::abs(a.scale)));
        if (derivative)
          slope = e.mulF(slope, derivative);
        if (!a.dropout)
          continue;
        p = e.mulF(p, factors[i]);
        Value isLeftOut = compare(arith::CmpFPredicate::OEQ, factors[i]);
        slope = e.select(isLeftOut, arith::NegFOp::create(e.b, e.loc, slope), slope);
      }
    });
    Numbers pairs = a.pairsOf(weights);
    if constexpr (isWarpgroup) {
      if (areFew())
        startAlong();
      along = waitProducts(e, along, {});
    } else {
      along = a.multiplyRows(values, warpKey, gradients);
    }
    forEachPair([&](int64_t number, Value column, Value) {
      Value d = two(e.f32(), dots, column);
      for (int64_t i = 0; i < 4; ++i) {
        Value &dP = along[number + i], slope = slopes[number + i];
        if (a.dropout) {
          Value isLeftOut = compare(arith::CmpFPredicate::OLT, slope);
          dP = e.select(isLeftOut, e.constantF(e.f32(), 0), e.mulF(dP, a.dropout->kept()));
          slope = math::AbsFOp::create(e.b, e.loc, slope);
        }
        Value dot = e.extract(d, i % 2);
        dP = e.mulF(slope, a.scale < 0 ? e.subF(dot, dP) : e.subF(dP, dot));
      }
    });
    return {pairs, a.pairsOf(along)};
  }

  /// With 0.
  Value compare(arith::CmpFPredicate how, Value number) {
    return arith::CmpFOp::create(e.b, e.loc, how, number, e.constantF(e.f32(), 0));
  }

  /// The sums of the block of keys with those of the queries added.
  Numbers addQueries(ValueRange carried) {
    fetchQueries();
    publish();
    recallAll();
    Numbers ofValues(carried.take_front(valueColumns() / 8 * 4)), ofKeys(carried.drop_front(ofValues.size()));
    auto [pairs, differencePairs] = differentiate();
    if (op.isWhole())
      storeDifferences(differencePairs);
    addProducts(pairs, differencePairs, ofValues, ofKeys);
    if (op.isWhole()) {
      publish();
      recallAll();
      addQueryGradient();
    }
    ofValues.append(ofKeys);
    return ofValues;
  }

  /// The gradients by queries of a tile that leaves those by its keys to another one.
  void emitQueriesAlone(SequencePart part) {
    firstKey = part.begin, keyEnd = part.end; // here the tile's rows
    keep(ofTile, ofKeys);
    e.barrier();
    forEachHead({}, [&](Value head, ValueRange) {
      recall();
      return forEachQueries(
          firstKey, [&] { return keyEnd; }, {},
          [&](Value firstRow, ValueRange) {
            emitQueryGradient(head, firstRow);
            return Numbers();
          });
    });
  }

  /// The gradient by some queries, with all keys that they see.
  void emitQueryGradient(Value head, Value firstRow) {
    e.barrier(); // what the queries before left has been read
    recall();
    setQueries(head, firstRow);
    fetchQueries();
    publish();
    recallAll();
    Value begin = e.alignDown(leastSeen(), blockKeys), end = e.min(e.add(blockRow, cut.queries), a.rows);
    Numbers sums(shareOfQueries().columns / 8 * 4, e.constantF(e.f32(), 0));
    sums = e.loop(begin, end, blockKeys, sums, [&](Value first, ValueRange before) {
      recallAll();
      bringKeys(first);
      publish();
      recallAll();
      firstKey = first;
      storeDifferences(differentiate().second);
      publish();
      Numbers next(before);
      addToQueries(next);
      e.barrier(); // all keys have been multiplied
      return next;
    });
    recallAll();
    storeQueries(sums, /*adds=*/false);
  }

  /// D of rows whose gradients are `pieces`.
  void storeDots(const TensorSelfAttention::Pieces &pieces) {
    Value head = e.fresh(a.head);
    for (size_t first = 0; first < pieces.all.size(); first += pieces.perRow) {
      Value total;
      for (const TensorSelfAttention::Piece &piece : ArrayRef(pieces.all).slice(first, pieces.perRow)) {
        Value output = a.headOf(op.getOutput(), piece.line, head, a.valueSize);
        int64_t w = cast<VectorType>(piece.numbers.getType()).getDimSize(0);
        Value products = e.mulF(piece.numbers, e.loadWide(e.f32(), w, e.at(output, piece.from, e.f32())));
        Value sum = elementsCombined(e, vector::CombiningKind::ADD, products);
        total = total ? e.addF(total, sum) : sum;
      }
      for (int64_t mask = pieces.lanes / 2; mask >= 1; mask /= 2)
        total = e.addF(total, e.shuffleXor(total, mask));
      e.ifThen(e.equal(e.rem(e.fresh(frame.thread), pieces.lanes), e.constant(0)),
               [&] { e.store(total, e.at(dots, pieces.all[first].row, e.f32())); });
    }
  }

  /// Calls `body` for each four products of the lane: their first number, the first of their two queries in
  /// the block, and its row.
  void forEachPair(llvm::function_ref<void(int64_t number, Value column, Value row)> body) {
    for (int64_t tile = 0; tile < cut.queries / 8; ++tile) {
      Value column = e.add(laneColumn, tile * 8);
      body(tile * 4, column, e.add(blockRow, column));
    }
  }
  Value two(Type type, Value numbers, Value column) {
    return e.loadAligned(e.vec(2, type), e.at(numbers, column, type));
  }
  /// The lane's key r of its two.
  Value keyOf(int64_t r) { return e.add(e.add(firstKey, e.add(warpKey, laneRow)), 8 * r); }

  /// P of a product, whether the row sees the key or not; `derivative`, where scores are capped, is 1 -
  /// tanh^2.
  Value weight(Value product, Value row, Value ofKey, Value minusLogSum, Value &derivative) {
    Value factor = e.constantF(e.f32(), scoreFactor(a.scale, a.cap));
    if (a.cap <= 0 && !a.slope)
      return e.exp2(e.fma(product, factor, minusLogSum));
    Value capped, score = selfAttentionScores(e, e.splat(e.mulF(product, factor), 1), a.cap, a.slope,
                                                   row, ofKey, &capped);
    if (capped) {
      capped = e.extract(capped, 0);
      derivative = e.subF(e.constantF(e.f32(), 1), e.mulF(capped, capped));
    }
    return e.exp2(e.addF(e.extract(score, 0), minusLogSum));
  }

  /// What four probabilities were multiplied by.
  SmallVector<Value> factorsOf(Value column, Value row) {
    SmallVector<Value> factors(4);
    for (int64_t c = 0; c < 2; ++c) {
      Value key = e.load(e.i64(), e.at(dropoutKeys, e.add(column, c), e.i64()));
      Value both = a.dropout->factors(key, e.extend(e.sub(e.add(row, c), keyOf(0))), -8, 2);
      for (int64_t r = 0; r < 2; ++r)
        factors[2 * r + c] = e.extract(both, r);
    }
    return factors;
  }

  /// Queries that a block does not have, but products of a warpgroup: zeros.
  void clearDifferences() {
    constexpr int64_t piece = 8;
    int64_t pieces = (warpgroupRows - cut.queries) / piece * blockKeys;
    e.loop(frame.thread, e.constant(pieces), frame.threads, [&](Value i) {
      Value column = e.add(e.mul(e.div(i, blockKeys), piece), cut.queries);
      e.storeNarrow(e.zeros(piece), e.bf16(), differences.place(e.rem(i, blockKeys), column));
    });
  }

  /// dS as (key, query); warps that share keys have the same.
  void storeDifferences(const Numbers &pairs) {
    e.ifThen(e.equal(share, e.constant(0)), [&] {
      Value row = e.add(warpKey, laneRow);
      for (int64_t number = 0; number < static_cast<int64_t>(pairs.size()); ++number)
        e.store(pairs[number],
                differences.place(e.add(row, number % 2 * 8), e.add(laneColumn, number / 2 * 8)));
    });
  }

  /// Of the sums for queries, the warp's: the first of 16 rows in the block, and columns.
  struct QueryShare {
    Value row, column;
    int64_t columns;
  };
  QueryShare shareOfQueries() {
    if (isWarpgroup)
      return {e.mul(e.div(e.fresh(frame.thread), warpSize), 16), e.constant(0), keys.columns};
    int64_t tiles = cut.queries / 16, columns = keys.columns / (frame.warps() / tiles);
    Value warp = e.div(e.fresh(frame.thread), warpSize);
    return {e.mul(e.rem(warp, tiles), 16), e.mul(e.div(warp, tiles), columns), columns};
  }
  void addToQueries(Numbers &sums) {
    if constexpr (isWarpgroup) {
      sums = fenceRegisters(e, sums);
      Value left = differences.asColumns(), right = keys.asColumns();
      for (int64_t step = 0; step < blockKeys / 16; ++step)
        sums = multiplyShared(e, e.bf16(), differences.columnsAt(left, step), keys.columnsAt(right, step), {},
                              sums, /*isLeftTransposed=*/true, /*isRightTransposed=*/true);
      commitProducts(e);
      sums = waitProducts(e, sums, {});
      return;
    } else {
      addToQueriesBySync(sums);
    }
  }
  void addToQueriesBySync(Numbers &sums) {
    QueryShare own = shareOfQueries();
    differences.lane = e.fresh(frame.lane());
    a.addWeighted([&](int64_t step) { return differences.leftTurned(step * 16, own.row); }, keys, own.column,
                  sums);
  }
  void storeQueries(ValueRange sums, bool adds) {
    QueryShare own = shareOfQueries();
    auto store = [&] { storeShare(own, sums, adds); };
    if (areFew())
      return e.ifThen(e.less(own.row, e.constant(cut.queries)), store);
    store();
  }
  void storeShare(const QueryShare &own, ValueRange sums, bool adds) {
    a.storeRows(sums, op.getQueryGradient(), e.add(blockRow, own.row), a.head, a.keySize, own.column, adds);
  }

  /// The sums for queries of this block of keys: stored where it is the first one that a row sees, else
  /// added.
  void addQueryGradient() {
    Numbers sums(shareOfQueries().columns / 8 * 4, e.constantF(e.f32(), 0));
    addToQueries(sums);
    auto choice = scf::IfOp::create(e.b, e.loc, e.less(leastSeen(), firstKey), /*withElseRegion=*/true);
    for (bool adds : {true, false}) {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(adds ? choice.thenBlock() : choice.elseBlock());
      storeQueries(sums, adds);
    }
  }

  Frame &frame;
  Emitter &e;
  TensorSelfAttention a;
  kernel::SelfAttentionBackwardOp op;
  const HeadCut cut;
  Rows keys, values, queries, gradients, differences; // of the block; dS as (key, query)
  // Shared memory, of the block's queries: the first key, how many keys up to the row, - log_sum, D; keys of
  // dropout; the first key of a row of each warp's.
  Value firstSeen, reaches, logSums, dots, lowest, kept, dropoutKeys, zero;
  Value keyHead, firstKey, keyEnd, blockRow; // of the tile; of the block of keys, of that of queries
  Value warpKey, share;      // the warp's first key in the block; which part of the head is its own
  Value laneRow, laneColumn; // the lane's g and 2t
};

} // namespace

void emitTensorSelfAttentionBackward(Frame &frame, kernel::SelfAttentionBackwardOp op) {
  int64_t keySize = op.getQuery().getType().getColumns() / op.getHeads(),
          valueSize = op.getValue().getType().getColumns() / op.getKvHeads();
  int64_t longest = std::max(keySize, valueSize);
  bool isWarpgroup = frame.e.architecture == Architecture::Sm90 && longest <= 128;
  HeadCut cut = cutOf(longest);
  frame.threads = TensorSelfAttention::block / 16 * cut.shares * warpSize;
  frame.blocksPerSm = cut.shares == 1 ? 2 : 1;
  frame.isCrowded = true;
  if (isWarpgroup)
    return TensorBackward<SwizzledRows>(frame, op, cut).emit();
  TensorBackward<HalfRows>(frame, op, cut).emit();
}

} // namespace sinter::gpu
