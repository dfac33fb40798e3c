// SPDX-License-Identifier: Apache-2.0
// Video instructions (PTX ISA 9.7.17 and 9.7.18) without selections of bytes and halves: vadd, vsub,
// vabsdiff, vmin, vmax, vset, vshl, vshr of 32 bits, and vadd2, vadd4, ..., vavrg2, vavrg4, vset2, vset4 of
// the halves or bytes of a register.
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>
#include <cstdlib>

namespace sinter::emulator {

namespace {

enum class VideoOperation : uint8_t {
  add,
  sub,
  absoluteDifference,
  minimum,
  maximum,
  average,
  set,
  shiftLeft,
  shiftRight
};
enum class Secondary : uint8_t { none, add, min, max };

struct Video {
  VideoOperation operation;
  unsigned bits = 32; // of an element
  bool signedD = false, signedA = false, signedB = false, saturates = false, wraps = false;
  Secondary secondary = Secondary::none;
  int compare = 0; // eq, ne, lt, le, gt, ge
};

int64_t element(uint32_t value, unsigned index, unsigned bits, bool isSigned) {
  const uint32_t field = bits == 32 ? value : value >> index * bits & ((1u << bits) - 1);
  if (!isSigned)
    return field;
  return static_cast<int32_t>(field << (32 - bits)) >> (32 - bits);
}

bool compares(int how, int64_t a, int64_t b) {
  switch (how) {
  case 0:
    return a == b;
  case 1:
    return a != b;
  case 2:
    return a < b;
  case 3:
    return a <= b;
  case 4:
    return a > b;
  default:
    return a >= b;
  }
}

__int128 computed(const Video &how, int64_t a, int64_t b) {
  switch (how.operation) {
  case VideoOperation::add:
    return a + b;
  case VideoOperation::sub:
    return a - b;
  case VideoOperation::absoluteDifference:
    return std::abs(a - b);
  case VideoOperation::minimum:
    return std::min(a, b);
  case VideoOperation::maximum:
    return std::max(a, b);
  case VideoOperation::average: // rounded up
    return (a + b + 1) >> 1;
  case VideoOperation::set:
    return compares(how.compare, a, b);
  case VideoOperation::shiftLeft:
  case VideoOperation::shiftRight: {
    const int64_t count = how.wraps ? b & 31 : std::min<int64_t>(b, 32);
    return how.operation == VideoOperation::shiftLeft ? static_cast<__int128>(a) * (int64_t(1) << count)
                                                      : static_cast<__int128>(a >> count);
  }
  }
  return 0;
}

uint32_t saturated(__int128 value, unsigned bits, bool isSigned) {
  const __int128 lowest = isSigned ? -(__int128(1) << (bits - 1)) : 0,
                 highest = (__int128(1) << (isSigned ? bits - 1 : bits)) - 1;
  return static_cast<uint32_t>(std::clamp(value, lowest, highest));
}

/// One element after the other; without .sat results wrap. A secondary operation of several elements is the
/// sum of all of them and c; of one, the operation with c.
void videoLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Video *>(in.detail);
  const uint32_t mask = how.bits == 32 ? ~0u : (1u << how.bits) - 1;
  eachActive(warp, [&](int lane) {
    const uint32_t a = warp.reg<uint32_t>(in.a)[lane], b = warp.reg<uint32_t>(in.b)[lane],
                   c = warp.reg<uint32_t>(in.c)[lane];
    uint32_t packed = 0, sum = c;
    for (unsigned i = 0; i < 32 / how.bits; ++i) {
      const __int128 value =
          computed(how, element(a, i, how.bits, how.signedA), element(b, i, how.bits, how.signedB));
      const uint32_t bits =
          how.saturates ? saturated(value, how.bits, how.signedD) : static_cast<uint32_t>(value);
      packed |= (bits & mask) << i * how.bits;
      sum += bits; // not cut off
    }
    if (how.secondary == Secondary::add)
      packed = sum;
    else if (how.secondary != Secondary::none) {
      const int64_t x = element(packed, 0, 32, how.signedD), y = element(c, 0, 32, how.signedD);
      packed = static_cast<uint32_t>(how.secondary == Secondary::min ? std::min(x, y) : std::max(x, y));
    }
    warp.reg<uint32_t>(in.d)[lane] = packed;
  });
}

template <VideoOperation operation, unsigned bits> void video(Translator &t) {
  Video how;
  how.operation = operation;
  how.bits = bits;
  constexpr bool shifts = operation == VideoOperation::shiftLeft || operation == VideoOperation::shiftRight;
  Type types[3] = {Type::none, Type::none, Type::none}; // d, a, b; vset has no type of the result
  const int first = operation == VideoOperation::set ? 1 : 0;
  for (int i = first; i < 3; ++i) {
    types[i] = t.needType();
    if (types[i] != Type::u32 && types[i] != Type::s32)
      return t.fail("expected types .u32 or .s32, found .{}", nameOf(types[i]));
  }
  how.signedD = types[0] == Type::s32, how.signedA = types[1] == Type::s32,
  how.signedB = types[2] == Type::s32;
  if (operation == VideoOperation::set) {
    how.compare = t.takeOneOf({"eq", "ne", "lt", "le", "gt", "ge"});
    if (how.compare < 0)
      return t.fail("expected a comparison such as .eq");
  }
  how.saturates = t.take("sat");
  if (shifts) {
    if (how.signedB)
      return t.fail("expected a count of type .u32, found .s32");
    const int mode = t.takeOneOf({"clamp", "wrap"});
    if (mode < 0)
      return t.fail("expected .clamp or .wrap");
    how.wraps = mode == 1;
  }
  const int secondary = t.takeOneOf({"add", "min", "max"});
  if (bits != 32 && secondary > 0)
    return t.fail("expected no operation but .add on all elements");
  how.secondary = static_cast<Secondary>(secondary + 1);
  if (t.operandCount() == 4 && bits == 32 && secondary < 0)
    return t.fail("insertion into a part of c is not supported");
  const uint32_t a = t.source(1, Type::b32), b = t.source(2, Type::b32),
                 c = secondary >= 0 || t.operandCount() > 3 ? t.source(3, Type::b32) : 0,
                 d = t.target(0, Type::b32);
  Instruction &in = t.emit(&videoLanes, InstructionClass::integer);
  in.a = a, in.b = b, in.c = c, in.d = d;
  in.detail = t.keep(how);
}

} // namespace

std::span<const Opcode> videoOpcodes() {
  using enum VideoOperation;
  static constexpr Opcode table[] = {
      {"vadd", video<add, 32>},
      {"vadd2", video<add, 16>},
      {"vadd4", video<add, 8>},
      {"vsub", video<sub, 32>},
      {"vsub2", video<sub, 16>},
      {"vsub4", video<sub, 8>},
      {"vabsdiff", video<absoluteDifference, 32>},
      {"vabsdiff2", video<absoluteDifference, 16>},
      {"vabsdiff4", video<absoluteDifference, 8>},
      {"vmin", video<minimum, 32>},
      {"vmin2", video<minimum, 16>},
      {"vmin4", video<minimum, 8>},
      {"vmax", video<maximum, 32>},
      {"vmax2", video<maximum, 16>},
      {"vmax4", video<maximum, 8>},
      {"vavrg2", video<average, 16>},
      {"vavrg4", video<average, 8>},
      {"vset", video<set, 32>},
      {"vset2", video<set, 16>},
      {"vset4", video<set, 8>},
      {"vshl", video<shiftLeft, 32>},
      {"vshr", video<shiftRight, 32>},
  };
  return table;
}

} // namespace sinter::emulator
