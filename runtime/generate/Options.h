// SPDX-License-Identifier: Apache-2.0
// The command line of a compiled model.
#ifndef SINTER_RUNTIME_GENERATE_OPTIONS_H
#define SINTER_RUNTIME_GENERATE_OPTIONS_H

#include "runtime/Result.h"
#include "runtime/abi.h"
#include "runtime/generate/DeviceOpening.h"
#include "runtime/generate/Sampler.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sinter {

enum class Command { Generate, Tokenize, Detokenize, Perplexity, Bench, Info, CheckWeights, Version, Help };

struct Options {
  Command command = Command::Generate;
  std::string helpText; ///< of Command::Help

  std::optional<std::string> prompt; ///< -p
  std::optional<std::string> file;   ///< -f
  std::optional<std::vector<int32_t>> promptTokens;
  bool chat = false;
  std::optional<std::string> system;

  int64_t limit = -1;  ///< -n
  int64_t context = 0; ///< -c; 0: the model's
  int threads = 0;     ///< -t; 0: one a core
  DeviceChoice device = DeviceChoice::Auto;
  int samples = 1;
  std::optional<sinter_dtype> kvType;
  std::string weightsFile;
  std::vector<std::string> stopStrings;
  bool contextShift = false, ignoreEos = false, echo = false, special = false, json = false;
  std::optional<int64_t> topLogprobs; ///< candidates a line of --json
  int64_t probs = 0; ///< rows of the table of --probs; 0: no table

  SamplerOptions sampling; ///< the model's defaults with the flags applied
  std::optional<uint64_t> seed;

  int64_t benchPrompt = 512, benchGenerate = 128;
  int benchRepetitions = 5;
  bool benchLaunches = false; ///< --launches
};

/// Parses the arguments. `defaults` are the model's sampling values. A usage error is an Error whose message
/// names the flag.
Result<Options> parseOptions(int argc, const char *const *argv, const SamplerOptions &defaults,
                             const std::string &description);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_OPTIONS_H
