// SPDX-License-Identifier: Apache-2.0
// Documents of text files, lines of .jsonl, records of WET.
#include "runtime/data/DocumentReader.h"
#include "runtime/data/Ascii.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <charconv>

namespace sinter::data {
namespace {

constexpr size_t block = 1 << 20;

/// The category of the well-formed character that ends at `end`, or 0.
unsigned categoryBefore(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && end - begin < 4 && unicode::isContinuation(text[begin]))
    --begin;
  if (unicode::charSize(text[begin]) != end - begin || unicode::isContinuation(text[begin]))
    return 0;
  return unicode::category(unicode::decode(text.data() + begin).code);
}

/// The last place at which splitters cut whatever stands around it, or 0.
size_t lastWordEnd(std::string_view text) {
  for (size_t i = text.size() - 1; i > 0; --i) {
    char c = text[i];
    const bool ascii = static_cast<unsigned char>(c) < 0x80, digit = c >= '0' && c <= '9';
    // U+3001 and U+3002: between two sentences of Chinese there may be no ASCII.
    const bool mark =
        text.size() - i > 2 && (text.substr(i, 3) == "\xE3\x80\x81" || text.substr(i, 3) == "\xE3\x80\x82");
    if (!mark && !(ascii && !isAsciiLetter(c)))
      continue;
    // A table of numbers has no letters at all.
    if (categoryBefore(text, i) & (digit ? unicode::Letter : unicode::Letter | unicode::Number))
      return i;
  }
  return 0;
}

size_t lastParagraphEnd(std::string_view text) {
  for (std::string_view mark : {"\n\n", "\n", "\xE3\x80\x82", " "}) {
    size_t at = text.rfind(mark);
    if (at != text.npos && at >= text.size() / 2)
      return at + mark.size();
  }
  size_t at = text.size();
  while (at > 0 && text.size() - at < 4 && unicode::isContinuation(text[at - 1]))
    --at;
  return at > 1 ? at - 1 : text.size();
}

} // namespace

ReaderLimits limitsFor(size_t memory) {
  ReaderLimits limits;
  limits.line = std::max(limits.document, memory / 32);
  return limits;
}

DocumentReader::DocumentReader(std::vector<Input> inputs, ReaderLimits limits)
    : list(std::move(inputs)), limits(limits) {}

Result<bool> DocumentReader::open() {
  const Input &input = list[current];
  if (input.format == Format::Wet) { // counts bytes: nothing is converted
    Result<std::unique_ptr<ByteSource>> bytes = openBytes(input.path);
    if (!bytes)
      return tl::unexpected(bytes.error());
    source = {std::move(*bytes), Encoding::Utf8};
  } else {
    Result<TextSource> opened = openText(input.path);
    if (!opened)
      return tl::unexpected(opened.error());
    source = std::move(*opened);
  }
  if (source.binary() && input.named)
    return fail("{}: expected text, found binary data (zero bytes or control characters)", input.path);
  pending.clear();
  used = 0;
  ended = false;
  number = 0;
  isOpen = true;
  return true;
}

/// Makes at least `wanted` bytes pending; false when the source has fewer.
Result<bool> DocumentReader::fill(size_t wanted) {
  if (pending.size() - used >= wanted)
    return true;
  if (used > 0) {
    pending.erase(0, used);
    used = 0;
  }
  while (!ended && pending.size() < wanted) {
    size_t before = pending.size(), size = std::max(block, wanted - before);
    Result<size_t> got = 0;
    pending.resize_and_overwrite(before + size, [&](char *bytes, size_t) {
      got = source.bytes->read({bytes + before, size});
      return before + got.value_or(0);
    });
    if (!got)
      return tl::unexpected(got.error());
    taken += *got;
    ended = *got == 0;
  }
  return pending.size() >= wanted;
}

void DocumentReader::give(Batch &batch, size_t size, std::string name) {
  size_t begin = batch.bytes.size();
  batch.bytes.append(pending, used, size);
  used += size;
  batch.pieces.push_back(
      {static_cast<uint32_t>(current), list[current].format, number, begin, begin + size, std::move(name)});
}

size_t DocumentReader::findCut() const {
  std::string_view text(pending);
  text = text.substr(used, limits.document);
  return limits.betweenWords ? lastWordEnd(text) : lastParagraphEnd(text);
}

Result<bool> DocumentReader::stepText(Batch &batch) {
  Result<bool> more = fill(limits.document + 1);
  if (!more)
    return more;
  if (!*more) {
    if (pending.size() > used)
      give(batch, pending.size() - used);
    return false;
  }
  size_t cut = findCut();
  for (size_t reach = 2 * limits.document; cut == 0; reach *= 2) { // one word so far
    if (reach > std::max(limits.line, 2 * limits.document))
      return fail("{}: expected words of at most {} MiB, found a longer one in part {} of the text (--memory "
                  "sets the limit)",
                  list[current].path, limits.line >> 20, number + 1);
    if (more = fill(reach); !more)
      return more;
    cut = *more ? lastWordEnd(std::string_view(pending).substr(used)) : pending.size() - used;
  }
  give(batch, cut);
  ++number;
  return true;
}

