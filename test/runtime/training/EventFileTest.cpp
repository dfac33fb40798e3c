// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/EventFile.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

namespace sinter::training {
namespace {

uint32_t unmasked(uint32_t masked) {
  const uint32_t rotated = masked - 0xA282EAD8u;
  return rotated << 15 | rotated >> 17;
}

TEST(EventFile, checksumsAreCastagnolis) {
  EXPECT_EQ(unmasked(maskedCrc("123456789")), 0xE3069283u);           // the check value of CRC-32C
  EXPECT_EQ(unmasked(maskedCrc(std::string(32, '\0'))), 0x8A9136AAu); // RFC 3720, B.4
  EXPECT_EQ(unmasked(maskedCrc("")), 0u);
}

/// Fields of a protobuf message: number, wire type, the value's bytes or the number.
struct Field {
  int number, type;
  uint64_t value;
  std::string bytes;
};
std::vector<Field> fields(std::string_view message) {
  std::vector<Field> found;
  size_t at = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const uint8_t byte = uint8_t(message.at(at++));
      value |= uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80)
        return value;
    }
  };
  while (at < message.size()) {
    const uint64_t key = varint();
    Field field{int(key >> 3), int(key & 7), 0, {}};
    const size_t size = field.type == 1 ? 8 : field.type == 5 ? 4 : field.type == 2 ? varint() : 0;
    if (field.type == 0)
      field.value = varint();
    field.bytes = message.substr(at, size);
    at += size;
    found.push_back(field);
  }
  return found;
}

TEST(EventFile, holdsScalarsInRecordsThatTensorBoardReads) {
  TemporaryFolder folder;
  auto file = EventFile::create(folder.path("tensorboard"), 7);
  ASSERT_TRUE(file);
  const Scalar scalars[] = {{"train/loss", 2.5}, {"train/lr", 0.25}};
  ASSERT_TRUE(file->add(300, scalars));
  EXPECT_NE(file->path().find("/events.out.tfevents."), std::string::npos);
  std::string text = folder.read("tensorboard/" + std::filesystem::path(file->path()).filename().string());
  std::vector<std::string> messages;
  for (std::string_view rest = text; !rest.empty();) {
    uint64_t length;
    std::memcpy(&length, rest.data(), 8);
    ASSERT_LE(16 + length, rest.size());
    const std::string message(rest.substr(12, length));
    EXPECT_EQ(rest.substr(0, 16 + length), eventRecord(message));
    messages.push_back(message);
    rest.remove_prefix(16 + length);
  }
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(fields(messages[0]).at(2).number, 3);
  EXPECT_EQ(fields(messages[0]).at(2).bytes, "brain.Event:2");
  EXPECT_EQ(fields(messages[1]).at(1).value, 7u);
  EXPECT_EQ(fields(messages[1]).at(2).number, 7); // session_log
  const auto event = fields(messages[2]);
  EXPECT_EQ(event.at(0).type, 1); // wall_time is a double
  EXPECT_EQ(event.at(1).value, 300u);
  ASSERT_EQ(event.at(2).number, 5);
  const auto values = fields(event.at(2).bytes);
  ASSERT_EQ(values.size(), 2u);
  const auto value = fields(values[0].bytes);
  EXPECT_EQ(value.at(0).bytes, "train/loss");
  float number;
  std::memcpy(&number, value.at(1).bytes.data(), 4);
  EXPECT_EQ(number, 2.5f);
}

} // namespace
} // namespace sinter::training
