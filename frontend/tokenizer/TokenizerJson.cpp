// SPDX-License-Identifier: Apache-2.0
// The model and the added tokens of tokenizer.json; the steps are in TokenizerSteps.cpp.
#include "frontend/tokenizer/TokenizerJson.h"
#include <algorithm>
#include <map>
#include <unordered_map>

namespace sinter {

namespace {

using Ids = std::unordered_map<std::string_view, uint32_t>;

/// Sets `out` to member `key`, or leaves it when that is absent or null.
template <typename T> Result<> read(JsonValue json, std::string_view key, T &out) {
  Result<T> value = json.getOr<T>(key, out);
  if (!value)
    return tl::unexpected(value.error());
  out = std::move(*value);
  return {};
}

Result<> checkId(JsonValue where, int64_t id) {
  if (id < 0 || id >= static_cast<int64_t>(maxTokens))
    return fail("{}: expected an id below {}, found {}", where.where(), maxTokens, id);
  return {};
}

Result<> readVocabulary(JsonValue vocabulary, TokenizerSpec &spec) {
  if (!vocabulary.isObject())
    return fail("{}: expected an object of tokens and ids, found {}", vocabulary.where(),
                vocabulary.describe());
  for (JsonValue entry : vocabulary) {
    Result<int64_t> id = entry.as<int64_t>();
    if (!id)
      return tl::unexpected(id.error());
    if (Result<> done = checkId(entry, *id); !done)
      return done;
    if (static_cast<size_t>(*id) >= spec.tokens.size())
      spec.tokens.resize(static_cast<size_t>(*id) + 1);
    auto &place = spec.tokens[static_cast<size_t>(*id)];
    if (place && *place != entry.key())
      return fail("{}: expected one token an id, found \"{}\" and \"{}\" with id {}", entry.where(), *place,
                  entry.key(), *id);
    place = std::string(entry.key());
  }
  return {};
}

Ids indexTokens(const TokenizerSpec &spec) {
  Ids ids;
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id])
      ids[*spec.tokens[id]] = id;
  return ids;
}

/// A merge is "left right" or ["left", "right"].
Result<> readMerge(JsonValue merge, std::string_view &left, std::string_view &right) {
  if (merge.isString()) {
    std::string_view text = *merge.as<std::string_view>();
    size_t space = text.find(' ');
    if (space != text.npos && text.find(' ', space + 1) == text.npos) {
      left = text.substr(0, space);
      right = text.substr(space + 1);
      return {};
    }
  } else if (merge.isArray() && merge.size() == 2) {
    Result<std::string_view> l = merge.element(0).as<std::string_view>(),
                             r = merge.element(1).as<std::string_view>();
    if (l && r) {
      left = *l;
      right = *r;
      return {};
    }
  }
  return fail("{}: expected two tokens, found {}", merge.where(), merge.describe());
}

Result<> readMerges(JsonValue merges, TokenizerSpec &spec) {
  if (!merges.isArray())
    return fail("{}: expected an array of merges, found {}", merges.where(), merges.describe());
  Ids ids = indexTokens(spec);
  std::string joined;
  for (JsonValue merge : merges) {
    std::string_view left, right;
    if (Result<> done = readMerge(merge, left, right); !done)
      return done;
    joined.assign(left);
    joined += right.substr(std::min(spec.wordPrefix.size(), right.size()));
    auto l = ids.find(left), r = ids.find(right), m = ids.find(joined);
    if (l == ids.end() || r == ids.end() || m == ids.end())
      return fail("{}: expected \"{}\", \"{}\" and \"{}\" in the vocabulary, found not all of them",
                  merge.where(), left, right, joined);
    spec.merges.push_back({l->second, r->second, m->second});
  }
  return {};
}

Result<> setUnknown(JsonValue model, TokenizerSpec &spec) {
  Result<std::optional<std::string>> name = model.find<std::string>("unk_token");
  if (!name)
    return tl::unexpected(name.error());
  if (!*name)
    return {};
  auto at = std::find(spec.tokens.begin(), spec.tokens.end(), **name);
  spec.unknown = at == spec.tokens.end() ? -1 : static_cast<int32_t>(at - spec.tokens.begin());
  return {};
}

