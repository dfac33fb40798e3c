// SPDX-License-Identifier: Apache-2.0
// Lays a TokenizerSpec out as the block of tables that runtime/tokenizer/Blob.h describes.
#include "frontend/tokenizer/TokenizerSpec.h"
#include "frontend/tokenizer/TrieBuilder.h"
#include "runtime/files/Utf8.h"
#include "runtime/tokenizer/Bpe.h"
#include "runtime/tokenizer/Growth.h"
#include "runtime/tokenizer/Normalizer.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/tokenizer/Unicode.h"
#include <algorithm>
#include <atomic>
#include <iterator>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace sinter {

namespace {

/// The bytes that a string of the byte alphabet stands for, or nothing if it has other characters.
std::optional<std::string> fromByteAlphabet(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    Utf8Step step = stepUtf8(text.substr(i));
    int byte = step.valid ? byteOfAlphabet(unicode::decode(text.data() + i).code) : -1;
    if (byte < 0)
      return std::nullopt;
    bytes += static_cast<char>(byte);
    i += step.size;
  }
  return bytes;
}

class Builder {
public:
  Builder(const TokenizerSpec &spec, unsigned threads) : spec(spec), threads(threads) {}
  Result<std::vector<uint8_t>> run();

private:
  bool usesBytes() const;
  void addTexts();
  Result<> addTokens();
  Result<> addAddedTokens();
  void addVocabulary();
  Result<> addModel();
  void addMerges();
  void addAdjacent();
  Result<> addAround(const std::vector<uint32_t> &around, Section which);
  int32_t idOf(const std::string &content) const;
  std::vector<Step> layOut(const std::vector<StepSpec> &steps);
  std::pair<uint32_t, uint32_t> addText(std::string_view text);
  void markWholeTokens(const std::vector<uint8_t> &blob);
  std::vector<uint8_t> assemble() const;

  template <typename T> void put(Section which, const std::vector<T> &values) {
    auto &bytes = sections[static_cast<size_t>(which)];
    bytes.resize(values.size() * sizeof(T));
    if (!values.empty())
      std::memcpy(bytes.data(), values.data(), bytes.size());
  }

  const TokenizerSpec &spec;
  const unsigned threads;
  TokenizerConfig config{};
  std::vector<uint8_t> sections[static_cast<size_t>(Section::Count)];
  std::string text;
  std::vector<std::string> strings; // by id
  std::vector<uint8_t> flags;
  std::unordered_map<std::string, int32_t> ids; // of the spec's spelling
  std::unordered_map<std::string, int32_t> addedIds;
};

bool Builder::usesBytes() const {
  auto isMap = [](const StepSpec &step) { return step.kind == StepKind::ByteLevelMap; };
  if (spec.model != ModelKind::Bpe || spec.preTokenizers.empty() || !isMap(spec.preTokenizers.back()) ||
      std::count_if(spec.preTokenizers.begin(), spec.preTokenizers.end(), isMap) != 1 ||
      spec.decoders.size() != 1 || spec.decoders[0].kind != StepKind::DecodeByteLevel ||
      !spec.wordPrefix.empty() || !spec.wordSuffix.empty() || !spec.ranks.empty())
    return false;
  for (const StepSpec &step : spec.normalizers)
    if (step.kind == StepKind::ByteLevelText)
      return false;
  for (int b = 0; spec.byteFallback && b < 256; ++b) {
    std::string name;
    char byte = static_cast<char>(b);
    appendByteAlphabet(name, {&byte, 1});
    if (!ids.contains(name))
      return false;
  }
  return true;
}

std::pair<uint32_t, uint32_t> Builder::addText(std::string_view s) {
  auto offset = static_cast<uint32_t>(text.size());
  text += s;
  return {offset, static_cast<uint32_t>(s.size())};
}

std::vector<Step> Builder::layOut(const std::vector<StepSpec> &steps) {
  std::vector<Step> out;
  for (const StepSpec &step : steps) {
    auto [aOffset, aSize] = addText(step.a);
    auto [bOffset, bSize] = addText(step.b);
    out.push_back({static_cast<uint32_t>(step.kind), step.option, aOffset, aSize, bOffset, bSize});
  }
  return out;
}

