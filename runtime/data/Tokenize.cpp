// SPDX-License-Identifier: Apache-2.0
// Batches are encoded on all cores and written in order; a shard ends with a batch, so that a run can go on
// there.
#include "runtime/data/Tokenize.h"
#include "runtime/data/Documents.h"
#include "runtime/data/FolderLock.h"
#include "runtime/data/OrderedPipeline.h"
#include "runtime/data/TokenShards.h"

#include <filesystem>

namespace fs = std::filesystem;

namespace sinter::data {
namespace {

struct Encoded {
  std::vector<int32_t> ids;
  struct Document {
    size_t tokens;
    uint64_t bytes;
  };
  std::vector<Document> documents;
  std::vector<std::string> notes; // of the batch
  uint64_t read = 0, badLines = 0;
  std::string firstBad;
};

Result<> writeFile(const std::string &path, std::string_view text) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return tl::unexpected(file.error());
  if (Result<> written = file->write(text); !written)
    return written;
  return file->commit(true);
}

class Run {
public:
  Run(const Tokenizer &tokenizer, const TokenizeOptions &options) : tokenizer(tokenizer), options(options) {}

  Result<Tally> run() {
    if (tokenizer.eos() < 0)
      return fail("expected a tokenizer with an end token (eos_token in tokenizer_config.json), found none");
    if (Result<> resumed = resume(); !resumed)
      return tl::unexpected(resumed.error());
    for (int part = 0; part < 2; ++part)
      if (Result<> done = runPart(part); !done) {
        if (finished[0].empty() && finished[1].empty())
          removeAll(); // there is nothing to go on from, and the inputs may have to change
        return tl::unexpected(done.error());
      }
    if (tally["train documents"] + tally["val documents"] == 0) {
      removeAll();
      return fail("expected documents, found none in {} inputs{}",
                  options.train.size() + options.validation.size(),
                  firstBad.empty() ? "" : "; the first problem: " + firstBad);
    }
    for (const auto &[name, text] : options.tokenizerFiles)
      if (Result<> written = writeFile(options.output + "/" + name, text); !written)
        return tl::unexpected(written.error());
    if (Result<> written = writeFile(options.output + "/tokens.json", describe()); !written)
      return tl::unexpected(written.error());
    std::error_code ignored;
    fs::remove(progressPath(), ignored);
    fs::remove(lockPath(), ignored);
    return std::move(tally);
  }

private:
  static constexpr const char *names[] = {"train", "val"};
  std::string progressPath() const { return options.output + "/.progress.json"; }
  std::string lockPath() const { return options.output + "/.lock"; }
  std::string shardPath(int part, size_t number) const {
    return fmt::format("{}/{}-{:05}.tokens", options.output, names[part], number);
  }

  /// Inputs and tokenizer: shards of others do not go together.
  std::string settings() const {
    std::string text = fmt::format("{:016x} {} {} {}", options.tokenizerChecksum, tokenizer.size(),
                                   options.field, options.shardTokens);
    for (const std::vector<Input> *list : {&options.train, &options.validation}) {
      text += "\n";
      for (const Input &input : *list)
        text += fmt::format("{} {}\n", input.path, input.size);
    }
    return text;
  }

  /// Nothing of this run stays in the folder, and no folder that it has made.
  void removeAll() {
    shard.reset();
    std::error_code ignored;
    fs::remove(progressPath(), ignored);
    fs::remove(lockPath(), ignored);
    if (isNew)
      fs::remove(options.output, ignored);
  }

  Result<> resume() {
    std::error_code code;
    const bool begun = fs::exists(progressPath(), code);
    for (fs::directory_iterator entry(options.output, code), end; !begun && !code && entry != end;
         entry.increment(code))
      if (entry->path().filename() != ".lock")
        return fail("{}: expected a new or empty folder, found one with files{}", options.output,
                    fs::exists(options.output + "/tokens.json", code) ? " of a finished run" : "");
    code.clear();
    isNew = fs::create_directories(options.output, code);
    if (code)
      return fail("{}: {}", options.output, code.message());
    if (Result<> taken = lock.take(lockPath(), options.output); !taken)
      return taken;
    removeLeftTemporaries(options.output);
    if (!begun)
      return saveProgress();
    Result<Json> json = Json::read(progressPath());
    if (!json)
      return tl::unexpected(json.error());
    Result<std::string> found = json->root().get<std::string>("settings");
    if (!found)
      return tl::unexpected(found.error());
    if (*found != settings())
      return fail(
          "{}: expected the inputs and tokenizer of the run that began here, found others: give the same, or "
          "remove the folder",
          progressPath());
    for (int part = 0; part < 2; ++part) {
      Result<std::vector<int64_t>> list = json->root().get<std::vector<int64_t>>(names[part]);
      if (!list)
        return tl::unexpected(list.error());
      finished[part].assign(list->begin(), list->end());
    }
    return {};
  }

