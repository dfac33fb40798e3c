// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention_backward: a tile is a key head of a sequence. For each of its query heads, each 64
// queries and each 64 keys, scores are computed again, then with P = 2^(score - log_sum), F what dropout
// multiplied P by (else 1), D = sum of gradient * output:
//   value gradient += (F * P)^T * gradient    dP = gradient * value^T    dS = P * (F * dP - D) * d score / d
//   product query gradient += dS * key                key gradient += dS^T * query
// The same thread always has the same place of a gradient in memory, so they need no barriers.
#include "passes/lowering/gpu/training/SelfAttention.h"

#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/training/TensorSelfAttention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

class Backward {
public:
  Backward(Frame &frame, kernel::SelfAttentionBackwardOp op)
      : frame(frame), e(frame.e), a(frame, op), op(op), weights(frame.allocate(FloatTile::sharedBytes)),
        gradients(frame.allocate(FloatTile::sharedBytes)), turned(frame.allocate(FloatTile::sharedBytes)),
        dots(frame.allocate(SelfAttention::block * 4)), logSums(frame.allocate(SelfAttention::block * 4)) {}

  void emit() {
    forEachTile(frame, op.getGrid(), [&](Value tileHead, Value begin, Value end, Value) {
      keyHead = tileHead;
      a.setSequence(begin, end);
      e.loop(e.constant(0), a.rows, SelfAttention::block, [&](Value first) {
        clear(op.getKeyGradient(), first, keyHead, a.keySize);
        clear(op.getValueGradient(), first, keyHead, a.valueSize);
      });
      Value firstHead = e.mul(keyHead, a.group);
      frame.loopInShared(firstHead, e.add(firstHead, a.group), e.constant(1), [&](Value head) {
        frame.loopInShared(e.constant(0), a.rows, e.constant(SelfAttention::block), [&](Value first) {
          a.setQueries(head, first);
          emitQueries();
        });
      });
    });
  }

private:
  /// Stores 64 columns from `column` on of a head's rows from `first` on, those that there are.
  void store(Value argument, Value first, Value head, int64_t size, Value column, ValueRange sums, bool add) {
    for (int64_t i = 0; i < rowCount; ++i) {
      Value row = e.add(first, a.tile.m(i));
      e.ifThen(e.less(row, a.rows), [&] {
        Value to = a.headOf(argument, row, head, size);
        for (int64_t quad = 0; quad < quadCount; ++quad)
          a.tile.storeQuad(sums[i * quadCount + quad], to, e.add(column, a.tile.n(quad)), size, add);
      });
    }
  }

  void forEachColumn(int64_t size, llvm::function_ref<void(Value column)> body) {
    e.loop(e.constant(0), e.constant(size), FloatTile::side, body);
  }

  void clear(Value argument, Value first, Value head, int64_t size) {
    forEachColumn(size, [&](Value column) {
      store(argument, first, head, size, column, a.tile.zeros(), /*add=*/false);
    });
  }

  void add(Value argument, Value first, Value head, int64_t size, Value left, Value right, Value rightFirst,
           Value rightHead) {
    forEachColumn(size, [&](Value column) {
      store(argument, first, head, size, column,
            a.weighted(left, right, rightFirst, rightHead, size, column, a.tile.zeros()), /*add=*/true);
    });
  }

  void emitQueries() {
    clear(op.getQueryGradient(), a.queryBegin(), a.head, a.keySize);
    a.recall();
    for (int64_t i = 0; i < rowCount; ++i) { // products begin with a barrier
      Value row = a.clamped(a.row[i]), total = dot(row);
      e.ifThen(e.equal(a.tile.column(), e.constant(0)), [&] {
        e.store(total, e.at(dots, a.tile.m(i), e.f32()));
        e.store(e.load(e.f32(), a.headOf(op.getLogSum(), row, a.head, 1)),
                e.at(logSums, a.tile.m(i), e.f32()));
      });
    }
    a.forEachKeys([&](Value firstKey) {
      // P waits in its place in shared memory for dP: registers hold the sums of one product.
      SmallVector<Value> scores =
          a.products(a.query, a.queryBegin(), a.head, a.key, firstKey, keyHead, a.keySize);
      a.recall();
      forEachQuad([&](int64_t i, int64_t quad, int64_t number) {
        Value keys = e.add(firstKey, a.tile.n(quad));
        storeWeights(i, quad, keys, scores[number]);
      });
      SmallVector<Value> along =
          a.products(op.getGradient(), a.queryBegin(), a.head, a.value, firstKey, keyHead, a.valueSize);
      a.recall();
      forEachQuad([&](int64_t i, int64_t quad, int64_t number) {
        along[number] = differentiate(i, quad, e.add(firstKey, a.tile.n(quad)), along[number]);
      });
      a.tile.storeTurned(along, turned);
      e.barrier();
      add(op.getValueGradient(), firstKey, keyHead, a.valueSize, weights, op.getGradient(), a.queryBegin(),
          a.head);
      add(op.getKeyGradient(), firstKey, keyHead, a.keySize, gradients, a.query, a.queryBegin(), a.head);
      add(op.getQueryGradient(), a.queryBegin(), a.head, a.keySize, turned, a.key, firstKey, keyHead);
    });
  }

