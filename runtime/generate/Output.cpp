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

namespace {

/// All that `descriptor` gives; errors name `shown`.
Result<std::string> readUntilEnd(int descriptor, const char *shown) {
  constexpr size_t most = size_t(1) << 30; // devices like /dev/zero never end
  std::string text;
  while (text.size() <= most) {
    const size_t before = text.size(), room = before < 65536 ? 65536 : before;
    text.resize(before + room);
    const ssize_t got = read(descriptor, text.data() + before, room);
    text.resize(before + size_t(got > 0 ? got : 0));
    if (got == 0)
      return text;
    if (got < 0 && errno != EINTR)
      return fail("{}: cannot read: {}", shown, std::strerror(errno));
  }
  return fail("{}: expected at most 1 GiB of text, found more", shown);
}

} // namespace

Result<std::string> readWhole(const std::string &path) {
  if (path == "-")
    return readUntilEnd(STDIN_FILENO, "standard input");
  if (path.empty())
    return fail("expected the path of a file, found an empty one");
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail("{}: cannot open: {}", path, std::strerror(errno));
  Result<std::string> text = readUntilEnd(descriptor, path.c_str());
  close(descriptor);
  return text;
}

} // namespace sinter
