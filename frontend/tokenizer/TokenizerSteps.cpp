// SPDX-License-Identifier: Apache-2.0
// The normalizer, pre-tokenizer, post-processor and decoder of tokenizer.json.
#include "frontend/tokenizer/RegexSyntax.h"
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/tokenizer/Regex.h"
#include "runtime/tokenizer/Splitter.h"
#include <algorithm>

namespace sinter {

namespace {

tl::unexpected<Error> unsupported(JsonValue json, std::string_view what, std::string_view supported) {
  return fail("{}: expected {} ({}), found {}", json["type"].where(), what, supported,
              json["type"].describe());
}

/// Walks a "Sequence" (members in `key`) or a single step.
template <typename Use> Result<> forEach(JsonValue json, std::string_view key, Use use) {
  Result<std::string_view> type = json.get<std::string_view>("type");
  if (!type)
    return tl::unexpected(type.error());
  if (*type != "Sequence")
    return use(json, *type);
  if (!json[key].isArray())
    return fail("{}: expected an array, found {}", json[key].where(), json[key].describe());
  for (JsonValue step : json[key])
    if (Result<> done = forEach(step, key, use); !done)
      return done;
  return {};
}

Result<std::string> decodeBase64(JsonValue json) {
  Result<std::string_view> text = json.as<std::string_view>();
  if (!text)
    return tl::unexpected(text.error());
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : *text) {
    if (c == '=')
      break;
    size_t value = digits.find(c);
    if (value == digits.npos)
      return fail("{}: expected base64, found the character '{}'", json.where(), c);
    bits = bits << 6 | static_cast<uint32_t>(value);
    if ((count += 6) >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return out;
}

/// {"String": s} or {"Regex": r}; the regular expression comes out translated.
struct Pattern {
  bool regex = false;
  std::string text;     // the string, or the expression for PCRE2
  std::string original; // the expression as written
};
Result<Pattern> readPattern(JsonValue json) {
  Pattern pattern;
  if (json["String"].isString()) {
    pattern.text = *json.get<std::string>("String");
    if (pattern.text.empty())
      return fail("{}: expected a string that is not empty, found \"\"", json["String"].where());
    return pattern;
  }
  Result<std::string> regex = json.get<std::string>("Regex");
  if (!regex)
    return tl::unexpected(regex.error());
  pattern.regex = true;
  pattern.original = *regex;
  Result<std::string> translated = translateRegex(*regex);
  if (!translated)
    return fail("{}: {}", json["Regex"].where(), translated.error().message);
  pattern.text = *translated;
  if (Result<Regex> check = Regex::compile(pattern.text); !check)
    return fail("{}: {}", json["Regex"].where(), check.error().message);
  return pattern;
}

Result<Behaviour> readBehaviour(JsonValue json, std::string_view byDefault) {
  constexpr std::string_view names[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                        "MergedWithNext"};
  Result<std::string> name = json.getOr<std::string>("behavior", std::string(byDefault));
  if (!name)
    return tl::unexpected(name.error());
  auto at = std::find(std::begin(names), std::end(names), *name);
  if (at == std::end(names))
    return fail("{}: expected Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext, found {}",
                json["behavior"].where(), json["behavior"].describe());
  return static_cast<Behaviour>(at - std::begin(names));
}

Result<bool> flag(JsonValue json, std::string_view key, bool byDefault) {
  return json.getOr<bool>(key, byDefault);
}

Result<> addNormalizer(JsonValue json, std::string_view type, TokenizerSpec &spec) {
  auto add = [&](StepKind kind, uint32_t option = 0, std::string a = {}, std::string b = {}) -> Result<> {
    spec.normalizers.push_back({kind, option, std::move(a), std::move(b)});
    return {};
  };
  constexpr std::pair<std::string_view, StepKind> plain[] = {{"NFC", StepKind::Nfc},
                                                             {"NFD", StepKind::Nfd},
                                                             {"NFKC", StepKind::Nfkc},
                                                             {"NFKD", StepKind::Nfkd},
                                                             {"Lowercase", StepKind::Lowercase},
                                                             {"StripAccents", StepKind::StripAccents},
                                                             {"ByteLevel", StepKind::ByteLevelText}};
  for (auto [name, kind] : plain)
    if (type == name)
      return add(kind);
  if (type == "Strip") {
    Result<bool> left = flag(json, "strip_left", true), right = flag(json, "strip_right", true);
    if (!left || !right)
      return tl::unexpected((!left ? left : right).error());
    return add(StepKind::StripText, (*left ? 1u : 0u) | (*right ? 2u : 0u));
  }
  if (type == "Prepend") {
    Result<std::string> text = json.get<std::string>("prepend");
    return text ? add(StepKind::Prepend, 0, *text) : tl::unexpected(text.error());
  }
  if (type == "Replace") {
    Result<Pattern> pattern = readPattern(json["pattern"]);
    Result<std::string> content = json.get<std::string>("content");
    if (!pattern)
      return tl::unexpected(pattern.error());
    if (!content)
      return tl::unexpected(content.error());
    return add(pattern->regex ? StepKind::ReplaceRegex : StepKind::Replace, 0, pattern->text, *content);
  }
  if (type == "Precompiled") {
    Result<std::string> map = decodeBase64(json["precompiled_charsmap"]);
    if (!map)
      return tl::unexpected(map.error());
    if (!spec.charsMap.empty())
      return fail("{}: expected one charsmap, found a second", json.where());
    spec.charsMap = *map;
    return map->empty() ? Result<>{} : add(StepKind::CharsMap);
  }
  return unsupported(
      json, "a normalizer",
      "NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Prepend, Replace, Precompiled, ByteLevel, "
      "Sequence");
}

Result<> addSplit(JsonValue json, TokenizerSpec &spec) {
  Result<Pattern> pattern = readPattern(json["pattern"]);
  Result<Behaviour> behaviour = readBehaviour(json, "");
  Result<bool> invert = flag(json, "invert", false);
  if (!pattern)
    return tl::unexpected(pattern.error());
  if (!behaviour)
    return tl::unexpected(behaviour.error());
  if (!invert)
    return tl::unexpected(invert.error());
  SplitterKind known = pattern->regex ? findSplitter(pattern->original) : SplitterKind::Count;
  // The known expressions match everywhere, so nothing lies between the matches.
  bool keepsMatches = *behaviour == Behaviour::Isolated || (*behaviour == Behaviour::Removed && *invert);
  if (known != SplitterKind::Count && keepsMatches) {
    spec.preTokenizers.push_back({StepKind::Splitter, static_cast<uint32_t>(known), {}, {}});
    return {};
  }
  spec.preTokenizers.push_back({pattern->regex ? StepKind::SplitRegex : StepKind::SplitString,
                                static_cast<uint32_t>(*behaviour) | (*invert ? 1u << 8 : 0u),
                                pattern->text,
                                {}});
  return {};
}

Result<PrependScheme> readPrependScheme(JsonValue json) {
  constexpr std::string_view names[] = {"always", "first", "never"};
  Result<std::string> name = json.getOr<std::string>("prepend_scheme", "always");
  Result<bool> prefix = flag(json, "add_prefix_space", true);
  if (!name)
    return tl::unexpected(name.error());
  if (!prefix)
    return tl::unexpected(prefix.error());
  auto at = std::find(std::begin(names), std::end(names), *name);
  if (at == std::end(names))
    return fail("{}: expected always, first or never, found {}", json["prepend_scheme"].where(),
                json["prepend_scheme"].describe());
  return *prefix ? static_cast<PrependScheme>(at - std::begin(names)) : PrependScheme::Never;
}

Result<> addMetaspace(JsonValue json, bool decoder, TokenizerSpec &spec) {
  Result<std::string> mark = json.get<std::string>("replacement");
  Result<PrependScheme> scheme = readPrependScheme(json);
  Result<bool> split = flag(json, "split", true);
  if (!mark)
    return tl::unexpected(mark.error());
  if (!scheme)
    return tl::unexpected(scheme.error());
  if (!split)
    return tl::unexpected(split.error());
  auto option = static_cast<uint32_t>(*scheme);
  if (decoder)
    spec.decoders.push_back({StepKind::DecodeMetaspace, option, *mark, {}});
  else
    spec.preTokenizers.push_back({StepKind::Metaspace, option | (*split ? 1u << 8 : 0u), *mark, {}});
  return {};
}

Result<> addPreTokenizer(JsonValue json, std::string_view type, TokenizerSpec &spec) {
  auto add = [&](StepKind kind, uint32_t option = 0, std::string a = {}) -> Result<> {
    spec.preTokenizers.push_back({kind, option, std::move(a), {}});
    return {};
  };
  if (type == "ByteLevel") {
    Result<bool> prefix = flag(json, "add_prefix_space", true), regex = flag(json, "use_regex", true);
    if (!prefix || !regex)
      return tl::unexpected((!prefix ? prefix : regex).error());
    if (*prefix)
      (void)add(StepKind::AddPrefixSpace);
    if (*regex)
      (void)add(StepKind::Splitter, static_cast<uint32_t>(SplitterKind::Gpt2));
    return add(StepKind::ByteLevelMap);
  }
  if (type == "Split")
    return addSplit(json, spec);
  if (type == "Metaspace")
    return addMetaspace(json, false, spec);
  if (type == "Digits") {
    Result<bool> each = flag(json, "individual_digits", false);
    return each ? add(StepKind::Digits, *each) : tl::unexpected(each.error());
  }
  if (type == "Punctuation") {
    Result<Behaviour> behaviour = readBehaviour(json, "Isolated");
    return behaviour ? add(StepKind::Punctuation, static_cast<uint32_t>(*behaviour))
                     : tl::unexpected(behaviour.error());
  }
  if (type == "Whitespace")
    return add(StepKind::Whitespace);
  if (type == "WhitespaceSplit")
    return add(StepKind::WhitespaceSplit);
  if (type == "BertPreTokenizer") {
    (void)add(StepKind::WhitespaceSplit);
    return add(StepKind::Punctuation, static_cast<uint32_t>(Behaviour::Isolated));
  }
  if (type == "CharDelimiterSplit") {
    Result<std::string> delimiter = json.get<std::string>("delimiter");
    return delimiter ? add(StepKind::SplitString, static_cast<uint32_t>(Behaviour::Removed), *delimiter)
                     : tl::unexpected(delimiter.error());
  }
  return unsupported(
      json, "a pre-tokenizer",
      "ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit, BertPreTokenizer, "
      "CharDelimiterSplit, Sequence");
}

Result<> addDecoder(JsonValue json, std::string_view type, TokenizerSpec &spec) {
  const bool joined = std::ranges::any_of(spec.decoders, [](const StepSpec &step) {
    return step.kind == StepKind::DecodeFuse || step.kind == StepKind::DecodeByteLevel;
  });
  const bool goesBehind =
      type == "Fuse" || (type == "Strip" && json.getOr<int64_t>("stop", 0).value_or(0) == 0);
  if (joined && !goesBehind)
    return fail("{}: expected only Fuse and Strip from the left behind Fuse and ByteLevel, found {}",
                json["type"].where(), json["type"].describe());
  auto add = [&](StepKind kind, uint32_t option = 0, std::string a = {}, std::string b = {}) -> Result<> {
    spec.decoders.push_back({kind, option, std::move(a), std::move(b)});
    return {};
  };
  if (type == "ByteLevel")
    return add(StepKind::DecodeByteLevel);
  if (type == "Metaspace")
    return addMetaspace(json, true, spec);
  if (type == "ByteFallback")
    return add(StepKind::DecodeByteFallback);
  if (type == "Fuse")
    return add(StepKind::DecodeFuse);
  if (type == "Replace") {
    Result<Pattern> pattern = readPattern(json["pattern"]);
    Result<std::string> content = json.get<std::string>("content");
    if (!pattern)
      return tl::unexpected(pattern.error());
    if (!content)
      return tl::unexpected(content.error());
    if (pattern->regex)
      return fail("{}: expected a string in a decoder, found a regular expression", json["pattern"].where());
    return add(StepKind::DecodeReplace, 0, pattern->text, *content);
  }
  if (type == "Strip") {
    Result<std::string> content = json.get<std::string>("content");
    Result<int64_t> start = json.getOr<int64_t>("start", 0), stop = json.getOr<int64_t>("stop", 0);
    if (!content)
      return tl::unexpected(content.error());
    if (!start || !stop)
      return tl::unexpected((!start ? start : stop).error());
    if (*start < 0 || *stop < 0 || *start > 0xFFFF || *stop > 0xFFFF)
      return fail("{}: expected start and stop below 65536, found {} and {}", json.where(), *start, *stop);
    return add(StepKind::DecodeStrip, static_cast<uint32_t>(*start | *stop << 16), *content);
  }
  if (type == "BPEDecoder") {
    Result<std::string> suffix = json.getOr<std::string>("suffix", "</w>");
    return suffix ? add(StepKind::DecodeBpe, 0, *suffix) : tl::unexpected(suffix.error());
  }
  if (type == "WordPiece") {
    Result<std::string> prefix = json.getOr<std::string>("prefix", "##");
    Result<bool> cleanup = flag(json, "cleanup", true);
    if (!prefix)
      return tl::unexpected(prefix.error());
    return cleanup ? add(StepKind::DecodeWordPiece, *cleanup, *prefix) : tl::unexpected(cleanup.error());
  }
  return unsupported(
      json, "a decoder",
      "ByteLevel, Metaspace, ByteFallback, Fuse, Replace, Strip, BPEDecoder, WordPiece, Sequence");
}

Result<uint32_t> readId(JsonValue json) {
  Result<int64_t> id = json.as<int64_t>();
  if (!id)
    return tl::unexpected(id.error());
  if (*id < 0 || *id >= static_cast<int64_t>(maxTokens))
    return fail("{}: expected an id below {}, found {}", json.where(), maxTokens, *id);
  return static_cast<uint32_t>(*id);
}

Result<> addTemplate(JsonValue json, std::vector<uint32_t> &before, std::vector<uint32_t> &after) {
  bool behind = false;
  for (JsonValue piece : json["single"]) {
    if (piece.has("Sequence")) {
      if (behind || piece["Sequence"].getOr<std::string>("id", "A").value_or("") != "A")
        return fail("{}: expected sequence A once, found another", piece.where());
      behind = true;
      continue;
    }
    Result<std::string> name = piece["SpecialToken"].get<std::string>("id");
    if (!name)
      return tl::unexpected(name.error());
    JsonValue ids = json["special_tokens"][*name]["ids"];
    if (!ids.isArray())
      return fail("{}: expected the ids of \"{}\", found {}", ids.where(), *name, ids.describe());
    for (JsonValue element : ids) {
      Result<uint32_t> id = readId(element);
      if (!id)
        return tl::unexpected(id.error());
      (behind ? after : before).push_back(*id);
    }
  }
  return {};
}

Result<> addPostProcessor(JsonValue json, std::string_view type, TokenizerSpec &spec) {
  std::vector<uint32_t> before, after;
  if (type == "TemplateProcessing") {
    if (Result<> done = addTemplate(json, before, after); !done)
      return done;
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    Result<uint32_t> cls = readId(json["cls"].element(1)), sep = readId(json["sep"].element(1));
    if (!cls || !sep)
      return tl::unexpected((!cls ? cls : sep).error());
    before = {*cls};
    after = {*sep};
  } else if (type != "ByteLevel") { // which only trims offsets
    return unsupported(json, "a post-processor",
                       "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence");
  }
  spec.before.insert(spec.before.begin(), before.begin(), before.end());
  spec.after.insert(spec.after.end(), after.begin(), after.end());
  return {};
}

} // namespace

Result<> readNormalizer(JsonValue json, TokenizerSpec &spec) {
  return forEach(json, "normalizers",
                 [&](JsonValue step, std::string_view type) { return addNormalizer(step, type, spec); });
}

Result<> readPreTokenizer(JsonValue json, TokenizerSpec &spec) {
  return forEach(json, "pretokenizers",
                 [&](JsonValue step, std::string_view type) { return addPreTokenizer(step, type, spec); });
}

Result<> readDecoder(JsonValue json, TokenizerSpec &spec) {
  return forEach(json, "decoders",
                 [&](JsonValue step, std::string_view type) { return addDecoder(step, type, spec); });
}

Result<> readPostProcessor(JsonValue json, TokenizerSpec &spec) {
  return forEach(json, "processors",
                 [&](JsonValue step, std::string_view type) { return addPostProcessor(step, type, spec); });
}

} // namespace sinter
