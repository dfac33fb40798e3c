// SPDX-License-Identifier: Apache-2.0
// tokenizer.json and tokenizer_config.json, as Hugging Face reads them, from what a GGUF file's tokenizer
// does.
#include "frontend/ExportParts.h"
#include "frontend/tokenizer/GgufTokenizer.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/tokenizer/Splitter.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <unordered_map>

namespace sinter {
namespace {

std::string jsonString(std::string_view text) {
  std::string json;
  appendJsonString(json, text);
  return json;
}

std::string splitJson(std::string_view pattern) {
  return fmt::format(R"({{"type":"Split","pattern":{{"Regex":{}}},"behavior":"Isolated","invert":false}})",
                     jsonString(pattern));
}

/// One step in tokenizer.json's words: those that readGgufTokenizer() makes.
std::string stepJson(const StepSpec &step) {
  switch (step.kind) {
  case StepKind::Nfc:
    return R"({"type":"NFC"})";
  case StepKind::Prepend:
    return fmt::format(R"({{"type":"Prepend","prepend":{}}})", jsonString(step.a));
  case StepKind::Replace:
  case StepKind::DecodeReplace:
    return fmt::format(R"({{"type":"Replace","pattern":{{"String":{}}},"content":{}}})", jsonString(step.a),
                       jsonString(step.b));
  case StepKind::Splitter:
    return splitJson(splitterPattern(static_cast<SplitterKind>(step.option)));
  case StepKind::SplitRegex:
    return splitJson(step.a); // PCRE2's spelling means the same to Oniguruma
  case StepKind::Digits:
    return fmt::format(R"({{"type":"Digits","individual_digits":{}}})", step.option == 1);
  case StepKind::Metaspace: {
    constexpr std::string_view schemes[] = {"always", "first", "never"};
    return fmt::format(R"({{"type":"Metaspace","replacement":{},"prepend_scheme":"{}","split":{}}})",
                       jsonString(step.a), schemes[step.option & 0xFF], step.option >> 8 != 0);
  }
  case StepKind::ByteLevelMap:
    return R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false})";
  case StepKind::DecodeByteLevel:
    return R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})";
  case StepKind::DecodeByteFallback:
    return R"({"type":"ByteFallback"})";
  case StepKind::DecodeFuse:
    return R"({"type":"Fuse"})";
  case StepKind::DecodeStrip:
    return fmt::format(R"({{"type":"Strip","content":{},"start":{},"stop":{}}})", jsonString(step.a),
                       step.option & 0xFFFF, step.option >> 16);
  default:
    assert(false && "a step that GGUF tokenizers have");
    return "null";
  }
}

/// Several steps are a Sequence, whose list has a name of its own for each kind of step.
std::string stepsJson(const std::vector<StepSpec> &steps, std::string_view listName) {
  if (steps.empty())
    return "null";
  if (steps.size() == 1)
    return stepJson(steps[0]);
  std::string list;
  for (const StepSpec &step : steps)
    list += (list.empty() ? "" : ",") + stepJson(step);
  return fmt::format(R"({{"type":"Sequence","{}":[{}]}})", listName, list);
}

using Ids = std::unordered_map<std::string_view, uint32_t>;

Ids idsOf(const TokenizerSpec &spec) {
  Ids ids;
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id])
      ids[*spec.tokens[id]] = id;
  return ids;
}

/// The merges that ranks stand for: all ways to put a token together, smallest rank first, of one token's the
/// one with the longest left part first.
std::vector<MergeSpec> mergesOf(const TokenizerSpec &spec, const Ids &ids) {
  if (spec.ranks.empty())
    return spec.merges;
  std::vector<uint32_t> made;
  for (uint32_t id = 0; id < spec.ranks.size(); ++id)
    if (spec.ranks[id] != std::numeric_limits<uint32_t>::max())
      made.push_back(id);
  std::ranges::sort(made, {}, [&](uint32_t id) { return spec.ranks[id]; });
  std::vector<MergeSpec> merges;
  for (uint32_t id : made) {
    std::string_view text = *spec.tokens[id];
    for (size_t cut = text.size(); --cut > 0;) {
      if ((text[cut] & 0xC0) == 0x80)
        continue;
      auto left = ids.find(text.substr(0, cut)), right = ids.find(text.substr(cut));
      if (left != ids.end() && right != ids.end())
        merges.push_back({left->second, right->second, id});
    }
  }
  return merges;
}

