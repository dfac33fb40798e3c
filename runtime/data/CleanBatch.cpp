// SPDX-License-Identifier: Apache-2.0
// One document after the other.
#include "runtime/data/CleanBatch.h"
#include "runtime/data/Ascii.h"
#include "runtime/data/Documents.h"
#include "runtime/data/Filters.h"
#include "runtime/data/FoldAscii.h"
#include "runtime/data/PersonalData.h"
#include "runtime/tokenizer/Unicode.h"

#include <bit>

namespace sinter::data {
namespace {

/// C4 drops lines with "javascript" and lines of policies. The Chinese ones are
/// the same kind of line.
const WordList &boilerplate() {
  static const WordList list({"javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies",
                              "use of cookies", "use cookies",
                              "\xE7\x89\x88\xE6\x9D\x83\xE6\x89\x80\xE6\x9C\x89", "ICP\xE5\xA4\x87",
                              "ICP\xE8\xAF\x81", "\xE8\xB4\xA3\xE4\xBB\xBB\xE7\xBC\x96\xE8\xBE\x91",
                              "\xE6\x89\xAB\xE4\xB8\x80\xE6\x89\xAB"});
  return list;
}

std::string excerpt(std::string_view text) {
  constexpr size_t most = 300;
  if (text.size() <= most)
    return std::string(text);
  size_t cut = most;
  while (unicode::isContinuation(text[cut]))
    --cut;
  return std::string(text.substr(0, cut)) + "\xE2\x80\xA6";
}

} // namespace

std::string_view BatchCleaner::dropBoilerplate(std::string_view text, Tally &tally) {
  if (boilerplate().find(text) < 0)
    return text;
  kept.clear();
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (boilerplate().find(line) >= 0) {
      tally.add("cleaned boilerplate lines");
      tally.example("boilerplate line", excerpt(line));
      continue;
    }
    if (!kept.empty() || !line.empty())
      kept.append(line) += '\n';
  }
  while (kept.ends_with('\n'))
    kept.pop_back();
  return kept;
}

/// Equal but for case of ASCII letters and white space is equal.
Hash128 BatchCleaner::hashOf(std::string_view text) {
  if (normal.size() < text.size() + foldSlack)
    normal.resize(text.size() + foldSlack);
  return hash128({normal.data(), foldAscii(text, normal.data())});
}

void BatchCleaner::take(CleanBatch &out, uint32_t input, uint64_t number, std::string_view id,
                        std::string_view raw) {
  Tally &tally = out.tally;
  const bool known = input < options.known.size();
  std::string_view text = raw;
  if (!known) {
    tally.add("in documents");
    tally.add("in bytes", raw.size());
    tally.add(fmt::format("source {} in documents", inputs[input].path));
    tally.add(fmt::format("source {} in bytes", inputs[input].path), raw.size());
    text = cleaner.clean(raw, cleaned);
    if (options.boilerplate)
      text = dropBoilerplate(text, tally);
    if (options.mask) {
      PersonalCounts counts;
      masked.clear();
      if (maskPersonalData(text, options.mask, masked, counts))
        text = masked;
      for (size_t kind = 0; kind < personalNames.size(); ++kind)
        if (counts.found[kind])
          tally.add(fmt::format("masked {}", personalNames[kind]), counts.found[kind]);
    }
  }
  if (text.empty()) {
    tally.add("dropped empty");
    return;
  }
  const auto depth = options.filters && !known ? Measurer::Depth::All
                     : options.near            ? Measurer::Depth::Units
                                               : Measurer::Depth::Bytes;
  const Measures &measures = measurer.measure(text, depth);
  std::string_view language = detectLanguage(text);
  if (!known) {
    auto drop = [&](std::string_view why) {
      tally.add(fmt::format("dropped {}", why));
      tally.add(fmt::format("dropped bytes {}", why), text.size());
      tally.example(fmt::format("dropped {}", why), excerpt(text));
    };
    if (!options.languages.empty() &&
        std::ranges::find(options.languages, language) == options.languages.end())
      return drop("language");
    if (options.words.find(text) >= 0)
      return drop("word-list");
    for (size_t i = 0; i < filters().size(); ++i)
      if (options.filters >> i & 1 && filters()[i].matches(measures, text))
        return drop(filters()[i].name);
    tally.add(fmt::format("language {}", language));
    tally.add(fmt::format("language bytes {}", language), text.size());
    tally.add(fmt::format("length {:02}", std::bit_width(measures.characters)));
    tally.add(fmt::format("entropy {:02}", static_cast<int>(measures.entropy * 4)));
    tally.add(fmt::format("source {} kept documents", inputs[input].path));
    tally.add(fmt::format("source {} kept bytes", inputs[input].path), text.size());
  }
  Record record;
  record.hash = hashOf(text);
  record.input = input;
  record.number = number;
  if (options.near) {
    makeShingles(measurer.units(), shingles);
    record.bands = makeBands(shingles);
  }
  record.id = id.empty() ? std::string_view() : out.strings.emplace_back(id);
  record.text = out.strings.emplace_back(text);
  out.records.push_back(record);
}

CleanBatch BatchCleaner::run(const Batch &batch) {
  CleanBatch out;
  out.read = batch.read;
  cleaned = {};
  for (const std::string &note : batch.notes) {
    out.tally.add("notes");
    out.tally.example("note", note);
  }
  forEachDocument(
      batch, inputs, options.field,
      [&](const Document &document) {
        take(out, document.input, document.number, document.id, document.text);
      },
      [&](const std::string &message) {
        out.tally.add("bad lines");
        out.tally.example("bad line", message);
      });
  for (auto [name, count] : {std::pair("cleaned invalid UTF-8", cleaned.repaired),
                             std::pair("cleaned control characters", cleaned.controls),
                             std::pair("cleaned invisible characters", cleaned.invisible),
                             std::pair("cleaned line endings", cleaned.lineEndings),
                             std::pair("cleaned documents not in NFC", cleaned.composed)})
    if (count)
      out.tally.add(name, count);
  return out;
}

} // namespace sinter::data
