// SPDX-License-Identifier: Apache-2.0
// Any bytes as tokens' texts and any logits: what --json writes is JSON that holds the same bytes and
// numbers.
#include "runtime/files/Json.h"
#include "runtime/generate/TokenJson.h"

#include <cmath>
#include <cstdlib>

using namespace sinter;

namespace {

/// Token i is the i-th of three equal parts of the input.
class Parts : public Codec {
public:
  explicit Parts(std::string_view bytes) : bytes(bytes) {}
  Result<std::vector<int32_t>> encode(std::string_view, bool) const override { return fail("not for text"); }
  std::string decode(std::span<const int32_t>) const override { return {}; }
  std::string tokenBytes(int32_t id) const override {
    const size_t part = bytes.size() / 3;
    return std::string(bytes.substr(size_t(id) * part, part));
  }
  std::unique_ptr<TextStream> stream(bool) const override { return nullptr; }

private:
  std::string_view bytes;
};

void expect(bool holds) {
  if (!holds)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  float logits[3];
  if (size < sizeof logits)
    return 0;
  std::memcpy(logits, data, sizeof logits);
  for (float &logit : logits)
    if (std::isnan(logit) || logit == INFINITY) // the loop refuses them before anything is written
      logit = 0;
  const Parts codec({reinterpret_cast<const char *>(data) + sizeof logits, size - sizeof logits});
  TokenEvent event{};
  event.token = 1;
  event.logits = logits;
  std::string line;
  TokenJson(codec, 3, false).append(event, line);
  const Result<Json> json = Json::parse(line, "line");
  expect(json.has_value() && line.ends_with('\n'));
  const JsonValue root = json->root();
  expect(*root["token"].as<int64_t>() == 1 && root["top_logprobs"].size() == 3);
  const std::vector<int64_t> bytes = *root["bytes"].as<std::vector<int64_t>>();
  const std::string text = codec.tokenBytes(1);
  expect(std::equal(bytes.begin(), bytes.end(), text.begin(), text.end(),
                    [](int64_t a, char b) { return a == uint8_t(b); }));
  return 0;
}
