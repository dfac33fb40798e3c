// SPDX-License-Identifier: Apache-2.0
// Comparisons and selections (PTX ISA 9.7.6, 9.7.7): setp, set, selp, slct.
#include "runtime/device/emulator/Arithmetic.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <cfloat>
#include <cmath>

namespace sinter::emulator {

namespace {

enum class Compare : uint8_t { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan };

inline float load(float x) { return x; }
inline double load(double x) { return x; }
template <typename T>
T load(T x)
  requires std::is_integral_v<T>
{
  return x;
}
inline float load(Half x) { return halfToFloat(x.bits); }
inline float load(Bfloat x) { return bfloatToFloat(x.bits); }
/// A half and a float whose subnormals count as zero.
struct FlushedHalf {
  uint16_t bits;
};
inline float load(FlushedHalf x) { return x.bits & 0x7c00 ? halfToFloat(x.bits) : 0.0f; }
struct Flushed {
  float value;
};
inline float load(Flushed x) { return std::fabs(x.value) < FLT_MIN ? 0.0f : x.value; }

template <Compare compare, typename T> bool holds(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    switch (compare) {
    case Compare::eq:
      return a == b;
    case Compare::ne:
      return a != b;
    case Compare::lt:
      return a < b;
    case Compare::le:
      return a <= b;
    case Compare::gt:
      return a > b;
    case Compare::ge:
      return a >= b;
    default:
      return false;
    }
  } else {
    switch (compare) { // the ...u forms hold when either is NaN
    case Compare::eq:
      return a == b;
    case Compare::ne:
      return a < b || a > b;
    case Compare::lt:
      return a < b;
    case Compare::le:
      return a <= b;
    case Compare::gt:
      return a > b;
    case Compare::ge:
      return a >= b;
    case Compare::equ:
      return !(a < b || a > b);
    case Compare::neu:
      return a != b;
    case Compare::ltu:
      return !(a >= b);
    case Compare::leu:
      return !(a > b);
    case Compare::gtu:
      return !(a <= b);
    case Compare::geu:
      return !(a < b);
    case Compare::num:
      return a == a && b == b;
    default:
      return a != a || b != b;
    }
  }
}

template <typename T, Compare compare> Mask compared(const Warp &warp, const Instruction &in) {
  const T *a = warp.reg<T>(in.a), *b = warp.reg<T>(in.b);
  return maskOf([=](int lane) { return holds<compare>(load(a[lane]), load(b[lane])); });
}

using Comparer = Mask (*)(const Warp &, const Instruction &);

template <typename T> Comparer comparer(Compare compare) {
  constexpr bool isInteger = std::is_integral_v<T>;
#define SINTER_COMPARE(name)                                                                                 \
  case Compare::name:                                                                                        \
    return &compared<T, Compare::name>;
  switch (compare) {
    SINTER_COMPARE(eq)
    SINTER_COMPARE(ne)
    SINTER_COMPARE(lt)
    SINTER_COMPARE(le)
    SINTER_COMPARE(gt)
    SINTER_COMPARE(ge)
  default:
    break;
  }
  if constexpr (!isInteger)
    switch (compare) {
      SINTER_COMPARE(equ)
      SINTER_COMPARE(neu)
      SINTER_COMPARE(ltu)
      SINTER_COMPARE(leu)
      SINTER_COMPARE(gtu)
      SINTER_COMPARE(geu)
      SINTER_COMPARE(num)
      SINTER_COMPARE(nan)
    default:
      break;
    }
#undef SINTER_COMPARE
  return nullptr;
}

Comparer comparerOf(Type type, Compare compare, bool ftz) {
  switch (type) {
  case Type::u16:
  case Type::b16:
    return comparer<uint16_t>(compare);
  case Type::s16:
    return comparer<int16_t>(compare);
  case Type::u32:
  case Type::b32:
    return comparer<uint32_t>(compare);
  case Type::s32:
    return comparer<int32_t>(compare);
  case Type::u64:
  case Type::b64:
    return comparer<uint64_t>(compare);
  case Type::s64:
    return comparer<int64_t>(compare);
  case Type::f32:
    return ftz ? comparer<Flushed>(compare) : comparer<float>(compare);
  case Type::f64:
    return comparer<double>(compare);
  case Type::f16:
    return ftz ? comparer<FlushedHalf>(compare) : comparer<Half>(compare);
  case Type::bf16:
    return comparer<Bfloat>(compare);
  default:
    return nullptr;
  }
}

/// Takes the comparison; lo, ls, hi, hs are the unsigned names of lt, le, gt, ge.
bool takeCompare(Translator &t, Compare &compare) {
  const int found = t.takeOneOf({"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu",
                                 "num", "nan", "lo", "ls", "hi", "hs"});
  if (found < 0) {
    t.fail("expected a comparison such as .eq");
    return false;
  }
  compare = static_cast<Compare>(found < 14 ? found : found - 12);
  return true;
}

/// What combines the comparison with the predicate c.
enum class Combine : uint32_t { none, andWith, orWith, xorWith };
Mask combined(Mask result, uint32_t how, Mask c) {
  switch (static_cast<Combine>(how)) {
  case Combine::andWith:
    return result & c;
  case Combine::orWith:
    return result | c;
  case Combine::xorWith:
    return result ^ c;
  default:
    return result;
  }
}

/// The comparison and its description; a, b, c are set, d is the caller's.
struct Comparison {
  Comparer compare = nullptr;
};

/// setp of the low and the high halves of packed registers, into two predicates.
void compareHalves(Translator &t, Compare compare, int combine, bool ftz, Type type,
                   const uint32_t (&targets)[2]) {
  const uint32_t a = t.source(1, type), b = t.source(2, type), c = combine ? t.predicate(t.operand(3)) : 0;
  const Comparer of = comparerOf(type == Type::f16x2 ? Type::f16 : Type::bf16, compare, ftz);
  for (int half = 0; half < 2; ++half) {
    const uint32_t x = t.temporary(2), y = t.temporary(2);
    for (const auto &[from, to] : {std::pair{a, x}, std::pair{b, y}}) {
      Instruction &split =
          t.emit(half ? unary<uint16_t, uint32_t>([](uint32_t v) { return uint16_t(v >> 16); })
                      : unary<uint16_t, uint32_t>([](uint32_t v) { return uint16_t(v); }),
                 InstructionClass::move);
      split.a = from, split.d = to;
    }
    Instruction &in = t.emit(
        +[](Warp &w, const Instruction &i) {
          writePredicate(
              w, i.d,
              combined(static_cast<const Comparison *>(i.detail)->compare(w, i), i.extra, w.predicate(i.c)));
        },
        InstructionClass::predicate);
    in.a = x, in.b = y, in.c = c, in.d = targets[half], in.extra = static_cast<uint32_t>(combine);
    in.detail = t.keep(Comparison{of});
  }
}

/// setp.cmp[.bool].type p|q, a, b[, c]: p = (a cmp b) bool c, q = !(a cmp b) bool c.
void setp(Translator &t) {
  Compare compare;
  if (!takeCompare(t, compare))
    return;
  const int combine = t.takeOneOf({"and", "or", "xor"}) + 1;
  const bool ftz = t.take("ftz");
  const Type type = t.needType();
  if (type == Type::f16x2 || type == Type::bf16x2) { // p of the low halves, q of the high ones
    const uint32_t targets[] = {t.predicateTarget(t.operand(0)), t.pairTarget(t.operand(0))};
    return compareHalves(t, compare, combine, ftz, type, targets);
  }
  const Comparer comparer = comparerOf(type, compare, ftz);
  if (!comparer)
    return t.fail("this comparison is not defined for type .{}", nameOf(type));
  const uint32_t a = t.source(1, type), b = t.source(2, type), c = combine ? t.predicate(t.operand(3)) : 0;
  const uint32_t p = t.predicateTarget(t.operand(0)), q = t.pairTarget(t.operand(0));
  const Handler handler = +[](Warp &warp, const Instruction &in) {
    const Mask result = static_cast<const Comparison *>(in.detail)->compare(warp, in);
    const Mask c = warp.predicate(in.c);
    writePredicate(warp, in.d, combined(result, in.extra, c));
    if (in.offset)
      writePredicate(warp, static_cast<uint32_t>(in.offset), combined(~result, in.extra, c));
  };
  Instruction &in = t.emit(handler, InstructionClass::predicate);
  in.a = a, in.b = b, in.c = c, in.d = p;
  in.offset = q;
  in.extra = static_cast<uint32_t>(combine);
  in.detail = t.keep(Comparison{comparer});
}

/// What set writes where the comparison holds.
uint32_t yesOf(Type result) {
  switch (result) {
  case Type::f32:
    return 0x3f800000;
  case Type::f16:
  case Type::f16x2:
    return 0x3c00;
  case Type::bf16:
  case Type::bf16x2:
    return 0x3f80;
  default:
    return 0xffffffff;
  }
}

/// set of f16x2 and bf16x2: a comparison of each half, and 1.0, or 0xffff, or 0 in each half.
void setPacked(Translator &t, Compare compare, int combine, bool ftz, Type result, Type type) {
  if (bytesOf(result) != 4 || (isFloat(result) && result != type))
    return t.fail("types .{}.{} are not defined together", nameOf(result), nameOf(type));
  const uint32_t halves[] = {t.temporary(0), t.temporary(0)};
  compareHalves(t, compare, combine, ftz, type, halves);
  const uint32_t d = t.target(0, result);
  Instruction &in = t.emit(
      +[](Warp &warp, const Instruction &in) {
        const Mask low = warp.predicate(in.a), high = warp.predicate(in.b);
        const auto yes = static_cast<uint32_t>(in.offset);
        writeLanes<true, uint32_t>(warp, in.d, [=](int lane) {
          return (low >> lane & 1 ? yes : 0) | (high >> lane & 1 ? yes << 16 : 0);
        });
      },
      InstructionClass::move);
  in.a = halves[0], in.b = halves[1], in.d = d;
  in.offset = yesOf(result) & 0xffff;
}

/// set.cmp[.bool].dtype.stype: 1.0 or all ones, else 0.
void set(Translator &t) {
  Compare compare;
  if (!takeCompare(t, compare))
    return;
  const int combine = t.takeOneOf({"and", "or", "xor"}) + 1;
  const bool ftz = t.take("ftz");
  const Type result = t.needType(), type = t.needType();
  if (type == Type::f16x2 || type == Type::bf16x2)
    return setPacked(t, compare, combine, ftz, result, type);
  const Comparer comparer = comparerOf(type, compare, ftz);
  if (!comparer || (bytesOf(result) != 4 && bytesOf(result) != 2))
    return t.fail("types .{}.{} are not supported", nameOf(result), nameOf(type));
  const uint32_t a = t.source(1, type), b = t.source(2, type), c = combine ? t.predicate(t.operand(3)) : 0,
                 d = t.target(0, result);
  const Handler handler = +[](Warp &warp, const Instruction &in) {
    const Mask mask = combined(static_cast<const Comparison *>(in.detail)->compare(warp, in), in.extra & 3,
                               warp.predicate(in.c));
    const auto yes = static_cast<uint32_t>(in.offset);
    if (in.extra & 4)
      writeLanes<true, uint16_t>(warp, in.d, [=](int lane) { return uint16_t(mask >> lane & 1 ? yes : 0); });
    else
      writeLanes<true, uint32_t>(warp, in.d, [=](int lane) { return mask >> lane & 1 ? yes : 0; });
  };
  Instruction &in = t.emit(handler, InstructionClass::predicate);
  in.a = a, in.b = b, in.c = c, in.d = d;
  in.extra = static_cast<uint32_t>(combine) | (bytesOf(result) == 2 ? 4 : 0);
  in.offset = yesOf(result);
  in.detail = t.keep(Comparison{comparer});
}

template <bool masked, typename T> void selectLanes(Warp &warp, const Instruction &in) {
  const T *a = warp.reg<T>(in.a), *b = warp.reg<T>(in.b);
  const Mask choice = warp.predicate(in.c);
  writeLanes<masked, T>(warp, in.d, [=](int lane) { return choice >> lane & 1 ? a[lane] : b[lane]; });
}
template <typename T> Handlers selection() { return {selectLanes<false, T>, selectLanes<true, T>}; }

void selp(Translator &t) {
  const Type type = t.needType();
  const uint32_t a = t.source(1, type), b = t.source(2, type), c = t.predicate(t.operand(3)),
                 d = t.target(0, type);
  Instruction &in = t.emit(bytesOf(type) == 2   ? selection<uint16_t>()
                           : bytesOf(type) == 4 ? selection<uint32_t>()
                                                : selection<uint64_t>(),
                           InstructionClass::move);
  in.a = a, in.b = b, in.c = c, in.d = d;
}

/// slct.dtype.ctype d, a, b, c: a if c >= 0, else b.
template <typename T> Handlers slctOf(bool real) {
  return real ? ternary<T, T, T, float>([](T a, T b, float c) { return c >= 0 ? a : b; })
              : ternary<T, T, T, int32_t>([](T a, T b, int32_t c) { return c >= 0 ? a : b; });
}
void slct(Translator &t) {
  t.take("ftz");
  const Type type = t.needType(), by = t.needType();
  const uint32_t a = t.source(1, type), b = t.source(2, type), c = t.source(3, by), d = t.target(0, type);
  const bool real = by == Type::f32;
  Instruction &in = t.emit(bytesOf(type) == 2   ? slctOf<uint16_t>(real)
                           : bytesOf(type) == 4 ? slctOf<uint32_t>(real)
                                                : slctOf<uint64_t>(real),
                           InstructionClass::move);
  in.a = a, in.b = b, in.c = c, in.d = d;
}

} // namespace

std::span<const Opcode> comparisonOpcodes() {
  static constexpr Opcode table[] = {{"setp", setp}, {"set", set}, {"selp", selp}, {"slct", slct}};
  return table;
}

} // namespace sinter::emulator
