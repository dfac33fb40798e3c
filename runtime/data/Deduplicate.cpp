// SPDX-License-Identifier: Apache-2.0
// Documents stay where the first stage has put them, in mapped files; tables hold their places and bands.
#include "runtime/data/Deduplicate.h"
#include "runtime/data/ByteSource.h"
#include "runtime/data/OrderedPipeline.h"
#include "runtime/files/AtomicFile.h"

#include <bit>

namespace sinter::data {

Deduplication::Deduplication(const CleanOptions &options, const std::vector<Input> &inputs, std::string work)
    : options(options), inputs(inputs), work(std::move(work)) {}

Record Deduplication::read(uint32_t document) const {
  size_t at = places[document].offset;
  return *segments[places[document].segment].next(at);
}

/// By the text, so that a document is held out in every run or in none.
bool Deduplication::isHeldOut(const Record &record) const {
  return static_cast<double>(record.hash.high >> 11) * 0x1p-53 < options.validation;
}

std::string Deduplication::idOf(const Record &record) const {
  return record.id.empty() ? fmt::format("{}:{}", inputs[record.input].path, record.number + 1)
                           : std::string(record.id);
}

Result<> Deduplication::run() {
  for (size_t number = 0;; ++number) {
    Result<std::optional<Segment>> segment = openSegment(work, number);
    if (!segment)
      return tl::unexpected(segment.error());
    if (!*segment)
      break;
    counts.add((*segment)->tally);
    segments.push_back(std::move(**segment));
  }
  size_t documents = 0;
  for (const Segment &segment : segments) {
    size_t at = 0;
    while (std::optional<Record> record = segment.next(at))
      documents += record->copyOf == noDocument;
  }
  table = LargeTable(std::max<size_t>(documents, 1) * sizeof(Place), options.memory / 8, work);
  places = {table.as<Place>(), documents};
  size_t document = 0;
  for (uint32_t s = 0; s < segments.size(); ++s) {
    size_t at = 0, begin = 0;
    while (std::optional<Record> record = segments[s].next(at)) {
      if (record->copyOf == noDocument)
        places[document++] = {begin, s, noDocument, 0, 0};
      else
        counts.add(isKnown(*record) ? "known copies" : "duplicates equal");
      begin = at;
    }
  }
  if (options.near)
    findNear();
  return {};
}

void Deduplication::findNear() {
  BandIndex index(options.memory / 2, work);
  Measurer measurer;
  std::vector<uint32_t> candidates;
  std::vector<uint64_t> shingles;
  ShingleSet mine;
  auto shinglesOf = [&](std::string_view text) -> const std::vector<uint64_t> & {
    measurer.measureUnits(text);
    makeShingles(measurer.units(), shingles);
    return shingles;
  };
  for (uint32_t document = 0; document < places.size(); ++document) {
    Record record = read(document);
    index.find(record.bands, candidates);
    if (!candidates.empty() && !isKnown(record)) {
      mine.assign(shinglesOf(record.text));
      for (uint32_t candidate : candidates) {
        counts.add("near candidates");
        double similarity = mine.jaccard(shinglesOf(read(candidate).text));
        if (similarity < options.threshold)
          continue;
        places[document].keptFor = candidate;
        places[document].similarity = static_cast<float>(similarity);
        counts.add("duplicates near");
        break;
      }
    }
    if (places[document].keptFor == noDocument)
      index.add(record.bands, document);
    if (options.progress && document % 256 == 0)
      options.progress("comparing", document, places.size());
  }
}

namespace {

/// A series of files, each begun when the one before is full.
class ShardSeries {
public:
  ShardSeries(std::string prefix, uint64_t full) : prefix(std::move(prefix)), full(full) {}

  Result<> write(std::string_view packed, uint64_t bytes) {
    if (!file) {
      Result<AtomicFile> created = AtomicFile::create(fmt::format("{}-{:05}.jsonl.zst", prefix, number++));
      if (!created)
        return tl::unexpected(created.error());
      file = std::move(*created);
    }
    if (Result<> written = file->write(packed); !written)
      return written;
    size += bytes;
    return size >= full ? finish() : Result<>();
  }

