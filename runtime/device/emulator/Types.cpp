// SPDX-License-Identifier: Apache-2.0
// Names and sizes of PTX's types.
#include "runtime/device/emulator/Types.h"

#include <array>

namespace sinter::emulator {

namespace {

struct TypeRow {
  std::string_view name;
  unsigned bytes;
};

// In the order of the enumeration.
constexpr std::array<TypeRow, 33> rows = {{
    {"", 0},      {"pred", 4}, {"b8", 1},    {"b16", 2},  {"b32", 4},    {"b64", 8},    {"b128", 16},
    {"u8", 1},    {"u16", 2},  {"u32", 4},   {"u64", 8},  {"s8", 1},     {"s16", 2},    {"s32", 4},
    {"s64", 8},   {"f16", 2},  {"f16x2", 4}, {"bf16", 2}, {"bf16x2", 4}, {"tf32", 4},   {"f32", 4},
    {"f32x2", 8}, {"f64", 8},  {"e4m3", 1},  {"e5m2", 1}, {"e4m3x2", 2}, {"e5m2x2", 2}, {"u16x2", 4},
    {"s16x2", 4}, {"u4", 0},   {"s4", 0},    {"b1", 0},   {"", 0},
}};

} // namespace

std::optional<Type> typeNamed(std::string_view name) {
  for (size_t i = 1; i < rows.size(); ++i)
    if (!rows[i].name.empty() && rows[i].name == name)
      return static_cast<Type>(i);
  return std::nullopt;
}

std::string_view nameOf(Type type) { return rows[static_cast<size_t>(type)].name; }

unsigned bytesOf(Type type) { return rows[static_cast<size_t>(type)].bytes; }

std::string_view nameOf(Space space) {
  constexpr std::string_view names[] = {"generic", "global", "shared", "shared::cluster",
                                        "local",   "const",  "param"};
  return names[static_cast<size_t>(space)];
}

} // namespace sinter::emulator
