// SPDX-License-Identifier: Apache-2.0
// tensorflow/core/util/event.proto and lib/io/record_writer: five fields and a checksum, for which
// libprotobuf would be the larger part of a trainer.
#include "runtime/training/EventFile.h"

#include <bit>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <nmmintrin.h>
#include <unistd.h>

namespace sinter::training {
namespace {

enum WireType { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

void appendVarint(std::string &out, uint64_t number) {
  for (; number >= 0x80; number >>= 7)
    out += char(number | 0x80);
  out += char(number);
}

void appendKey(std::string &out, int field, WireType type) { appendVarint(out, uint64_t(field << 3 | type)); }

template <typename Number> void appendFixed(std::string &out, Number number) {
  static_assert(std::endian::native == std::endian::little);
  out.append(reinterpret_cast<const char *>(&number), sizeof number);
}

void appendBytes(std::string &out, int field, std::string_view bytes) {
  appendKey(out, field, Bytes);
  appendVarint(out, bytes.size());
  out += bytes;
}

/// Event: wall_time = 1, step = 2.
std::string beginEvent(int64_t step) {
  std::string event;
  appendKey(event, 1, Fixed64);
  appendFixed(event,
              std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  appendKey(event, 2, Varint);
  appendVarint(event, uint64_t(step));
  return event;
}

} // namespace

uint32_t maskedCrc(std::string_view bytes) {
  uint64_t crc = 0xFFFFFFFF;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    crc = _mm_crc32_u64(crc, word);
  }
  for (char byte : bytes)
    crc = _mm_crc32_u8(uint32_t(crc), uint8_t(byte));
  const uint32_t plain = ~uint32_t(crc);
  return std::rotr(plain, 15) + 0xA282EAD8u;
}

std::string eventRecord(std::string_view message) {
  std::string record;
  appendFixed<uint64_t>(record, message.size());
  appendFixed(record, maskedCrc(record));
  record += message;
  appendFixed(record, maskedCrc(message));
  return record;
}

Result<EventFile> EventFile::create(const std::string &folder, int64_t step) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code)
    return fail("{}: cannot make the folder: {}", folder, code.message());
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const int64_t time =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  std::string path = fmt::format("{}/events.out.tfevents.{:010}.{}.{}", folder, time, host, ::getpid());
  Result<AppendFile> file = AppendFile::open(std::move(path));
  if (!file)
    return tl::unexpected(file.error());
  std::string version = beginEvent(0);
  appendBytes(version, 3, "brain.Event:2"); // file_version
  if (Result<> written = file->append(eventRecord(version)); !written)
    return tl::unexpected(written.error());
  std::string session; // SessionLog: status = 1, START = 1
  appendKey(session, 1, Varint);
  appendVarint(session, 1);
  std::string start = beginEvent(step);
  appendBytes(start, 7, session); // session_log
  if (Result<> written = file->append(eventRecord(start)); !written)
    return tl::unexpected(written.error());
  return EventFile(std::move(*file));
}

Result<> EventFile::add(int64_t step, std::span<const Scalar> scalars) {
  std::string summary; // repeated Value value = 1
  for (const Scalar &scalar : scalars) {
    std::string value; // tag = 1, simple_value = 2
    appendBytes(value, 1, scalar.tag);
    appendKey(value, 2, Fixed32);
    appendFixed(value, float(scalar.value));
    appendBytes(summary, 1, value);
  }
  std::string event = beginEvent(step);
  appendBytes(event, 5, summary);
  return file.append(eventRecord(event));
}

} // namespace sinter::training
