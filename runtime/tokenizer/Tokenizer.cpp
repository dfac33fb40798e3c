// SPDX-License-Identifier: Apache-2.0
// The order of things: added tokens in the raw text, normalisation, added tokens in the normalised text,
// pre-tokenisation, the model, the post-processor. Working memory is kept for the next call.
#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/files/Utf8.h"
#include "runtime/tokenizer/AddedTokens.h"
#include "runtime/tokenizer/Bpe.h"
#include "runtime/tokenizer/Decoder.h"
#include "runtime/tokenizer/Growth.h"
#include "runtime/tokenizer/Normalizer.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/Unigram.h"
#include <atomic>

namespace sinter {

namespace {

/// Working memory of one call of encode().
struct Workspace {
  std::string repaired, normalA, normalB;
  PreTokenizer::Scratch pieces;
  BpeModel::Scratch bpe;
  UnigramModel::Scratch unigram;

  /// Gives back what only a text as long as a book needs.
  void trim() {
    constexpr size_t most = 1 << 20; // bytes kept in each
    auto shrink = [](auto &buffer) {
      if (buffer.capacity() * sizeof(buffer[0]) > most)
        std::decay_t<decltype(buffer)>().swap(buffer);
    };
    for (std::string *text : {&repaired, &normalA, &normalB, &pieces.text, &pieces.nextText, &bpe.affixed})
      shrink(*text);
    shrink(pieces.pieces);
    shrink(pieces.nextPieces);
    shrink(pieces.parts);
    shrink(bpe.symbols);
    shrink(bpe.heap);
    shrink(unigram.nodes);
    shrink(unigram.path);
  }
};

Result<const BlobHeader *> checkHeader(std::span<const std::byte> blob) {
  if (blob.size() < sizeof(BlobHeader))
    return fail("tokenizer tables: expected at least {} bytes, found {}", sizeof(BlobHeader), blob.size());
  const auto *header = reinterpret_cast<const BlobHeader *>(blob.data());
  if (reinterpret_cast<uintptr_t>(header) % 8 != 0)
    return fail("tokenizer tables: expected an address that is a multiple of 8, found {}",
                static_cast<const void *>(header));
  if (std::memcmp(header->magic, tokenizerMagic, sizeof tokenizerMagic) != 0)
    return fail("tokenizer tables: expected to begin with SINTOK, found other bytes");
  if (header->version != tokenizerVersion || header->sections != static_cast<uint32_t>(Section::Count))
    return fail("tokenizer tables: expected version {} with {} sections, found version {} with {}",
                tokenizerVersion, static_cast<uint32_t>(Section::Count), header->version, header->sections);
  if (header->size != blob.size())
    return fail("tokenizer tables: expected {} bytes as the header says, found {}", header->size,
                blob.size());
  for (size_t i = 0; i < static_cast<size_t>(Section::Count); ++i) {
    const SectionRange &range = header->ranges[i];
    if (range.offset % 16 != 0 || range.offset > blob.size() || range.size > blob.size() - range.offset)
      return fail("tokenizer tables: expected section {} inside {} bytes, found offset {} and size {}", i,
                  blob.size(), range.offset, range.size);
  }
  return header;
}

Result<> checkSizes(const BlobHeader *header) {
  auto count = [&](Section which, size_t element) {
    return header->ranges[static_cast<size_t>(which)].size / element;
  };
  if (count(Section::Config, 1) != sizeof(TokenizerConfig))
    return fail("tokenizer tables: expected a configuration of {} bytes, found {}", sizeof(TokenizerConfig),
                count(Section::Config, 1));
  const TokenizerConfig &config = section<TokenizerConfig>(header, Section::Config)[0];
  size_t tokens = config.tokens;
  struct Want {
    Section which;
    size_t bytes;
    bool needed;
  };
  auto model = static_cast<ModelKind>(config.model);
  const Want wanted[] = {
      {Section::Offsets, (tokens + 1) * 4, true},
      {Section::Flags, tokens, true},
      {Section::ByteIds, 256 * 4, true},
      {Section::Ranks, tokens * 4, count(Section::Ranks, 1) != 0},
      {Section::Scores, tokens * 8, model == ModelKind::Unigram},
  };
  if (tokens == 0 || tokens > maxTokens)
    return fail("tokenizer tables: expected 1 to {} tokens, found {}", maxTokens, tokens);
  for (const Want &want : wanted)
    if (want.needed && count(want.which, 1) != want.bytes)
      return fail("tokenizer tables: expected {} bytes in section {}, found {}", want.bytes,
                  static_cast<uint32_t>(want.which), count(want.which, 1));
  auto text = [&](uint32_t offset, uint32_t size) {
    return offset <= count(Section::Text, 1) && size <= count(Section::Text, 1) - offset;
  };
  if (!text(config.prefixOffset, config.prefixSize) || !text(config.suffixOffset, config.suffixSize))
    return fail("tokenizer tables: expected the affixes inside {} bytes of text", count(Section::Text, 1));
  auto isId = [&](int64_t id) { return id >= -1 && id < static_cast<int64_t>(tokens); };
  if (config.model > static_cast<uint32_t>(ModelKind::WordLevel))
    return fail("tokenizer tables: expected a model of kind 0 to 2, found {}", config.model);
  if (!isId(config.unknown) || !isId(config.bos) || !isId(config.eos) || !isId(config.pad) ||
      (model != ModelKind::Bpe && config.unknown < 0))
    return fail("tokenizer tables: expected special ids below {}, found {}, {}, {}, {}", tokens,
                config.unknown, config.bos, config.eos, config.pad);
  for (Section which : {Section::Prefix, Section::Suffix})
    for (uint32_t id : section<uint32_t>(header, which))
      if (id >= tokens)
        return fail("tokenizer tables: expected ids below {} around a text, found {}", tokens, id);
  for (int32_t id : section<int32_t>(header, Section::ByteIds))
    if (!isId(id))
      return fail("tokenizer tables: expected ids below {} for bytes, found {}", tokens, id);
  for (const AddedEntry &entry : section<AddedEntry>(header, Section::AddedTokens))
    if (entry.id >= tokens)
      return fail("tokenizer tables: expected ids below {} for added tokens, found {}", tokens, entry.id);
  if ((config.flags & ModelCuts) && count(Section::Adjacent, 8) == 0)
    return fail("tokenizer tables: expected a filter of neighbours, found none");
  return {};
}

Result<> checkTexts(const BlobHeader *header) {
  std::span<const char> text = section<char>(header, Section::Text);
  for (Section which : {Section::Normalizers, Section::PreTokenizers, Section::Decoders})
    for (const Step &step : section<Step>(header, which))
      for (std::string_view s :
           {stepText(text, step.aOffset, step.aSize), stepText(text, step.bOffset, step.bSize)})
        if (validUtf8Prefix(s) != s.size())
          return fail("tokenizer tables: expected UTF-8 in a step of kind {}, found an invalid byte at {}",
                      step.kind, validUtf8Prefix(s));
  return {};
}

} // namespace

struct Tokenizer::Impl {
  const BlobHeader *header = nullptr;
  const TokenizerConfig *config = nullptr;
  Vocabulary vocabulary;
  AddedTokens rawTokens, normalTokens;
  Normalizer normalizer;
  PreTokenizer preTokenizer;
  BpeModel bpe;
  UnigramModel unigram;
  Decoder decoder;
  std::atomic<Workspace *> spare = nullptr; // the last call's working memory, with its cache of words