  Result<> saveProgress() const {
    JsonWriter json;
    json.beginObject().key("settings").value(settings());
    for (int part = 0; part < 2; ++part) {
      json.key(names[part]).beginArray();
      for (int64_t batches : finished[part])
        json.value(batches);
      json.endArray();
    }
    return writeFile(progressPath(), json.endObject().take());
  }

  Encoded encode(const Batch &batch, const std::vector<Input> &inputs) const {
    Encoded out;
    out.notes = batch.notes;
    out.read = batch.read;
    forEachDocument(
        batch, inputs, options.field,
        [&](const Document &document) {
          size_t before = out.ids.size();
          tokenizer.encode(document.text, true, false, out.ids);
          if (out.ids.size() == before || out.ids.back() != tokenizer.eos())
            out.ids.push_back(tokenizer.eos());
          out.documents.push_back({out.ids.size() - before, document.text.size()});
        },
        [&](std::string message) {
          if (out.badLines++ == 0)
            out.firstBad = std::move(message);
        });
    return out;
  }

  void count(int part, const ShardHeader &header) {
    tally.add(fmt::format("{} tokens", names[part]), header.tokens);
    tally.add(fmt::format("{} documents", names[part]), header.documents);
    tally.add(fmt::format("{} bytes", names[part]), header.bytes);
  }

  Result<> finishShard(int part) {
    if (!shard)
      return {};
    if (Result<> done = shard->finish(); !done)
      return done;
    count(part, shard->written());
    shard.reset();
    finished[part].push_back(batches);
    batches = 0;
    return saveProgress();
  }

  Result<> take(int part, const Encoded &encoded) {
    ++batches;
    if (firstBad.empty())
      firstBad = encoded.firstBad;
    if (encoded.badLines) {
      tally.add("bad lines", encoded.badLines);
      tally.example("bad line", encoded.firstBad);
    }
    for (const std::string &note : encoded.notes) {
      tally.add("notes");
      tally.example("note", note);
    }
    if (!shard && !encoded.documents.empty()) {
      Result<ShardWriter> created =
          ShardWriter::create(shardPath(part, finished[part].size()), static_cast<uint64_t>(tokenizer.size()),
                              options.tokenizerChecksum);
      if (!created)
        return tl::unexpected(created.error());
      shard = std::move(*created);
    }
    size_t at = 0;
    for (const Encoded::Document &document : encoded.documents) {
      if (Result<> added = shard->add(std::span(encoded.ids).subspan(at, document.tokens), document.bytes);
          !added)
        return added;
      at += document.tokens;
    }
    return shard && shard->tokens() >= options.shardTokens ? finishShard(part) : Result<>();
  }

  Result<> runPart(int part) {
    const std::vector<Input> &inputs = part == 0 ? options.train : options.validation;
    uint64_t skip = 0, read = 0, total = 0;
    for (size_t number = 0; number < finished[part].size(); ++number) {
      Result<TokenShard> done = TokenShard::open(shardPath(part, number), true);
      if (!done)
        return tl::unexpected(done.error());
      count(part, done->header());
      skip += static_cast<uint64_t>(finished[part][number]);
    }
    for (const Input &input : inputs)
      total += input.size;
    DocumentReader reader(inputs, limitsFor(options.memory));
    for (; skip > 0; --skip) {
      Result<std::optional<Batch>> batch = reader.next();
      if (!batch)
        return tl::unexpected(batch.error());
    }
    batches = 0;
    Result<> done = orderedPipeline(
        options.threads, bytesInFlight(options.memory), sizeOf, [&] { return reader.next(); },
        [&](Batch batch, unsigned) { return Result<Encoded>(encode(batch, inputs)); },
        [&](Encoded encoded) -> Result<> {
          read += encoded.read;
          if (options.progress)
            options.progress("tokenizing", read, read > total ? 0 : total);
          return take(part, encoded);
        });
    return done ? finishShard(part) : done;
  }

  std::string describe() const {
    JsonWriter json(2);
    json.beginObject().key("version").value(1);
    json.key("tokenizer").value(fmt::format("{:016x}", options.tokenizerChecksum));
    json.key("vocabulary").value(tokenizer.size()).key("end_token").value(tokenizer.eos());
    for (int part = 0; part < 2; ++part) {
      json.key(names[part]).beginObject().key("shards").value(finished[part].size());
      for (const char *what : {"documents", "tokens", "bytes"})
        json.key(what).value(tally[fmt::format("{} {}", names[part], what)]);
      json.endObject();
    }
    return json.endObject().take() + "\n";
  }

  const Tokenizer &tokenizer;
  const TokenizeOptions &options;
  FolderLock lock;
  bool isNew = false;               // the folder is this run's
  std::vector<int64_t> finished[2]; // batches of each finished shard
  std::optional<ShardWriter> shard;
  int64_t batches = 0; // since the last shard was finished
  std::string firstBad;
  Tally tally;
};

} // namespace

Result<Tally> tokenizeData(const Tokenizer &tokenizer, const TokenizeOptions &options) {
  return Run(tokenizer, options).run();
}

} // namespace sinter::data
