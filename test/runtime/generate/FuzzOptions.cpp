// SPDX-License-Identifier: Apache-2.0
// Any lines as the arguments of a compiled model: a usage error, or values within their ranges.
#include "runtime/generate/Options.h"

#include <cmath>
#include <cstdlib>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<std::string> lines = {"model", ""};
  for (size_t i = 0; i < size; ++i)
    if (data[i] == '\n')
      lines.emplace_back();
    else if (data[i]) // an argument ends at its first zero
      lines.back() += char(data[i]);
  std::vector<const char *> arguments;
  for (const std::string &line : lines)
    arguments.push_back(line.c_str());
  const Result<Options> options = parseOptions(int(arguments.size()), arguments.data(), {}, "a model");
  if (!options)
    return options.error().message.empty() ? (std::abort(), 0) : 0;
  const SamplerOptions &s = options->sampling;
  if (options->command == Command::Help)
    return 0;
  if (!(s.temperature >= 0) || !(s.topP >= 0 && s.topP <= 1) || !(s.minP >= 0 && s.minP <= 1) || s.topK < 0 ||
      options->limit < -1 || options->context < 0 || options->samples < 1 || options->threads < 0)
    std::abort();
  return 0;
}