  ~Impl() { delete spare.load(); }

  void encodeSegment(std::string_view text, bool first, bool special, Workspace &work,
                     std::vector<int32_t> &ids) const;
  void encodePlain(std::string_view text, bool first, Workspace &work, std::vector<int32_t> &ids) const;
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer &&) noexcept = default;
Tokenizer &Tokenizer::operator=(Tokenizer &&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::open(std::span<const std::byte> blob) {
  Result<const BlobHeader *> header = checkHeader(blob);
  if (!header)
    return tl::unexpected(header.error());
  for (auto check : {checkSizes, checkTexts})
    if (Result<> checked = check(*header); !checked)
      return tl::unexpected(checked.error());
  auto impl = std::make_unique<Impl>();
  impl->header = *header;
  impl->config = section<TokenizerConfig>(*header, Section::Config).data();
  impl->vocabulary = Vocabulary(*header);
  impl->rawTokens = AddedTokens(*header, Section::RawTrie);
  impl->normalTokens = AddedTokens(*header, Section::NormalTrie);
  Growth growth; // of all steps before the model
  Result<Normalizer> normalizer = Normalizer::open(*header, growth);
  if (!normalizer)
    return tl::unexpected(normalizer.error());
  impl->normalizer = std::move(*normalizer);
  Result<PreTokenizer> preTokenizer = PreTokenizer::open(*header, growth);
  if (!preTokenizer)
    return tl::unexpected(preTokenizer.error());
  impl->preTokenizer = std::move(*preTokenizer);
  Result<Decoder> decoder = Decoder::open(*header);
  if (!decoder)
    return tl::unexpected(decoder.error());
  impl->decoder = std::move(*decoder);
  impl->bpe = BpeModel(*header);
  impl->unigram = UnigramModel(*header);
  return Tokenizer(std::move(impl));
}

void Tokenizer::Impl::encodePlain(std::string_view text, bool first, Workspace &work,
                                  std::vector<int32_t> &ids) const {
  preTokenizer.run(text, first, work.pieces, [&](std::string_view word, const char *textEnd) {
    switch (static_cast<ModelKind>(config->model)) {
    case ModelKind::Bpe:
      bpe.encode(word, textEnd, work.bpe, ids);
      break;
    case ModelKind::Unigram:
      unigram.encode(word, work.unigram, ids);
      break;
    case ModelKind::WordLevel: {
      int32_t id = vocabulary.find(word);
      ids.push_back(id >= 0 ? id : config->unknown);
      break;
    }
    }
  });
}

void Tokenizer::Impl::encodeSegment(std::string_view text, bool first, bool special, Workspace &work,
                                    std::vector<int32_t> &ids) const {
  bool frontRemoved = false;
  text = normalizer.run(text, work.normalA, work.normalB, frontRemoved);
  first &= !frontRemoved;
  if (normalTokens.empty())
    return encodePlain(text, first, work, ids);
  size_t done = 0;
  for (size_t from = 0; from < text.size();) {
    AddedTokens::Match match = normalTokens.find(text, from, done, special, from);
    if (match.begin == text.size())
      break;
    if (match.begin > done) // else the white space of the token before took it in
      encodePlain(text.substr(done, match.begin - done), first && done == 0, work, ids);
    ids.push_back(static_cast<int32_t>(match.id));
    done = match.end;
  }
  encodePlain(text.substr(done), first && done == 0, work, ids);
}

void Tokenizer::encode(std::string_view text, bool addSpecial, bool parseSpecial,
                       std::vector<int32_t> &ids) const {
  std::unique_ptr<Workspace> work(impl->spare.exchange(nullptr, std::memory_order_acquire));
  if (!work)
    work = std::make_unique<Workspace>();
  if (validUtf8Prefix(text) != text.size()) {
    work->repaired.clear();
    appendRepairedUtf8(work->repaired, text);
    text = work->repaired;
  }
  if (addSpecial)
    for (uint32_t id : section<uint32_t>(impl->header, Section::Prefix))
      ids.push_back(static_cast<int32_t>(id));
  size_t done = 0;
  if (!impl->rawTokens.empty()) {
    for (size_t from = 0; from < text.size();) {
      AddedTokens::Match match = impl->rawTokens.find(text, from, done, parseSpecial, from);
      if (match.begin == text.size())
        break;
      if (match.begin > done) // else the white space of the token before took it in
        impl->encodeSegment(text.substr(done, match.begin - done), done == 0, parseSpecial, *work, ids);
      ids.push_back(static_cast<int32_t>(match.id));
      done = match.end;
    }
  }
  impl->encodeSegment(text.substr(done), done == 0, parseSpecial, *work, ids);
  if (addSpecial)
    for (uint32_t id : section<uint32_t>(impl->header, Section::Suffix))
      ids.push_back(static_cast<int32_t>(id));
  work->trim();
  delete impl->spare.exchange(work.release(), std::memory_order_acq_rel);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool addSpecial, bool parseSpecial) const {
  std::vector<int32_t> ids;
  encode(text, addSpecial, parseSpecial, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skipSpecial) const {
  std::string out;
  Decoder::State state;
  int64_t held = -1;
  for (int32_t id : ids) {
    if (!impl->vocabulary.has(id) || (skipSpecial && isSpecial(id)))
      continue;
    if (held >= 0)
      impl->decoder.append(static_cast<uint32_t>(held), false, state, out);
    held = id;
  }
  if (held >= 0)
    impl->decoder.append(static_cast<uint32_t>(held), true, state, out);
  return out;
}

std::string Tokenizer::tokenBytes(int32_t id) const {
  std::string out;
  Decoder::State state{false, 0, false};
  if (impl->vocabulary.has(id))
    impl->decoder.append(static_cast<uint32_t>(id), false, state, out);
  return out;
}

int32_t Tokenizer::size() const { return static_cast<int32_t>(impl->config->tokens); }
bool Tokenizer::isSpecial(int32_t id) const {
  return impl->vocabulary.has(id) && impl->vocabulary.flagsOf(static_cast<uint32_t>(id)) & TokenSpecial;
}
int32_t Tokenizer::bos() const { return impl->config->bos; }
int32_t Tokenizer::eos() const { return impl->config->eos; }

std::optional<int32_t> Tokenizer::find(std::string_view token) const {
  std::span<const AddedEntry> added = section<AddedEntry>(impl->header, Section::AddedTokens);
  for (Section which : {Section::RawTrie, Section::NormalTrie}) {
    Trie trie(section<TrieNode>(impl->header, which));
    if (trie.empty())
      continue;
    Trie::Match match = trie.longestPrefix(token);
    if (match.size == token.size() && match.size != 0 && match.value < added.size())
      return static_cast<int32_t>(added[match.value].id);
  }
  if (int32_t id = impl->vocabulary.find(token); id >= 0)
    return id;
  return std::nullopt;
}

StreamDecoder::StreamDecoder(const Tokenizer &tokenizer, bool skipSpecial)
    : tokenizer(tokenizer), skipSpecial(skipSpecial) {}

std::string_view StreamDecoder::push(int32_t id) {
  const Tokenizer::Impl &impl = *tokenizer.impl;
  if (!impl.vocabulary.has(id) || (skipSpecial && tokenizer.isSpecial(id)))
    return {};
  Decoder::State state{first, stripped, stripping};
  if (impl.decoder.dependsOnLast()) {
    if (held >= 0)
      impl.decoder.append(static_cast<uint32_t>(held), false, state, raw);
    held = id;
  } else {
    impl.decoder.append(static_cast<uint32_t>(id), false, state, raw);
  }
  first = state.first;
  stripped = state.stripped;
  stripping = state.stripping;
  return give(false);
}

std::string_view StreamDecoder::flush() {
  if (held >= 0) {
    Decoder::State state{first, stripped, stripping};
    tokenizer.impl->decoder.append(static_cast<uint32_t>(held), true, state, raw);
    held = -1;
  }
  return give(true);
}

std::string_view StreamDecoder::give(bool all) {
  shown.clear();
  std::string_view rest = raw;
  while (!rest.empty()) {
    Utf8Step step = stepUtf8(rest);
    if (step.incomplete && !all)
      break;
    if (step.valid)
      shown.append(rest.substr(0, step.size));
    else
      shown += "\xEF\xBF\xBD";
    rest.remove_prefix(step.size);
  }
  raw.erase(0, raw.size() - rest.size());
  return shown;
}

} // namespace sinter