  /// The sum over the head of gradient * output, of a row of the sequence; the threads that share it come
  /// here together.
  Value dot(Value row) {
    int64_t w = neighbours(a.valueSize);
    Value g = a.headOf(op.getGradient(), row, a.head, a.valueSize),
          o = a.headOf(op.getOutput(), row, a.head, a.valueSize);
    Value sums =
        e.loop(e.mul(a.tile.column(), w), e.constant(a.valueSize), 8 * w, e.zeros(w),
               [&](Value column, ValueRange carried) {
                 auto load = [&](Value base) { return e.loadWide(e.f32(), w, e.at(base, column, e.f32())); };
                 return SmallVector<Value>{e.fma(load(g), load(o), carried[0])};
               })
            .front();
    Value total = elementsCombined(e, vector::CombiningKind::ADD, sums);
    for (int64_t mask = 4; mask >= 1; mask /= 2)
      total = e.addF(total, e.shuffleXor(total, mask));
    return total;
  }

  void forEachQuad(llvm::function_ref<void(int64_t row, int64_t quad, int64_t number)> body) {
    for (int64_t i = 0; i < rowCount; ++i)
      for (int64_t quad = 0; quad < quadCount; ++quad)
        body(i, quad, i * quadCount + quad);
  }
  Value placeOf(Value shared, int64_t i, int64_t quad) {
    return a.tile.place(shared, a.tile.m(i), a.tile.n(quad));
  }

  /// P, zero where the row does not see the key, and where scores are capped 1 - tanh^2.
  void storeWeights(int64_t i, int64_t quad, Value keys, Value products) {
    Value logSum = e.load(e.f32(), e.at(logSums, a.tile.m(i), e.f32()));
    Value capped, score = a.score(products, i, keys, &capped);
    Value p = e.exp2(e.subF(score, e.splat(logSum, 4)));
    e.storeAligned(e.select(a.sees(i, keys), p, e.zeros(4)), placeOf(weights, i, quad));
    if (capped)
      e.storeAligned(e.subF(e.constantF(e.vec(4), 1), e.mulF(capped, capped)), placeOf(gradients, i, quad));
  }

  /// P becomes F * P, where P was; gives dS from dP, and stores it, too.
  Value differentiate(int64_t i, int64_t quad, Value keys, Value along) {
    Value d = e.load(e.f32(), e.at(dots, a.tile.m(i), e.f32()));
    Value p = e.loadWide(e.f32(), 4, placeOf(weights, i, quad));
    if (a.dropout) {
      Value factors = a.dropoutFactors(i, keys);
      along = e.mulF(along, factors);
      e.storeAligned(e.mulF(p, factors), placeOf(weights, i, quad));
    }
    along = e.mulF(e.mulF(p, e.subF(along, e.splat(d, 4))), e.constantF(e.vec(4), a.scale));
    if (a.cap > 0)
      along = e.mulF(along, e.loadWide(e.f32(), 4, placeOf(gradients, i, quad)));
    e.storeAligned(along, placeOf(gradients, i, quad));
    return along;
  }

  Frame &frame;
  Emitter &e;
  SelfAttention a;
  kernel::SelfAttentionBackwardOp op;
  Value weights, gradients, turned; // shared memory: F * P and dS as (query, key), dS as (key, query)
  Value dots, logSums;              // shared memory: of the 64 rows
  Value keyHead;                    // of the tile
};

} // namespace

LogicalResult emitSelfAttentionBackward(Frame &frame, kernel::SelfAttentionBackwardOp op) {
  if (fitsTensorSelfAttention(op)) {
    emitTensorSelfAttentionBackward(frame, op);
    return success();
  }
  if (!op.isWhole())
    return op.emitOpError() << "expected whole sequences in tiles where factors are not rounded, found "
                            << op.getRowsPerTile() << " rows";
  if (!op.makesKeys()) // the launch behind one that prepares makes all
    return success();
  frame.threads = FloatTile::threads;
  frame.blocksPerSm = 3; // by shared memory
  frame.isCrowded = true;
  frame.limitsRegisters =
      false; // ptxas for sm_90a spills 16 bytes where it is told, and none where it chooses
  Backward(frame, op).emit();
  return success();
}

} // namespace sinter::gpu