void Builder::addTexts() {
  std::vector<StepSpec> preTokenizers = spec.preTokenizers;
  if (config.flags & ModelByteLevel)
    preTokenizers.pop_back(); // the model's symbols are bytes already
  put(Section::Normalizers, layOut(spec.normalizers));
  put(Section::PreTokenizers, layOut(preTokenizers));
  put(Section::Decoders, layOut(spec.decoders));
  std::tie(config.prefixOffset, config.prefixSize) = addText(spec.wordPrefix);
  std::tie(config.suffixOffset, config.suffixSize) = addText(spec.wordSuffix);
  put(Section::Text, std::vector<char>(text.begin(), text.end()));
  put(Section::CharsMap, std::vector<char>(spec.charsMap.begin(), spec.charsMap.end()));
}

Result<> Builder::addTokens() {
  if (spec.tokens.size() >= maxTokens || spec.merges.size() >= maxMerges)
    return fail("tokenizer: expected fewer than {} tokens and {} merges, found {} and {}", maxTokens,
                maxMerges, spec.tokens.size(), spec.merges.size());
  for (const auto &token : spec.tokens) {
    if (!token) {
      strings.emplace_back();
      flags.push_back(TokenAbsent | TokenUnmatchable);
      continue;
    }
    std::optional<std::string> bytes = config.flags & ModelByteLevel ? fromByteAlphabet(*token) : *token;
    strings.push_back(bytes.value_or(*token));
    flags.push_back(bytes && !bytes->empty() ? 0 : TokenUnmatchable);
  }
  return {};
}

int32_t Builder::idOf(const std::string &content) const {
  if (auto it = addedIds.find(content); it != addedIds.end())
    return it->second;
  auto it = ids.find(content);
  return it == ids.end() ? -1 : it->second;
}

Result<> Builder::addAddedTokens() {
  std::vector<uint8_t> early = assemble();
  Growth growth;
  Result<Normalizer> normalizer =
      Normalizer::open(reinterpret_cast<const BlobHeader *>(early.data()), growth);
  if (!normalizer)
    return tl::unexpected(normalizer.error());
  size_t vocabularySize = ids.size();
  int64_t largest = -1; // id of an added token
  std::map<std::string, uint32_t> raw, normal;
  std::vector<AddedEntry> entries;
  std::unordered_set<std::string> special;
  for (const AddedTokenSpec &token : spec.added)
    if (token.special)
      special.insert(token.content);
  for (const AddedTokenSpec &token : spec.added) {
    if (token.content.empty())
      continue;
    int32_t id = idOf(token.content);
    if (id < 0) // as AddedVocabulary::add_tokens counts
      id = static_cast<int32_t>(std::max<int64_t>(largest + 1, static_cast<int64_t>(vocabularySize)));
    if (id >= static_cast<int64_t>(maxTokens))
      return fail("added token \"{}\": expected an id below {}, found {}", token.content, maxTokens, id);
    largest = std::max<int64_t>(largest, id);
    addedIds[token.content] = id;
    if (static_cast<size_t>(id) >= strings.size()) {
      strings.resize(static_cast<size_t>(id) + 1);
      flags.resize(strings.size(), TokenAbsent | TokenUnmatchable);
    }
    std::string content = token.content;
    if (token.normalized) {
      std::string a, b;
      bool ignored = false;
      content = normalizer->run(token.content, a, b, ignored);
    }
    if (content.empty())
      return fail("added token \"{}\": expected some text after normalisation, found none", token.content);
    // Decoding shows the token as it is searched for.
    auto index = static_cast<size_t>(id);
    std::string shown = config.flags & ModelByteLevel ? fromByteAlphabet(content).value_or(content) : content;
    if (flags[index] & TokenAbsent || strings[index] != shown) {
      if (flags[index] & TokenAbsent || content != token.content)
        flags[index] |= TokenUnmatchable;
      strings[index] = shown;
    }
    flags[index] &= static_cast<uint8_t>(~TokenAbsent);
    if (special.contains(content)) // as shown, not as written: what the normaliser has changed is text
      flags[index] |= TokenSpecial;
    uint32_t entryFlags = (token.special ? AddedSpecial : 0u) | (token.stripLeft ? AddedStripLeft : 0u) |
                          (token.stripRight ? AddedStripRight : 0u) |
                          (token.singleWord ? AddedSingleWord : 0u);
    (token.normalized ? normal : raw)[content] = static_cast<uint32_t>(entries.size());
    entries.push_back({static_cast<uint32_t>(id), entryFlags});
  }
  put(Section::AddedTokens, entries);
  put(Section::RawTrie, buildTrie(raw));
  put(Section::NormalTrie, buildTrie(normal));
  return {};
}