Result<> readBpe(JsonValue model, TokenizerSpec &spec) {
  Result<double> dropout = model.getOr<double>("dropout", 0.0);
  if (!dropout)
    return tl::unexpected(dropout.error());
  if (*dropout != 0.0)
    return fail("{}: expected no dropout (it makes tokens random), found {}", model["dropout"].where(),
                *dropout);
  spec.model = ModelKind::Bpe;
  if (Result<> done = readVocabulary(model["vocab"], spec); !done)
    return done;
  if (Result<> done = setUnknown(model, spec); !done)
    return done;
  for (auto [key, out] :
       {std::pair{"continuing_subword_prefix", &spec.wordPrefix}, {"end_of_word_suffix", &spec.wordSuffix}})
    if (Result<> done = read(model, key, *out); !done)
      return done;
  for (auto [key, out] : {std::pair{"fuse_unk", &spec.fuseUnknown},
                          {"byte_fallback", &spec.byteFallback},
                          {"ignore_merges", &spec.ignoreMerges}})
    if (Result<> done = read(model, key, *out); !done)
      return done;
  return readMerges(model["merges"], spec);
}

Result<> readUnigram(JsonValue model, TokenizerSpec &spec) {
  spec.model = ModelKind::Unigram;
  if (Result<> done = read(model, "byte_fallback", spec.byteFallback); !done)
    return done;
  JsonValue vocabulary = model["vocab"];
  if (!vocabulary.isArray())
    return fail("{}: expected an array of tokens with scores, found {}", vocabulary.where(),
                vocabulary.describe());
  for (JsonValue entry : vocabulary) {
    Result<std::string> token = entry.element(0).as<std::string>();
    Result<double> score = entry.element(1).as<double>();
    if (!token || !score)
      return fail("{}: expected [token, score], found {}", entry.where(), entry.describe());
    spec.tokens.emplace_back(std::move(*token));
    spec.scores.push_back(*score);
  }
  Result<std::optional<int64_t>> unknown = model.find<int64_t>("unk_id");
  if (!unknown)
    return tl::unexpected(unknown.error());
  if (!*unknown || **unknown < 0 || **unknown >= static_cast<int64_t>(spec.tokens.size()))
    return fail("{}: expected the id of the unknown token, below {}, found {}", model["unk_id"].where(),
                spec.tokens.size(), model["unk_id"].describe());
  spec.unknown = static_cast<int32_t>(**unknown);
  return {};
}

Result<> readModel(JsonValue model, TokenizerSpec &spec) {
  // Files written before the type was stored are told apart by their members, as tokenizers does.
  Result<std::string> type = model.getOr<std::string>("type", model["merges"].hasValue() ? "BPE"
                                                              : model["vocab"].isArray() ? "Unigram"
                                                                                         : "");
  if (!type)
    return tl::unexpected(type.error());
  if (*type == "BPE")
    return readBpe(model, spec);
  if (*type == "Unigram")
    return readUnigram(model, spec);
  if (*type == "WordLevel") {
    spec.model = ModelKind::WordLevel;
    if (Result<> done = readVocabulary(model["vocab"], spec); !done)
      return done;
    return setUnknown(model, spec);
  }
  return fail("{}: expected \"BPE\", \"Unigram\" or \"WordLevel\", found {}", model["type"].where(),
              model["type"].describe());
}

/// An added token: an object with "content" and flags. `normalizedByDefault`: unless it says so itself.
Result<AddedTokenSpec> readAddedToken(JsonValue json) {
  AddedTokenSpec token;
  Result<std::string> content = json.get<std::string>("content");
  if (!content)
    return tl::unexpected(content.error());
  token.content = std::move(*content);
  if (Result<> done = read(json, "special", token.special); !done)
    return tl::unexpected(done.error());
  token.normalized = !token.special;
  for (auto [key, out] : {std::pair{"single_word", &token.singleWord},
                          {"lstrip", &token.stripLeft},
                          {"rstrip", &token.stripRight},
                          {"normalized", &token.normalized}})
    if (Result<> done = read(json, key, *out); !done)
      return tl::unexpected(done.error());
  return token;
}

bool same(const AddedTokenSpec &a, const AddedTokenSpec &b) {
  return a.content == b.content && a.special == b.special && a.singleWord == b.singleWord &&
         a.stripLeft == b.stripLeft && a.stripRight == b.stripRight && a.normalized == b.normalized;
}

