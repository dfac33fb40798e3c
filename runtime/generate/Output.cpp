// SPDX-License-Identifier: Apache-2.0
// Bytes in, bytes out.
#include "runtime/generate/Output.h"
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace sinter {

bool Output::write(std::string_view text) {
  while (error == 0 && !text.empty()) {
    const ssize_t wrote = ::write(descriptor, text.data(), text.size());
    if (wrote >= 0)
      text.remove_prefix(size_t(wrote));
    else if (errno != EINTR && errno != EAGAIN)
      error = errno;
  }
  return error == 0;
}

Result<void> Output::status() const {
  if (error == 0 || error == EPIPE)
    return {};
  return fail("cannot write the output: {}", std::strerror(error));
}

Result<std::string> readWhole(const std::string &path) {
  const bool standard = path == "-";
  const int descriptor = standard ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail("{}: cannot open: {}", path, std::strerror(errno));
  std::string text;
  while (true) {
    const size_t before = text.size(), room = before < 65536 ? 65536 : before;
    text.resize(before + room);
    const ssize_t got = read(descriptor, text.data() + before, room);
    text.resize(before + size_t(got > 0 ? got : 0));
    if (got == 0)
      break;
    if (got < 0 && errno != EINTR) {
      const int reason = errno;
      if (!standard)
        close(descriptor);
      return fail("{}: cannot read: {}", standard ? "standard input" : path.c_str(), std::strerror(reason));
    }
  }
  if (!standard)
    close(descriptor);
  return text;
}

namespace {

/// Length of the valid UTF-8 character at the front of `bytes`, or minus the length of the ill-formed part
/// that one U+FFFD stands for (Unicode 15, table 3-7: the maximal subpart).
int characterLength(std::string_view bytes) {
  const auto at = [&](size_t i) { return uint8_t(bytes[i]); };
  const uint8_t lead = at(0);
  if (lead < 0x80)
    return 1;
  if (lead < 0xC2 || lead > 0xF4)
    return -1;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint8_t low = 0x80, high = 0xBF;
  if (lead == 0xE0)
    low = 0xA0;
  if (lead == 0xED)
    high = 0x9F;
  if (lead == 0xF0)
    low = 0x90;
  if (lead == 0xF4)
    high = 0x8F;
  for (int i = 1; i < length; ++i) {
    if (size_t(i) >= bytes.size() || at(size_t(i)) < low || at(size_t(i)) > high)
      return -i;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

} // namespace

std::string repairUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const int length = characterLength(bytes);
    if (length > 0)
      text += bytes.substr(0, size_t(length));
    else
      text += "\xEF\xBF\xBD";
    bytes.remove_prefix(size_t(length > 0 ? length : -length));
  }
  return text;
}

} // namespace sinter
