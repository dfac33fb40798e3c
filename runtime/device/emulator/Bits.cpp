// SPDX-License-Identifier: Apache-2.0
// Logic, shifts and bit fields (PTX ISA 9.7.1.14 to 9.7.1.23, 9.7.8): and, or, xor, not, cnot, lop3, shl,
// shr, shf, prmt, popc, clz, bfind, brev, bfe, bfi, bmsk, fns, szext.
#include "runtime/device/emulator/Arithmetic.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <bit>
#include <cstdlib>

namespace sinter::emulator {

namespace {

/// and, or, xor on predicates: three words.
template <typename F> Handler predicateLogic(F) {
  return +[](Warp &warp, const Instruction &in) {
    writePredicate(warp, in.d, F{}(warp.predicate(in.a), warp.predicate(in.b)));
  };
}

template <typename F> void logic(Translator &t, F operation) {
  const Type type = t.needType();
  if (type == Type::pred) {
    const uint32_t a = t.predicate(t.operand(1)), b = t.predicate(t.operand(2)),
                   d = t.predicateTarget(t.operand(0));
    Instruction &in = t.emit(predicateLogic(operation), InstructionClass::predicate);
    in.d = d, in.a = a, in.b = b;
    return;
  }
  const Handlers handlers = bytesOf(type) == 2   ? binary<uint16_t>(operation)
                            : bytesOf(type) == 4 ? binary<uint32_t>(operation)
                                                 : binary<uint64_t>(operation);
  emitElementwise(t, handlers, InstructionClass::integer, type, 2);
}

void andOp(Translator &t) {
  logic(t, [](auto a, auto b) { return static_cast<decltype(a)>(a & b); });
}
void orOp(Translator &t) {
  logic(t, [](auto a, auto b) { return static_cast<decltype(a)>(a | b); });
}
void xorOp(Translator &t) {
  logic(t, [](auto a, auto b) { return static_cast<decltype(a)>(a ^ b); });
}

void notOp(Translator &t) {
  const Type type = t.needType();
  if (type == Type::pred) {
    const uint32_t a = t.predicate(t.operand(1)), d = t.predicateTarget(t.operand(0));
    Instruction &in = t.emit(
        +[](Warp &w, const Instruction &i) { writePredicate(w, i.d, ~w.predicate(i.a)); },
        InstructionClass::predicate);
    in.d = d, in.a = a;
    return;
  }
  const auto flip = [](auto a) { return static_cast<decltype(a)>(~a); };
  emitElementwise(t,
                  bytesOf(type) == 2   ? unary<uint16_t>(flip)
                  : bytesOf(type) == 4 ? unary<uint32_t>(flip)
                                       : unary<uint64_t>(flip),
                  InstructionClass::integer, type, 1);
}

void cnot(Translator &t) {
  const Type type = t.needType();
  const auto isZero = [](auto a) { return static_cast<decltype(a)>(a == 0); };
  emitElementwise(t,
                  bytesOf(type) == 2   ? unary<uint16_t>(isZero)
                  : bytesOf(type) == 4 ? unary<uint32_t>(isZero)
                                       : unary<uint64_t>(isZero),
                  InstructionClass::integer, type, 1);
}

/// lop3.b32 d, a, b, c, table: bit i of the table is the result for (a, b, c) = the bits of i.
template <bool masked> void lop3Lanes(Warp &warp, const Instruction &in) {
  const uint32_t *a = warp.reg<uint32_t>(in.a), *b = warp.reg<uint32_t>(in.b), *c = warp.reg<uint32_t>(in.c);
  uint32_t rows[8];
  for (int i = 0; i < 8; ++i)
    rows[i] = in.extra >> i & 1 ? ~0u : 0;
  writeLanes<masked, uint32_t>(warp, in.d, [=](int lane) {
    const uint32_t x = a[lane], y = b[lane], z = c[lane];
    const uint32_t low = (~y & ((~z & rows[0]) | (z & rows[1]))) | (y & ((~z & rows[2]) | (z & rows[3])));
    const uint32_t high = (~y & ((~z & rows[4]) | (z & rows[5]))) | (y & ((~z & rows[6]) | (z & rows[7])));
    return (~x & low) | (x & high);
  });
}

void lop3(Translator &t) {
  t.needType();
  uint64_t table = 0;
  if (t.operandCount() != 5 || !t.immediate(t.operand(4), table))
    return t.fail("expected five operands, the last a constant table");
  emitElementwise(t, {lop3Lanes<false>, lop3Lanes<true>}, InstructionClass::integer, Type::b32, 3).extra =
      static_cast<uint32_t>(table);
}

/// Shifts by more than the width give 0, or the sign (PTX ISA 9.7.8.7 and 9.7.8.8).
template <typename T> Handlers shiftLeft() {
  return binary<T, T, uint32_t>([](T a, uint32_t n) { return n >= sizeof(T) * 8 ? T(0) : T(a << n); });
}
template <typename T> Handlers shiftRight() {
  return binary<T, T, uint32_t>([](T a, uint32_t n) {
    if constexpr (std::is_signed_v<T>)
      return T(a >> (n >= sizeof(T) * 8 ? sizeof(T) * 8 - 1 : n));
    else
      return n >= sizeof(T) * 8 ? T(0) : T(a >> n);
  });
}

template <bool left> void shift(Translator &t) {
  const Type type = t.needType();
  Handlers handlers;
  switch (bytesOf(type)) {
  case 2:
    handlers = left ? shiftLeft<uint16_t>() : isSigned(type) ? shiftRight<int16_t>() : shiftRight<uint16_t>();
    break;
  case 4:
    handlers = left ? shiftLeft<uint32_t>() : isSigned(type) ? shiftRight<int32_t>() : shiftRight<uint32_t>();
    break;
  case 8:
    handlers = left ? shiftLeft<uint64_t>() : isSigned(type) ? shiftRight<int64_t>() : shiftRight<uint64_t>();
    break;
  default:
    return t.fail("expected a type of 16, 32 or 64 bits");
  }
  const uint32_t a = t.source(1, type), b = t.source(2, Type::u32), d = t.target(0, type);
  Instruction &in = t.emit(handlers, InstructionClass::integer);
  in.d = d, in.a = a, in.b = b;
}

/// shf.l gives the high half of {b, a} shifted left, shf.r the low half shifted right (PTX ISA 9.7.8.6).
void funnelShift(Translator &t) {
  const bool left = t.takeOneOf({"l", "r"}) == 0;
  const bool clamp = t.takeOneOf({"clamp", "wrap"}) == 0;
  t.needType();
  Handlers handlers;
  if (left)
    handlers = clamp
                   ? ternary<uint32_t, uint32_t, uint32_t, uint32_t>([](uint32_t a, uint32_t b, uint32_t c) {
                       return uint32_t(((uint64_t(b) << 32 | a) << (c < 32 ? c : 32)) >> 32);
                     })
                   : ternary<uint32_t, uint32_t, uint32_t, uint32_t>([](uint32_t a, uint32_t b, uint32_t c) {
                       return uint32_t(((uint64_t(b) << 32 | a) << (c & 31)) >> 32);
                     });
  else
    handlers = clamp
                   ? ternary<uint32_t, uint32_t, uint32_t, uint32_t>([](uint32_t a, uint32_t b, uint32_t c) {
                       return uint32_t((uint64_t(b) << 32 | a) >> (c < 32 ? c : 32));
                     })
                   : ternary<uint32_t, uint32_t, uint32_t, uint32_t>([](uint32_t a, uint32_t b, uint32_t c) {
                       return uint32_t((uint64_t(b) << 32 | a) >> (c & 31));
                     });
  emitElementwise(t, handlers, InstructionClass::integer, Type::b32, 3);
}

/// prmt (PTX ISA 9.7.8.7): picks bytes of {b, a} by the nibbles of c; bit 3 of a nibble replicates the sign.
template <int mode> uint32_t permuted(uint32_t a, uint32_t b, uint32_t c) {
  const uint64_t bytes = uint64_t(b) << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    uint32_t index = 0, sign = 0;
    const uint32_t base = c & 3;
    switch (mode) {
    case 0:
      index = c >> 4 * i & 7;
      sign = c >> 4 * i & 8;
      break;
    case 1:
      index = base + i;
      break; // f4e
    case 2:
      index = (base - i) & 7;
      break; // b4e
    case 3:
      index = base;
      break; // rc8
    case 4:
      index = base > uint32_t(i) ? base : i;
      break; // ecl
    case 5:
      index = base < uint32_t(i) ? base : i;
      break; // ecr
    case 6:
      index = (base & 1) * 2 + (i & 1);
      break; // rc16
    }
    uint32_t byte = bytes >> 8 * index & 0xff;
    if (sign)
      byte = byte & 0x80 ? 0xff : 0;
    result |= byte << 8 * i;
  }
  return result;
}
template <int mode> Handlers permute() {
  return ternary<uint32_t, uint32_t, uint32_t, uint32_t>(
      [](uint32_t a, uint32_t b, uint32_t c) { return permuted<mode>(a, b, c); });
}

void prmt(Translator &t) {
  const int mode = t.takeOneOf({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"}) + 1;
  t.needType();
  static const Handlers handlers[] = {permute<0>(), permute<1>(), permute<2>(), permute<3>(),
                                      permute<4>(), permute<5>(), permute<6>()};
  emitElementwise(t, handlers[mode], InstructionClass::integer, Type::b32, 3);
}

/// popc, clz: the result is .u32 for every type.
template <bool leading> void count(Translator &t) {
  const Type type = t.needType();
  const Handlers handlers = bytesOf(type) == 8
                                ? unary<uint32_t, uint64_t>([](uint64_t a) {
                                    return uint32_t(leading ? std::countl_zero(a) : std::popcount(a));
                                  })
                                : unary<uint32_t, uint32_t>([](uint32_t a) {
                                    return uint32_t(leading ? std::countl_zero(a) : std::popcount(a));
                                  });
  emitElementwise(t, handlers, InstructionClass::integer, type, 1, Type::u32);
}

/// bfind (PTX ISA 9.7.1.20): the highest bit that differs from the sign; .shiftamt: how far to shift it to
/// the top.
template <typename T, bool shiftAmount> uint32_t highestBit(T a) {
  using U = std::make_unsigned_t<T>;
  const U magnitude = std::is_signed_v<T> && a < 0 ? U(~a) : U(a);
  if (!magnitude)
    return ~0u;
  const uint32_t position = sizeof(T) * 8 - 1 - std::countl_zero(magnitude);
  return shiftAmount ? sizeof(T) * 8 - 1 - position : position;
}
void bfind(Translator &t) {
  const bool amount = t.take("shiftamt");
  const Type type = t.needType();
  const auto make = [&]<typename T>() {
    return amount ? unary<uint32_t, T>([](T a) { return highestBit<T, true>(a); })
                  : unary<uint32_t, T>([](T a) { return highestBit<T, false>(a); });
  };
  const Handlers handlers = type == Type::u32   ? make.template operator()<uint32_t>()
                            : type == Type::s32 ? make.template operator()<int32_t>()
                            : type == Type::u64 ? make.template operator()<uint64_t>()
                                                : make.template operator()<int64_t>();
  emitElementwise(t, handlers, InstructionClass::integer, type, 1, Type::u32);
}

template <typename T> T reversed(T a) {
  T result = 0;
  for (unsigned i = 0; i < sizeof(T) * 8; ++i)
    result |= (a >> i & 1) << (sizeof(T) * 8 - 1 - i);
  return result;
}
void brev(Translator &t) {
  const Type type = t.needType();
  emitElementwise(t,
                  bytesOf(type) == 8 ? unary<uint64_t>([](uint64_t a) { return reversed(a); })
                                     : unary<uint32_t>([](uint32_t a) { return reversed(a); }),
                  InstructionClass::integer, type, 1);
}

/// bfe (PTX ISA 9.7.1.18): `length` bits from `start`; bits beyond the top are the sign of the field.
template <typename T> T field(T a, uint32_t start, uint32_t length) {
  constexpr uint32_t width = sizeof(T) * 8;
  start &= 0xff;
  length &= 0xff;
  const T beyond = std::is_signed_v<T> ? T(a >> (width - 1)) : T(0);
  const T shifted = start >= width ? beyond : T(a >> start);
  if (length >= width)
    return shifted;
  if (!length)
    return 0;
  return T(T(std::make_unsigned_t<T>(shifted) << (width - length)) >> (width - length));
}
template <typename T> Handlers extract() {
  return ternary<T, T, uint32_t, uint32_t>([](T a, uint32_t b, uint32_t c) { return field(a, b, c); });
}
void bfe(Translator &t) {
  const Type type = t.needType();
  const uint32_t a = t.source(1, type), b = t.source(2, Type::u32), c = t.source(3, Type::u32),
                 d = t.target(0, type);
  Instruction &in = t.emit(type == Type::u32   ? extract<uint32_t>()
                           : type == Type::s32 ? extract<int32_t>()
                           : type == Type::u64 ? extract<uint64_t>()
                                               : extract<int64_t>(),
                           InstructionClass::integer);
  in.d = d, in.a = a, in.b = b, in.c = c;
}

/// bfi f, a, b, c, d: the low d bits of a replace bits c.. of b.
template <typename T> void insertLanes(Warp &warp, const Instruction &in) {
  const uint32_t *length = warp.reg<uint32_t>(static_cast<uint32_t>(in.offset));
  eachActive(warp, [&](int lane) {
    const uint32_t start = warp.reg<uint32_t>(in.c)[lane] & 0xff, count = length[lane] & 0xff,
                   width = sizeof(T) * 8;
    T result = warp.reg<T>(in.b)[lane];
    for (uint32_t i = 0; i < count && start + i < width; ++i)
      result = T(result & ~(T(1) << (start + i))) |
               T((warp.reg<T>(in.a)[lane] >> (i < width ? i : width - 1) & 1) << (start + i));
    warp.reg<T>(in.d)[lane] = result;
  });
}
void bfi(Translator &t) {
  const Type type = t.needType();
  const uint32_t a = t.source(1, type), b = t.source(2, type), c = t.source(3, Type::u32),
                 n = t.source(4, Type::u32);
  const uint32_t d = t.target(0, type);
  Instruction &in =
      t.emit(bytesOf(type) == 8 ? &insertLanes<uint64_t> : &insertLanes<uint32_t>, InstructionClass::integer);
  in.d = d, in.a = a, in.b = b, in.c = c;
  in.offset = n;
}

void bmsk(Translator &t) {
  const bool wrap = t.takeOneOf({"clamp", "wrap"}) == 1;
  t.needType();
  emitElementwise(t,
                  wrap ? binary<uint32_t>([](uint32_t a, uint32_t b) {
                    return uint32_t(((1ull << (b & 31)) - 1) << (a & 31));
                  })
                       : binary<uint32_t>([](uint32_t a, uint32_t b) {
                           return a >= 32 ? 0u : uint32_t(((b >= 32 ? 1ull << 32 : 1ull << b) - 1) << a);
                         }),
                  InstructionClass::integer, Type::b32, 2);
}

/// szext (PTX ISA 9.7.1.21): sign- or zero-extends the low b bits of a.
void szext(Translator &t) {
  const bool wrap = t.takeOneOf({"clamp", "wrap"}) == 1;
  const Type type = t.needType();
  const auto zero = [](uint32_t a, uint32_t n) { return n >= 32 ? a : a & ((1u << n) - 1); };
  (void)zero;
  Handlers handlers;
  if (type == Type::s32)
    handlers = wrap ? binary<uint32_t>([](uint32_t a, uint32_t b) {
      b &= 31;
      return b ? uint32_t(int32_t(a << (32 - b)) >> (32 - b)) : 0u;
    })
                    : binary<uint32_t>([](uint32_t a, uint32_t b) {
                        return b >= 32 ? a : b ? uint32_t(int32_t(a << (32 - b)) >> (32 - b)) : 0u;
                      });
  else
    handlers =
        wrap ? binary<uint32_t>([](uint32_t a, uint32_t b) { return a & ((1u << (b & 31)) - 1); })
             : binary<uint32_t>([](uint32_t a, uint32_t b) { return b >= 32 ? a : a & ((1u << b) - 1); });
  emitElementwise(t, handlers, InstructionClass::integer, type, 2);
}

/// fns (PTX ISA 9.7.1.17): the n-th set bit of a mask from a base, upwards or downwards.
uint32_t nthSet(uint32_t mask, uint32_t base, int32_t n) {
  if (n == 0)
    return base < 32 && mask >> base & 1 ? base : ~0u;
  int64_t found = 0;
  for (int64_t i = base; i >= 0 && i < 32; i += n > 0 ? 1 : -1)
    if (mask >> i & 1 && ++found == std::abs(int64_t(n)))
      return static_cast<uint32_t>(i);
  return ~0u;
}
void fns(Translator &t) {
  t.needType();
  emitElementwise(t, ternary<uint32_t, uint32_t, uint32_t, int32_t>([](uint32_t a, uint32_t b, int32_t c) {
                    return nthSet(a, b, c);
                  }),
                  InstructionClass::integer, Type::b32, 3);
}

} // namespace

std::span<const Opcode> bitOpcodes() {
  static constexpr Opcode table[] = {
      {"and", andOp},       {"or", orOp},     {"xor", xorOp},         {"not", notOp},
      {"cnot", cnot},       {"lop3", lop3},   {"shl", shift<true>},   {"shr", shift<false>},
      {"shf", funnelShift}, {"prmt", prmt},   {"popc", count<false>}, {"clz", count<true>},
      {"bfind", bfind},     {"brev", brev},   {"bfe", bfe},           {"bfi", bfi},
      {"bmsk", bmsk},       {"szext", szext}, {"fns", fns},
  };
  return table;
}

} // namespace sinter::emulator
