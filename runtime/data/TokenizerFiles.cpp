// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/TokenizerFiles.h"
#include "runtime/files/MappedFile.h"

#include <array>
#include <filesystem>

namespace sinter::data {

Result<NamedTexts> readTokenizerFiles(const std::string &folder) {
  constexpr std::array names = {"tokenizer.json",    "tokenizer_config.json", "special_tokens_map.json",
                                "added_tokens.json", "tokenizer.model",       "vocab.json",
                                "merges.txt",        "chat_template.jinja"};
  NamedTexts files;
  for (const char *name : names) {
    const std::string path = folder + "/" + name;
    std::error_code code;
    if (!std::filesystem::exists(path, code))
      continue;
    Result<MappedFile> file = MappedFile::open(path);
    if (!file)
      return tl::unexpected(file.error());
    files.emplace_back(name, file->text());
  }
  return files;
}

} // namespace sinter::data
