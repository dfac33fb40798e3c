// SPDX-License-Identifier: Apache-2.0
// Reductions: by shuffles in a warp, then through shared memory between warps.
#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {

using vector::CombiningKind;

Value combine(Emitter &e, CombiningKind kind, Value a, Value b) {
  switch (kind) {
  case CombiningKind::ADD:
    return e.addF(a, b);
  case CombiningKind::MUL:
    return e.mulF(a, b);
  case CombiningKind::MAXNUMF:
  case CombiningKind::MAXIMUMF:
    return arith::MaxNumFOp::create(e.b, e.loc, a, b);
  default:
    return arith::MinNumFOp::create(e.b, e.loc, a, b);
  }
}

Value elementsCombined(Emitter &e, CombiningKind kind, Value vector) {
  Value all = e.extract(vector, 0);
  for (int64_t i = 1, n = cast<VectorType>(vector.getType()).getDimSize(0); i < n; ++i)
    all = combine(e, kind, all, e.extract(vector, i));
  return all;
}

double neutralOf(CombiningKind kind) {
  switch (kind) {
  case CombiningKind::ADD:
    return 0;
  case CombiningKind::MUL:
    return 1;
  case CombiningKind::MAXNUMF:
  case CombiningKind::MAXIMUMF:
    return -std::numeric_limits<double>::infinity();
  default:
    return std::numeric_limits<double>::infinity();
  }
}

bool isSupported(CombiningKind kind) {
  using enum CombiningKind;
  return llvm::is_contained({ADD, MUL, MAXNUMF, MAXIMUMF, MINNUMF, MINIMUMF}, kind);
}

Team Team::ofBlock(Frame &frame) {
  if (frame.threads <= warpSize)
    return ofWarp(frame, frame.threads);
  return {frame.threads, 1, frame.thread, frame.e.constant(0), frame.allocate(frame.warps() * 4)};
}

Team Team::ofWarp(Frame &frame, int64_t size) {
  return {size, frame.threads / size, frame.e.rem(frame.thread, size), frame.e.div(frame.thread, size),
          Value()};
}

void Team::wait(Frame &frame) const { isWarp() ? frame.e.warpBarrier() : frame.e.barrier(); }

Value Team::reduce(Frame &frame, CombiningKind kind, Value scalar) const {
  Emitter &e = frame.e;
  for (int64_t mask = std::min(size, warpSize) / 2; mask >= 1; mask /= 2)
    scalar = combine(e, kind, scalar, e.shuffleXor(scalar, mask));
  if (isWarp())
    return scalar;
  // Before and after: the place may still be read, or be written next.
  e.barrier();
  e.ifThen(e.equal(frame.lane(), e.constant(0)),
           [&] { e.store(scalar, e.at(place, frame.warp(), e.f32())); });
  e.barrier();
  Value result;
  for (int64_t warp = 0; warp < frame.warps(); ++warp) {
    Value part = e.load(e.f32(), e.at(place, warp, e.f32()));
    result = result ? combine(e, kind, result, part) : part;
  }
  return result;
}

} // namespace sinter::gpu
