// SPDX-License-Identifier: Apache-2.0
// Any bytes as config.json and, behind a zero byte, generation_config.json, or as a GGUF file whose metadata
// is one: an error, or a configuration of sound sizes.
#include "frontend/Config.h"
#include "test/TemporaryFolder.h"

#include <cstdlib>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const TemporaryFolder folder;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  Result<ModelConfig> config = fail("not read");
  if (text.starts_with("GGUF")) {
    const Result<Gguf> file = Gguf::parse(std::as_bytes(std::span(data, size)), "fuzz");
    if (file)
      config = readGgufConfig(*file);
  } else {
    const size_t end = std::min(text.find('\0'), size);
    folder.write("config.json", text.substr(0, end));
    folder.write("generation_config.json", end < size ? text.substr(end + 1) : "{}");
    config = readHuggingFaceConfig(folder.path());
  }
  if (!config)
    return config.error().message.empty() ? (std::abort(), 0) : 0;
  if (!config->architecture || config->vocabulary <= 0 || config->hidden <= 0 || config->heads <= 0 ||
      config->keyValueHeads <= 0 || config->headDim <= 0 || config->heads % config->keyValueHeads != 0)
    std::abort();
  return 0;
}
