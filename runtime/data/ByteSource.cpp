// SPDX-License-Identifier: Apache-2.0
// Streams of bytes through zlib and libzstd.
#include "runtime/data/ByteSource.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>
#include <zlib.h>
#include <zstd.h>

namespace sinter::data {
namespace {

constexpr size_t packedBuffer = 256 << 10;

class PlainFile : public ByteSource {
public:
  PlainFile(int descriptor, std::string name) : descriptor(descriptor), name(std::move(name)) {}
  ~PlainFile() override {
    if (descriptor > 0)
      ::close(descriptor);
  }
  Result<size_t> read(std::span<char> buffer) override {
    size_t filled = 0;
    while (filled < buffer.size()) {
      ssize_t got = ::read(descriptor, buffer.data() + filled, buffer.size() - filled);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return fail("{}: {}", name, std::strerror(errno));
      if (got == 0)
        break;
      filled += static_cast<size_t>(got);
    }
    return filled;
  }

private:
  int descriptor;
  std::string name;
};

class Memory : public ByteSource {
public:
  explicit Memory(std::string_view bytes) : rest(bytes) {}
  Result<size_t> read(std::span<char> buffer) override {
    size_t size = std::min(buffer.size(), rest.size());
    std::copy_n(rest.data(), size, buffer.data());
    rest.remove_prefix(size);
    return size;
  }

private:
  std::string_view rest;
};

/// Puts back the first bytes, which were read to see what they are.
class Rewound : public ByteSource {
public:
  Rewound(std::string head, std::unique_ptr<ByteSource> tail)
      : head(std::move(head)), tail(std::move(tail)) {}
  Result<size_t> read(std::span<char> buffer) override {
    size_t size = std::min(buffer.size(), head.size() - used);
    std::copy_n(head.data() + used, size, buffer.data());
    used += size;
    if (size == buffer.size())
      return size;
    Result<size_t> more = tail->read(buffer.subspan(size));
    return more ? Result<size_t>(size + *more) : more;
  }

private:
  std::string head;
  size_t used = 0;
  std::unique_ptr<ByteSource> tail;
};

/// What the decoders share: a buffer of packed bytes.
class Packed : public ByteSource {
public:
  Packed(std::unique_ptr<ByteSource> from, std::string name) : from(std::move(from)), name(std::move(name)) {}

protected:
  /// More packed bytes where all were used; false at the end.
  Result<bool> refill() {
    if (begin < end)
      return true;
    if (buffer.empty())
      buffer.resize(packedBuffer);
    Result<size_t> size = from->read(buffer);
    if (!size)
      return tl::unexpected(size.error());
    passed += end;
    begin = 0;
    end = *size;
    return end > 0;
  }
  uint64_t at() const { return passed + begin; }

  std::unique_ptr<ByteSource> from;
  std::string name;
  std::vector<char> buffer;
  size_t begin = 0, end = 0;
  uint64_t passed = 0;
};

class Zstd : public Packed {
public:
  using Packed::Packed;
  ~Zstd() override { ZSTD_freeDStream(stream); }
  Result<size_t> read(std::span<char> out) override {
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    while (output.pos < output.size) {
      Result<bool> more = refill();
      if (!more)
        return tl::unexpected(more.error());
      if (!*more && !open)
        break;
      // At the end of the input there may still be output in the decoder's own buffer.
      size_t before = output.pos;
      ZSTD_inBuffer input{buffer.data(), end, begin};
      size_t left = ZSTD_decompressStream(stream, &output, &input);
      if (ZSTD_isError(left))
        return fail("{}: expected zstd data, found damage at byte {}: {}", name, at(),
                    ZSTD_getErrorName(left));
      begin = input.pos;
      if (*more || output.pos > before) {
        open = left != 0;
        continue;
      }
      if (open)
        return fail("{}: expected a complete zstd frame, found the end of the file at byte {}", name, at());
      break;
    }
    return output.pos;
  }

private:
  ZSTD_DStream *stream = ZSTD_createDStream();
  bool open = false; // inside a frame
};

class Gzip : public Packed {
public:
  Gzip(std::unique_ptr<ByteSource> source, std::string path) : Packed(std::move(source), std::move(path)) {
    [[maybe_unused]] int code = inflateInit2(&stream, 15 + 16);
    assert(code == Z_OK && "zlib has memory for its state");
  }
  ~Gzip() override { inflateEnd(&stream); }
  Result<size_t> read(std::span<char> out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      Result<bool> more = refill();
      if (!more)
        return tl::unexpected(more.error());
      if (!*more) {
        if (open)
          return fail("{}: expected a complete gzip member, found the end of the file at byte {}", name,
                      at());
        break;
      }
      if (!open) { // another member; zeros behind the last one are padding
        if (buffer[begin] == 0) {
          ++begin;
          continue;
        }
        inflateReset(&stream);
        open = true;
      }
      constexpr size_t most = 1 << 30; // zlib counts in 32 bits
      size_t space = std::min(most, out.size() - filled);
      stream.next_in = reinterpret_cast<Bytef *>(buffer.data() + begin);
      stream.avail_in = static_cast<uInt>(end - begin);
      stream.next_out = reinterpret_cast<Bytef *>(out.data() + filled);
      stream.avail_out = static_cast<uInt>(space);
      int code = inflate(&stream, Z_NO_FLUSH);
      begin = end - stream.avail_in;
      filled += space - stream.avail_out;
      if (code == Z_STREAM_END)
        open = false;
      else if (code != Z_OK && code != Z_BUF_ERROR)
        return fail("{}: expected gzip data, found damage at byte {}: {}", name, at(),
                    stream.msg ? stream.msg : "unknown");
    }
    return filled;
  }

private:
  z_stream stream{};
  bool open = false; // inside a member
};

Result<std::unique_ptr<ByteSource>> unpack(std::unique_ptr<ByteSource> plain, std::string name) {
  std::string head(4, '\0');
  Result<size_t> size = plain->read(head);
  if (!size)
    return tl::unexpected(size.error());
  head.resize(*size);
  auto rewound = std::make_unique<Rewound>(head, std::move(plain));
  if (head.starts_with("\x1F\x8B"))
    return std::make_unique<Gzip>(std::move(rewound), std::move(name));
  if (head == "\x28\xB5\x2F\xFD")
    return std::make_unique<Zstd>(std::move(rewound), std::move(name));
  return rewound;
}

} // namespace

Result<std::unique_ptr<ByteSource>> openBytes(const std::string &path) {
  if (path == "-")
    return unpack(std::make_unique<PlainFile>(0, "standard input"), "standard input");
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail("{}: {}", path, std::strerror(errno));
  auto file = std::make_unique<PlainFile>(descriptor, path);
  struct stat info{};
  if (::fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode))
    return fail("{}: expected a file, found a folder", path);
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
  return unpack(std::move(file), path);
}

Result<std::unique_ptr<ByteSource>> openBytes(std::string_view bytes, std::string name) {
  return unpack(std::make_unique<Memory>(bytes), std::move(name));
}

std::string compressZstd(std::string_view bytes, int level) {
  // A thread's tables are used again and again: to make new ones costs as much as to compress 100 KB.
  thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> own(ZSTD_createCCtx(),
                                                                              ZSTD_freeCCtx);
  ZSTD_CCtx *context = own.get();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string out;
  out.resize_and_overwrite(ZSTD_compressBound(bytes.size()), [&](char *to, size_t space) {
    size_t size = ZSTD_compress2(context, to, space, bytes.data(), bytes.size());
    assert(!ZSTD_isError(size) && "the output is as large as it can get");
    return size;
  });
  return out;
}

} // namespace sinter::data
