// SPDX-License-Identifier: Apache-2.0
// Forwards to runtime/tokenizer.
#include "runtime/generate/TokenizerCodec.h"
#include "runtime/tokenizer/Tokenizer.h"

namespace sinter {

namespace {

class TokenizerStream final : public TextStream {
public:
  TokenizerStream(const Tokenizer &tokenizer, bool special) : decoder(tokenizer, !special) {}
  void push(int32_t id, std::string &out) override { out += decoder.push(id); }
  void flush(std::string &out) override { out += decoder.flush(); }

private:
  StreamDecoder decoder;
};

class TokenizerCodec final : public Codec {
public:
  explicit TokenizerCodec(Tokenizer tokenizer) : tokenizer(std::move(tokenizer)) {}
  Result<std::vector<int32_t>> encode(std::string_view text, bool addSpecial) const override {
    if (text.size() >> 31)
      return fail("the text has {} bytes: expected fewer than 2 GiB", text.size());
    return tokenizer.encode(text, addSpecial);
  }
  std::string decode(std::span<const int32_t> ids) const override { return tokenizer.decode(ids); }
  std::string tokenBytes(int32_t id) const override { return tokenizer.tokenBytes(id); }
  std::unique_ptr<TextStream> stream(bool special) const override {
    return std::make_unique<TokenizerStream>(tokenizer, special);
  }

private:
  Tokenizer tokenizer;
};

} // namespace

Result<std::unique_ptr<Codec>> openTokenizerCodec(const sinter_model &model) {
  if (!model.tokenizer.data)
    return fail("this model was compiled without a tokenizer: text can be neither read nor written");
  Result<Tokenizer> tokenizer =
      Tokenizer::open({static_cast<const std::byte *>(model.tokenizer.data), size_t(model.tokenizer.size)});
  if (!tokenizer)
    return tl::unexpected(tokenizer.error());
  return std::make_unique<TokenizerCodec>(std::move(*tokenizer));
}

} // namespace sinter
