// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/training/SelfAttentionRows.h"

#include "passes/lowering/Anchors.h"

#include <numbers>

using namespace mlir;

namespace sinter::gpu {

void SelfAttentionRows::setHead(Value ofHead) {
  head = ofHead;
  if (slopes)
    slope = e.mulF(e.load(e.f32(), e.at(frame.buffer(slopes), head, e.f32())),
                   e.constantF(e.f32(), std::numbers::log2e));
}

Value SelfAttentionRows::headOf(Value argument, Value row, Value ofHead, int64_t size) {
  return e.at(frame.rowOf(argument, e.add(rowBegin, row)), e.mul(ofHead, size), elementOf(argument));
}

Value SelfAttentionRows::firstKeyOf(Value row) {
  Value position = frame.stepEntry(abi::stepPositions, e.add(rowBegin, row));
  Value first = e.max(e.sub(row, position), e.constant(0));
  return window ? e.max(first, e.sub(e.add(row, 1), window)) : first;
}

Value SelfAttentionRows::dropoutKeyOf(Value row) {
  return dropout->keyOf(e.extend(e.add(e.mul(e.add(rowBegin, row), heads), head)));
}

} // namespace sinter::gpu
