// SPDX-License-Identifier: Apache-2.0
// Words are counted in a table a thread, then in one; merging is the trainer's.
#include "runtime/data/TrainTokenizer.h"
#include "runtime/data/Documents.h"
#include "runtime/data/OrderedPipeline.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/files/Utf8.h"
#include "runtime/tokenizer/Nfc.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/Splitter.h"

#include <algorithm>
#include <atomic>

namespace sinter::data {
namespace {

SplitterKind splitterOf(Splitting splitting) {
  constexpr SplitterKind kinds[] = {SplitterKind::Gpt2, SplitterKind::Llama3, SplitterKind::Qwen2};
  return kinds[static_cast<size_t>(splitting)];
}

/// One thread's table, and what it works with.
struct Counter {
  WordCounts words;
  std::string repaired, composed;
  uint64_t bad = 0;

  void count(std::string_view text, const TokenizerTraining &training) {
    if (validUtf8Prefix(text) != text.size()) {
      repaired.clear();
      bad += appendRepairedUtf8(repaired, text);
      text = repaired;
    }
    composed.clear();
    if (training.splitting == Splitting::Qwen2 && composeCanonical(text, composed))
      text = composed;
    split(splitterOf(training.splitting), text, 0, text.size(),
          [&](size_t begin, size_t end) { words.add(text.substr(begin, end - begin)); });
  }
};

/// What one batch gave, beside the words.
struct Counted {
  uint64_t read = 0, bytes = 0, badLines = 0;
  std::string firstBad;
  std::vector<std::string> notes;
};

Counted countBatch(const Batch &batch, Counter &counter, const TokenizerTraining &training) {
  Counted counted{batch.read, 0, 0, {}, batch.notes};
  forEachDocument(
      batch, training.inputs, training.field,
      [&](const Document &document) {
        counted.bytes += document.text.size();
        counter.count(document.text, training);
      },
      [&](std::string message) {
        if (counted.badLines++ == 0)
          counted.firstBad = std::move(message);
      });
  return counted;
}

std::string jsonText(std::string_view text) {
  std::string out;
  appendJsonString(out, text);
  return out;
}

} // namespace

Result<TrainedTokenizer> trainTokenizer(const TokenizerTraining &training) {
  ReaderLimits limits = limitsFor(training.memory);
  limits.document = limits.batch;
  limits.betweenWords = true;
  DocumentReader reader(training.inputs, limits);
  TrainedTokenizer result;
  std::vector<Counter> counters(training.threads);
  std::atomic<size_t> memory = 0;
  uint64_t read = 0, total = 0;
  for (const Input &input : training.inputs)
    total += input.size;
  auto work = [&](Batch batch, unsigned thread) -> Result<Counted> {
    Counter &counter = counters[thread];
    size_t before = counter.words.memory();
    Counted counted = countBatch(batch, counter, training);
    size_t now = memory += counter.words.memory() - before;
    if (now > training.memory)
      return fail(
          "--memory: expected different words to fit in {} MiB, found more ({} on one of {} threads so far)",
          training.memory >> 20, counter.words.size(), training.threads);
    return counted;
  };
  auto take = [&](Counted counted) -> Result<> {
    read += counted.read;
    result.bytes += counted.bytes;
    if (result.badLines == 0)
      result.firstBad = counted.firstBad;
    result.badLines += counted.badLines;
    result.notes.insert(result.notes.end(), counted.notes.begin(), counted.notes.end());
    if (training.progress)
      training.progress("counting words", read, read > total ? 0 : total);
    return {};
  };
  Result<> done = orderedPipeline(
      training.threads, bytesInFlight(training.memory), sizeOf, [&] { return reader.next(); }, work, take);
  if (!done)
    return tl::unexpected(done.error());
  for (const Counter &counter : counters)
    result.repaired += counter.bad;
  WordCounts words = std::move(counters[0].words);
  for (size_t i = 1; i < counters.size(); ++i) {
    words.add(counters[i].words);
    counters[i].words = WordCounts();
  }
  counters.clear();
  result.words = words.size();
  if (words.size() == 0)
    return result.badLines ? fail("expected text, found none in {} inputs; the first problem: {}",
                                  training.inputs.size(), result.firstBad)
                           : fail("expected text, found none in {} inputs", training.inputs.size());
  BpeOptions options = training.bpe;
  options.memory = training.memory;
  if (training.progress)
    options.progress = [&](size_t merges, size_t of) { training.progress("merging", merges, of); };
  Result<BpeVocabulary> vocabulary = trainBpe(std::move(words), options);
  if (!vocabulary)
    return tl::unexpected(vocabulary.error());
  result.vocabulary = std::move(*vocabulary);
  return result;
}

std::string makeTokenizerJson(const BpeVocabulary &vocabulary, const TokenizerTraining &training) {
  const bool fallback = training.bpe.byteFallback;
  JsonWriter json(2);
  json.beginObject().key("version").value("1.0").key("truncation").null().key("padding").null();
  json.key("added_tokens").beginArray();
  for (size_t id = 0; id < vocabulary.special; ++id) {
    json.beginObject().key("id").value(id).key("content").value(vocabulary.tokens[id]);
    for (const char *flag : {"single_word", "lstrip", "rstrip", "normalized"})
      json.key(flag).value(false);
    json.key("special").value(true).endObject();
  }
  json.endArray().key("normalizer");
  training.splitting == Splitting::Qwen2 ? json.raw(R"({"type":"NFC"})") : json.null();
  std::string splitStep =
      fmt::format(R"({{"type":"Split","pattern":{{"Regex":{}}},"behavior":"Isolated","invert":false}})",
                  jsonText(splitterPattern(splitterOf(training.splitting))));
  json.key("pre_tokenizer");
  if (fallback)
    json.raw(splitStep);
  else if (training.splitting == Splitting::Gpt2) // its expression is the step's own
    json.raw(R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})");
  else
    json.raw(fmt::format(
        R"({{"type":"Sequence","pretokenizers":[{},{{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}}]}})",
        splitStep));
  json.key("post_processor").null().key("decoder");
  json.raw(fallback ? R"({"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]})"
                    : R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})");
  json.key("model").beginObject().key("type").value("BPE").key("dropout").null().key("unk_token").null();
  json.key("continuing_subword_prefix").null().key("end_of_word_suffix").null().key("fuse_unk").value(false);
  json.key("byte_fallback").value(fallback).key("ignore_merges").value(false).key("vocab").beginObject();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id)
    json.key(vocabulary.tokens[id]).value(id);
  json.endObject().key("merges").beginArray();
  for (auto [left, right] : vocabulary.merges)
    json.raw(fmt::format("[{},{}]", jsonText(vocabulary.tokens[left]), jsonText(vocabulary.tokens[right])));
  return json.endArray().endObject().endObject().take() + "\n";
}

std::string makeTokenizerConfigJson(const BpeVocabulary &vocabulary) {
  JsonWriter json(2);
  json.beginObject().key("tokenizer_class").value("PreTrainedTokenizerFast");
  json.key("clean_up_tokenization_spaces").value(false);
  if (vocabulary.special > 0) {
    auto end = vocabulary.tokens.begin() + static_cast<ptrdiff_t>(vocabulary.special);
    auto at = std::find(vocabulary.tokens.begin(), end, "<|endoftext|>");
    json.key("eos_token").value(at == end ? vocabulary.tokens[0] : *at);
  }
  return json.endObject().take() + "\n";
}

} // namespace sinter::data
