// SPDX-License-Identifier: Apache-2.0
// How matrices lie in the registers of a warp (PTX ISA 9.7.14.5, "Matrix Fragments for mma.m16n8k..."): with
// g = lane / 4 and t = lane % 4, and E elements in a 32-bit register,
//   A, register r, element e: row g + 8 (r % 2), column t E + e + 4 E (r / 2)
//   B, register r, element e: row (k) t E + e + 4 E r, column g
//   C and D, element i: row g + 8 (i / 2), column 2 t + i % 2
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_FRAGMENTS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_FRAGMENTS_H

#include "runtime/device/emulator/Floats.h"
#include "runtime/device/emulator/Types.h"
#include <cstdint>

namespace sinter::emulator {

/// Elements of an operand's type in 32 bits.
constexpr int elementsOfRegister(Type type) {
  switch (type) {
  case Type::f16:
  case Type::bf16:
    return 2;
  case Type::e4m3:
  case Type::e5m2:
  case Type::s8:
  case Type::u8:
    return 4;
  case Type::s4:
  case Type::u4:
    return 8;
  case Type::tf32:
  case Type::f32:
    return 1;
  default:
    return 0;
  }
}

/// Element `index` of a 32-bit register, as a number of the accumulator's kind (float or int32_t).
template <typename T> inline T element(uint32_t bits, int index, Type type) {
  switch (type) {
  case Type::f16:
    return static_cast<T>(halfToFloat(static_cast<uint16_t>(bits >> 16 * index)));
  case Type::bf16:
    return static_cast<T>(bfloatToFloat(static_cast<uint16_t>(bits >> 16 * index)));
  case Type::e4m3:
    return static_cast<T>(e4m3ToFloat(static_cast<uint8_t>(bits >> 8 * index)));
  case Type::e5m2:
    return static_cast<T>(e5m2ToFloat(static_cast<uint8_t>(bits >> 8 * index)));
  case Type::s8:
    return static_cast<T>(static_cast<int8_t>(bits >> 8 * index));
  case Type::u8:
    return static_cast<T>(static_cast<uint8_t>(bits >> 8 * index));
  case Type::s4:
    return static_cast<T>(static_cast<int32_t>(bits << (28 - 4 * index)) >> 28);
  case Type::u4:
    return static_cast<T>(bits >> 4 * index & 15);
  default:
    return static_cast<T>(tf32ToFloat(bits));
  }
}

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_FRAGMENTS_H