/// The id that a token has or will get (Builder::addAddedTokens counts in the same way), or -1.
int64_t idOf(const TokenizerSpec &spec, std::string_view name) {
  size_t vocabulary = 0;
  std::unordered_map<std::string_view, int64_t> ids;
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id]) {
      ids[*spec.tokens[id]] = static_cast<int64_t>(id);
    }
  vocabulary = ids.size();
  int64_t largest = -1;
  for (const AddedTokenSpec &token : spec.added) {
    if (token.content.empty())
      continue;
    auto [it, fresh] =
        ids.try_emplace(token.content, std::max(largest + 1, static_cast<int64_t>(vocabulary)));
    largest = std::max(largest, it->second);
  }
  auto it = ids.find(name);
  return it == ids.end() ? -1 : it->second;
}

/// A special token: a string, or an object with flags.
Result<AddedTokenSpec> readSpecialToken(JsonValue json) {
  if (json.isObject())
    return readAddedToken(json);
  Result<std::string> name = json.as<std::string>();
  if (!name)
    return tl::unexpected(name.error());
  return AddedTokenSpec{std::move(*name), true, false, false, false, false};
}

/// A token that has a name, and what an added_tokens.json with the same text makes of it.
struct NamedToken {
  AddedTokenSpec token;
  enum Flags { Special, SpecialInNormalizedText, Ordinary } flags;
};

/// The tokens that have names in a tokenizer_config.json and a special_tokens_map.json, in transformers'
/// order: its own names, which are noted in `spec`, other members that end with _token, lists of more.
Result<std::vector<NamedToken>> readNamedTokens(TokenizerSpec &spec, JsonValue root, JsonValue names) {
  std::vector<NamedToken> tokens;
  std::string ignored;
  struct Named {
    std::string_view key;
    std::string *out;
  };
  const Named own[] = {{"bos_token", &spec.bos}, {"eos_token", &spec.eos}, {"unk_token", &spec.unk},
                       {"sep_token", &ignored},  {"pad_token", &spec.pad}, {"cls_token", &ignored},
                       {"mask_token", &ignored}};
  auto add = [&](JsonValue json, std::string &out, NamedToken::Flags flags) -> Result<> {
    if (!json.hasValue())
      return {};
    Result<AddedTokenSpec> token = readSpecialToken(json);
    if (!token)
      return tl::unexpected(token.error());
    out = token->content;
    token->special = true;
    tokens.push_back({std::move(*token), flags});
    return {};
  };
  for (auto [key, out] : own)
    if (Result<> done = add(names.has(key) ? names[key] : root[key], *out, NamedToken::Special); !done)
      return tl::unexpected(done.error());
  for (JsonValue members : {root, names})
    for (JsonValue json : members)
      if (json.key().ends_with("_token") && (json.isString() || json["content"].isString()) &&
          std::ranges::none_of(own, [&](const Named &each) { return each.key == json.key(); }))
        if (Result<> done = add(json, ignored, NamedToken::SpecialInNormalizedText); !done)
          return tl::unexpected(done.error());
  auto addList = [&](JsonValue list, bool special, NamedToken::Flags flags) -> Result<> {
    for (JsonValue json : list) {
      Result<AddedTokenSpec> token = readSpecialToken(json);
      if (!token)
        return tl::unexpected(token.error());
      token->special |= special || list.isObject(); // with names of their own
      tokens.push_back({std::move(*token), flags});
    }
    return {};
  };
  // The other name is the one before transformers 5.
  const bool hasExtra = root["extra_special_tokens"].size() != 0;
  JsonValue extra = root[hasExtra ? "extra_special_tokens" : "additional_special_tokens"];
  JsonValue more = names["extra_special_tokens"];
  if (Result<> done = addList(extra, false, NamedToken::Special); !done)
    return tl::unexpected(done.error());
  if (Result<> done = addList(more, true, NamedToken::Special); !done)
    return tl::unexpected(done.error());
  if (extra.size() == 0 && more.size() == 0)
    if (Result<> done = addList(names["additional_special_tokens"], true, NamedToken::Ordinary); !done)
      return tl::unexpected(done.error());
  return tokens;
}

void addIfNew(TokenizerSpec &spec, AddedTokenSpec token) {
  const bool known =
      std::ranges::find(spec.added, token.content, &AddedTokenSpec::content) != spec.added.end();
  if (!known && !token.content.empty())
    spec.added.push_back(std::move(token));
}

