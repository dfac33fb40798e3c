// SPDX-License-Identifier: Apache-2.0
// Every value of a configuration of every architecture, replaced by values that no model has: an error that
// says so, or a configuration of sound sizes; never a crash, nor memory by the gigabyte.
#include "frontend/Config.h"
#include "runtime/files/Json.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

using namespace sinter;

namespace {

/// Where every value below `value` begins.
void findValues(JsonValue value, std::vector<size_t> &starts) {
  starts.push_back(value.offset());
  if (value.isArray() || value.isObject())
    for (JsonValue child : value)
      findValues(child, starts);
}

/// The end of the value that begins at `start` of valid JSON.
size_t endOfValue(std::string_view text, size_t start) {
  int depth = 0;
  for (size_t i = start; i < text.size(); ++i) {
    if (text[i] == '"') {
      while (text[++i] != '"')
        i += text[i] == '\\';
    } else if (text[i] == '[' || text[i] == '{') {
      ++depth;
      continue;
    } else if (text[i] == ']' || text[i] == '}') {
      if (depth == 0)
        return i; // of what the value stands in
      --depth;
    } else if (depth > 0 || (text[i] != ',' && text[i] != '\n')) {
      continue;
    } else {
      return i;
    }
    if (depth == 0)
      return i + 1;
  }
  return text.size();
}

const char *const hostile[] = {"null",
                               "true",
                               "0",
                               "-1",
                               "3",
                               "7.5",
                               "1e308",
                               "-0.0",
                               "2147483648",
                               "9223372036854775807",
                               "\"\"",
                               "\"linear\"",
                               "[]",
                               "[0]",
                               "[-1,null,\"x\"]",
                               "{}",
                               R"({"rope_type":"yarn","factor":0})",
                               R"({"rope_type":"llama3"})"};

} // namespace

TEST(HostileConfig, EveryReplacedValueIsAnErrorOrASoundConfiguration) {
  const TemporaryFolder folder;
  size_t accepted = 0, refused = 0;
  for (const auto &entry :
       std::filesystem::directory_iterator(SINTER_SOURCE_DIR "/test/frontend/corpus/Config")) {
    std::ostringstream file;
    file << std::ifstream(entry.path()).rdbuf();
    const std::string text = file.str().substr(0, file.str().find('\0')); // generation_config.json may follow
    const Result<Json> json = Json::parse(text, entry.path().string());
    ASSERT_TRUE(json) << json.error().message;
    if (!json->root().isObject())
      continue;
    std::vector<size_t> starts;
    findValues(json->root(), starts);
    for (size_t start : starts)
      for (const char *value : hostile) {
        const std::string changed = text.substr(0, start) + value + text.substr(endOfValue(text, start));
        SCOPED_TRACE(changed);
        const Result<ModelConfig> config = readHuggingFaceConfig(folder.write("config.json", changed));
        if (!config) {
          ++refused;
          EXPECT_NE(config.error().message.find("expected"), std::string::npos) << config.error().message;
          continue;
        }
        ++accepted;
        EXPECT_GT(config->vocabulary, 0);
        EXPECT_GT(config->hidden, 0);
        EXPECT_GT(config->headDim, 0);
        ASSERT_GT(config->keyValueHeads, 0);
        EXPECT_EQ(config->heads % config->keyValueHeads, 0);
        EXPECT_LE(config->layers.size(), 100000u);
        for (const Rope &rope : config->ropes)
          EXPECT_LE(rope.frequencies.size(), size_t(config->headDim));
      }
  }
  EXPECT_GT(accepted, 1000u); // most null keys have a default
  EXPECT_GT(refused, 1000u);
}
