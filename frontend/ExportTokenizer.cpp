// SPDX-License-Identifier: Apache-2.0
// tokenizer.json and tokenizer_config.json from a GGUF file's tokenizer: byte-level BPE ("gpt2", split as
// tokenizer.ggml.pre names) or SentencePiece's BPE ("llama", merges recovered from the scores).
#include "frontend/ExportArchitecture.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>
#include <unordered_map>

namespace sinter {
namespace {

/// tokenizer.ggml.token_type.
enum TokenType : int32_t { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4 };

/// How a named pre-tokenizer of llama.cpp is written in tokenizer.json.
struct PreTokenizer {
  std::string_view name;
  std::string_view normalizer; // JSON
  std::string_view split;      // JSON of what stands before the byte-level step; empty for nothing
  bool usesRegex;              // the byte-level step splits as GPT-2 does
  bool ignoreMerges = false;   // a word that is a token is taken whole
  bool addsBos = false;        // where the file does not say
};

constexpr std::string_view noNormalizer = "null", nfc = R"({"type":"NFC"})";
constexpr std::string_view digits = R"({"type":"Digits","individual_digits":true})";
// The patterns of the published tokenizers, each a Split that keeps its matches.
#define SINTER_SPLIT(PATTERN)                                                                                \
  R"({"type":"Split","pattern":{"Regex":")" PATTERN R"("},"behavior":"Isolated","invert":false})"
constexpr std::string_view llama3Split = SINTER_SPLIT(
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)");
constexpr std::string_view qwen2Split = SINTER_SPLIT(
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)");
constexpr std::string_view bloomSplit = SINTER_SPLIT(R"( ?[^(\\s|[.,!?…。，、।۔،])]+)");
constexpr std::string_view defaultSplit = SINTER_SPLIT(R"([\\p{P}\\$\\+<=>\\^~\\|]+)") "," SINTER_SPLIT(
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S))") "," SINTER_SPLIT(R"(\\p{N}+)") "," SINTER_SPLIT(R"([0-9][0-9][0-9])");
#undef SINTER_SPLIT

constexpr PreTokenizer preTokenizers[] = {
    {"default", noNormalizer, defaultSplit, false},
    {"gpt-2", noNormalizer, "", true},
    {"phi-2", noNormalizer, "", true},
    {"olmo", nfc, "", true},
    {"mpt", nfc, "", true},
    {"smollm", noNormalizer, digits, true},
    {"starcoder", noNormalizer, digits, true},
    {"llama-bpe", noNormalizer, llama3Split, false, true, true},
    {"llama3", noNormalizer, llama3Split, false, true, true},
    {"dbrx", noNormalizer, llama3Split, false},
    {"qwen2", nfc, qwen2Split, false},
    {"stablelm2", noNormalizer, qwen2Split, false},
    {"bloom", noNormalizer, bloomSplit, false},
};

/// A GGUF file's tokenizer, checked: as many types and scores as tokens.
struct Vocabulary {
  std::string model, pre;
  std::vector<std::string_view> tokens;
  std::vector<int32_t> types;
  std::vector<float> scores;
  std::optional<int64_t> bos, eos, unknown, padding;
  std::optional<bool> addsBos, addsEos, addsSpace;
};

Result<Vocabulary> readVocabulary(const Gguf &gguf) {
  Vocabulary vocabulary;
  auto key = [](std::string_view name) { return "tokenizer.ggml." + std::string(name); };
  Result<std::string> model = gguf.get<std::string>(key("model"));
  Result<std::string> pre = model ? gguf.getOr<std::string>(key("pre"), "default") : model;
  Result<GgufStrings> tokens = pre ? gguf.get<GgufStrings>(key("tokens")) : tl::unexpected(pre.error());
  if (!tokens)
    return tl::unexpected(tokens.error());
  vocabulary.model = *model;
  vocabulary.pre = *pre;
  vocabulary.tokens.assign(tokens->begin(), tokens->end());
  size_t count = vocabulary.tokens.size();

  Result<std::vector<int32_t>> types =
      gguf.getOr<std::vector<int32_t>>(key("token_type"), std::vector<int32_t>(count, Normal));
  Result<std::vector<float>> scores =
      gguf.getOr<std::vector<float>>(key("scores"), std::vector<float>(count, 0.0f));
  if (!types || !scores)
    return tl::unexpected(types ? scores.error() : types.error());
  if (types->size() != count || scores->size() != count)
    return fail("{}: metadata keys 'tokenizer.ggml.token_type' and 'tokenizer.ggml.scores': expected {} "
                "elements, one "
                "a token, found {} and {}",
                gguf.path(), count, types->size(), scores->size());
  vocabulary.types = std::move(*types);
  vocabulary.scores = std::move(*scores);

  struct Special {
    std::string_view name;
    std::optional<int64_t> &token;
  };
  for (auto [name, token] :
       {Special{"bos_token_id", vocabulary.bos}, Special{"eos_token_id", vocabulary.eos},
        Special{"unknown_token_id", vocabulary.unknown}, Special{"padding_token_id", vocabulary.padding}}) {
    Result<std::optional<int64_t>> found = gguf.findAs<int64_t>(key(name));
    if (!found)
      return tl::unexpected(found.error());
    if (*found && (**found < 0 || static_cast<size_t>(**found) >= count))
      return fail("{}: metadata key '{}': expected a token below {}, found {}", gguf.path(), key(name), count,
                  **found);
    token = *found;
  }
  struct Flag {
    std::string_view name;
    std::optional<bool> &flag;
  };
  for (auto [name, flag] :
       {Flag{"add_bos_token", vocabulary.addsBos}, Flag{"add_eos_token", vocabulary.addsEos},
        Flag{"add_space_prefix", vocabulary.addsSpace}}) {
    Result<std::optional<bool>> found = gguf.findAs<bool>(key(name));
    if (!found)
      return tl::unexpected(found.error());
    flag = *found;
  }
  return vocabulary;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

/// The merges that SentencePiece's scores stand for: every way to put a token together from two others,
/// better scores first (generate_merges in transformers' convert_slow_tokenizer.py, equal scores in its
/// order, too).
std::vector<std::pair<std::string_view, std::string_view>> mergesOf(const Vocabulary &vocabulary) {
  std::unordered_map<std::string_view, size_t> tokens;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i)
    if (vocabulary.types[i] == Normal)
      tokens.emplace(vocabulary.tokens[i], i);

  struct Merge {
    std::string_view left, right;
    size_t leftToken, rightToken, leftLength, rightLength;
    float score;
  };
  std::vector<Merge> merges;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    std::string_view text = vocabulary.tokens[i];
    if (vocabulary.types[i] != Normal)
      continue;
    size_t first = merges.size();
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((text[cut] & 0xC0) == 0x80)
        continue;
      auto left = tokens.find(text.substr(0, cut)), right = tokens.find(text.substr(cut));
      if (left != tokens.end() && right != tokens.end())
        merges.push_back({left->first, right->first, left->second, right->second, characters(left->first),
                          characters(right->first), vocabulary.scores[i]});
    }
    std::ranges::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(), {},
                      [](const Merge &merge) { return std::pair(merge.leftToken, merge.rightToken); });
  }
  // Descending, and equal ones in the order found: Python's stable sort with reverse=True.
  std::vector<size_t> order(merges.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::sort(order, {}, [&](size_t i) {
    const Merge &merge = merges[i];
    return std::tuple(-merge.score, -static_cast<int64_t>(merge.leftLength),
                      -static_cast<int64_t>(merge.rightLength), i);
  });
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  for (size_t i : order)
    pairs.emplace_back(merges[i].left, merges[i].right);
  return pairs;
}

