// SPDX-License-Identifier: Apache-2.0
// --tokenize and --detokenize: the tokenizer alone, without the model.
#include "runtime/generate/Commands.h"
#include "runtime/generate/Output.h"
#include "runtime/generate/TokenIds.h"
#include <iterator>
#include <unistd.h>

namespace sinter {

Result<void> runTokenize(const Setting &setting) {
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return tl::unexpected(codec.error());
  const Result<std::string> text = inputText(setting.options);
  if (!text)
    return tl::unexpected(text.error());
  const Result<std::vector<int32_t>> ids = (*codec)->encode(*text, setting.options.special);
  if (!ids)
    return tl::unexpected(ids.error());
  std::string line = "[";
  for (size_t i = 0; i < ids->size(); ++i)
    fmt::format_to(std::back_inserter(line), "{}{}", i ? "," : "", (*ids)[i]);
  line += "]\n";
  Output out(STDOUT_FILENO);
  out.write(line);
  return out.status();
}

Result<void> runDetokenize(const Setting &setting) {
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return tl::unexpected(codec.error());
  Result<std::string> text = readWhole("-");
  if (!text)
    return tl::unexpected(text.error());
  const Result<std::vector<int32_t>> ids = parseIdArray(std::move(*text), setting.model.vocabulary);
  if (!ids)
    return tl::unexpected(ids.error());
  Output out(STDOUT_FILENO);
  out.write((*codec)->decode(*ids));
  return out.status();
}

} // namespace sinter