  Result<> finish() {
    if (!file)
      return {};
    Result<> done = file->commit(true);
    file.reset();
    size = 0;
    return done;
  }

private:
  std::string prefix;
  uint64_t full, size = 0;
  size_t number = 0;
  std::optional<AtomicFile> file;
};

struct PackedFrame {
  std::string bytes;
  uint64_t unpacked;
};

/// What a frame of a shard is made from.
struct Frame {
  std::vector<uint32_t> documents;
  uint64_t bytes; // of their texts
};

} // namespace

Result<> Deduplication::writePart(Part part) {
  constexpr uint64_t frameBytes = 4 << 20;
  const char *name = part == Part::Train ? "train" : "val";
  ShardSeries shards(options.output + "/" + name, options.shardBytes);
  uint32_t next = 0;
  auto readFrame = [&]() -> Result<std::optional<Frame>> {
    Frame frame{{}, 0};
    for (; next < places.size() && frame.bytes < frameBytes; ++next) {
      if (places[next].keptFor != noDocument)
        continue;
      Record record = read(next);
      if (isKnown(record) || isHeldOut(record) != (part == Part::Validation))
        continue;
      frame.documents.push_back(next);
      frame.bytes += record.text.size();
      for (const std::string &of :
           {std::string("out ") + name, fmt::format("source {} out", inputs[record.input].path)}) {
        counts.add(of + " documents");
        counts.add(of + " bytes", record.text.size());
      }
    }
    if (options.progress)
      options.progress("writing", next, places.size());
    if (frame.documents.empty())
      return std::optional<Frame>();
    return std::optional(std::move(frame));
  };
  auto pack = [&](Frame frame, unsigned) -> Result<PackedFrame> {
    std::string lines;
    for (uint32_t document : frame.documents) {
      Record record = read(document);
      lines += "{\"id\":";
      appendJsonString(lines, idOf(record));
      lines += ",\"source\":";
      appendJsonString(lines, inputs[record.input].path);
      lines += ",\"text\":";
      appendJsonString(lines, record.text);
      lines += "}\n";
    }
    return PackedFrame{compressZstd(lines, options.level), lines.size()};
  };
  Result<> done = orderedPipeline(
      options.threads, bytesInFlight(options.memory), [](const Frame &frame) { return frame.bytes; },
      readFrame, pack, [&](PackedFrame packed) { return shards.write(packed.bytes, packed.unpacked); });
  return done ? shards.finish() : done;
}

/// Copies in the order of the inputs, then near-duplicates.
Result<> Deduplication::writeDuplicates() {
  Result<AtomicFile> file = AtomicFile::create(options.output + "/duplicates.jsonl.zst");
  if (!file)
    return tl::unexpected(file.error());
  std::string lines;
  auto flush = [&] {
    Result<> written = file->write(compressZstd(lines, options.level));
    lines.clear();
    return written;
  };
  auto add = [&](const Record &dropped, uint32_t kept, double similarity) -> Result<> {
    ++places[kept].others;
    JsonWriter json;
    json.beginObject().key("id").value(idOf(dropped)).key("source").value(inputs[dropped.input].path);
    json.key("kept").value(idOf(read(kept))).key("similarity").value(similarity);
    lines += json.endObject().take() + "\n";
    constexpr size_t full = 4 << 20;
    return lines.size() >= full ? flush() : Result<>();
  };
  for (const Segment &segment : segments) {
    size_t at = 0;
    while (std::optional<Record> record = segment.next(at))
      if (record->copyOf != noDocument && !isKnown(*record))
        if (Result<> added = add(*record, record->copyOf, 1); !added)
          return added;
  }
  for (uint32_t document = 0; document < places.size(); ++document)
    if (places[document].keptFor != noDocument)
      if (Result<> added = add(read(document), places[document].keptFor, places[document].similarity); !added)
        return added;
  for (uint32_t document = 0; document < places.size(); ++document) {
    const uint32_t others = places[document].others;
    if (others == 0)
      continue;
    counts.add("clusters");
    counts.add(fmt::format("cluster {:02}", std::bit_width(others + 1u)));
    if (others >= 2)
      counts.example("cluster", fmt::format("{} stands for {} others", idOf(read(document)), others));
  }
  if (Result<> flushed = flush(); !flushed)
    return flushed;
  return file->commit(true);
}

Result<> Deduplication::writeShards() {
  for (Part part : {Part::Train, Part::Validation})
    if (Result<> written = writePart(part); !written)
      return written;
  return writeDuplicates();
}

} // namespace sinter::data
