// SPDX-License-Identifier: Apache-2.0
// kernel.peaks and kernel.sample: a token drawn from logits where they lie, the one that the host's sampler
// draws (runtime/generate/Sampler.cpp).
//
// A candidate is one number of 64 bits, the bits of its logit made to be ordered like integers above the
// complement of its id: the greater number is the better candidate, and no two are equal. So whatever filters
// keep is all candidates from some `floor` on. A warp looks at the logits of a chunk, and passes over chunks
// whose peak is below what is looked for: few are left once a filter is known.
//
// A filter that keeps a number of candidates or a share of their weight finds its floor by radix selection
// (Alabi et al., "Fast k-selection algorithms for graphics processing units", 2012): candidates of an
// interval are counted in 2048 buckets of equal width, then the interval becomes the bucket with the last one
// to keep, until what is kept of a bucket is all of it. A first bound makes the interval short: of k
// candidates the k-th greatest peak, of a share what all logits of the vocabulary cannot reach together.
//
// Weights are integers (struct sinter_sampling), so that atomic additions give one sum in any order; in
// shared memory they are two words, the lower one's carry added to the upper, as there is no atomic addition
// of 64 bits. The token is found by two prefix sums, over chunks and over the logits of one.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t bucketBits = 11, buckets = int64_t(1) << bucketBits;
/// Loads of a lane before the first is needed.
constexpr int64_t inFlight = 8;
constexpr double infinity = std::numeric_limits<double>::infinity();

class TokenDraw {
public:
  TokenDraw(Frame &frame, kernel::SampleOp op);
  void run(Value draw);

private:
  struct Place {
    Value index;  // i32: the item in which a place lies
    Value before; // i64: what the items before it amount to
    Value total;  // i64: what all do
  };
  using Each = llvm::function_ref<Value(Value logit, Value candidate, Value isIn, Value sum)>;

  //--- integers of 64 bits. Candidates use all of them: differences of two wrap around. Weights are sums
  //below
  // 2^63
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(e.b, e.loc, predicate, a, b);
  }
  Value less(Value a, Value b) { return compare(arith::CmpIPredicate::ult, a, b); }
  Value notLess(Value a, Value b) { return compare(arith::CmpIPredicate::uge, a, b); }
  Value greatest(Value a, Value b) { return e.select(less(a, b), b, a); }
  Value zeroExtend(Value a) { return arith::ExtUIOp::create(e.b, e.loc, e.i64(), a); }
  Value lower(Value a) { return arith::TruncIOp::create(e.b, e.loc, e.i32(), a); }
  Value upper(Value a) { return lower(e.shiftRight(a, 32)); }
  Value join(Value low, Value high) { return e.bitOr(e.shiftLeft(zeroExtend(high), 32), zeroExtend(low)); }
  Value shuffle(NVVM::ShflKind kind, Value word, int64_t distance) {
    // The last operand: lanes that a value comes from end at 0 (up) or 31.
    int64_t clamp = kind == NVVM::ShflKind::up ? 0 : warpSize - 1;
    return NVVM::ShflOp::create(e.b, e.loc, word.getType(), e.constant(-1), word, e.constant(distance),
                                e.constant(clamp), kind, UnitAttr());
  }
  Value shuffleWide(NVVM::ShflKind kind, Value a, int64_t distance) {
    return join(shuffle(kind, lower(a), distance), shuffle(kind, upper(a), distance));
  }
  std::pair<Value, Value> product(Value a, Value b) {
    auto op = arith::MulUIExtendedOp::create(e.b, e.loc, a, b);
    return {op.getLow(), op.getHigh()};
  }
  Value atomicAdd(Value words, Value index, Value amount) {
    return LLVM::AtomicRMWOp::create(e.b, e.loc, LLVM::AtomicBinOp::add, e.at(words, index, e.i32()), amount,
                                     LLVM::AtomicOrdering::monotonic, "block");
  }
  /// `then` or `otherwise`, one of which is run.
  Value either(Value condition, llvm::function_ref<Value()> then, llvm::function_ref<Value()> otherwise);

  //--- candidates
  Value keyOf(Value logit);
  Value candidate(Value logit, Value id);
  /// The least candidate with this logit.
  Value leastOf(Value logit) { return e.shiftLeft(zeroExtend(keyOf(logit)), 32); }
  Value weight(Value logit, Value scale);
  Value isToken(Value id) { return vocabulary % chunk ? e.less(id, e.constant(vocabulary)) : Value(); }
  Value loadLogit(Value id) {
    return e.load(e.f32(), e.at(logits, e.min(id, e.constant(vocabulary - 1)), e.f32()));
  }

  //--- what all threads do together
  Value readPeaks(Value row);
  void visit(Value floor, Each each, llvm::function_ref<void(Value chunk, Value sum)> afterChunk);
  void sumChunks(Value floor, Value scale);
  Place locate(int64_t perThread, llvm::function_ref<SmallVector<Value>(Value first)> amounts,
               llvm::function_ref<Value(Value total)> place);
  Place locateChunk(llvm::function_ref<Value(Value total)> place);
  Value peakBound(Value count);
  Value neededWeight(Value floor, Value scale, Value share);
  Value applyFilter(Value filter, Value floor);
  Value narrow(Value isCount, Value target, Value scale, Value bound, Value floor);
  Value random();
  Value choose(Value floor);

  template <typename T> Value field(Value base, T type, int64_t offset) {
    return e.load(type, e.atByte(base, offset));
  }

  Frame &frame;
  Emitter &e;
  kernel::SampleOp op;
  const int64_t vocabulary, chunk, chunks;
  std::optional<Team> team;
  Value peaks, counts, low, high, sums, warpSums, found, peakFound; // in shared memory
  Value plan, logits, largest;                                      // of the draw at work
};

