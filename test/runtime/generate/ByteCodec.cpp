// SPDX-License-Identifier: Apache-2.0
// The simplest tokenizer: a byte is a token. Byte 2 is one that the model has no row for.
#include "runtime/files/Utf8.h"
#include "test/runtime/generate/FakeModel.h"

namespace sinter::fake {

namespace {

class ByteStream final : public TextStream {
public:
  explicit ByteStream(bool special) : special(special) {}
  void push(int32_t id, std::string &out) override {
    if (id >= 256) {
      flush(out);
      if (special)
        out += id == beginToken ? "<s>" : "</s>";
      return;
    }
    held += char(id);
    if (utf8Length(held) || held.size() >= 4)
      flush(out);
  }
  void flush(std::string &out) override {
    out += repairUtf8(held);
    held.clear();
  }

private:
  const bool special;
  std::string held;
};

class ByteCodec final : public Codec {
public:
  Result<std::vector<int32_t>> encode(std::string_view text, bool addSpecial) const override {
    std::vector<int32_t> ids;
    if (addSpecial)
      ids.push_back(beginToken);
    for (char c : text)
      ids.push_back(c == 2 ? int32_t(vocabulary) : int32_t(uint8_t(c)));
    return ids;
  }
  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (int32_t id : ids)
      text += tokenBytes(id);
    return text;
  }
  std::string tokenBytes(int32_t id) const override {
    if (id < 256)
      return std::string(1, char(id));
    return id == beginToken ? "<s>" : id == endToken ? "</s>" : "";
  }
  std::unique_ptr<TextStream> stream(bool special) const override {
    return std::make_unique<ByteStream>(special);
  }
};

} // namespace

Result<std::unique_ptr<Codec>> openByteCodec(const struct sinter_model &) {
  return std::make_unique<ByteCodec>();
}

} // namespace sinter::fake