/// Places `values` by `hash` in an open-addressing table, two in three slots, and raises `maxProbe` to its
/// longest probe. Every executable carries the table, so it is not emptier.
template <typename T, typename Hash>
std::vector<T> makeTable(const std::vector<T> &values, T empty, uint32_t &maxProbe, Hash hash) {
  std::vector<T> table(values.size() + values.size() / 2 + 1, empty);
  for (const T &value : values) {
    size_t slot = slotOf(hash(value), table.size());
    uint32_t probe = 0;
    for (; table[slot] != empty; ++probe)
      slot = slot + 1 == table.size() ? 0 : slot + 1;
    table[slot] = value;
    maxProbe = std::max(maxProbe, probe + 1);
  }
  return table;
}

void Builder::addVocabulary() {
  std::vector<uint32_t> known;
  std::unordered_map<std::string_view, uint32_t> last; // of equal strings the last id counts
  for (uint32_t id = 0; id < strings.size(); ++id)
    if (!(flags[id] & TokenUnmatchable))
      last[strings[id]] = id;
  for (uint32_t id = 0; id < strings.size(); ++id)
    if (auto it = last.find(strings[id]);
        it != last.end() && it->second == id && !(flags[id] & TokenUnmatchable))
      known.push_back(id);
  std::vector<uint32_t> slots;
  for (uint32_t id : known)
    slots.push_back(id | vocabularyTag(hashString(strings[id])));
  put(Section::Vocabulary, makeTable(slots, emptySlot, config.maxProbe, [&](uint32_t slot) {
        return hashString(strings[slot & (maxTokens - 1)]);
      }));

  std::vector<uint32_t> offsets{0};
  std::vector<char> bytes;
  for (const std::string &s : strings) {
    bytes.insert(bytes.end(), s.begin(), s.end());
    offsets.push_back(static_cast<uint32_t>(bytes.size()));
  }
  put(Section::Offsets, offsets);
  put(Section::Strings, bytes);
  put(Section::Flags, flags);

  std::vector<int32_t> byteIds(256, -1);
  for (int b = 0; b < 256; ++b) {
    char byte = static_cast<char>(b);
    std::string name = fmt::format("<0x{:02X}>", b);
    if (config.flags & ModelByteLevel) {
      name.clear();
      appendByteAlphabet(name, {&byte, 1});
    }
    if (auto it = ids.find(name); it != ids.end())
      byteIds[static_cast<size_t>(b)] = it->second;
  }
  put(Section::ByteIds, byteIds);
}

void Builder::addMerges() {
  std::vector<uint64_t> slots;
  std::vector<uint32_t> results;
  std::unordered_map<uint64_t, size_t> seen; // of equal pairs the last one counts
  for (const MergeSpec &merge : spec.merges) {
    uint64_t pair = uint64_t{merge.left} << 20 | merge.right, slot = pair << 24 | results.size();
    auto [it, fresh] = seen.try_emplace(pair, slots.size());
    if (fresh)
      slots.push_back(slot);
    else
      slots[it->second] = slot;
    results.push_back(merge.result);
  }
  put(Section::MergeSlots, makeTable(slots, emptyMerge, config.maxProbe, [](uint64_t slot) {
        return hashPair(static_cast<uint32_t>(slot >> 44), static_cast<uint32_t>(slot >> 24 & 0xFFFFF));
      }));
  put(Section::MergeResults, results);
}