Result<bool> DocumentReader::stepLines(Batch &batch) {
  size_t wanted = limits.batch, newline = std::string::npos;
  for (;;) {
    Result<bool> more = fill(wanted);
    if (!more)
      return more;
    newline = std::string_view(pending).rfind('\n');
    if (newline != std::string::npos && newline >= used)
      break;
    if (ended) {
      if (pending.size() == used)
        return false;
      give(batch, pending.size() - used);
      return false;
    }
    if (wanted >= limits.line)
      break;
    wanted = std::min(2 * wanted, limits.line);
  }
  if (newline != std::string::npos && newline >= used) {
    size_t end = newline + 1;
    auto lines = static_cast<uint64_t>(std::count(pending.begin() + static_cast<ptrdiff_t>(used),
                                                  pending.begin() + static_cast<ptrdiff_t>(end), '\n'));
    give(batch, end - used);
    number += lines;
    return true;
  }
  batch.notes.push_back(fmt::format("{}: line {}: expected at most {} MiB, found more: the line was skipped",
                                    list[current].path, number + 1, limits.line >> 20));
  ++number;
  for (;;) {
    size_t at = pending.find('\n', used);
    if (at != std::string::npos) {
      used = at + 1;
      return true;
    }
    used = pending.size();
    Result<bool> more = fill(1);
    if (!more || !*more)
      return more;
  }
}

Result<bool> DocumentReader::stepWet(Batch &batch) {
  constexpr size_t longestHeader = 64 << 10;
  const std::string &path = list[current].path;
  Result<bool> more = fill(longestHeader);
  if (!more)
    return more;
  while (used < pending.size() && (pending[used] == '\r' || pending[used] == '\n'))
    ++used;
  if (more = fill(longestHeader); !more)
    return more;
  if (pending.size() == used)
    return false;
  std::string_view rest = std::string_view(pending).substr(used);
  auto where = [&] { return fmt::format("{}: record {}", path, number + 1); };
  if (!rest.starts_with("WARC/"))
    return fail("{}: expected 'WARC/', found other text", where());
  size_t end = rest.find("\r\n\r\n");
  if (end == rest.npos)
    return fail("{}: expected a header of at most {} KiB that an empty line ends, found none", where(),
                longestHeader >> 10);
  std::string uri;
  bool conversion = false;
  std::optional<uint64_t> length;
  for (std::string_view header = rest.substr(0, end); !header.empty();) {
    std::string_view line = header.substr(0, header.find("\r\n"));
    header.remove_prefix(std::min(header.size(), line.size() + 2));
    auto valueOf = [&](std::string_view name) -> std::optional<std::string_view> {
      if (!line.starts_with(name))
        return std::nullopt;
      line.remove_prefix(name.size());
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      return line;
    };
    if (auto value = valueOf("WARC-Type:")) {
      conversion = *value == "conversion";
    } else if (auto value = valueOf("WARC-Target-URI:")) {
      uri = *value;
    } else if (auto value = valueOf("Content-Length:")) {
      uint64_t number = 0;
      auto [stop, code] = std::from_chars(value->data(), value->data() + value->size(), number);
      if (code == std::errc() && stop == value->data() + value->size())
        length = number;
    }
  }
  if (!length)
    return fail("{}: expected 'Content-Length:' and a number, found none", where());
  used += end + 4;
  if (*length > limits.line) {
    batch.notes.push_back(fmt::format("{}: expected at most {} MiB, found {} bytes: the record was skipped",
                                      where(), limits.line >> 20, *length));
    conversion = false;
  }
  for (uint64_t left = conversion ? 0 : *length; left > 0;) {
    if (more = fill(std::min<uint64_t>(left, block)); !more)
      return more;
    if (!*more)
      return fail("{}: expected {} bytes, found the end of the file {} bytes before", where(), *length,
                  left - (pending.size() - used));
    uint64_t size = std::min<uint64_t>(left, pending.size() - used);
    used += size;
    left -= size;
  }
  if (conversion) {
    if (more = fill(*length); !more)
      return more;
    if (!*more)
      return fail("{}: expected {} bytes, found the end of the file after {}", where(), *length,
                  pending.size() - used);
    give(batch, *length, std::move(uri));
  }
  ++number;
  return true;
}

/// One piece more, if there is one; false when the input is at its end.
Result<bool> DocumentReader::step(Batch &batch) {
  switch (list[current].format) {
  case Format::Text:
    return stepText(batch);
  case Format::Lines:
    return stepLines(batch);
  default:
    return stepWet(batch);
  }
}

Result<std::optional<Batch>> DocumentReader::next() {
  Batch batch;
  while (current < list.size() && batch.bytes.size() < limits.batch) {
    if (!isOpen) {
      Result<bool> opened = open();
      if (!opened)
        return tl::unexpected(opened.error());
      const std::string &path = list[current].path;
      if (source.binary())
        batch.notes.push_back(
            fmt::format("{}: expected text, found binary data: the file was skipped", path));
      else if (source.encoding != Encoding::Utf8)
        batch.notes.push_back(fmt::format("{}: converted from {}", path, nameOf(source.encoding)));
    }
    Result<bool> more = step(batch);
    if (!more)
      return tl::unexpected(more.error());
    if (!*more) {
      isOpen = false;
      source.bytes.reset();
      ++current;
    }
  }
  batch.read = taken;
  taken = 0;
  if (batch.pieces.empty() && batch.notes.empty() && current == list.size())
    return std::optional<Batch>();
  return std::optional<Batch>(std::move(batch));
}

} // namespace sinter::data