/// Merges as the file lists them: "left right".
Result<std::vector<std::pair<std::string_view, std::string_view>>> listedMerges(const Gguf &gguf) {
  Result<GgufStrings> listed = gguf.get<GgufStrings>("tokenizer.ggml.merges");
  if (!listed)
    return tl::unexpected(listed.error());
  std::vector<std::pair<std::string_view, std::string_view>> merges;
  for (std::string_view merge : *listed) {
    size_t space = merge.find(' ', 1); // the left part may be a space itself
    if (space == std::string_view::npos)
      return fail("{}: metadata key 'tokenizer.ggml.merges': expected two tokens with a space between, found "
                  "\"{}\" as "
                  "element {}",
                  gguf.path(), merge, merges.size());
    merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return merges;
}

/// Control tokens and those the user defined are found in the text before anything else.
void addAddedTokens(JsonWriter &json, const Vocabulary &vocabulary) {
  json.key("added_tokens").beginArray();
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    int32_t type = vocabulary.types[i];
    if (type != Unknown && type != Control && type != UserDefined)
      continue;
    json.beginObject().key("id").value(i).key("content").value(vocabulary.tokens[i]);
    for (const char *flag : {"single_word", "lstrip", "rstrip", "normalized"})
      json.key(flag).value(false);
    json.key("special").value(type != UserDefined).endObject();
  }
  json.endArray();
}