void Builder::addAdjacent() {
  if (!spec.wordPrefix.empty() || !spec.wordSuffix.empty())
    return;
  std::vector<bool> made(strings.size());
  if (spec.ranks.empty())
    for (const MergeSpec &merge : spec.merges)
      made[merge.result] = true;
  else
    made.assign(strings.size(), true);
  if (config.unknown >= 0 && spec.ranks.empty() && made[static_cast<size_t>(config.unknown)])
    return; // cutting could not tell such a token from a run of unknown characters
  if (config.unknown < 0 && !(config.flags & ModelByteLevel))
    return; // unknown characters vanish, and their neighbours may be merged
  std::unordered_set<uint64_t> pairs;
  auto code = [](std::string_view s, size_t at, bool left) -> uint32_t {
    // The whole character that ends before (left) or starts at `at`, or the byte there if the token has only
    // a part.
    size_t begin = at;
    if (left)
      for (begin = at - 1; begin > 0 && unicode::isContinuation(s[begin]);)
        --begin;
    Utf8Step step = stepUtf8(s.substr(begin));
    if (step.valid && (!left || begin + step.size == at))
      return unicode::decode(s.data() + begin).code;
    return 0x80000000u | static_cast<unsigned char>(s[left ? at - 1 : at]);
  };
  for (size_t id = 0; id < strings.size(); ++id) {
    if (!made[id] || flags[id] & TokenUnmatchable)
      continue;
    std::string_view s = strings[id];
    for (size_t at = 1; at < s.size(); ++at)
      if (!unicode::isContinuation(s[at]))
        pairs.insert(uint64_t{code(s, at, true)} << 32 | code(s, at, false));
  }
  std::vector<uint64_t> bits(pairs.size() / 4 + 1); // 16 bits a pair: one false alarm in 16
  for (uint64_t pair : pairs) {
    uint32_t bit =
        adjacentBit(static_cast<uint32_t>(pair >> 32), static_cast<uint32_t>(pair), bits.size() * 64);
    bits[bit / 64] |= uint64_t{1} << bit % 64;
  }
  put(Section::Adjacent, bits);
  config.flags |= ModelCuts;
}

Result<> Builder::addModel() {
  switch (spec.model) {
  case ModelKind::Bpe:
    for (const MergeSpec &merge : spec.merges)
      if (std::max({merge.left, merge.right, merge.result}) >= spec.tokens.size())
        return fail("merge: expected ids below {}, found {}, {} and {}", spec.tokens.size(), merge.left,
                    merge.right, merge.result);
    if (!spec.ranks.empty()) {
      config.flags |= ModelRankedTokens;
      // Tokens that nothing makes have the last rank. Where the others come in the order of their ids (Gemma)
      // the ids do, a megabyte less.
      std::vector<uint32_t> made;
      std::ranges::copy_if(spec.ranks, std::back_inserter(made),
                           [](uint32_t rank) { return rank != 0xFFFFFFFFu; });
      if (!std::ranges::is_sorted(made)) {
        std::vector<uint32_t> ranks = spec.ranks;
        ranks.resize(strings.size());
        put(Section::Ranks, ranks);
      }
    } else {
      addMerges();
    }
    addAdjacent();
    return {};
  case ModelKind::Unigram: {
    if (config.unknown < 0)
      return fail("Unigram: expected an unknown token, found none");
    std::map<std::string, uint32_t> values;
    for (uint32_t id = 0; id < spec.tokens.size(); ++id)
      if (spec.tokens[id] && !spec.tokens[id]->empty()) // also where an added token is shown otherwise
        values[*spec.tokens[id]] = id;
    put(Section::VocabularyTrie, buildTrie(values));
    std::vector<double> scores = spec.scores;
    config.unknownScore = (scores.empty() ? 0.0 : *std::min_element(scores.begin(), scores.end())) - 10.0;
    scores.resize(strings.size());
    put(Section::Scores, scores);
    return {};
  }
  case ModelKind::WordLevel:
    if (config.unknown < 0)
      return fail("WordLevel: expected an unknown token, found none");
    return {};
  }
  return {};
}

Result<> Builder::addAround(const std::vector<uint32_t> &around, Section which) {
  for (uint32_t id : around)
    if (id >= strings.size() || flags[id] & TokenAbsent)
      return fail("post-processor: expected the id of a token, found {} (there are {})", id, strings.size());
  put(which, around);
  return {};
}