TokenDraw::TokenDraw(Frame &frame, kernel::SampleOp op)
    : frame(frame), e(frame.e), op(op), vocabulary(op.getLogits().getType().getColumns()),
      chunk(kernel::samplingChunk(vocabulary)), chunks(kernel::samplingChunks(vocabulary)) {
  team = Team::ofBlock(frame);
  counts = frame.allocate(3 * buckets * 4);
  low = e.atByte(counts, buckets * 4);
  high = e.atByte(low, buckets * 4);
  peaks = frame.allocate(chunks * 4);
  sums = frame.allocate(chunks * 8);
  warpSums = frame.allocate(frame.warps() * 8);
  found = frame.allocate(16);
  peakFound = frame.allocate(4);
}

Value TokenDraw::either(Value condition, llvm::function_ref<Value()> then,
                        llvm::function_ref<Value()> otherwise) {
  auto branch = scf::IfOp::create(e.b, e.loc, TypeRange{e.i64()}, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  for (auto [block, make] : {std::pair(branch.thenBlock(), then), std::pair(branch.elseBlock(), otherwise)}) {
    e.b.setInsertionPointToStart(block);
    scf::YieldOp::create(e.b, e.loc, make());
  }
  return branch.getResult(0);
}

/// Ordered as the numbers are; adding 0 makes -0 the same as 0.
Value TokenDraw::keyOf(Value logit) {
  Value bits = e.bitcast(e.i32(), e.addF(logit, e.constantF(e.f32(), 0)));
  Value sign = arith::ShRSIOp::create(e.b, e.loc, bits, e.constant(31));
  return e.bitXor(bits, e.bitOr(sign, e.constant(std::numeric_limits<int32_t>::min())));
}

Value TokenDraw::candidate(Value logit, Value id) { return join(e.bitXor(id, e.constant(-1)), keyOf(logit)); }

/// runtime/generate/Distribution.cpp has the same operations: change them together.
Value TokenDraw::weight(Value logit, Value scale) {
  auto constant = [&](double number) { return e.constantF(e.f32(), number); };
  constexpr float toInteger = 12582912.0f;
  constexpr int64_t toIntegerBits = 0x4B400000, exponentBias = 127, mantissaBits = 23;
  Value x = e.mulF(e.subF(logit, largest), scale);
  Value isNothing = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OLT, x, constant(-87));
  Value clamped = e.select(isNothing, constant(-87), x);
  Value shifted = e.fma(clamped, constant(1.44269504f), constant(toInteger));
  Value n = e.subF(shifted, constant(toInteger));
  Value r = e.fma(n, constant(2.12194440e-4f), e.fma(n, constant(-0.693359375f), clamped));
  Value p = constant(1.0f / 5040);
  for (float coefficient : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    p = e.fma(p, r, constant(coefficient));
  Value exponent = e.add(e.bitcast(e.i32(), shifted), exponentBias - toIntegerBits);
  Value power = e.bitcast(e.f32(), e.shiftLeft(exponent, mantissaBits));
  Value exponential = e.select(isNothing, constant(0), e.mulF(p, power));
  return arith::FPToUIOp::create(e.b, e.loc, e.i64(), e.mulF(exponential, constant(0x1p44)));
}

/// Peaks to shared memory; sets `largest`. Whether tokens can be drawn: all are numbers, the largest is
/// finite.
Value TokenDraw::readPeaks(Value row) {
  auto is = [&](arith::CmpFPredicate predicate, Value a, Value b) -> Value {
    return arith::CmpFOp::create(e.b, e.loc, predicate, a, b);
  };
  Value source = frame.rowOf(op.getPeaks(), row);
  Value none = e.constantF(e.f32(), -infinity), zero = e.constantF(e.f32(), 0);
  SmallVector<Value> mine = e.loop(frame.thread, e.constant(chunks), frame.threads, {none, zero},
                                   [&](Value at, ValueRange carried) {
                                     Value peak = e.load(e.f32(), e.at(source, at, e.f32()));
                                     e.store(peak, e.at(peaks, at, e.f32()));
                                     Value isNan = is(arith::CmpFPredicate::UNO, peak, peak);
                                     return SmallVector<Value>{
                                         combine(e, vector::CombiningKind::MAXNUMF, carried[0], peak),
                                         e.select(isNan, e.constantF(e.f32(), 1), carried[1]),
                                     };
                                   });
  largest = team->max(frame, mine[0]);
  Value nans = team->max(frame, mine[1]);
  Value isFinite = e.both(is(arith::CmpFPredicate::OLT, largest, e.constantF(e.f32(), infinity)),
                          is(arith::CmpFPredicate::OGT, largest, none));
  return e.both(isFinite, is(arith::CmpFPredicate::OEQ, nans, zero));
}

/// Calls `each` for every candidate that a chunk with one from `floor` on has, with the lane's sum (from 0),
/// and `afterChunk` with it.
void TokenDraw::visit(Value floor, Each each, llvm::function_ref<void(Value, Value)> afterChunk) {
  Value least = upper(floor), lane = frame.lane();
  e.loop(frame.warp(), e.constant(chunks), frame.warps(), [&](Value number) {
    Value hasAny = notLess(keyOf(e.load(e.f32(), e.at(peaks, number, e.f32()))), least);
    Value steps = e.select(hasAny, e.constant(chunk / warpSize), e.constant(0));
    Value first = e.add(e.mul(number, chunk), lane);
    Value sum = e.loop(e.constant(0), steps, inFlight, e.wide(0), [&](Value step, ValueRange carried) {
                   SmallVector<Value> ids, numbers;
                   for (int64_t i = 0; i < inFlight; ++i) {
                     ids.push_back(e.add(first, e.mul(e.add(step, i), warpSize)));
                     numbers.push_back(loadLogit(ids.back()));
                   }
                   Value sum = carried[0];
                   for (auto [id, logit] : llvm::zip(ids, numbers)) {
                     Value one = candidate(logit, id);
                     sum = each(logit, one, e.both(isToken(id), notLess(one, floor)), sum);
                   }
                   return SmallVector<Value>{sum};
                 }).front();
    afterChunk(number, sum);
  });
}

/// The weight of each chunk's candidates from `floor` on, into `sums`.
void TokenDraw::sumChunks(Value floor, Value scale) {
  visit(
      floor,
      [&](Value logit, Value, Value isIn, Value sum) {
        return e.add(sum, e.select(isIn, weight(logit, scale), e.wide(0)));
      },
      [&](Value number, Value sum) {
        for (int64_t mask = warpSize / 2; mask >= 1; mask /= 2)
          sum = e.add(sum, shuffleWide(NVVM::ShflKind::bfly, sum, mask));
        e.ifThen(e.equal(frame.lane(), e.constant(0)), [&] { e.store(sum, e.at(sums, number, e.i64())); });
      });
}

/// Items lie end to end, each as long as its amount (i64); a thread has `perThread` of them. Finds the item
/// in which `place` lies; where it lies in none, index and before are those of an earlier call.
TokenDraw::Place TokenDraw::locate(int64_t perThread,
                                   llvm::function_ref<SmallVector<Value>(Value first)> amountsFrom,
                                   llvm::function_ref<Value(Value total)> place) {
  e.barrier();
  Value lane = frame.lane(), warp = frame.warp(), first = e.mul(frame.thread, perThread);
  SmallVector<Value> amounts = amountsFrom(first);
  Value own = amounts.front();
  for (Value amount : llvm::drop_begin(amounts))
    own = e.add(own, amount);
  Value upTo = own; // and with the lanes before
  for (int64_t distance = 1; distance < warpSize; distance *= 2) {
    Value other = shuffleWide(NVVM::ShflKind::up, upTo, distance);
    upTo = e.add(upTo, e.select(e.less(lane, e.constant(distance)), e.wide(0), other));
  }
  e.ifThen(e.equal(lane, e.constant(warpSize - 1)), [&] { e.store(upTo, e.at(warpSums, warp, e.i64())); });
  e.barrier();
  Value before = e.sub(upTo, own), total = e.wide(0);
  for (int64_t each = 0; each < frame.warps(); ++each) {
    Value sum = e.load(e.i64(), e.at(warpSums, each, e.i64()));
    before = e.add(before, e.select(e.less(e.constant(each), warp), sum, e.wide(0)));
    total = e.add(total, sum);
  }
  Value at = place(total);
  Value isHere = e.both(notLess(at, before), less(at, e.add(before, own)));
  e.ifThen(isHere, [&] {
    Value index = first, passed = before, goesOn;
    for (Value amount : amounts) {
      Value end = e.add(passed, amount);
      goesOn = e.both(goesOn, notLess(at, end));
      passed = e.select(goesOn, end, passed);
      index = e.select(goesOn, e.add(index, 1), index);
    }
    e.store(passed, found);
    e.store(index, e.atByte(found, 8));
  });
  e.barrier();
  return {e.load(e.i32(), e.atByte(found, 8)), e.load(e.i64(), found), total};
}

TokenDraw::Place TokenDraw::locateChunk(llvm::function_ref<Value(Value total)> place) {
  int64_t perThread = llvm::divideCeil(chunks, frame.threads);
  return locate(
      perThread,
      [&](Value first) {
        SmallVector<Value> amounts;
        for (int64_t i = 0; i < perThread; ++i) {
          Value number = e.add(first, i), inside = e.less(number, e.constant(chunks));
          Value sum = e.load(e.i64(), e.at(sums, e.min(number, e.constant(chunks - 1)), e.i64()));
          amounts.push_back(e.select(inside, sum, e.wide(0)));
        }
        return amounts;
      },
      place);
}

/// The least candidate with the logit of the `count`-th greatest peak, count - 1 at least being better; 0
/// where there are fewer peaks.
Value TokenDraw::peakBound(Value count) {
  Value hasPeak = compare(arith::CmpIPredicate::ule, count, e.wide(chunks));
  return either(
      hasPeak,
      [&] {
        e.barrier();
        frame.share(e.constant(chunks), [&](Value mine) {
          Value own = keyOf(e.load(e.f32(), e.at(peaks, mine, e.f32())));
          Value rank =
              e.loop(e.constant(0), e.constant(chunks), 1, e.constant(1), [&](Value at, ValueRange carried) {
                 Value other = keyOf(e.load(e.f32(), e.at(peaks, at, e.f32())));
                 Value isEqual = e.both(e.equal(other, own), e.less(at, mine));
                 Value isBefore = arith::OrIOp::create(e.b, e.loc, less(own, other), isEqual);
                 return SmallVector<Value>{
                     e.add(carried[0], arith::ExtUIOp::create(e.b, e.loc, e.i32(), isBefore))};
               }).front();
          e.ifThen(e.equal(rank, lower(count)), [&] { e.store(own, peakFound); });
        });
        e.barrier();
        return e.shiftLeft(zeroExtend(e.load(e.i32(), peakFound)), 32);
      },
      [&] { return e.wide(0); });
}

/// The least weight that is `share` / 2^64 of the weight of all from `floor` on; 1 at least.
Value TokenDraw::neededWeight(Value floor, Value scale, Value share) {
  sumChunks(floor, scale);
  Value total = locateChunk([](Value total) { return total; }).total;
  auto [rest, whole] = product(share, total);
  Value roundsUp = zeroExtend(compare(arith::CmpIPredicate::ne, rest, e.wide(0)));
  return greatest(e.add(whole, roundsUp), e.wide(1));
}

/// The floor after a filter.
Value TokenDraw::applyFilter(Value filter, Value floor) {
  Value kind = field(filter, e.i32(), abi::filterKind), scale = field(filter, e.f32(), abi::filterScale);
  Value amount = field(filter, e.i64(), abi::filterAmount);
  Value isFloor = e.equal(kind, e.constant(abi::filterFloor));
  Value isCount = e.equal(kind, e.constant(abi::filterCount));
  Value bound = either(
      isCount, [&] { return peakBound(amount); },
      [&] { return leastOf(e.addF(largest, field(filter, e.f32(), abi::filterOffset))); });
  bound = greatest(bound, floor);
  return either(
      isFloor, [&] { return bound; },
      [&] {
        Value target =
            either(isCount, [&] { return amount; }, [&] { return neededWeight(floor, scale, amount); });
        return narrow(isCount, target, scale, bound, floor);
      });
}

/// The floor that keeps `target` candidates, or of their weight: none that is kept is below `bound`. `floor`
/// where there is not as much.
Value TokenDraw::narrow(Value isCount, Value target, Value scale, Value bound, Value floor) {
  Value best = e.bitOr(leastOf(largest), e.wide(0xffffffff));
  Value isTrue = e.constantI(e.b.getI1Type(), 1);
  SmallVector<Value> inits = {bound, best, e.wide(0), floor, isTrue};
  SmallVector<Type> types(ValueRange(inits).getTypes());
  auto before = [&](OpBuilder &, Location, ValueRange state) {
    scf::ConditionOp::create(e.b, e.loc, state[4], state);
  };
  auto after = [&](OpBuilder &, Location, ValueRange state) {
    // The interval, and what the candidates above it amount to.
    Value least = state[0], most = state[1], above = state[2];
    Value zeros = LLVM::CountLeadingZerosOp::create(e.b, e.loc, e.i64(), e.wrappingSub(most, least), false);
    Value bits = e.sub(e.wide(64 - bucketBits), zeros);
    Value shift = e.select(compare(arith::CmpIPredicate::slt, bits, e.wide(0)), e.wide(0), bits);
    e.barrier();
    frame.share(e.constant(3 * buckets),
                [&](Value at) { e.store(e.constant(0), e.at(counts, at, e.i32())); });
    e.barrier();
    visit(
        least,
        [&](Value logit, Value one, Value isIn, Value sum) {
          e.ifThen(e.both(isIn, notLess(most, one)), [&] {
            Value bucket = lower(e.shiftRight(e.wrappingSub(most, one), shift));
            atomicAdd(counts, bucket, e.constant(1));
            e.ifThen(e.equal(isCount, e.constantI(e.b.getI1Type(), 0)), [&] {
              Value amount = weight(logit, scale), word = lower(amount);
              Value old = atomicAdd(low, bucket, word);
              Value carry = arith::ExtUIOp::create(e.b, e.loc, e.i32(), less(e.wrappingAdd(old, word), word));
              atomicAdd(high, bucket, e.wrappingAdd(upper(amount), carry));
            });
          });
          return sum;
        },
        [](Value, Value) {});
    constexpr int64_t wordsAtOnce = 4; // 16 bytes
    int64_t perThread = buckets / frame.threads;
    assert(perThread % wordsAtOnce == 0 && "a thread has whole accesses of buckets");
    Place last = locate(
        perThread,
        [&](Value first) {
          SmallVector<Value> amounts;
          for (int64_t at = 0; at < perThread; at += wordsAtOnce) {
            auto words = [&](Value array) {
              return e.loadAligned(e.vec(wordsAtOnce, e.i32()), e.at(array, e.add(first, at), e.i32()));
            };
            Value count = words(counts), lowWords = words(low), highWords = words(high);
            for (int64_t i = 0; i < wordsAtOnce; ++i)
              amounts.push_back(e.select(isCount, zeroExtend(e.extract(count, i)),
                                         join(e.extract(lowWords, i), e.extract(highWords, i))));
          }
          return amounts;
        },
        [&](Value) { return e.sub(e.sub(target, above), 1); });
    Value isEnough = notLess(e.add(above, last.total), target);
    Value inside = zeroExtend(e.load(e.i32(), e.at(counts, last.index, e.i32())));
    Value newMost = e.wrappingSub(most, arith::ShLIOp::create(e.b, e.loc, zeroExtend(last.index), shift));
    Value width = e.sub(arith::ShLIOp::create(e.b, e.loc, e.wide(1), shift), 1),
          room = e.wrappingSub(newMost, least);
    Value newLeast = e.wrappingSub(newMost, e.select(less(room, width), room, width));
    Value newAbove = e.add(above, last.before);
    Value takesAll = e.both(isCount, e.equal(e.add(newAbove, inside), target));
    Value goesOn =
        e.both(e.both(isEnough, less(e.wide(1), inside)), e.equal(takesAll, e.constantI(e.b.getI1Type(), 0)));
    scf::YieldOp::create(
        e.b, e.loc, ValueRange{newLeast, newMost, newAbove, e.select(isEnough, newLeast, floor), goesOn});
  };
  auto loop = scf::WhileOp::create(e.b, e.loc, types, inits, before, after);
  return loop.getResult(3);
}

/// 64 random bits: Philox4x32-10, as runtime/generate/Random.h.
Value TokenDraw::random() {
  Value index = field(plan, e.i64(), abi::samplingIndex), stream = field(plan, e.i64(), abi::samplingStream);
  Value seed = field(plan, e.i64(), abi::samplingSeed);
  auto word = [&](uint32_t number) { return e.constant(static_cast<int32_t>(number)); };
  Value counter[] = {lower(index), upper(index), lower(stream), upper(stream)};
  Value key[] = {lower(seed), upper(seed)};
  for (int round = 0; round < 10; ++round) {
    auto [lowA, highA] = product(counter[0], word(0xD2511F53u));
    auto [lowB, highB] = product(counter[2], word(0xCD9E8D57u));
    counter[0] = e.bitXor(e.bitXor(highB, counter[1]), key[0]);
    counter[1] = lowB;
    counter[2] = e.bitXor(e.bitXor(highA, counter[3]), key[1]);
    counter[3] = lowA;
    key[0] = e.wrappingAdd(key[0], word(0x9E3779B9u));
    key[1] = e.wrappingAdd(key[1], word(0xBB67AE85u));
  }
  return join(counter[1], counter[0]);
}

/// The token at the random place among all candidates from `floor` on.
Value TokenDraw::choose(Value floor) {
  Value scale = field(plan, e.f32(), abi::samplingScale), at;
  sumChunks(floor, scale);
  Place inChunks = locateChunk([&](Value total) { return at = product(random(), total).second; });
  Value begin = e.mul(inChunks.index, chunk);
  int64_t perThread = llvm::divideCeil(chunk, frame.threads);
  Place inChunk = locate(
      perThread,
      [&](Value first) {
        SmallVector<Value> amounts;
        for (int64_t i = 0; i < perThread; ++i) {
          Value number = e.add(first, i), id = e.add(begin, number);
          Value logit = loadLogit(id), inside = e.both(e.less(number, e.constant(chunk)), isToken(id));
          inside = e.both(inside, notLess(candidate(logit, id), floor));
          amounts.push_back(e.select(inside, weight(logit, scale), e.wide(0)));
        }
        return amounts;
      },
      [&](Value) { return e.sub(at, inChunks.before); });
  return e.add(begin, inChunk.index);
}

void TokenDraw::run(Value draw) {
  plan = frame.farAt(frame.stepPointer(abi::stepSampling), draw, abi::samplingBytes);
  Value row = field(plan, e.i32(), abi::samplingRow), isFirst = e.equal(frame.thread, e.constant(0));
  logits = frame.rowOf(op.getLogits(), row);
  Value result = frame.rowOf(op.getDrawn(), draw);
  e.ifThen(isFirst, [&] {
    e.store(e.wide(0), found);
    e.store(e.constant(0), e.atByte(found, 8));
  });
  Value canDraw = readPeaks(row);
  auto branch = scf::IfOp::create(e.b, e.loc, canDraw, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(branch.thenBlock());
  Value filters = e.atByte(plan, abi::samplingFilters);
  Value floor = e.loop(e.constant(0), field(plan, e.i32(), abi::samplingFilterCount), 1, e.wide(0),
                       [&](Value number, ValueRange carried) {
                         Value filter = frame.farAt(filters, number, abi::filterBytes);
                         return SmallVector<Value>{applyFilter(filter, carried[0])};
                       })
                    .front();
  Value token = choose(floor);
  e.ifThen(isFirst, [&] { e.store(token, result); });
  e.b.setInsertionPointToStart(branch.elseBlock());
  e.ifThen(isFirst, [&] { e.store(e.constant(-1), result); });
}

} // namespace

/// Bias and penalties of logits `begin` to begin + chunk - 1 of a row, by the warp that looks at them next.
/// The same operations as Sampler::applyPenalties, in their order.
static void adjustLogits(Frame &frame, Value list, Value row, Value logits, Value begin, int64_t chunk) {
  Emitter &e = frame.e;
  Value plans = frame.stepPointer(abi::stepSampling);
  e.loop(e.constant(0), frame.domainRows(kernel::Domain::Draws), 1, {e.constant(0)},
         [&](Value draw, ValueRange carried) {
           Value plan = frame.farAt(plans, draw, abi::samplingBytes);
           Value count = e.load(e.i32(), e.atByte(plan, abi::samplingAdjustmentCount));
           Value isHere = e.equal(e.load(e.i32(), e.atByte(plan, abi::samplingRow)), row);
           Value mine = e.select(isHere, count, e.constant(0));
           e.loop(frame.lane(), mine, warpSize, [&](Value number) {
             Value each = frame.farAt(list, e.add(carried[0], number), abi::adjustmentBytes);
             Value id = e.load(e.i32(), e.atByte(each, abi::adjustmentId));
             Value isInside = e.both(e.less(e.sub(begin, 1), id), e.less(id, e.add(begin, chunk)));
             e.ifThen(isInside, [&] {
               auto field = [&](int64_t offset) { return e.load(e.f32(), e.atByte(each, offset)); };
               Value place = e.at(logits, id, e.f32()), repeat = field(abi::adjustmentRepeat);
               Value x = e.addF(e.load(e.f32(), place), field(abi::adjustmentBias));
               Value isNegative =
                   arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OLE, x, e.constantF(e.f32(), 0));
               Value scaled = e.select(isNegative, e.mulF(x, repeat), e.divF(x, repeat));
               e.store(e.subF(scaled, field(abi::adjustmentSubtract)), place);
             });
           });
           return SmallVector<Value>{e.add(carried[0], count)};
         });
  e.warpBarrier();
}

