// SPDX-License-Identifier: Apache-2.0
// Video instructions (PTX ISA 9.7.17 and 9.7.18): vadd, vsub, vabsdiff, vmin, vmax, vset, vshl, vshr of 32
// bits or a part of them, and vadd2, vadd4, ..., vavrg2, vavrg4, vset2, vset4 of the halves or bytes of a
// register, in any order.
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>
#include <array>
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
  // One element: the byte or half of a, b and d.
  struct Part {
    unsigned shift = 0, bits = 32;
  };
  Part partA, partB, partD;
  // Several: which elements of a and, behind them, b are taken, and which of d are written.
  std::array<uint8_t, 4> fromA{0, 1, 2, 3}, fromB{};
  uint32_t written = ~0u;
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

/// One element. Without .sat it wraps. A part of d goes into c; else a secondary operation is one with c.
void videoLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Video *>(in.detail);
  const auto select = [](uint32_t value, const Video::Part &part, bool isSigned) {
    return element(value >> part.shift, 0, part.bits, isSigned);
  };
  const auto &[shift, bits] = how.partD;
  const uint32_t mask = bits == 32 ? ~0u : (1u << bits) - 1;
  eachActive(warp, [&](int lane) {
    const uint32_t c = warp.reg<uint32_t>(in.c)[lane];
    const __int128 value = computed(how, select(warp.reg<uint32_t>(in.a)[lane], how.partA, how.signedA),
                                    select(warp.reg<uint32_t>(in.b)[lane], how.partB, how.signedB));
    uint32_t result = how.saturates ? saturated(value, bits, how.signedD) : static_cast<uint32_t>(value);
    if (bits < 32)
      result = (result & mask) << shift | (c & ~(mask << shift));
    const int64_t x = element(result, 0, 32, how.signedD), y = element(c, 0, 32, how.signedD);
    warp.reg<uint32_t>(in.d)[lane] =
        how.secondary == Secondary::none ? result
        : how.secondary == Secondary::add
            ? result + c
            : static_cast<uint32_t>(how.secondary == Secondary::min ? std::min(x, y) : std::max(x, y));
  });
}

/// One element after the other; those that are not written are c's. .add: the sum of c and what would be
/// written.
void videoElementLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Video *>(in.detail);
  const unsigned count = 32 / how.bits;
  const uint32_t mask = (1u << how.bits) - 1;
  eachActive(warp, [&](int lane) {
    const uint32_t a = warp.reg<uint32_t>(in.a)[lane], b = warp.reg<uint32_t>(in.b)[lane],
                   c = warp.reg<uint32_t>(in.c)[lane];
    const auto pick = [&](unsigned index, bool isSigned) {
      return element(index < count ? a : b, index % count, how.bits, isSigned);
    };
    uint32_t packed = 0, sum = c;
    for (unsigned i = 0; i < count; ++i) {
      if (!(how.written >> i & 1)) {
        packed |= c & mask << i * how.bits;
        continue;
      }
      const __int128 value = computed(how, pick(how.fromA[i], how.signedA), pick(how.fromB[i], how.signedB));
      const uint32_t bits =
          how.saturates ? saturated(value, how.bits, how.signedD) : static_cast<uint32_t>(value);
      packed |= (bits & mask) << i * how.bits;
      sum += bits; // not cut off
    }
    warp.reg<uint32_t>(in.d)[lane] = how.secondary == Secondary::add ? sum : packed;
  });
}

/// .b0 to .b3, .h0, .h1.
bool takePart(Translator &t, const Operand &operand, Video::Part &part) {
  const std::string_view name = operand.part;
  if (name.empty())
    return true;
  const bool isByte = name[0] == 'b';
  if (name.size() == 2 && (isByte || name[0] == 'h') && name[1] >= '0' && name[1] < (isByte ? '4' : '2')) {
    part.bits = isByte ? 8 : 16;
    part.shift = static_cast<unsigned>(name[1] - '0') * part.bits;
    return true;
  }
  t.fail("expected part .b0 to .b3, .h0 or .h1, found .{}", name);
  return false;
}

/// .h10 or .b3210: the numbers of elements, the highest place first.
bool takeElements(Translator &t, const Operand &operand, unsigned bits, std::array<uint8_t, 4> &order) {
  const std::string_view name = operand.part;
  const unsigned count = 32 / bits;
  bool good = name.empty() || (name[0] == (bits == 8 ? 'b' : 'h') && name.size() == count + 1);
  for (unsigned i = 0; i < count && good && !name.empty(); ++i) {
    const auto digit = static_cast<unsigned>(name[count - i] - '0');
    good = digit < 2 * count;
    order[i] = static_cast<uint8_t>(digit);
  }
  if (!good)
    t.fail("expected {} numbers of elements below {} after .{}, found .{}", count, 2 * count,
           bits == 8 ? 'b' : 'h', name);
  return good;
}

/// .h1, .b20: the elements that are written.
bool takeMask(Translator &t, const Operand &operand, unsigned bits, uint32_t &written) {
  const std::string_view name = operand.part;
  if (name.empty())
    return true;
  bool good = name[0] == (bits == 8 ? 'b' : 'h') && name.size() > 1;
  written = 0;
  for (size_t i = 1; i < name.size() && good; ++i) {
    const auto digit = static_cast<unsigned>(name[i] - '0');
    good = digit < 32 / bits && (i == 1 || name[i] < name[i - 1]);
    written |= 1u << (digit & 3);
  }
  if (!good)
    t.fail("expected elements that are written, the highest first, as in .{}10, found .{}",
           bits == 8 ? 'b' : 'h', name);
  return good;
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
  if (bits == 32) {
    if (!takePart(t, t.operand(0), how.partD) || !takePart(t, t.operand(1), how.partA) ||
        !takePart(t, t.operand(2), how.partB))
      return;
    const bool merges = how.partD.bits < 32;
    if ((t.operandCount() == 4) != (merges || secondary >= 0) || (merges && secondary >= 0))
      return t.fail("expected c with a part of d or with .add, .min or .max, and not with both");
  } else {
    for (unsigned i = 0; i < 32 / bits; ++i)
      how.fromB[i] = static_cast<uint8_t>(32 / bits + i);
    if (!takeMask(t, t.operand(0), bits, how.written) || !takeElements(t, t.operand(1), bits, how.fromA) ||
        !takeElements(t, t.operand(2), bits, how.fromB))
      return;
  }
  const uint32_t a = t.source(1, Type::b32), b = t.source(2, Type::b32),
                 c = secondary >= 0 || t.operandCount() > 3 ? t.source(3, Type::b32) : 0,
                 d = t.target(0, Type::b32);
  Instruction &in = t.emit(bits == 32 ? &videoLanes : &videoElementLanes, InstructionClass::integer);
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
