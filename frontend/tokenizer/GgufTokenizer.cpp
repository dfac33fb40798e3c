// SPDX-License-Identifier: Apache-2.0
// Builds the tokenizer that the model's tokenizer.json describes from what llama.cpp keeps of it. Conventions
// are llama.cpp's, which are those of the legacy tokenizer.json of models that SentencePiece made.
#include "frontend/tokenizer/GgufTokenizer.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/files/Utf8.h"
#include <algorithm>
#include <unordered_map>

namespace sinter {

namespace {

enum TokenType : int32_t { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };
constexpr std::string_view mark = "\xE2\x96\x81"; // U+2581

class Reader {
public:
  explicit Reader(const Gguf &file) : file(file) {}
  Result<TokenizerSpec> run();

private:
  Result<> readVocabulary();
  Result<> readMerges();
  Result<> readByteLevel();
  Result<> readSentencePiece();
  Result<> readSpecial(bool addBosByDefault);
  bool isSpecial(size_t id) const { return types[id] == Control || types[id] == Unknown; }
  bool inAlphabet(std::string_view token) const;
  Result<std::string> name(std::string_view key) const;

  const Gguf &file;
  TokenizerSpec spec;
  std::vector<std::string> tokens; // as the file spells them
  std::vector<int32_t> types;
};

bool Reader::inAlphabet(std::string_view token) const {
  for (size_t i = 0; i < token.size();) {
    Utf8Step step = stepUtf8(token.substr(i));
    if (!step.valid || byteOfAlphabet(unicode::decode(token.data() + i).code) < 0)
      return false;
    i += step.size;
  }
  return true;
}

Result<> Reader::readVocabulary() {
  Result<GgufStrings> strings = file.get<GgufStrings>("tokenizer.ggml.tokens");
  if (!strings)
    return tl::unexpected(strings.error());
  for (std::string_view token : *strings) {
    if (size_t good = validUtf8Prefix(token); good != token.size())
      return fail("{}: key 'tokenizer.ggml.tokens', token {}: expected UTF-8, found an invalid byte at {}",
                  file.path(), tokens.size(), good);
    tokens.emplace_back(token);
  }
  if (tokens.empty() || tokens.size() >= maxTokens)
    return fail("{}: key 'tokenizer.ggml.tokens': expected 1 to {} tokens, found {}", file.path(),
                maxTokens - 1, tokens.size());
  types.assign(tokens.size(), Normal);
  if (file.has("tokenizer.ggml.token_type")) {
    Result<std::vector<int32_t>> given = file.get<std::vector<int32_t>>("tokenizer.ggml.token_type");
    if (!given)
      return tl::unexpected(given.error());
    if (given->size() != tokens.size())
      return fail("{}: key 'tokenizer.ggml.token_type': expected one type a token ({}), found {}",
                  file.path(), tokens.size(), given->size());
    types = *given;
  }
  return {};
}

Result<> Reader::readMerges() {
  Result<GgufStrings> merges = file.get<GgufStrings>("tokenizer.ggml.merges");
  if (!merges)
    return tl::unexpected(merges.error());
  std::unordered_map<std::string_view, uint32_t> ids;
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    ids[*spec.tokens[id]] = id;
  size_t number = 0;
  std::string joined;
  for (std::string_view merge : *merges) {
    size_t space = merge.find(' ', 1);
    if (space == merge.npos || space + 1 == merge.size())
      return fail("{}: key 'tokenizer.ggml.merges', merge {}: expected two tokens, found \"{}\"", file.path(),
                  number, merge);
    std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    joined.assign(left).append(right);
    auto l = ids.find(left), r = ids.find(right), m = ids.find(joined);
    if (l == ids.end() || r == ids.end() || m == ids.end())
      return fail(
          "{}: key 'tokenizer.ggml.merges', merge {}: expected \"{}\", \"{}\" and \"{}\" in the vocabulary, "
          "found not all of them",
          file.path(), number, left, right, joined);
    spec.merges.push_back({l->second, r->second, m->second});
    ++number;
  }
  return {};
}

Result<> Reader::readByteLevel() {
  Result<std::string> pre = file.getOr<std::string>("tokenizer.ggml.pre", "default");
  if (!pre)
    return tl::unexpected(pre.error());
  std::optional<GgufPreTokenizer> known = findGgufPreTokenizer(*pre);
  if (!known)
    return fail("{}: key 'tokenizer.ggml.pre': expected one of {}, found \"{}\"", file.path(),
                knownGgufPreTokenizers(), *pre);
  if (known->nfc)
    spec.normalizers.push_back({StepKind::Nfc, 0, {}, {}});
  spec.preTokenizers = known->steps;
  spec.preTokenizers.push_back({StepKind::ByteLevelMap, 0, {}, {}});
  spec.decoders.push_back({StepKind::DecodeByteLevel, 0, {}, {}});
  spec.ignoreMerges = known->ignoreMerges;
  spec.fuseUnknown = true;
  for (size_t id = 0; id < tokens.size(); ++id) {
    std::string spelled;
    if (inAlphabet(tokens[id]))
      spelled = tokens[id];
    else
      appendByteAlphabet(spelled, tokens[id]);
    spec.tokens.emplace_back(std::move(spelled));
  }
  if (Result<> done = readMerges(); !done)
    return done;
  for (size_t id = 0; id < tokens.size(); ++id)
    if (isSpecial(id) || types[id] == UserDefined) {
      // One that uses other characters than the alphabet's is found by its text, which is what it decodes to.
      spec.tokens[id] = tokens[id];
      spec.added.push_back({tokens[id], isSpecial(id), false, false, false, false});
    }
  return readSpecial(known->addBos);
}

Result<> Reader::readSentencePiece() {
  Result<std::string> architecture = file.getOr<std::string>("general.architecture", "llama");
  Result<bool> prefixSpace = file.getOr<bool>("tokenizer.ggml.add_space_prefix", true);
  if (!architecture)
    return tl::unexpected(architecture.error());
  if (!prefixSpace)
    return tl::unexpected(prefixSpace.error());
  bool gemma = architecture->starts_with("gemma");
  spec.byteFallback = spec.fuseUnknown = true;
  std::string space(mark);
  // As in llama.cpp, text gets its space at the start and after every token found by its text.
  bool prepends = !gemma && *prefixSpace;
  if (prepends)
    spec.normalizers.push_back({StepKind::Prepend, 0, space, {}});
  spec.normalizers.push_back({StepKind::Replace, 0, " ", space});
  spec.decoders = {{StepKind::DecodeReplace, 0, space, " "},
                   {StepKind::DecodeByteFallback, 0, {}, {}},
                   {StepKind::DecodeFuse, 0, {}, {}}};
  if (prepends)
    spec.decoders.push_back({StepKind::DecodeStrip, 1, " ", {}});
  for (std::string &token : tokens) {
    // Runs of spaces are user-defined tokens, stored as they look; the vocabulary has them marked.
    if (token.size() > 1 && token.find_first_not_of(' ') == token.npos) {
      size_t spaces = token.size();
      token.clear();
      for (size_t i = 0; i < spaces; ++i)
        token += mark;
    }
    spec.tokens.emplace_back(token);
  }
  if (file.has("tokenizer.ggml.merges")) {
    if (Result<> done = readMerges(); !done)
      return done;
  } else {
    Result<std::vector<float>> scores = file.get<std::vector<float>>("tokenizer.ggml.scores");
    if (!scores)
      return tl::unexpected(scores.error());
    if (scores->size() != tokens.size())
      return fail("{}: key 'tokenizer.ggml.scores': expected one score a token ({}), found {}", file.path(),
                  tokens.size(), scores->size());
    std::vector<double> order(scores->begin(), scores->end());
    for (size_t id = 0; gemma && id < order.size(); ++id) // Gemma merges in the order of its vocabulary
      order[id] = -static_cast<double>(id);
    deriveMerges(spec, order);
  }
  for (size_t id = 0; id < tokens.size(); ++id)
    if (isSpecial(id) || types[id] == UserDefined)
      spec.added.push_back({tokens[id], isSpecial(id), false, false, false, false});
  return readSpecial(true);
}

Result<std::string> Reader::name(std::string_view key) const {
  std::string full = "tokenizer.ggml." + std::string(key);
  Result<std::optional<int64_t>> id = file.findAs<int64_t>(full);
  if (!id)
    return tl::unexpected(id.error());
  if (!*id || **id == 0xFFFFFFFF)
    return std::string();
  if (**id < 0 || **id >= static_cast<int64_t>(tokens.size()))
    return fail("{}: key '{}': expected an id below {}, found {}", file.path(), full, tokens.size(), **id);
  return *spec.tokens[static_cast<size_t>(**id)];
}

Result<> Reader::readSpecial(bool addBosByDefault) {
  struct Named {
    std::string_view key;
    std::string *out;
  };
  for (auto [key, out] : {Named{"bos_token_id", &spec.bos},
                          {"eos_token_id", &spec.eos},
                          {"padding_token_id", &spec.pad},
                          {"unknown_token_id", &spec.unk}}) {
    Result<std::string> found = name(key);
    if (!found)
      return tl::unexpected(found.error());
    *out = *found;
  }
  auto idOf = [&](const std::string &token) {
    auto it = std::find(spec.tokens.begin(), spec.tokens.end(), token);
    return static_cast<uint32_t>(it - spec.tokens.begin());
  };
  if (!spec.unk.empty() && spec.byteFallback)
    spec.unknown = static_cast<int32_t>(idOf(spec.unk));
  Result<bool> addBos = file.getOr<bool>("tokenizer.ggml.add_bos_token", addBosByDefault);
  Result<bool> addEos = file.getOr<bool>("tokenizer.ggml.add_eos_token", false);
  if (!addBos)
    return tl::unexpected(addBos.error());
  if (!addEos)
    return tl::unexpected(addEos.error());
  if (*addBos && !spec.bos.empty())
    spec.before.push_back(idOf(spec.bos));
  if (*addEos && !spec.eos.empty())
    spec.after.push_back(idOf(spec.eos));
  return {};
}

Result<TokenizerSpec> Reader::run() {
  Result<std::string> model = file.get<std::string>("tokenizer.ggml.model");
  if (!model)
    return tl::unexpected(model.error());
  if (*model != "gpt2" && *model != "llama")
    return fail("{}: key 'tokenizer.ggml.model': expected \"gpt2\" or \"llama\", found \"{}\"", file.path(),
                *model);
  if (Result<> done = readVocabulary(); !done)
    return tl::unexpected(done.error());
  Result<> done = *model == "gpt2" ? readByteLevel() : readSentencePiece();
  if (!done)
    return tl::unexpected(done.error());
  return std::move(spec);
}

} // namespace

Result<TokenizerSpec> readGgufTokenizer(const Gguf &file) { return Reader(file).run(); }

} // namespace sinter
