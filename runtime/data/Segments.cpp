// SPDX-License-Identifier: Apache-2.0
// Records are a fixed part, then id and text.
#include "runtime/data/Segments.h"
#include "runtime/files/AtomicFile.h"

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

void appendRecord(std::string &out, const Record &record) {
  Fixed fixed{record.hash,
              record.bands,
              record.number,
              record.input,
              record.copyOf,
              static_cast<uint32_t>(record.id.size()),
              static_cast<uint32_t>(record.text.size())};
  out.append(reinterpret_cast<const char *>(&fixed), sizeof fixed);
  out.append(record.id).append(record.text);
}

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

Result<> writeSegment(const std::string &folder, size_t number, std::string_view records, uint64_t batches,
                      const Tally &tally) {
  JsonWriter json;
  json.beginObject().key("batches").value(batches).key("bytes").value(records.size());
  tally.write(json);
  std::string description = json.endObject().take();
  for (auto [ending, bytes] : {std::pair<const char *, std::string_view>("records", records),
                               std::pair<const char *, std::string_view>("json", description)}) {
    Result<AtomicFile> file = AtomicFile::create(segmentPath(folder, number, ending));
    if (!file)
      return tl::unexpected(file.error());
    if (Result<> written = file->write(bytes); !written)
      return written;
    if (Result<> done = file->commit(true); !done)
      return done;
  }
  return {};
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
