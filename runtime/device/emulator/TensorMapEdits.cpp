// SPDX-License-Identifier: Apache-2.0
// tensormap.replace and tensormap.cp_fenceproxy (PTX ISA 9.7.9.28, 9.7.13.17): tensor maps that kernels make.
// What the driver would refuse is found when the map is used.
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/LoadStore.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/TensorMap.h"
#include "runtime/device/emulator/Warps.h"

#include <cstring>

namespace sinter::emulator {

namespace {

enum class Field : uint8_t {
  globalAddress,
  rank,
  boxDim,
  globalDim,
  globalStride,
  elementStride,
  elemtype,
  interleaveLayout,
  swizzleMode,
  fillMode,
};

struct Replacement {
  Field field;
  Space space = Space::generic;
  unsigned addressBytes = 8, dimension = 0;
};

/// 128 bytes at an address of a space. Null after a fault.
uint8_t *placeOf(Warp &warp, const Instruction &in, Space space, uint64_t address, unsigned align) {
  const bool isShared =
      space == Space::shared || (space == Space::generic && address >> 56 << 56 == genericShared);
  return isShared ? locateShared(warp, in, address & 0xffffffff, 128, align)
                  : locateGlobal(warp, in, address, 128, align);
}

/// False if the field cannot be that.
bool replace(TensorMap &map, Field field, unsigned dimension, uint64_t value) {
  // Types of PTX ISA table 33 as the driver numbers them.
  constexpr uint8_t types[] = {0, 1, 2, 3, 4, 5, 6, 7, 10, 8, 9, 11, 12};
  switch (field) {
  case Field::globalAddress:
    map.address = value;
    return true;
  case Field::rank: // less one
    map.rank = static_cast<uint8_t>(value + 1);
    return value < 5;
  case Field::boxDim:
    map.box[dimension] = static_cast<uint16_t>(value);
    return value >= 1 && value <= 256;
  case Field::globalDim:
    map.sizes[dimension] = static_cast<uint32_t>(value - 1);
    return value >= 1;
  case Field::globalStride:
    map.strides[dimension] = value;
    return true;
  case Field::elementStride:
    map.elementStrides[dimension] = static_cast<uint8_t>(value);
    return value >= 1 && value <= 8;
  case Field::elemtype:
    if (value >= std::size(types))
      return false;
    map.dataType = types[value];
    return true;
  case Field::interleaveLayout:
    return value == 0;
  case Field::swizzleMode:
    map.swizzle = static_cast<Swizzle>(value & 3);
    return value <= 3;
  case Field::fillMode:
    map.nanFill = value & 1;
    return value <= 1;
  }
  return false;
}

/// Slots: a: address, b: value.
void replaceLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Replacement *>(in.detail);
  uint64_t addresses[32];
  laneAddresses(warp, in.a, how.addressBytes, in.offset, addresses);
  eachActive(warp, [&](int lane) {
    uint8_t *place = placeOf(warp, in, how.space, addresses[lane], 64);
    if (!place)
      return;
    TensorMap map;
    std::memcpy(&map, place, sizeof map);
    if (map.magic != TensorMap::magicValue) { // 128 bytes of zeros become a map with their first field
      std::memset(&map, 0, sizeof map);
      map.magic = TensorMap::magicValue;
    }
    const uint64_t value = warp.reg<uint64_t>(in.b)[lane];
    if (!replace(map, how.field, how.dimension, value))
      return warp.fault(in, "{}: the value {} is not supported in a tensor map", warp.describe(lane), value);
    std::memcpy(place, &map, sizeof map);
  });
}

void replaceField(Translator &t) {
  Replacement how;
  t.take("tile");
  const int field =
      t.takeOneOf({"global_address", "rank", "box_dim", "global_dim", "global_stride", "element_stride",
                   "elemtype", "interleave_layout", "swizzle_mode", "fill_mode"});
  if (field < 0)
    return t.fail("expected a field such as .global_address");
  how.field = static_cast<Field>(field);
  how.space = takeSpace(t, Space::generic);
  if (!t.take("b1024"))
    return t.fail("expected .b1024");
  const Type type = t.needType();
  const Translator::Address address = t.address(t.operand(0));
  how.addressBytes = address.bytes;
  const bool hasDimension = how.field >= Field::boxDim && how.field <= Field::elementStride;
  if (hasDimension) {
    uint64_t dimension = 0;
    if (!t.immediate(t.operand(1), dimension) || dimension > (how.field == Field::globalStride ? 3u : 4u))
      return t.fail("expected a constant dimension");
    how.dimension = static_cast<unsigned>(dimension);
  }
  uint32_t value = t.source(hasDimension ? 2 : 1, type);
  if (bytesOf(type) == 4) {
    Instruction &widen =
        t.emit(unary<uint64_t, uint32_t>([](uint32_t x) { return uint64_t(x); }), InstructionClass::move);
    widen.a = value;
    value = widen.d = t.temporary(8);
  }
  Instruction &in = t.emit(&replaceLanes, InstructionClass::sharedStore);
  in.a = address.slot, in.b = value;
  in.offset = address.offset;
  in.detail = t.keep(how);
}

struct FencedCopy {
  unsigned toBytes, fromBytes;
  int64_t fromOffset;
};

/// cp_fenceproxy: the warp copies a map of 128 bytes from shared to global memory; what follows an acquiring
/// fence sees it.
void copyLanes(Warp &warp, const Instruction &in) {
  if (!converged(warp, in, allLanes))
    return;
  const auto &how = *static_cast<const FencedCopy *>(in.detail);
  uint64_t to[32], from[32];
  laneAddresses(warp, in.a, how.toBytes, in.offset, to);
  laneAddresses(warp, in.b, how.fromBytes, how.fromOffset, from);
  const int lane = __builtin_ctz(warp.active);
  const uint8_t *source = placeOf(warp, in, Space::shared, from[lane], 128);
  uint8_t *target = source ? placeOf(warp, in, Space::global, to[lane], 128) : nullptr;
  if (target)
    std::memcpy(target, source, 128);
}

void copyFenced(Translator &t) {
  while (!t.modifiers().empty())
    t.take(std::string_view(t.modifiers().front()));
  const Translator::Address to = t.address(t.operand(0)), from = t.address(t.operand(1));
  uint64_t size = 0;
  if (!t.immediate(t.operand(2), size) || size != 128)
    return t.fail("expected a size of 128");
  Instruction &in = t.emit(&copyLanes, InstructionClass::globalStore);
  in.a = to.slot, in.b = from.slot;
  in.offset = to.offset;
  in.detail = t.keep(FencedCopy{to.bytes, from.bytes, from.offset});
}

void tensormap(Translator &t) {
  if (t.take("replace"))
    return replaceField(t);
  if (t.take("cp_fenceproxy"))
    return copyFenced(t);
  t.fail("expected .replace or .cp_fenceproxy");
}

} // namespace

std::span<const Opcode> tensorMapOpcodes() {
  static constexpr Opcode table[] = {{"tensormap", tensormap}};
  return table;
}

} // namespace sinter::emulator
