// SPDX-License-Identifier: Apache-2.0
// Encodings: what they are told by, and their conversion through the C library's iconv.
#include "runtime/data/TextSource.h"
#include "runtime/tokenizer/Unicode.h"
#include "runtime/files/Utf8.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <iconv.h>

namespace sinter::data {
namespace {

constexpr size_t headBytes = 1 << 20;

/// The two-byte codes of GB 2312's level 1: the 3755 characters that make up nearly all Chinese text.
bool isCommonHan(unsigned char lead, unsigned char trail) {
  return lead >= 0xB0 && lead <= 0xD7 && trail >= 0xA1 && trail <= 0xFE;
}

bool looksLikeGb18030(std::string_view head) {
  size_t common = 0, codes = 0;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(head[i]); };
  for (size_t i = 0; i < head.size();) {
    unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if (lead == 0x80 || lead == 0xFF)
      return false;
    if (i + 1 >= head.size())
      break; // cut by the end of the head
    unsigned char second = byte(i + 1);
    if (second >= 0x30 && second <= 0x39) {
      if (i + 3 >= head.size())
        break;
      if (byte(i + 2) < 0x81 || byte(i + 2) == 0xFF || byte(i + 3) < 0x30 || byte(i + 3) > 0x39)
        return false;
      i += 4;
      ++codes;
      continue;
    }
    if (second < 0x40 || second == 0x7F || second == 0xFF)
      return false;
    common += isCommonHan(lead, second);
    // Punctuation and full-width forms of rows 1 and 3 are as common in Chinese as in other text: no
    // evidence.
    codes += !(lead == 0xA1 || lead == 0xA3);
    i += 2;
  }
  return codes >= 4 && common * 10 >= codes * 7;
}

/// Whether at least one in 50 bytes beyond ASCII, and one at all, begins no UTF-8 character.
bool mostlyUtf8(std::string_view head) {
  size_t bad = 0, beyond = 0;
  for (char c : head)
    beyond += static_cast<unsigned char>(c) >= 0x80;
  while (!head.empty()) {
    size_t good = validUtf8Prefix(head);
    head.remove_prefix(good);
    if (head.empty() || stepUtf8(head).incomplete)
      break;
    ++bad;
    head.remove_prefix(stepUtf8(head).size);
  }
  return bad == 0 || bad * 50 < beyond;
}

/// The head again, then the rest.
class Joined : public ByteSource {
public:
  Joined(std::string head, size_t skip, std::unique_ptr<ByteSource> rest)
      : head(std::move(head)), used(skip), rest(std::move(rest)) {}
  Result<size_t> read(std::span<char> buffer) override {
    size_t size = std::min(buffer.size(), head.size() - used);
    std::copy_n(head.data() + used, size, buffer.data());
    used += size;
    if (used == head.size() && !head.empty()) {
      head = std::string();
      used = 0;
    }
    if (size == buffer.size() || !rest)
      return size;
    Result<size_t> more = rest->read(buffer.subspan(size));
    return more ? Result<size_t>(size + *more) : more;
  }

private:
  std::string head;
  size_t used;
  std::unique_ptr<ByteSource> rest;
};

class Converted : public ByteSource {
public:
  Converted(std::unique_ptr<ByteSource> from, iconv_t converter)
      : from(std::move(from)), converter(converter) {
    packed.resize(64 << 10);
  }
  ~Converted() override { iconv_close(converter); }
  Result<size_t> read(std::span<char> buffer) override {
    char *out = buffer.data();
    size_t space = buffer.size();
    while (space >= 4) {
      if (begin == end || starved) {
        std::copy(packed.begin() + static_cast<ptrdiff_t>(begin),
                  packed.begin() + static_cast<ptrdiff_t>(end), packed.begin());
        end -= begin;
        begin = 0;
        Result<size_t> got = from->read(std::span(packed).subspan(end));
        if (!got)
          return got;
        if (*got == 0 && end == 0)
          break;
        if (*got == 0) // half a character at the end
          replaceByte(out, space);
        end += *got;
        starved = false;
        continue;
      }
      char *in = packed.data() + begin;
      size_t left = end - begin;
      size_t code = iconv(converter, &in, &left, &out, &space);
      int reason = errno;
      begin = end - left;
      if (code != static_cast<size_t>(-1))
        continue;
      if (reason == E2BIG)
        break;
      if (reason == EINVAL)
        starved = true;
      else
        replaceByte(out, space);
    }
    return buffer.size() - space;
  }

private:
  /// A byte that begins no character goes on as an ill-formed one: it is repaired and counted later.
  void replaceByte(char *&out, size_t &space) {
    *out++ = '\xFF';
    --space;
    ++begin;
  }

  std::unique_ptr<ByteSource> from;
  iconv_t converter;
  std::string packed;
  size_t begin = 0, end = 0;
  bool starved = false; // what is left begins a character that is not complete
};

} // namespace

Encoding detectEncoding(std::string_view head) {
  if (head.starts_with("\xEF\xBB\xBF"))
    return Encoding::Utf8;
  if (head.starts_with("\xFF\xFE"))
    return Encoding::Utf16Le;
  if (head.starts_with("\xFE\xFF"))
    return Encoding::Utf16Be;
  size_t controls = 0;
  for (char c : head) {
    auto b = static_cast<unsigned char>(c);
    if (b == 0)
      return Encoding::Binary;
    controls += b < 0x20 && !(b >= 8 && b <= 13) && b != 0x1B;
  }
  if (controls * 20 > head.size())
    return Encoding::Binary;
  if (mostlyUtf8(head))
    return Encoding::Utf8;
  return looksLikeGb18030(head) ? Encoding::Gb18030 : Encoding::Utf8;
}

std::string_view nameOf(Encoding encoding) {
  constexpr std::string_view names[] = {"UTF-8", "GB18030", "UTF-16LE", "UTF-16BE", "binary"};
  return names[static_cast<size_t>(encoding)];
}

Result<TextSource> openText(const std::string &path) {
  Result<std::unique_ptr<ByteSource>> bytes = openBytes(path);
  return bytes ? openText(std::move(*bytes), path) : tl::unexpected(bytes.error());
}

Result<TextSource> openText(std::unique_ptr<ByteSource> bytes, const std::string &name) {
  std::string head(headBytes, '\0');
  Result<size_t> size = bytes->read(head);
  if (!size)
    return tl::unexpected(size.error());
  head.resize(*size);
  TextSource source;
  source.encoding = detectEncoding(head);
  if (source.binary()) {
    source.bytes = std::make_unique<Joined>("", 0, nullptr);
    return source;
  }
  bool utf16 = source.encoding == Encoding::Utf16Le || source.encoding == Encoding::Utf16Be;
  size_t mark = utf16 ? 2 : head.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  source.bytes = std::make_unique<Joined>(std::move(head), mark, std::move(bytes));
  if (source.encoding == Encoding::Utf8)
    return source;
  iconv_t converter = iconv_open("UTF-8", std::string(nameOf(source.encoding)).c_str());
  if (converter == reinterpret_cast<iconv_t>(-1))
    return fail("{}: expected UTF-8, found {}, which this system's iconv cannot convert", name,
                nameOf(source.encoding));
  source.bytes = std::make_unique<Converted>(std::move(source.bytes), converter);
  return source;
}

} // namespace sinter::data
