// SPDX-License-Identifier: Apache-2.0
// Records are a fixed part, then id and text.
#include "runtime/data/Segments.h"

#include <cstring>
#include <filesystem>

namespace sinter::data {
namespace {

struct Fixed {
  Hash128 hash;
  Bands bands;
  uint64_t number;
  uint32_t input, copyOf, idSize, textSize;
};

} // namespace

std::optional<Record> Segment::next(size_t &at) const {
  Fixed fixed;
  std::string_view bytes = file.text();
  if (at + sizeof fixed > bytes.size())
    return std::nullopt;
  std::memcpy(&fixed, bytes.data() + at, sizeof fixed);
  size_t begin = at + sizeof fixed, size = size_t(fixed.idSize) + fixed.textSize;
  if (size > bytes.size() - begin)
    return std::nullopt;
  at = begin + size;
  return Record{fixed.hash,
                fixed.bands,
                fixed.number,
                fixed.input,
                fixed.copyOf,
                bytes.substr(begin, fixed.idSize),
                bytes.substr(begin + fixed.idSize, fixed.textSize)};
}

std::string segmentPath(const std::string &folder, size_t number, std::string_view ending) {
  return fmt::format("{}/segment-{:05}.{}", folder, number, ending);
}

Result<> SegmentFile::append(size_t number, const Record &record) {
  Fixed fixed{record.hash,
              record.bands,
              record.number,
              record.input,
              record.copyOf,
              static_cast<uint32_t>(record.id.size()),
              static_cast<uint32_t>(record.text.size())};
  buffer.append(reinterpret_cast<const char *>(&fixed), sizeof fixed);
  buffer.append(record.id).append(record.text);
  constexpr size_t full = 1 << 20;
  return buffer.size() >= full ? flush(number) : Result<>();
}

Result<> SegmentFile::flush(size_t number) {
  if (!file) {
    Result<AtomicFile> created = AtomicFile::create(segmentPath(folder, number, "records"));
    if (!created)
      return tl::unexpected(created.error());
    file = std::move(*created);
  }
  Result<> done = file->write(buffer);
  written += buffer.size();
  buffer.clear();
  return done;
}

Result<> SegmentFile::finish(size_t number, uint64_t batches, const Tally &tally) {
  JsonWriter json;
  json.beginObject().key("batches").value(batches).key("bytes").value(size());
  tally.write(json);
  std::string description = json.endObject().take();
  if (Result<> flushed = flush(number); !flushed)
    return flushed;
  if (Result<> done = file->commit(true); !done)
    return done;
  file.reset();
  written = 0;
  Result<AtomicFile> named = AtomicFile::create(segmentPath(folder, number, "json"));
  if (!named)
    return tl::unexpected(named.error());
  if (Result<> done = named->write(description); !done)
    return done;
  return named->commit(true);
}

Result<std::optional<Segment>> openSegment(const std::string &folder, size_t number) {
  std::string path = segmentPath(folder, number, "json");
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return std::optional<Segment>();
  Result<Json> json = Json::read(path);
  if (!json)
    return tl::unexpected(json.error());
  Segment segment;
  Result<int64_t> batches = json->root().get<int64_t>("batches"), bytes = json->root().get<int64_t>("bytes");
  if (!batches || !bytes)
    return tl::unexpected((batches ? bytes : batches).error());
  segment.batches = static_cast<uint64_t>(*batches);
  Result<Tally> tally = Tally::read(json->root());
  if (!tally)
    return tl::unexpected(tally.error());
  segment.tally = std::move(*tally);
  if (*bytes == 0)
    return std::optional<Segment>(std::move(segment));
  Result<MappedFile> file = MappedFile::open(segmentPath(folder, number, "records"));
  if (!file)
    return tl::unexpected(file.error());
  if (file->size() != static_cast<size_t>(*bytes))
    return fail("{}: expected {} bytes, found {}", file->path(), *bytes, file->size());
  segment.file = std::move(*file);
  return std::optional<Segment>(std::move(segment));
}

uint32_t HashIndex::findOrAdd(Hash128 hash, uint32_t document) {
  auto place = [](Slot *slots, size_t size, const Hash128 &wanted) {
    size_t at = wanted.low & (size - 1);
    while (slots[at].next && slots[at].hash != wanted)
      at = (at + 1) & (size - 1);
    return at;
  };
  if (++used * 2 > capacity) {
    LargeTable larger(2 * capacity * sizeof(Slot), memory, folder);
    for (size_t i = 0; i < capacity; ++i)
      if (const Slot &slot = table.as<Slot>()[i]; slot.next)
        larger.as<Slot>()[place(larger.as<Slot>(), 2 * capacity, slot.hash)] = slot;
    table = std::move(larger);
    capacity *= 2;
  }
  Slot &slot = table.as<Slot>()[place(table.as<Slot>(), capacity, hash)];
  if (slot.next) {
    --used;
    return slot.next - 1;
  }
  slot = {hash, document + 1};
  return noDocument;
}

} // namespace sinter::data
