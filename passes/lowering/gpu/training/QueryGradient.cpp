// SPDX-License-Identifier: Apache-2.0
// The gradient of attention by queries, with factors rounded to bf16: a tile's queries go through the keys
// that one of them sees, as in the forward pass.
#include "passes/lowering/gpu/training/QueryScores.h"
#include "passes/lowering/gpu/training/SelfAttentionGradients.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

/// By mma.sync queries and gradients are operands in registers, if heads are not too long for it: until then
/// they lie where keys and values come later.
template <typename Rows> class QueryGradient : public GradientPart, QueryScores {
  using Products = WarpProducts<Rows>;

public:
  QueryGradient(Frame &frame, kernel::SelfAttentionBackwardOp op, GradientCut cut)
      : QueryScores(frame, op, cut.ownRows, cut.keys), op(op), cut(cut),
        areKept(!cut.isWarpgroup && cut.shares == 1), stages(cut.shares == 1 ? 2 : 1),
        keys(frame, blockKeys, columnsOf(frame, cut, a.keySize), stages),
        values(frame, blockKeys, columnsOf(frame, cut, a.valueSize), stages), queries(ownRowsLike(keys)),
        gradients(ownRowsLike(values)), dots(frame.allocate(cut.ownRows * 4)), ofQueries(a, queries),
        ofGradients(a, gradients) {}

  void emit(Value keyHead, const SequencePart &part) override {
    a.setSequence(part.sequenceBegin, part.sequenceEnd);
    Value firstHead = e.mul(keyHead, a.group);
    e.loop(firstHead, e.add(firstHead, a.group), 1, [&](Value head) {
      a.setHead(head);
      e.loop(part.begin, part.end, ownRows, [&](Value first) { emitQueries(keyHead, first); });
    });
  }

private:
  Rows ownRowsLike(Rows &streamed) {
    if constexpr (!Products::isWarpgroup)
      if (areKept)
        return HalfRows(streamed, ownRows);
    return Rows(frame, ownRows, streamed.columns);
  }

  void emitQueries(Value keyHead, Value first) {
    e.barrier(); // what the queries before left has been read
    a.bring(queries, a.query, first, a.head, a.keySize);
    a.bring(gradients, op.getGradient(), first, a.head, a.valueSize,
            [&](const TensorSelfAttention::RowPieces &row) {
              a.storeDot(row, op.getOutput(), a.head, e.at(dots, row.row, e.f32()));
              if (op.getDots())
                e.ifThen(e.less(e.add(first, row.row), a.rows), [&] { storeRounded(row); });
            });
    Value begin = e.alignDown(describeRows(first), blockKeys), end = e.min(e.add(first, ownRows), a.rows);
    settle();
    if (op.getDots())
      e.loop(frame.thread, e.min(e.constant(ownRows), e.sub(a.rows, first)), frame.threads, [&](Value row) {
        e.store(e.load(e.f32(), e.at(dots, row, e.f32())),
                a.headOf(op.getDots(), e.add(first, row), a.head, 1));
      });
    Value inBlock = e.sub(firstRow, first);
    minusLogSums.clear(), rowDots.clear();
    for (int64_t r = 0; r < 2; ++r) {
      Value logSum = e.load(e.f32(), a.headOf(op.getLogSum(), a.clamped(row[r]), a.head, 1));
      minusLogSums.push_back(arith::NegFOp::create(e.b, e.loc, logSum));
      rowDots.push_back(e.load(e.f32(), e.at(dots, e.add(inBlock, e.add(a.laneRow(), 8 * r)), e.f32())));
    }
    ofQueries.setRow(inBlock);
    ofGradients.setRow(inBlock);
    if (areKept) {
      ofQueries.keep();
      ofGradients.keep();
      e.barrier(); // where they were come keys and values
    }
    if (stages > 1)
      bringKeys(keyHead, begin);
    Value ownEnd = cut.isWarpgroup
                       ? ownRows > 64 ? e.min(e.add(first, e.add(e.alignDown(inBlock, 64), 64)), a.rows) : end
                       : e.min(e.add(firstRow, 16), a.rows);
    int64_t columns = keys.columns / cut.shares;
    Value column = shareColumn(columns);
    Numbers sums(columns / 8 * 4, e.constantF(e.f32(), 0));
    sums = forEachKeys(
        begin, ownEnd, end, /*isOne=*/true, sums,
        [&](Value firstKey, ValueRange carried) {
          advance(keyHead, firstKey, end);
          typename Products::Sum all[] = {{differentiate(firstKey), keys, column, Numbers(carried)}};
          Products::add(a, all);
          return all[0].sums;
        },
        [&](Value firstKey) { advance(keyHead, firstKey, end); });
    for (Value &sum : sums)
      sum = e.mulF(sum, e.constantF(e.f32(), a.scale));
    a.storeRows(sums, op.getQueryGradient(), firstRow, a.head, a.keySize, column);
  }

  /// What the launch prepares of a row's gradient.
  void storeRounded(const TensorSelfAttention::RowPieces &row) {
    Value to = a.headOf(op.getRoundedGradient(), row.line, e.fresh(a.head), a.valueSize);
    for (const TensorSelfAttention::Piece &piece : row.pieces) {
      auto store = [&] { e.storeNarrow(piece.numbers, e.bf16(), e.at(to, piece.column, e.bf16())); };
      if (gradients.columns > a.valueSize)
        e.ifThen(e.less(piece.column, e.constant(a.valueSize)), store);
      else
        store();
    }
  }

  Value shareColumn(int64_t columns) {
    return cut.shares == 1 ? e.constant(0) : e.mul(e.div(frame.warp(), ownRows / 16), columns);
  }
  void settle() {
    a.awaitCopies();
    if (cut.isWarpgroup)
      fenceAsyncShared(e);
    e.barrier();
  }
  void bringKeys(Value keyHead, Value firstKey) { a.bringKeys(keys, values, firstKey, keyHead); }
  /// Until these keys are there, and the next ones are on their way.
  void advance(Value keyHead, Value firstKey, Value end) {
    if (stages == 1) {
      e.barrier(); // the keys before have been multiplied
      bringKeys(keyHead, firstKey);
      return settle();
    }
    settle();
    Value next = e.add(firstKey, blockKeys);
    e.ifThen(e.less(next, end), [&] { bringKeys(keyHead, next); });
  }

  /// dS of these keys, rounded: left operands (16 keys, 4).
  Numbers differentiate(Value firstKey) {
    keys.setStage(firstKey);
    values.setStage(firstKey);
    Numbers scores = ofQueries.start(keys), along = ofGradients.start(values), derivatives;
    scores = ofQueries.await(scores, 1);
    if (isMore())
      derivatives = finishScores(firstKey, scores);
    mask(firstKey, scores);
    for (auto [i, score] : llvm::enumerate(scores)) {
      Value below = minusLogSums[i % 4 / 2];
      score = e.exp2(isMore() ? e.addF(score, below) : e.fma(score, factor(), below));
    }
    // Weights pass through the wait: they are made before it.
    scores.append(along);
    scores = ofGradients.await(scores, 0);
    along.assign(scores.end() - along.size(), scores.end());
    for (int64_t tile = 0; tile < blockKeys / 8; ++tile)
      for (int64_t r = 0; r < 2; ++r) {
        Value factors = a.dropout ? dropoutFactors(firstKey, tile, r) : Value();
        for (int64_t c = 0; c < 2; ++c) {
          int64_t i = tile * 4 + r * 2 + c;
          Value dP = factors ? e.mulF(along[i], e.extract(factors, c)) : along[i];
          along[i] = e.mulF(scores[i], e.subF(dP, rowDots[r]));
          if (!derivatives.empty())
            along[i] = e.mulF(along[i], derivatives[i]);
        }
      }
    return a.pairsOf(along);
  }

  kernel::SelfAttentionBackwardOp op;
  const GradientCut cut;
  const bool areKept;
  const int64_t stages;
  Rows keys, values, queries, gradients;
  Value dots; // shared memory: D of the block's rows
  Products ofQueries, ofGradients;
  Numbers minusLogSums, rowDots; // of the lane's two rows
};

} // namespace

std::unique_ptr<GradientPart> queryGradient(Frame &frame, kernel::SelfAttentionBackwardOp op,
                                            GradientCut cut) {
  if (cut.isWarpgroup)
    return std::make_unique<QueryGradient<SwizzledRows>>(frame, op, cut);
  return std::make_unique<QueryGradient<HalfRows>>(frame, op, cut);
}

} // namespace sinter::gpu