/// Begin and end tokens around a text and around each of a pair.
void addPostProcessor(JsonWriter &json, const Vocabulary &vocabulary, bool addsBos, bool addsEos) {
  json.key("post_processor");
  addsBos = addsBos && vocabulary.bos;
  addsEos = addsEos && vocabulary.eos;
  if (!addsBos && !addsEos) {
    json.null();
    return;
  }
  auto special = [&](int64_t token, int sequence) {
    json.beginObject()
        .key("SpecialToken")
        .beginObject()
        .key("id")
        .value(vocabulary.tokens[static_cast<size_t>(token)]);
    json.key("type_id").value(sequence).endObject().endObject();
  };
  auto text = [&](const char *name, int sequence) {
    if (addsBos)
      special(*vocabulary.bos, sequence);
    json.beginObject().key("Sequence").beginObject().key("id").value(name).key("type_id").value(sequence);
    json.endObject().endObject();
    if (addsEos)
      special(*vocabulary.eos, sequence);
  };
  json.beginObject().key("type").value("TemplateProcessing");
  json.key("single").beginArray();
  text("A", 0);
  json.endArray().key("pair").beginArray();
  text("A", 0);
  text("B", 1);
  json.endArray().key("special_tokens").beginObject();
  std::vector<int64_t> used;
  if (addsBos)
    used.push_back(*vocabulary.bos);
  if (addsEos && (!addsBos || *vocabulary.eos != *vocabulary.bos))
    used.push_back(*vocabulary.eos);
  for (int64_t token : used) {
    std::string_view name = vocabulary.tokens[static_cast<size_t>(token)];
    json.key(name).beginObject().key("id").value(name).key("ids").beginArray().value(token).endArray();
    json.key("tokens").beginArray().value(name).endArray().endObject();
  }
  json.endObject().endObject();
}

/// Normalizer, pre-tokenizer and decoder of SentencePiece: spaces are written as U+2581.
void addSentencePieceSteps(JsonWriter &json, bool addsSpace) {
  constexpr std::string_view replace = R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})";
  json.key("normalizer");
  if (addsSpace)
    json.raw(R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},)" + std::string(replace) +
             "]}");
  else
    json.raw(replace);
  json.key("pre_tokenizer").null();
  json.key("decoder");
  std::string decoders =
      R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},)"
      R"({"type":"ByteFallback"},{"type":"Fuse"})";
  if (addsSpace)
    decoders += R"(,{"type":"Strip","content":" ","start":1,"stop":0})";
  json.raw(decoders + "]}");
}

void addByteLevelSteps(JsonWriter &json, const PreTokenizer &pre) {
  std::string byteLevel = fmt::format(
      R"({{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":{}}})", pre.usesRegex);
  json.key("normalizer").raw(pre.normalizer);
  json.key("pre_tokenizer");
  if (pre.split.empty())
    json.raw(byteLevel);
  else
    json.raw(fmt::format(R"({{"type":"Sequence","pretokenizers":[{},{}]}})", pre.split, byteLevel));
  json.key("decoder").raw(
      R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})");
}

} // namespace

