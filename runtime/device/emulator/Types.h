// SPDX-License-Identifier: Apache-2.0
// The fundamental types of PTX (PTX ISA 5.2, with the alternate floating-point and packed formats of 5.2.3
// to 5.2.5) and its state spaces (5.1).
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_TYPES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_TYPES_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace sinter::emulator {

enum class Type : uint8_t {
  none,
  pred,
  b8,
  b16,
  b32,
  b64,
  b128,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  f16x2,
  bf16,
  bf16x2,
  tf32,
  f32,
  f32x2,
  f64,
  e4m3,
  e5m2,
  e4m3x2,
  e5m2x2,
  u16x2,
  s16x2,
  u4,
  s4,
  b1,
};

/// The type that `name` (without its dot) spells, if any.
std::optional<Type> typeNamed(std::string_view name);
std::string_view nameOf(Type type);
/// Bytes in a register or in memory; 4 for pred (the emulator keeps a bit for each lane), 0 for none and
/// parts of bytes.
unsigned bytesOf(Type type);

constexpr bool isSigned(Type type) { return type >= Type::s8 && type <= Type::s64; }
constexpr bool isUnsigned(Type type) { return type >= Type::u8 && type <= Type::u64; }
constexpr bool isInteger(Type type) { return isSigned(type) || isUnsigned(type); }
constexpr bool isFloat(Type type) { return type >= Type::f16 && type <= Type::e5m2x2; }

enum class Space : uint8_t { generic, global, shared, sharedCluster, local, constant, param };
std::string_view nameOf(Space space);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_TYPES_H
