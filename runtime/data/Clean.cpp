// SPDX-License-Identifier: Apache-2.0
// Three stages. First: inputs in order, batch by batch, into segments of clean documents; equal ones are
// found here. Second: near-duplicates, document by document, against those that stay. Third: shards, each
// compressed in frames on all cores. The first stage goes on behind the last finished segment; the others are
// done again.
#include "runtime/data/Clean.h"
#include "runtime/data/CleanBatch.h"
#include "runtime/data/Deduplicate.h"
#include "runtime/data/FolderLock.h"
#include "runtime/data/OrderedPipeline.h"
#include "runtime/files/AtomicFile.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace fs = std::filesystem;

namespace sinter::data {
namespace {

/// The folder for what is not finished, with a lock that dies with the process.
class WorkFolder {
public:
  Result<> open(const std::string &output, const std::string &settings) {
    path = output + "/.work";
    std::error_code code;
    bool fresh = !fs::exists(path, code);
    if (fresh && fs::exists(output, code) && !fs::is_empty(output, code))
      return fail("{}: expected a new or empty folder, found one with files{}", output,
                  fs::exists(output + "/report.json", code) ? " of a finished run" : "");
    fs::create_directories(path, code);
    if (code)
      return fail("{}: {}", path, code.message());
    if (Result<> taken = lock.take(path + "/lock", output); !taken)
      return taken;
    for (const std::string &folder : {output, path})
      removeLeftTemporaries(folder);
    return checkSettings(settings);
  }

  /// All is done: nothing stays behind.
  Result<> remove() {
    std::error_code code;
    fs::remove_all(path, code);
    return code ? fail("{}: {}", path, code.message()) : Result<>();
  }

  std::string path;

private:
  Result<> checkSettings(const std::string &settings) {
    std::string name = path + "/settings.json";
    std::ifstream stream(name, std::ios::binary);
    if (stream) {
      std::ostringstream found; // a folder of that name reads as nothing
      found << stream.rdbuf();
      if (found.view() == settings)
        return {};
      return fail(
          "{}: expected the inputs and options of the run that began here, found others: give the same, or "
          "remove the folder",
          name);
    }
    Result<AtomicFile> file = AtomicFile::create(name);
    if (!file)
      return tl::unexpected(file.error());
    if (Result<> written = file->write(settings); !written)
      return written;
    return file->commit(true);
  }

  FolderLock lock;
};

/// What a run depends on. Files by name and size: whoever changes them in between starts anew.
std::string describeSettings(const CleanOptions &options) {
  JsonWriter json(1);
  json.beginObject().key("version").value(3).key("inputs").beginArray();
  for (const std::vector<Input> *list : {&options.known, &options.inputs})
    for (const Input &input : *list)
      json.beginArray().value(input.path).value(static_cast<int>(input.format)).value(input.size).endArray();
  json.endArray().key("field").value(options.field).key("filters").value(options.filters);
  json.key("boilerplate")
      .value(options.boilerplate)
      .key("mask")
      .value(options.mask)
      .key("languages")
      .beginArray();
  for (const std::string &language : options.languages)
    json.value(language);
  json.endArray().key("words").value(fmt::format("{:016x}", options.words.fingerprint()));
  json.key("near").value(options.near);
  json.key("threshold").value(options.threshold).key("validation").value(options.validation);
  json.key("shard_bytes").value(options.shardBytes).key("level").value(options.level);
  return json.endObject().take();
}

/// Collects batches into segments.
class SegmentWriter {
public:
  SegmentWriter(const std::string &folder, size_t memory)
      : folder(folder), segment(folder), seen(memory, folder) {}

  /// Takes up what an interrupted run has finished; gives how many batches that were.
  Result<uint64_t> resume() {
    uint64_t batches = 0;
    for (;; ++number) {
      Result<std::optional<Segment>> segment = openSegment(folder, number);
      if (!segment)
        return tl::unexpected(segment.error());
      if (!*segment)
        return batches;
      batches += (*segment)->batches;
      size_t at = 0;
      while (std::optional<Record> record = (*segment)->next(at))
        if (record->copyOf == noDocument)
          seen.findOrAdd(record->hash, documents++);
    }
  }

  Result<> take(const CleanBatch &batch) {
    for (Record record : batch.records) {
      record.copyOf = seen.findOrAdd(record.hash, documents);
      if (record.copyOf == noDocument) {
        if (documents++ == noDocument - 1)
          return fail("expected fewer than 2^32 documents in one run, found more");
      } else {
        record.text = {};
      }
      if (Result<> done = segment.append(number, record); !done)
        return done;
    }
    tally.add(batch.tally);
    ++batches;
    read += batch.read;
    constexpr uint64_t full = 64 << 20;
    return segment.size() >= full || read >= 4 * full ? finish() : Result<>();
  }