/// The id that `text` is the decimal form of, or -1.
int64_t idFrom(std::string_view text) {
  int64_t id = 0;
  for (char digit : text) {
    if (digit < '0' || digit > '9' || id >= static_cast<int64_t>(maxTokens))
      return -1;
    id = id * 10 + (digit - '0');
  }
  return id;
}

} // namespace

Result<TokenizerSpec> readTokenizerJson(JsonValue root) {
  TokenizerSpec spec;
  if (!root["model"].isObject())
    return fail("{}: expected the model, found {}", root["model"].where(), root["model"].describe());
  if (Result<> done = readModel(root["model"], spec); !done)
    return tl::unexpected(done.error());
  for (JsonValue json : root["added_tokens"]) {
    Result<AddedTokenSpec> token = readAddedToken(json);
    if (!token)
      return tl::unexpected(token.error());
    spec.added.push_back(std::move(*token));
  }
  using ReadPart = Result<> (*)(JsonValue, TokenizerSpec &);
  for (auto [key, readPart] : {std::pair<std::string_view, ReadPart>{"normalizer", readNormalizer},
                               {"pre_tokenizer", readPreTokenizer},
                               {"post_processor", readPostProcessor},
                               {"decoder", readDecoder}})
    if (root[key].hasValue())
      if (Result<> done = readPart(root[key], spec); !done)
        return tl::unexpected(done.error());
  return spec;
}

bool takesOlderFiles(JsonValue root) { return !root.has("added_tokens_decoder"); }

Result<> applyTokenizerConfig(TokenizerSpec &spec, JsonValue root, JsonValue names, JsonValue more) {
  if (!takesOlderFiles(root))
    names = more = JsonValue();
  Result<std::vector<NamedToken>> named = readNamedTokens(spec, root, names);
  if (!named)
    return tl::unexpected(named.error());
  std::multimap<int64_t, AddedTokenSpec> added; // by id
  for (JsonValue json : root["added_tokens_decoder"]) {
    Result<AddedTokenSpec> token = readAddedToken(json);
    if (!token)
      return tl::unexpected(token.error());
    const int64_t id = idFrom(json.key());
    if (id < 0)
      return fail("{}: expected an id below {}, found \"{}\"", json.where(), maxTokens, json.key());
    added.emplace(id, std::move(*token));
  }
  for (auto &[id, token] : added)
    if (std::none_of(spec.added.begin(), spec.added.end(),
                     [&](const AddedTokenSpec &t) { return same(t, token); }))
      spec.added.push_back(std::move(token));

  Result<bool> split = root.getOr<bool>("split_special_tokens", false);
  if (!split)
    return tl::unexpected(split.error());
  if (*split)
    return fail("{}: expected false (the special tokens of a text are tokens), found true",
                root["split_special_tokens"].where());
  std::multimap<int64_t, std::string_view> moreById;
  for (JsonValue json : more) {
    Result<int64_t> id = json.as<int64_t>();
    if (!id || *id < 0 || *id >= static_cast<int64_t>(maxTokens))
      return fail("{}: expected an id below {}, found {}", json.where(), maxTokens, json.describe());
    moreById.emplace(*id, json.key());
  }
  for (auto [id, content] : moreById) {
    const auto found = std::ranges::find(
        *named, content, [](const NamedToken &each) -> const std::string & { return each.token.content; });
    const NamedToken::Flags flags = found == named->end() ? NamedToken::Ordinary : found->flags;
    addIfNew(spec, {.content = std::string(content),
                    .special = flags != NamedToken::Ordinary,
                    .normalized = flags != NamedToken::Special});
  }
  for (NamedToken &each : *named)
    addIfNew(spec, std::move(each.token));
  return {};
}

Result<> applyTokensAround(TokenizerSpec &spec, JsonValue root) {
  if (!root["add_bos_token"].hasValue() && !root["add_eos_token"].hasValue())
    return {};
  spec.before.clear();
  spec.after.clear();
  struct Around {
    std::string_view key;
    const std::string &name;
    std::vector<uint32_t> &ids;
  };
  for (auto [key, name, ids] :
       {Around{"add_bos_token", spec.bos, spec.before}, {"add_eos_token", spec.eos, spec.after}}) {
    Result<bool> wanted = root.getOr<bool>(key, false);
    if (!wanted)
      return tl::unexpected(wanted.error());
    if (*wanted && !name.empty())
      ids.push_back(static_cast<uint32_t>(idOf(spec, name)));
  }
  return {};
}

} // namespace sinter
