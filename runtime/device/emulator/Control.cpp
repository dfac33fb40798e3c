// SPDX-License-Identifier: Apache-2.0
// Branches, calls, exits (PTX ISA 9.7.12), and instructions that only advise. A warp that diverges becomes
// groups of lanes; the group with the lowest pc runs, and merges with those it meets (Execution.cpp).
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>

namespace sinter::emulator {

namespace {

/// The active lanes go to `target`; the others of the group, if any, go on.
void jump(Warp &warp, uint32_t target) {
  if (warp.active == warp.mask) {
    warp.pc = target;
    return;
  }
  warp.groups.push_back({target, warp.active, {}, 0});
  warp.mask &= ~warp.active;
  warp.leave();
}

void branchLanes(Warp &warp, const Instruction &in) { jump(warp, in.extra); }

void branchTableLanes(Warp &warp, const Instruction &in) {
  const uint32_t *index = warp.reg<uint32_t>(in.a);
  const uint32_t *targets = warp.program->lists.data() + in.list;
  const Mask all = warp.active;
  for (Mask rest = all; rest;) {
    const int first = __builtin_ctz(rest);
    const uint32_t value = index[first];
    if (value >= in.count)
      return warp.fault(in, "brx.idx: expected an index below {}, found {} in lane {}", in.count, value,
                        first);
    const Mask same = maskOf([=](int lane) { return index[lane] == value; }) & rest;
    rest &= ~same;
    if (!rest && same == warp.mask) {
      warp.pc = targets[value];
      return;
    }
    warp.groups.push_back({targets[value], same, {}, 0});
    warp.mask &= ~same;
  }
  warp.leave();
}

void exitLanes(Warp &warp, const Instruction &) {
  warp.live &= ~warp.active;
  warp.mask &= ~warp.active;
  warp.leave(); // those who are left are no longer all lanes
}

void bra(Translator &t) { t.branch(t.operand(0), t.take("uni")); }
void brx(Translator &t) {
  t.take("idx");
  t.take("uni");
  t.branchTable(t.operand(0), t.operand(1));
}
void ret(Translator &t) {
  t.take("uni");
  t.leaveFunction();
}
void exitOp(Translator &t) { t.emit(&exitLanes, InstructionClass::control); }
void call(Translator &t) { t.call(); }

void trap(Translator &t) {
  t.emit(
      +[](Warp &warp, const Instruction &in) { warp.fault(in, "the kernel executed trap"); },
      InstructionClass::control);
}

/// Instructions without an effect that a program could see: nothing to do, but still counted.
void advice(Translator &t) {
  while (!t.modifiers().empty())
    t.take(std::string_view(t.modifiers().front()));
  t.emit(+[](Warp &, const Instruction &) {}, InstructionClass::other);
}

void nanosleep(Translator &t) {
  t.take("u32");
  t.emit(
      +[](Warp &warp, const Instruction &) {
        warp.yields = true;
        warp.leave();
      },
      InstructionClass::other);
}

} // namespace

Handlers branchHandler() { return {&branchLanes, &branchLanes}; }
Handlers branchTableHandler() { return {&branchTableLanes, &branchTableLanes}; }
Handlers exitHandler() { return {&exitLanes, &exitLanes}; }

std::span<const Opcode> controlOpcodes() {
  static constexpr Opcode table[] = {
      {"bra", bra},
      {"brx", brx},
      {"ret", ret},
      {"exit", exitOp},
      {"call", call},
      {"trap", trap},
      {"brkpt", advice},
      {"pmevent", advice},
      {"prefetch", advice},
      {"prefetchu", advice},
      {"applypriority", advice},
      {"discard", advice},
      {"griddepcontrol", advice},
      {"nanosleep", nanosleep},
  };
  return table;
}

} // namespace sinter::emulator
