// SPDX-License-Identifier: Apache-2.0
// Loops over the 32 lanes of a warp, written so that the compiler vectorises them. A destination may be one
// of the sources: lanes do not depend on each other.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_LANES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_LANES_H

#include "runtime/device/emulator/Machine.h"
#ifdef __AVX2__
#include <immintrin.h>
#endif

#if defined(__clang__)
#define SINTER_EACH_LANE                                                                                     \
  _Pragma("clang loop vectorize(assume_safety) interleave(disable)") for (int lane = 0; lane < lanesOfWarp;  \
                                                                          ++lane)
#else
#define SINTER_EACH_LANE _Pragma("GCC ivdep") for (int lane = 0; lane < lanesOfWarp; ++lane)
#endif

namespace sinter::emulator {

/// d[lane] = value(lane) in active lanes.
template <bool masked, typename D, typename F> inline void writeLanes(Warp &warp, uint32_t slot, F value) {
  D *d = warp.reg<D>(slot);
  if constexpr (masked) {
    const Mask mask = warp.active;
    SINTER_EACH_LANE {
      const D result = value(lane);
      d[lane] = mask >> lane & 1 ? result : d[lane];
    }
  } else {
    SINTER_EACH_LANE d[lane] = value(lane);
  }
}

template <bool masked, typename Op, typename D, typename A>
void unaryLanes(Warp &warp, const Instruction &in) {
  const A *a = warp.reg<A>(in.a);
  writeLanes<masked, D>(warp, in.d, [=](int lane) { return D(Op{}(a[lane])); });
}
template <bool masked, typename Op, typename D, typename A, typename B>
void binaryLanes(Warp &warp, const Instruction &in) {
  const A *a = warp.reg<A>(in.a);
  const B *b = warp.reg<B>(in.b);
  writeLanes<masked, D>(warp, in.d, [=](int lane) { return D(Op{}(a[lane], b[lane])); });
}
template <bool masked, typename Op, typename D, typename A, typename B, typename C>
void ternaryLanes(Warp &warp, const Instruction &in) {
  const A *a = warp.reg<A>(in.a);
  const B *b = warp.reg<B>(in.b);
  const C *c = warp.reg<C>(in.c);
  writeLanes<masked, D>(warp, in.d, [=](int lane) { return D(Op{}(a[lane], b[lane], c[lane])); });
}

/// Handlers of an operation on lanes: unary<D, A>([](A a) { ... }).
template <typename D, typename A = D, typename Op> constexpr Handlers unary(Op) {
  return {&unaryLanes<false, Op, D, A>, &unaryLanes<true, Op, D, A>};
}
template <typename D, typename A = D, typename B = A, typename Op> constexpr Handlers binary(Op) {
  return {&binaryLanes<false, Op, D, A, B>, &binaryLanes<true, Op, D, A, B>};
}
template <typename D, typename A = D, typename B = A, typename C = D, typename Op>
constexpr Handlers ternary(Op) {
  return {&ternaryLanes<false, Op, D, A, B, C>, &ternaryLanes<true, Op, D, A, B, C>};
}

/// A bit for each lane in which `test(lane)` holds.
template <typename F> inline Mask maskOf(F test) {
  alignas(32) int8_t flags[lanesOfWarp];
  SINTER_EACH_LANE flags[lane] = test(lane) ? -1 : 0;
#ifdef __AVX2__
  return static_cast<Mask>(_mm256_movemask_epi8(_mm256_load_si256(reinterpret_cast<const __m256i *>(flags))));
#else
  Mask mask = 0;
  for (int lane = 0; lane < lanesOfWarp; ++lane)
    mask |= static_cast<Mask>(flags[lane] & 1) << lane;
  return mask;
#endif
}

/// Sets the active lanes' bits of a predicate.
inline void writePredicate(Warp &warp, uint32_t slot, Mask value) {
  Mask &predicate = *warp.reg<Mask>(slot);
  predicate = (predicate & ~warp.active) | (value & warp.active);
}

/// Calls `body(lane)` for each active lane.
template <typename F> inline void eachActive(const Warp &warp, F body) {
  for (Mask rest = warp.active; rest; rest &= rest - 1)
    body(__builtin_ctz(rest));
}

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_LANES_H
