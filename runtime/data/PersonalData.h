// SPDX-License-Identifier: Apache-2.0
// Finds what points to a person or opens a door - mail addresses, phone and card numbers, keys - and puts a
// word in its place: <email>, <phone>, <card>, <key>.
#ifndef SINTER_RUNTIME_DATA_PERSONALDATA_H
#define SINTER_RUNTIME_DATA_PERSONALDATA_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sinter::data {

enum class Personal { Email, Phone, Card, Key };
inline constexpr std::array<std::string_view, 4> personalNames{"email", "phone", "card", "key"};

struct PersonalCounts {
  std::array<uint64_t, 4> found{};
};

/// Appends `text` with what is found of the kinds in `kinds` (bit 1 << Personal) masked; false, with nothing
/// appended, if there is none. Phone numbers: with a country code behind +, North American with separators,
/// Chinese mobile ones; card numbers: 13 to 19 digits with a right check digit (Luhn); keys: of AWS, GitHub,
/// OpenAI, Slack, Google, and private keys in PEM.
bool maskPersonalData(std::string_view text, unsigned kinds, std::string &out, PersonalCounts &counts);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_PERSONALDATA_H