void addAddedTokens(JsonWriter &json, const TokenizerSpec &spec, const Ids &ids) {
  json.key("added_tokens").beginArray();
  for (const AddedTokenSpec &token : spec.added) {
    auto id = ids.find(token.content);
    assert(id != ids.end() && "a GGUF file's added tokens are in its vocabulary");
    json.beginObject().key("id").value(id->second).key("content").value(token.content);
    json.key("single_word").value(token.singleWord).key("lstrip").value(token.stripLeft);
    json.key("rstrip").value(token.stripRight).key("normalized").value(token.normalized);
    json.key("special").value(token.special).endObject();
  }
  json.endArray();
}

/// The tokens around a text, and around each of a pair.
void addPostProcessor(JsonWriter &json, const TokenizerSpec &spec) {
  json.key("post_processor");
  if (spec.before.empty() && spec.after.empty()) {
    json.null();
    return;
  }
  auto around = [&](const std::vector<uint32_t> &tokens, int sequence) {
    for (uint32_t token : tokens) {
      json.beginObject().key("SpecialToken").beginObject().key("id").value(*spec.tokens[token]);
      json.key("type_id").value(sequence).endObject().endObject();
    }
  };
  auto text = [&](const char *name, int sequence) {
    around(spec.before, sequence);
    json.beginObject().key("Sequence").beginObject().key("id").value(name).key("type_id").value(sequence);
    json.endObject().endObject();
    around(spec.after, sequence);
  };
  json.beginObject().key("type").value("TemplateProcessing").key("single").beginArray();
  text("A", 0);
  json.endArray().key("pair").beginArray();
  text("A", 0);
  text("B", 1);
  json.endArray().key("special_tokens").beginObject();
  std::vector<uint32_t> used = spec.before;
  for (uint32_t token : spec.after)
    if (std::ranges::find(used, token) == used.end())
      used.push_back(token);
  for (uint32_t token : used) {
    const std::string &name = *spec.tokens[token];
    json.key(name).beginObject().key("id").value(name).key("ids").beginArray().value(token).endArray();
    json.key("tokens").beginArray().value(name).endArray().endObject();
  }
  json.endObject().endObject();
}

} // namespace

std::string makeTokenizer(const TokenizerSpec &spec) {
  assert(spec.model == ModelKind::Bpe && "GGUF tokenizers are BPE");
  Ids ids = idsOf(spec);
  JsonWriter json;
  json.beginObject().key("version").value("1.0").key("truncation").null().key("padding").null();
  addAddedTokens(json, spec, ids);
  json.key("normalizer").raw(stepsJson(spec.normalizers, "normalizers"));
  json.key("pre_tokenizer").raw(stepsJson(spec.preTokenizers, "pretokenizers"));
  addPostProcessor(json, spec);
  json.key("decoder").raw(stepsJson(spec.decoders, "decoders"));

  json.key("model").beginObject().key("type").value("BPE").key("dropout").null().key("unk_token");
  spec.unknown >= 0 ? json.value(*spec.tokens[static_cast<size_t>(spec.unknown)]) : json.null();
  json.key("continuing_subword_prefix").null().key("end_of_word_suffix").null();
  json.key("fuse_unk").value(spec.fuseUnknown).key("byte_fallback").value(spec.byteFallback);
  json.key("ignore_merges").value(spec.ignoreMerges).key("vocab").beginObject();
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id])
      json.key(*spec.tokens[id]).value(id);
  json.endObject().key("merges").beginArray();
  for (const MergeSpec &merge : mergesOf(spec, ids))
    json.beginArray().value(*spec.tokens[merge.left]).value(*spec.tokens[merge.right]).endArray();
  return json.endArray().endObject().endObject().take();
}

Result<std::string> makeTokenizerConfig(const Gguf &gguf, const TokenizerSpec &spec) {
  JsonWriter json(2);
  json.beginObject().key("tokenizer_class").value("PreTrainedTokenizerFast");
  json.key("clean_up_tokenization_spaces").value(false);
  for (const auto &[name, token] : spec.namedTokens())
    json.key(name).value(token);
  if (spec.unk.empty() && spec.unknown >= 0)
    json.key("unk_token").value(*spec.tokens[static_cast<size_t>(spec.unknown)]);
  Result<std::string> architecture = gguf.get<std::string>("general.architecture");
  Result<std::optional<int64_t>> length = architecture
                                              ? gguf.findAs<int64_t>(*architecture + ".context_length")
                                              : tl::unexpected(architecture.error());
  if (!length)
    return tl::unexpected(length.error());
  if (*length)
    json.key("model_max_length").value(**length);
  return json.endObject().take() + "\n";
}

} // namespace sinter
