// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/RunOptions.h"
#include "runtime/training/TrainingLoop.h"

namespace sinter::training {
namespace {

/// The flags with which the run in `folder` goes on, as a command line's.
Result<TrainingOptions> optionsOfRun(const std::string &folder, const std::string &description) {
  std::vector<std::string> words = {"run"};
  for (const auto &[name, value] : flagsOfRun(folder)) {
    words.push_back(name);
    if (!value.empty()) // else a switch
      words.push_back(value);
  }
  std::vector<const char *> arguments;
  for (const std::string &word : words)
    arguments.push_back(word.c_str());
  Result<ParsedOptions> parsed = parseTrainingOptions(int(arguments.size()), arguments.data(), description);
  if (!parsed)
    return fail("{}: the flags of its last checkpoint: {}", folder, parsed.error().message);
  return parsed->options;
}

} // namespace

tl::expected<ParsedOptions, RefusedOptions>
parseRunOptions(int argc, const char *const *argv, const std::string &description, std::string_view *model) {
  const auto parse = [&](const TrainingOptions &base) -> tl::expected<ParsedOptions, RefusedOptions> {
    if (model)
      *model = {};
    Result<ParsedOptions> parsed = parseTrainingOptions(argc, argv, description, base, model);
    if (!parsed)
      return tl::unexpected(RefusedOptions{parsed.error(), 2});
    return std::move(*parsed);
  };
  tl::expected<ParsedOptions, RefusedOptions> parsed = parse({});
  if (!parsed || parsed->options.help || parsed->options.version || !parsed->options.resume ||
      parsed->options.output.empty())
    return parsed;
  Result<TrainingOptions> base = optionsOfRun(parsed->options.output, description);
  if (!base)
    return tl::unexpected(RefusedOptions{base.error(), 1});
  return parse(*base);
}

} // namespace sinter::training
