// SPDX-License-Identifier: Apache-2.0
// Parts of attention that decode and prefill share.
#include "passes/lowering/cpu/attention/Attention.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include <numbers>

using namespace mlir;

namespace sinter::cpu {

SmallVector<Segment> segmentsOf(int64_t length, int64_t lanes) {
  SmallVector<Segment> segments;
  for (int64_t first = 0; first < length; first += lanes)
    segments.push_back({first, std::min(lanes, length - first)});
  return segments;
}

Value AttentionShape::finishScore(Emitter &e, Value products, Value slope, Value distance) const {
  double cap = op.getSoftcap().convertToDouble();
  Value score = products;
  if (cap > 0)
    score = e.mulF(math::TanhOp::create(e.b, e.loc, score),
                   e.constantF(score.getType(), cap * std::numbers::log2e));
  return slope ? e.fma(slope, distance, score) : score;
}

Value AttentionShape::slopeOf(Frame &frame, Value head, int64_t n) const {
  if (!hasSlopes())
    return {};
  Emitter &e = frame.e;
  Value slope = e.load(e.f32(), e.at(frame.buffer(op.getSlopes()), head, e.f32()));
  return e.splat(e.mulF(slope, e.constantF(e.f32(), std::numbers::log2e)), n);
}

void AttentionShape::copyQuery(Frame &frame, Value row, Value head, Value destination) const {
  Emitter &e = frame.e;
  Type type = op.getQuery().getType().getElement();
  Value source = e.at(frame.rowOf(op.getQuery(), row), e.mul(head, keySize), type);
  for (Segment segment : segmentsOf(keySize, e.target.lanes())) {
    Value q = e.loadWide(type, segment.n, e.at(source, segment.first, type));
    e.store(e.mulF(q, e.constantF(q.getType(), queryFactor())), e.at(destination, segment.first, e.f32()));
  }
}

Value AttentionShape::keysOf(Frame &frame, Value row, Value head) const {
  Value tokens = frame.stepField(abi::stepCacheTokens);
  return frame.e.at(frame.slotOf(op.getKeys(), row), frame.e.mul(head, frame.e.mul(tokens, keySize)),
                    element);
}
Value AttentionShape::valuesOf(Frame &frame, Value row, Value head) const {
  Value tokens = frame.stepField(abi::stepCacheTokens);
  return frame.e.at(frame.slotOf(op.getValues(), row), frame.e.mul(head, frame.e.mul(tokens, valueSize)),
                    element);
}

Value AttentionShape::firstKey(Emitter &e, Value position) const {
  if (!window)
    return e.constant(0);
  return e.max(e.sub(e.add(position, 1), window), e.constant(0));
}

} // namespace sinter::cpu
