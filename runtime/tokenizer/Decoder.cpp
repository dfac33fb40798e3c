// SPDX-License-Identifier: Apache-2.0
// Steps before Fuse or ByteLevel, which join the tokens, see one token at a time; behind them only Strip from
// the left is supported.
#include "runtime/tokenizer/Decoder.h"
#include "runtime/files/Utf8.h"
#include "runtime/tokenizer/Growth.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/Unicode.h"

namespace sinter {

namespace {

void replaceAll(std::string &text, std::string_view from, std::string_view to) {
  if (from.empty())
    return;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

int hexDigit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/// WordPiece's clean-up of English punctuation, in its order.
void cleanUp(std::string &text) {
  constexpr std::string_view pairs[][2] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto &pair : pairs)
    replaceAll(text, pair[0], pair[1]);
}

void decodeByteLevel(std::string &token) {
  if (validUtf8Prefix(token) != token.size())
    return;
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    unicode::Char c = unicode::decode(token.data() + i);
    int byte = byteOfAlphabet(c.code);
    if (byte < 0)
      return;
    bytes += static_cast<char>(byte);
    i += c.size;
  }
  token = std::move(bytes);
}

void strip(std::string &token, std::string_view what, uint32_t left, uint32_t right) {
  while (left-- > 0 && token.starts_with(what))
    token.erase(0, what.size());
  while (right-- > 0 && token.ends_with(what))
    token.resize(token.size() - what.size());
}

} // namespace

Result<Decoder> Decoder::open(const BlobHeader *blob) {
  Decoder result;
  const auto &config = section<TokenizerConfig>(blob, Section::Config)[0];
  result.vocabulary = Vocabulary(blob);
  result.steps = section<Step>(blob, Section::Decoders);
  result.strings = section<char>(blob, Section::Text);
  result.byteStrings = config.flags & ModelByteLevel;
  result.joinSpaces = config.flags & ModelJoinSpaces;
  bool fused = false;
  Growth growth;
  for (size_t i = 0; i < result.steps.size(); ++i) {
    const Step &step = result.steps[i];
    auto kind = static_cast<StepKind>(step.kind);
    std::string_view a = stepText(result.strings, step.aOffset, step.aSize);
    if (kind < StepKind::DecodeByteLevel || kind > StepKind::DecodeWordPiece)
      return fail("tokenizer tables: expected a decoder, found a step of kind {}", step.kind);
    if (fused && kind != StepKind::DecodeFuse && (kind != StepKind::DecodeStrip || step.option >> 16))
      return fail(
          "tokenizer tables: expected only Strip from the left behind Fuse and ByteLevel, found a step "
          "of kind {}",
          step.kind);
    if (a.empty() && (kind == StepKind::DecodeMetaspace || kind == StepKind::DecodeStrip))
      return fail("tokenizer tables: expected a character for the step of kind {}, found none", step.kind);
    fused |= kind == StepKind::DecodeFuse || kind == StepKind::DecodeByteLevel;
    result.lastMatters |= kind == StepKind::DecodeBpe;
    if (kind == StepKind::DecodeReplace)
      growth.replace(a, stepText(result.strings, step.bOffset, step.bSize));
    if (Result<> checked = growth.check("decoder", i, result.steps.size()); !checked)
      return tl::unexpected(checked.error());
  }
  return result;
}

void Decoder::applyToToken(const Step &step, bool first, bool last, std::string &token) const {
  std::string_view a = stepText(strings, step.aOffset, step.aSize),
                   b = stepText(strings, step.bOffset, step.bSize);
  switch (static_cast<StepKind>(step.kind)) {
  case StepKind::DecodeByteLevel:
    if (!byteStrings)
      decodeByteLevel(token);
    break;
  case StepKind::DecodeMetaspace:
    replaceAll(token, a, first && static_cast<PrependScheme>(step.option) != PrependScheme::Never ? "" : " ");
    break;
  case StepKind::DecodeReplace:
    replaceAll(token, a, b);
    break;
  case StepKind::DecodeByteFallback:
    if (token.size() == 6 && token.starts_with("<0x") && token[5] == '>' && hexDigit(token[3]) >= 0 &&
        hexDigit(token[4]) >= 0)
      token.assign(1, static_cast<char>(hexDigit(token[3]) * 16 + hexDigit(token[4])));
    break;
  case StepKind::DecodeStrip:
    strip(token, a, step.option & 0xFFFF, step.option >> 16);
    break;
  case StepKind::DecodeBpe:
    replaceAll(token, a, last ? "" : " ");
    break;
  case StepKind::DecodeWordPiece:
    if (!first) {
      if (token.starts_with(a))
        token.erase(0, a.size());
      else
        token.insert(0, " ");
    }
    if (step.option)
      cleanUp(token);
    break;
  default:
    break;
  }
}

void Decoder::append(uint32_t id, bool last, State &state, std::string &out) const {
  if (vocabulary.flagsOf(id) & TokenAbsent)
    return;
  std::string token(vocabulary.string(id));
  bool fused = false;
  for (const Step &step : steps) {
    auto kind = static_cast<StepKind>(step.kind);
    if (kind == StepKind::DecodeFuse) {
      fused = true;
    } else if (!fused) {
      applyToToken(step, state.first, last, token);
      fused = kind == StepKind::DecodeByteLevel;
    } else if (state.stripping) { // Strip over the whole text: what is left of it at the text's front
      std::string_view what = stepText(strings, step.aOffset, step.aSize);
      while (state.stripped < (step.option & 0xFFFF) && token.starts_with(what)) {
        token.erase(0, what.size());
        ++state.stripped;
      }
      if (!token.empty() || state.stripped >= (step.option & 0xFFFF))
        state.stripping = false;
    }
  }
  if (joinSpaces && !state.first)
    out += ' ';
  out += token;
  state.first = false;
}

} // namespace sinter