Result<std::string> makeTokenizer(const Gguf &gguf) {
  Result<Vocabulary> vocabulary = readVocabulary(gguf);
  if (!vocabulary)
    return tl::unexpected(vocabulary.error());
  bool isSentencePiece = vocabulary->model == "llama";
  if (!isSentencePiece && vocabulary->model != "gpt2")
    return fail("{}: metadata key 'tokenizer.ggml.model': expected gpt2 or llama, found \"{}\"", gguf.path(),
                vocabulary->model);
  auto pre = std::ranges::find(preTokenizers, vocabulary->pre, &PreTokenizer::name);
  if (!isSentencePiece && pre == std::end(preTokenizers)) {
    std::string known;
    for (const PreTokenizer &one : preTokenizers)
      known += (known.empty() ? "" : ", ") + std::string(one.name);
    return fail("{}: metadata key 'tokenizer.ggml.pre': expected one of {}, found \"{}\"", gguf.path(), known,
                vocabulary->pre);
  }
  std::vector<std::pair<std::string_view, std::string_view>> merges;
  if (isSentencePiece) {
    merges = mergesOf(*vocabulary);
  } else {
    auto listed = listedMerges(gguf);
    if (!listed)
      return tl::unexpected(listed.error());
    merges = std::move(*listed);
  }

  JsonWriter json;
  json.beginObject().key("version").value("1.0").key("truncation").null().key("padding").null();
  addAddedTokens(json, *vocabulary);
  if (isSentencePiece)
    addSentencePieceSteps(json, vocabulary->addsSpace.value_or(true));
  else
    addByteLevelSteps(json, *pre);
  bool addsBos = vocabulary->addsBos.value_or(isSentencePiece || pre->addsBos);
  addPostProcessor(json, *vocabulary, addsBos, vocabulary->addsEos.value_or(false));

  json.key("model").beginObject().key("type").value("BPE").key("dropout").null().key("unk_token");
  bool hasUnknown = isSentencePiece && vocabulary->unknown;
  hasUnknown ? json.value(vocabulary->tokens[static_cast<size_t>(*vocabulary->unknown)]) : json.null();
  json.key("continuing_subword_prefix").null().key("end_of_word_suffix").null();
  json.key("fuse_unk").value(isSentencePiece).key("byte_fallback").value(isSentencePiece);
  json.key("ignore_merges").value(!isSentencePiece && pre->ignoreMerges);
  json.key("vocab").beginObject();
  for (size_t i = 0; i < vocabulary->tokens.size(); ++i)
    json.key(vocabulary->tokens[i]).value(i);
  json.endObject().key("merges").beginArray();
  for (const auto &[left, right] : merges)
    json.beginArray().value(left).value(right).endArray();
  return json.endArray().endObject().endObject().take();
}

Result<std::string> makeTokenizerConfig(const Gguf &gguf) {
  Result<Vocabulary> vocabulary = readVocabulary(gguf);
  if (!vocabulary)
    return tl::unexpected(vocabulary.error());
  JsonWriter json(2);
  json.beginObject().key("tokenizer_class").value("PreTrainedTokenizerFast");
  json.key("clean_up_tokenization_spaces").value(false);
  for (auto [name, token] :
       {std::pair("bos_token", vocabulary->bos), std::pair("eos_token", vocabulary->eos),
        std::pair("unk_token", vocabulary->unknown), std::pair("pad_token", vocabulary->padding)})
    if (token)
      json.key(name).value(vocabulary->tokens[static_cast<size_t>(*token)]);
  Result<std::string> architecture = gguf.get<std::string>("general.architecture");
  if (architecture && gguf.has(*architecture + ".context_length")) {
    Result<int64_t> length = gguf.get<int64_t>(*architecture + ".context_length");
    if (!length)
      return tl::unexpected(length.error());
    json.key("model_max_length").value(*length);
  }
  return json.endObject().take() + "\n";
}

} // namespace sinter