static Value isThere(Emitter &e, Value pointer) {
  Value null = LLVM::ZeroOp::create(e.b, e.loc, pointer.getType());
  return LLVM::ICmpOp::create(e.b, e.loc, LLVM::ICmpPredicate::ne, pointer, null);
}

/// A warp a chunk.
LogicalResult emitPeaks(Frame &frame, kernel::PeaksOp op) {
  Emitter &e = frame.e;
  frame.threads = kernel::peaksPerTile * warpSize;
  frame.blocksPerSm = 8;
  int64_t vocabulary = op.getLogits().getType().getColumns(), chunk = kernel::samplingChunk(vocabulary);
  auto greater = [&](Value a, Value b) -> Value { // not a number if one of them is not
    return arith::MaximumFOp::create(e.b, e.loc, a, b);
  };
  forEachTile(frame, op.getGrid(), [&](Value column, Value row, Value, Value) {
    Value number = e.add(e.mul(column, kernel::peaksPerTile), frame.warp());
    Value logits = frame.rowOf(op.getLogits(), row), peaks = frame.rowOf(op.getPeaks(), row);
    // Warps without a chunk would look at logits that others adjust.
    e.ifThen(e.less(number, e.constant(kernel::samplingChunks(vocabulary))), [&] {
      Value list = frame.stepPointer(abi::stepAdjustments);
      e.ifThen(isThere(e, list),
               [&] { adjustLogits(frame, list, row, logits, e.mul(number, chunk), chunk); });
      Value first = e.add(e.mul(number, chunk), frame.lane());
      SmallVector<Value> all;
      for (int64_t i = 0; i < chunk / warpSize; ++i) { // what is behind the last logit is the last one again
        Value id = e.min(e.add(first, i * warpSize), e.constant(vocabulary - 1));
        all.push_back(e.load(e.f32(), e.at(logits, id, e.f32())));
      }
      Value peak = all.front();
      for (Value each : llvm::drop_begin(all))
        peak = greater(peak, each);
      for (int64_t mask = warpSize / 2; mask >= 1; mask /= 2)
        peak = greater(peak, e.shuffleXor(peak, mask));
      e.ifThen(e.equal(frame.lane(), e.constant(0)), [&] { e.store(peak, e.at(peaks, number, e.f32())); });
    });
  });
  return success();
}

LogicalResult emitSample(Frame &frame, kernel::SampleOp op) {
  frame.threads = std::min<int64_t>(512, frame.mostThreads);
  frame.blocksPerSm = 1;
  TokenDraw draw(frame, op);
  forEachTile(frame, op.getGrid(), [&](Value, Value number, Value, Value) { draw.run(number); });
  return success();
}

} // namespace sinter::gpu
