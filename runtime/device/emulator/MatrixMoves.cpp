// SPDX-License-Identifier: Apache-2.0
// ldmatrix, stmatrix, movmatrix (PTX ISA 9.7.14.5.15 to 9.7.14.5.17): 8x8 matrices of 16-bit elements. Lane 8
// m + r holds the address of row r of matrix m; in registers, lane l holds elements 2 (l % 4) and 2 (l % 4) +
// 1 of row l / 4.
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/LoadStore.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/Warps.h"

#include <cstring>

namespace sinter::emulator {

namespace {

struct MatrixMove {
  Access access;
  unsigned matrices = 1;
  bool transposed = false, store = false;
};

void moveLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const MatrixMove *>(in.detail);
  if (!converged(warp, in, allLanes))
    return;
  const Mask all = warp.active;
  uint8_t *rows[32];
  warp.active = how.matrices == 4 ? all : all & ((1u << 8 * how.matrices) - 1); // whose addresses count
  const bool good = locate(warp, in, how.access, rows);
  warp.active = all;
  if (!good)
    return;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  for (unsigned m = 0; m < how.matrices; ++m) {
    uint16_t matrix[8][8];
    uint32_t *reg = warp.reg<uint32_t>(slots[m]);
    if (!how.store)
      for (int row = 0; row < 8; ++row)
        std::memcpy(matrix[row], rows[8 * m + static_cast<unsigned>(row)], 16);
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      for (int e = 0; e < 2; ++e) {
        const int row = how.transposed ? 2 * (lane % 4) + e : lane / 4,
                  column = how.transposed ? lane / 4 : 2 * (lane % 4) + e;
        if (how.store)
          matrix[row][column] = static_cast<uint16_t>(reg[lane] >> 16 * e);
        else if (e == 0)
          reg[lane] = matrix[row][column];
        else
          reg[lane] |= static_cast<uint32_t>(matrix[row][column]) << 16;
      }
    if (how.store)
      for (int row = 0; row < 8; ++row)
        std::memcpy(rows[8 * m + static_cast<unsigned>(row)], matrix[row], 16);
  }
}

template <bool store> void matrixMove(Translator &t) {
  MatrixMove how;
  t.take("sync");
  t.take("aligned");
  if (!t.take("m8n8"))
    return t.fail("expected shape .m8n8");
  const int count = t.takeOneOf({"x1", "x2", "x4"});
  how.matrices = 1u << (count < 0 ? 0 : count);
  how.transposed = t.take("trans");
  how.store = store;
  how.access.space = takeSpace(t, Space::generic);
  how.access.kind = store ? AccessKind::store : AccessKind::load;
  how.access.bytes = 16;
  if (t.needType() != Type::b16)
    return t.fail("expected type .b16");
  const Translator::Address address = t.address(t.operand(store ? 0 : 1));
  how.access.addressBytes = address.bytes;
  const Operand &data = t.operand(store ? 1 : 0);
  const bool isVector = data.kind == Operand::vector;
  if ((isVector ? data.parts.size() : 1) != how.matrices)
    return t.fail("expected {} registers in braces", how.matrices);
  std::vector<uint32_t> slots;
  for (unsigned m = 0; m < how.matrices && !t.failed(); ++m)
    slots.push_back(store ? t.source(isVector ? data.parts[m] : data, Type::b32)
                          : t.target(isVector ? data.parts[m] : data, Type::b32));
  Instruction &in = t.emit(&moveLanes, InstructionClass::matrixMove);
  in.a = address.slot;
  in.offset = address.offset;
  t.list(in, slots);
  in.detail = t.keep(how);
}

/// movmatrix.trans: transposes a matrix that lies in registers.
void movmatrix(Translator &t) {
  for (const char *each : {"sync", "aligned", "m8n8", "trans"})
    if (!t.take(each))
      return t.fail("expected .sync.aligned.m8n8.trans.b16");
  t.needType();
  const uint32_t a = t.source(1, Type::b32), d = t.target(0, Type::b32);
  Instruction &in = t.emit(
      +[](Warp &warp, const Instruction &in) {
        if (!converged(warp, in, allLanes))
          return;
        uint16_t matrix[8][8];
        const uint32_t *a = warp.reg<uint32_t>(in.a);
        for (int lane = 0; lane < lanesOfWarp; ++lane)
          for (int e = 0; e < 2; ++e)
            matrix[lane / 4][2 * (lane % 4) + e] = static_cast<uint16_t>(a[lane] >> 16 * e);
        for (int lane = 0; lane < lanesOfWarp; ++lane)
          warp.reg<uint32_t>(in.d)[lane] = matrix[2 * (lane % 4)][lane / 4] |
                                           static_cast<uint32_t>(matrix[2 * (lane % 4) + 1][lane / 4]) << 16;
      },
      InstructionClass::matrixMove);
  in.a = a, in.d = d;
}

} // namespace

std::span<const Opcode> matrixMoveOpcodes() {
  static constexpr Opcode table[] = {
      {"ldmatrix", matrixMove<false>}, {"stmatrix", matrixMove<true>}, {"movmatrix", movmatrix}};
  return table;
}

} // namespace sinter::emulator
