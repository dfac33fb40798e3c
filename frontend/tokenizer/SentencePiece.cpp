// SPDX-License-Identifier: Apache-2.0
// The conventions are those of transformers' LlamaConverter (legacy), LlamaTokenizer, GemmaConverter and
// SpmConverter.
#include "frontend/tokenizer/SentencePiece.h"
#include "frontend/tokenizer/sentencepiece.pb.h"
#include "runtime/files/Utf8.h"

namespace sinter {

namespace {

constexpr std::string_view mark = "\xE2\x96\x81"; // U+2581

Result<> readPieces(const sentencepiece::Model &model, std::string_view name, TokenizerSpec &spec,
                    std::vector<double> &scores) {
  if (model.pieces_size() == 0 || model.pieces_size() >= static_cast<int>(maxTokens))
    return fail("{}: expected 1 to {} pieces, found {}", name, maxTokens - 1, model.pieces_size());
  for (const sentencepiece::Piece &piece : model.pieces()) {
    const std::string &text = piece.piece();
    if (size_t good = validUtf8Prefix(text); good != text.size() || text.empty())
      return fail("{}: piece {}: expected UTF-8 text, found {} valid bytes of {}", name, spec.tokens.size(),
                  good, text.size());
    spec.tokens.emplace_back(text);
    scores.push_back(piece.score());
    bool special =
        piece.type() == sentencepiece::Piece::CONTROL || piece.type() == sentencepiece::Piece::UNKNOWN;
    if (special || piece.type() == sentencepiece::Piece::USER_DEFINED)
      spec.added.push_back({text, special, false, false, false, false});
  }
  return {};
}

/// The id if there is a piece with it; -1 says that the model has none.
Result<int32_t> checkId(int32_t id, std::string_view key, std::string_view name, const TokenizerSpec &spec) {
  if (id < -1 || id >= static_cast<int32_t>(spec.tokens.size()))
    return fail("{}: trainer_spec.{}: expected an id below {}, found {}", name, key, spec.tokens.size(), id);
  return id;
}

void setBpeSteps(const sentencepiece::NormalizerSpec &normalizer, std::optional<PrependScheme> scheme,
                 TokenizerSpec &spec) {
  std::string space(mark);
  if (!normalizer.precompiled_charsmap().empty()) {
    spec.charsMap = normalizer.precompiled_charsmap();
    spec.normalizers.push_back({StepKind::CharsMap, 0, {}, {}});
  }
  bool prefix = normalizer.add_dummy_prefix() && scheme != PrependScheme::Never;
  if (scheme) {
    auto option = static_cast<uint32_t>(prefix ? *scheme : PrependScheme::Never);
    spec.preTokenizers = {{StepKind::Metaspace, option, space, {}}};
  } else {
    if (prefix)
      spec.normalizers.push_back({StepKind::Prepend, 0, space, {}});
    spec.normalizers.push_back({StepKind::Replace, 0, " ", space});
  }
  spec.decoders = {{StepKind::DecodeReplace, 0, space, " "},
                   {StepKind::DecodeByteFallback, 0, {}, {}},
                   {StepKind::DecodeFuse, 0, {}, {}}};
  if (prefix)
    spec.decoders.push_back({StepKind::DecodeStrip, 1, " ", {}});
}

void setUnigramSteps(const sentencepiece::NormalizerSpec &normalizer, TokenizerSpec &spec) {
  std::string space(mark);
  if (!normalizer.precompiled_charsmap().empty()) {
    spec.charsMap = normalizer.precompiled_charsmap();
    spec.normalizers.push_back({StepKind::CharsMap, 0, {}, {}});
  }
  if (normalizer.remove_extra_whitespaces()) {
    spec.normalizers.push_back({StepKind::StripText, 2, {}, {}});
    spec.normalizers.push_back({StepKind::ReplaceRegex, 0, " {2,}", space});
  }
  PrependScheme scheme = normalizer.add_dummy_prefix() ? PrependScheme::Always : PrependScheme::Never;
  auto option = static_cast<uint32_t>(scheme);
  spec.preTokenizers = {{StepKind::Metaspace, option | 1u << 8, space, {}}};
  if (spec.byteFallback)
    spec.decoders.push_back({StepKind::DecodeByteFallback, 0, {}, {}});
  spec.decoders.push_back({StepKind::DecodeMetaspace, option, space, {}});
}

} // namespace

Result<std::optional<PrependScheme>> readPrependScheme(JsonValue config) {
  Result<std::string> type = config.getOr<std::string>("tokenizer_class", "");
  Result<bool> legacy = config.getOr<bool>("legacy", false),
               prefix = config.getOr<bool>("add_prefix_space", true);
  if (!type)
    return tl::unexpected(type.error());
  for (const Result<bool> *flag : {&legacy, &prefix})
    if (!*flag)
      return tl::unexpected(flag->error());
  if (*type != "LlamaTokenizer" && *type != "LlamaTokenizerFast")
    return std::nullopt;
  return !*prefix ? PrependScheme::Never : *legacy ? PrependScheme::Always : PrependScheme::First;
}

Result<TokenizerSpec> readSentencePiece(std::span<const std::byte> bytes, std::string_view name,
                                        std::optional<PrependScheme> scheme) {
  sentencepiece::Model model;
  if (bytes.size() > (size_t{1} << 30) || !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail("{}: expected a sentencepiece model (a protobuf), found {} bytes that are none", name,
                bytes.size());
  const sentencepiece::TrainerSpec &trainer = model.trainer_spec();
  TokenizerSpec spec;
  std::vector<double> scores;
  if (Result<> done = readPieces(model, name, spec, scores); !done)
    return tl::unexpected(done.error());
  if (trainer.treat_whitespace_as_suffix())
    return fail("{}: trainer_spec.treat_whitespace_as_suffix: expected false, found true", name);
  Result<int32_t> unknown = checkId(trainer.unk_id(), "unk_id", name, spec),
                  bos = checkId(trainer.bos_id(), "bos_id", name, spec),
                  eos = checkId(trainer.eos_id(), "eos_id", name, spec),
                  pad = checkId(trainer.pad_id(), "pad_id", name, spec);
  for (const Result<int32_t> *id : {&unknown, &bos, &eos, &pad})
    if (!*id)
      return tl::unexpected(id->error());
  auto nameOf = [&](int32_t id) { return id < 0 ? std::string() : *spec.tokens[static_cast<size_t>(id)]; };
  spec.unknown = *unknown;
  spec.bos = nameOf(*bos);
  spec.eos = nameOf(*eos);
  spec.pad = nameOf(*pad);
  spec.unk = nameOf(*unknown);
  spec.byteFallback = trainer.byte_fallback();
  spec.fuseUnknown = true;
  switch (trainer.model_type()) {
  case sentencepiece::TrainerSpec::BPE:
    setBpeSteps(model.normalizer_spec(), scheme, spec);
    deriveMerges(spec, scores);
    if (*bos >= 0)
      spec.before.push_back(static_cast<uint32_t>(*bos));
    return spec;
  case sentencepiece::TrainerSpec::UNIGRAM:
    spec.model = ModelKind::Unigram;
    spec.scores = std::move(scores);
    setUnigramSteps(model.normalizer_spec(), spec);
    return spec;
  default:
    return fail("{}: trainer_spec.model_type: expected UNIGRAM (1) or BPE (2), found {}", name,
                static_cast<int>(trainer.model_type()));
  }
}

} // namespace sinter
