// SPDX-License-Identifier: Apache-2.0
// Parts of attention that decode and prefill share.
#include "passes/lowering/gpu/attention/Attention.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include <numbers>

using namespace mlir;

namespace sinter::gpu {

Value AttentionShape::finishScore(Frame &frame, Value product, Value head, Value distance) const {
  Emitter &e = frame.e;
  double cap = op.getSoftcap().convertToDouble();
  if (cap > 0)
    product =
        e.mulF(math::TanhOp::create(e.b, e.loc, product), e.constantF(e.f32(), cap * std::numbers::log2e));
  if (!hasSlopes())
    return product;
  Value slope = e.load(e.f32(), e.at(frame.buffer(op.getSlopes()), head, e.f32()));
  return e.fma(e.mulF(slope, e.constantF(e.f32(), std::numbers::log2e)), e.toFloat(distance), product);
}

void AttentionShape::copyQuery(Frame &frame, Value row, Value first, int64_t count, Value destination) const {
  Emitter &e = frame.e;
  Value source = e.at(frame.rowOf(op.getQuery(), row), e.mul(first, keySize), e.f32());
  frame.share(e.constant(count * keySize), [&](Value i) {
    Value q = e.load(e.f32(), e.at(source, i, e.f32()));
    e.store(e.mulF(q, e.constantF(e.f32(), queryFactor())), e.at(destination, i, e.f32()));
  });
}

Value AttentionShape::keysOf(Frame &frame, Value slot, Value head) const {
  Emitter &e = frame.e;
  Value tokens = frame.wideStepField(abi::stepCacheTokens);
  return e.at(frame.slotAt(op.getKeys(), slot), e.mul(e.extend(head), e.mul(tokens, keySize)), element);
}
Value AttentionShape::valuesOf(Frame &frame, Value slot, Value head) const {
  Emitter &e = frame.e;
  Value tokens = frame.wideStepField(abi::stepCacheTokens);
  return e.at(frame.slotAt(op.getValues(), slot), e.mul(e.extend(head), e.mul(tokens, valueSize)), element);
}

Value AttentionShape::keyAt(Frame &frame, Value keys, Value token) const {
  Emitter &e = frame.e;
  Value panel = e.mul(e.div(token, kernel::cachePanel), keySize * kernel::cachePanel);
  return e.at(keys, e.add(panel, e.rem(token, kernel::cachePanel)), element);
}
Value AttentionShape::valueAt(Frame &frame, Value values, Value token, Value column) const {
  Emitter &e = frame.e;
  return e.at(values, e.add(e.mul(token, valueSize), column), element);
}

Value AttentionShape::firstKey(Emitter &e, Value position) const {
  if (!window)
    return e.constant(0);
  return e.max(e.sub(e.add(position, 1), window), e.constant(0));
}

} // namespace sinter::gpu
