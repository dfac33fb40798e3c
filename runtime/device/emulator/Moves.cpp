// SPDX-License-Identifier: Apache-2.0
// mov with packing and unpacking, cvta, isspacep (PTX ISA 9.7.9.3 to 9.7.9.6, 9.7.9.20).
#include "runtime/device/emulator/Moves.h"
#include "runtime/device/emulator/Arithmetic.h"
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <cstring>

namespace sinter::emulator {

Handlers copyOf(unsigned bytes) {
  const auto same = [](auto a) { return a; };
  switch (bytes) {
  case 1:
    return unary<uint8_t>(same);
  case 2:
    return unary<uint16_t>(same);
  case 4:
    return unary<uint32_t>(same);
  case 8:
    return unary<uint64_t>(same);
  default:
    return unary<unsigned __int128>(same);
  }
}

namespace {

Type bitsOf(unsigned bytes) {
  return bytes == 1 ? Type::b8 : bytes == 2 ? Type::b16 : bytes == 4 ? Type::b32 : Type::b64;
}

/// Joins in.count parts of in.extra bytes into one register; the first is the lowest.
void joinLanes(Warp &warp, const Instruction &in) {
  const uint32_t *parts = warp.program->lists.data() + in.list;
  const unsigned bytes = in.extra;
  uint8_t *d = warp.frame + in.d;
  alignas(64) uint8_t joined[16 * lanesOfWarp];
  for (uint32_t part = 0; part < in.count; ++part)
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      std::memcpy(joined + (static_cast<uint32_t>(lane) * in.count + part) * bytes,
                  warp.frame + parts[part] + lane * bytes, bytes);
  const unsigned whole = bytes * in.count;
  eachActive(warp, [&](int lane) { std::memcpy(d + lane * whole, joined + lane * whole, whole); });
}

void splitLanes(Warp &warp, const Instruction &in) {
  const uint32_t *parts = warp.program->lists.data() + in.list;
  const unsigned bytes = in.extra, whole = bytes * in.count;
  alignas(64) uint8_t source[16 * lanesOfWarp];
  std::memcpy(source, warp.frame + in.a, whole * lanesOfWarp);
  for (uint32_t part = 0; part < in.count; ++part)
    eachActive(warp, [&](int lane) {
      std::memcpy(warp.frame + parts[part] + lane * bytes, source + lane * whole + part * bytes, bytes);
    });
}

/// The common case, two parts of 16 or 32 bits, in loops that vectorise.
template <typename Part, typename Whole, bool masked> void joinTwo(Warp &warp, const Instruction &in) {
  constexpr unsigned bits = 8 * sizeof(Part);
  const Part *low = warp.reg<Part>(in.a), *high = warp.reg<Part>(in.b);
  writeLanes<masked, Whole>(warp, in.d,
                            [=](int lane) { return low[lane] | static_cast<Whole>(high[lane]) << bits; });
}

/// And apart again; a part that nobody wants goes to the sink.
template <typename Part, typename Whole, bool masked> void splitTwo(Warp &warp, const Instruction &in) {
  constexpr unsigned bits = 8 * sizeof(Part);
  alignas(64) Whole whole[lanesOfWarp];
  std::memcpy(whole, warp.reg<Whole>(in.a), sizeof whole);
  writeLanes<masked, Part>(warp, in.d, [&](int lane) { return static_cast<Part>(whole[lane]); });
  writeLanes<masked, Part>(warp, in.b, [&](int lane) { return static_cast<Part>(whole[lane] >> bits); });
}

template <typename Part, typename Whole> Handlers twoParts(bool joins) {
  return joins ? Handlers{joinTwo<Part, Whole, false>, joinTwo<Part, Whole, true>}
               : Handlers{splitTwo<Part, Whole, false>, splitTwo<Part, Whole, true>};
}

void mov(Translator &t) {
  const Type type = t.needType();
  const Operand &to = t.operand(0), &from = t.operand(1);
  if (type == Type::pred) {
    const uint32_t a = t.predicate(from), d = t.predicateTarget(to);
    Instruction &in = t.emit(
        +[](Warp &w, const Instruction &i) { writePredicate(w, i.d, w.predicate(i.a)); },
        InstructionClass::move);
    in.d = d, in.a = a;
    return;
  }
  const unsigned bytes = bytesOf(type);
  if (!bytes)
    return t.fail("type .{} is not supported", nameOf(type));
  const Operand &vector = from.kind == Operand::vector ? from : to;
  if (vector.kind == Operand::vector) {
    const size_t count = vector.parts.size();
    if (!count || bytes % count)
      return t.fail("expected 2 or 4 parts of equal size");
    const unsigned part = bytes / static_cast<unsigned>(count);
    std::vector<uint32_t> slots;
    for (const Operand &each : vector.parts)
      slots.push_back(&vector == &from ? t.source(each, bitsOf(part)) : t.target(each, bitsOf(part)));
    const bool joins = &vector == &from;
    const uint32_t other = joins ? t.target(to, type) : t.source(from, type);
    if (count == 2 && (part == 2 || part == 4)) {
      Instruction &in =
          t.emit(part == 4 ? twoParts<uint32_t, uint64_t>(joins) : twoParts<uint16_t, uint32_t>(joins),
                 InstructionClass::move);
      in.a = joins ? slots[0] : other, in.b = slots[1], in.d = joins ? other : slots[0];
      return;
    }
    Instruction &in = t.emit(joins ? &joinLanes : &splitLanes, InstructionClass::move);
    (joins ? in.d : in.a) = other;
    in.extra = part;
    t.list(in, slots);
    return;
  }
  const uint32_t a = t.source(from, type), d = t.target(to, type);
  Instruction &in = t.emit(copyOf(bytes), InstructionClass::move);
  in.d = d, in.a = a;
}

/// cvta.space: to a generic address; cvta.to.space: back. Global and constant addresses are generic ones.
void cvta(Translator &t) {
  const bool back = t.take("to");
  const int space = t.takeOneOf(
      {"shared", "shared::cta", "shared::cluster", "local", "global", "const", "param", "param::entry"});
  const Type type = t.needType();
  if (space < 0 || type != Type::u64)
    return t.fail("expected a state space and type .u64");
  const uint32_t a = t.source(1, type), d = t.target(0, type);
  const uint64_t tag = space < 3 ? genericShared : space == 3 ? genericLocal : 0;
  Handlers handlers = copyOf(8);
  if (tag && back)
    handlers = unary<uint64_t>([](uint64_t x) { return x & 0xffffffffu; });
  else if (tag == genericShared)
    handlers = unary<uint64_t>([](uint64_t x) { return x | genericShared; });
  else if (tag == genericLocal)
    handlers = unary<uint64_t>([](uint64_t x) { return x | genericLocal; });
  Instruction &in = t.emit(handlers, InstructionClass::integer);
  in.d = d, in.a = a;
}

void isspacep(Translator &t) {
  const int space =
      t.takeOneOf({"shared", "shared::cta", "shared::cluster", "local", "global", "const", "param"});
  const uint32_t a = t.source(1, Type::u64), d = t.predicateTarget(t.operand(0));
  Instruction &in = t.emit(
      +[](Warp &warp, const Instruction &in) {
        const uint64_t *a = warp.reg<uint64_t>(in.a);
        const uint64_t tag = static_cast<uint64_t>(in.offset);
        const uint32_t rank = warp.block->rank;
        const bool ownOnly = in.extra;
        writePredicate(warp, in.d, maskOf([=](int lane) {
                         return (a[lane] >> 56 << 56) == tag &&
                                (!ownOnly || (a[lane] >> sharedRankShift & 0xff) == rank);
                       }));
      },
      InstructionClass::predicate);
  in.d = d, in.a = a;
  in.offset = static_cast<int64_t>(space < 0 ? 0 : space < 3 ? genericShared : space == 3 ? genericLocal : 0);
  in.extra = space == 0 || space == 1;
}

} // namespace

std::span<const Opcode> moveOpcodes() {
  static constexpr Opcode table[] = {{"mov", mov}, {"cvta", cvta}, {"isspacep", isspacep}};
  return table;
}

} // namespace sinter::emulator