  Result<> finish() {
    if (batches == 0)
      return {};
    if (Result<> written = segment.finish(number, batches, tally); !written)
      return written;
    ++number;
    tally = {};
    batches = read = 0;
    return {};
  }

private:
  std::string folder;
  SegmentFile segment;
  size_t number = 0;
  HashIndex seen;
  uint32_t documents = 0; // that are no copies
  uint64_t batches = 0, read = 0;
  Tally tally;
};

Result<> cleanInputs(const CleanOptions &options, const std::vector<Input> &inputs, const std::string &work) {
  SegmentWriter writer(work, options.memory / 4);
  Result<uint64_t> skip = writer.resume();
  if (!skip)
    return tl::unexpected(skip.error());
  DocumentReader reader(inputs, limitsFor(options.memory));
  uint64_t total = 0, read = 0;
  for (const Input &input : inputs)
    total += input.size;
  for (uint64_t i = 0; i < *skip; ++i) {
    Result<std::optional<Batch>> batch = reader.next();
    if (!batch)
      return tl::unexpected(batch.error());
    if (!*batch)
      return fail("{}: expected inputs with {} batches, as the interrupted run found, found {}",
                  options.output, *skip, i);
    read += (*batch)->read;
  }
  std::vector<BatchCleaner> cleaners;
  cleaners.reserve(options.threads);
  for (unsigned i = 0; i < options.threads; ++i)
    cleaners.emplace_back(options, inputs);
  Result<> done = orderedPipeline(
      options.threads, bytesInFlight(options.memory), sizeOf, [&] { return reader.next(); },
      [&](Batch batch, unsigned thread) -> Result<CleanBatch> {
        // Buffers for a large document are not kept, a thread each.
        constexpr size_t large = 16 << 20;
        return batch.bytes.size() > large ? BatchCleaner(options, inputs).run(batch)
                                          : cleaners[thread].run(batch);
      },
      [&](CleanBatch batch) -> Result<> {
        read += batch.read;
        if (options.progress)
          options.progress("cleaning", read, read > total ? 0 : total);
        return writer.take(batch);
      });
  return done ? writer.finish() : done;
}

} // namespace

Result<Tally> cleanData(const CleanOptions &options) {
  std::vector<Input> inputs = options.known;
  inputs.insert(inputs.end(), options.inputs.begin(), options.inputs.end());
  WorkFolder work;
  std::error_code code;
  const bool existed = fs::exists(options.output, code);
  if (Result<> opened = work.open(options.output, describeSettings(options)); !opened)
    return tl::unexpected(opened.error());
  auto nothingDone = [&](Error error) -> tl::unexpected<Error> {
    if (work.remove() && !existed)
      fs::remove(options.output, code);
    return tl::unexpected(std::move(error));
  };
  if (Result<> cleaned = cleanInputs(options, inputs, work.path); !cleaned) {
    // Without a finished segment there is nothing to go on from, and the inputs may have to change.
    if (!fs::exists(segmentPath(work.path, 0, "json"), code))
      return nothingDone(cleaned.error());
    return tl::unexpected(cleaned.error());
  }
  Deduplication documents(options, inputs, work.path);
  if (Result<> found = documents.run(); !found)
    return tl::unexpected(found.error());
  if (documents.tally()["in documents"] == 0) {
    auto bad = documents.tally().examples.find("bad line");
    return nothingDone(Error{fmt::format(
        "expected documents, found none in {} inputs{}", options.inputs.size(),
        bad == documents.tally().examples.end() ? "" : "; the first problem: " + bad->second[0])});
  }
  if (Result<> written = documents.writeShards(); !written)
    return tl::unexpected(written.error());
  Tally tally = documents.tally();
  for (auto [name, text] : {std::pair("report.html", makeReportHtml(tally, options)),
                            std::pair("report.json", makeReportJson(tally, options))}) {
    Result<AtomicFile> file = AtomicFile::create(options.output + "/" + name);
    if (!file)
      return tl::unexpected(file.error());
    if (Result<> written = file->write(text); !written)
      return tl::unexpected(written.error());
    if (Result<> done = file->commit(true); !done)
      return tl::unexpected(done.error());
  }
  if (Result<> removed = work.remove(); !removed)
    return tl::unexpected(removed.error());
  return tally;
}

} // namespace sinter::data