std::vector<uint8_t> Builder::assemble() const {
  BlobHeader header{};
  std::memcpy(header.magic, tokenizerMagic, sizeof tokenizerMagic);
  header.version = tokenizerVersion;
  header.sections = static_cast<uint32_t>(Section::Count);
  auto align = [](size_t n) { return (n + 15) / 16 * 16; };
  size_t at = align(sizeof header);
  for (size_t i = 0; i < static_cast<size_t>(Section::Count); ++i) {
    header.ranges[i] = {at, sections[i].size()};
    at = align(at + sections[i].size());
  }
  header.size = at;
  std::vector<uint8_t> blob(at);
  std::memcpy(blob.data(), &header, sizeof header);
  for (size_t i = 0; i < static_cast<size_t>(Section::Count); ++i)
    std::copy(sections[i].begin(), sections[i].end(),
              blob.begin() + static_cast<ptrdiff_t>(header.ranges[i].offset));
  return blob;
}

void Builder::markWholeTokens(const std::vector<uint8_t> &blob) {
  BpeModel model(reinterpret_cast<const BlobHeader *>(blob.data()));
  // Most of the time that tables take: parts of the vocabulary in threads.
  constexpr size_t part = 4096;
  std::atomic<size_t> next = 0;
  auto work = [&] {
    BpeModel::Scratch scratch;
    std::vector<int32_t> made;
    for (size_t begin; (begin = next.fetch_add(part)) < strings.size();)
      for (size_t id = begin; id < std::min(begin + part, strings.size()); ++id) {
        if (flags[id] & TokenUnmatchable || strings[id].size() > 64)
          continue;
        made.clear();
        model.merge(strings[id], scratch, made);
        if (made.size() == 1 && made[0] == static_cast<int32_t>(id))
          flags[id] |= TokenWhole;
      }
  };
  {
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < std::min<size_t>(threads, (strings.size() + part - 1) / part); ++i)
      helpers.emplace_back(work);
    work();
  }
  put(Section::Flags, flags);
}

Result<std::vector<uint8_t>> Builder::run() {
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id])
      ids[*spec.tokens[id]] = static_cast<int32_t>(id);
  if (ids.empty())
    return fail("tokenizer: expected at least one token in the vocabulary, found none");
  config.model = static_cast<uint32_t>(spec.model);
  config.unknown = spec.unknown;
  config.flags = (usesBytes() ? ModelByteLevel : 0u) | (spec.byteFallback ? ModelByteFallback : 0u) |
                 (spec.ignoreMerges ? ModelIgnoreMerges : 0u) | (spec.fuseUnknown ? ModelFuseUnknown : 0u) |
                 (spec.decoders.empty() ? ModelJoinSpaces : 0u);
  addTexts();
  if (Result<> done = addTokens(); !done)
    return tl::unexpected(done.error());
  if (Result<> done = addAddedTokens(); !done)
    return tl::unexpected(done.error());
  config.tokens = static_cast<uint32_t>(strings.size());
  config.bos = spec.bos.empty() ? -1 : idOf(spec.bos);
  config.eos = spec.eos.empty() ? -1 : idOf(spec.eos);
  config.pad = spec.pad.empty() ? -1 : idOf(spec.pad);
  addVocabulary();
  if (Result<> done = addModel(); !done)
    return tl::unexpected(done.error());
  if (Result<> done = addAround(spec.before, Section::Prefix); !done)
    return tl::unexpected(done.error());
  if (Result<> done = addAround(spec.after, Section::Suffix); !done)
    return tl::unexpected(done.error());
  put(Section::Config, std::vector<TokenizerConfig>{config});
  std::vector<uint8_t> blob = assemble();
  if (spec.model == ModelKind::Bpe && spec.wordPrefix.empty() && spec.wordSuffix.empty()) {
    markWholeTokens(blob);
    blob = assemble();
  }
  if (Result<Tokenizer> check = Tokenizer::open(std::as_bytes(std::span(blob))); !check)
    return tl::unexpected(check.error());
  return blob;
}

} // namespace

Result<std::vector<uint8_t>> buildTokenizerTables(const TokenizerSpec &spec, unsigned threads) {
  return Builder(spec, threads).run();
}

std::vector<std::pair<std::string, std::string>> TokenizerSpec::namedTokens() const {
  std::vector<std::pair<std::string, std::string>> named;
  for (const auto &[name, token] : {std::pair("bos_token", &bos), std::pair("eos_token", &eos),
                                    std::pair("pad_token", &pad), std::pair("unk_token", &unk)})
    if (!token->empty())
      named.emplace_back(name, *token);
  return named;
}

} // namespace sinter
