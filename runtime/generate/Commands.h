// SPDX-License-Identifier: Apache-2.0
// What the flags of a compiled model do, one function and file each. All write their results to standard
// output and remarks to standard error.
#ifndef SINTER_RUNTIME_GENERATE_COMMANDS_H
#define SINTER_RUNTIME_GENERATE_COMMANDS_H

#include "runtime/Result.h"
#include "runtime/device/Device.h"
#include "runtime/generate/Codec.h"
#include "runtime/generate/Engine.h"
#include "runtime/generate/Metadata.h"
#include "runtime/generate/Options.h"
#include <atomic>
#include <memory>

namespace sinter {

/// What every command is given.
struct Setting {
  const sinter_model &model;
  const Metadata &metadata;
  const Options &options;
  CodecOpener openCodec;
};

Result<void> runGenerate(const Setting &setting);
Result<void> runChat(const Setting &setting);
Result<void> runTokenize(const Setting &setting);
Result<void> runDetokenize(const Setting &setting);
Result<void> runPerplexity(const Setting &setting);
Result<void> runBench(const Setting &setting);
Result<void> runInfo(const Setting &setting);
Result<void> runCheckWeights(const Setting &setting);

/// -p's text, or that of the file of -f, or standard input.
Result<std::string> inputText(const Options &options);

/// The tokens of a text that the model is to read; fails at one that the model has no row for (added tokens
/// of a larger relative's tokenizer).
Result<std::vector<int32_t>> encodeForModel(const Setting &setting, const Codec &codec, std::string_view text,
                                            bool addSpecial);

/// The device that runs the model with the options' threads and weights.
Result<std::unique_ptr<device::Device>> openDevice(const Setting &setting);

/// A session for `slots` sequences of `needed` tokens each, or as many as the context allows (-c, the
/// model's, and without -c what half of the free memory holds). `needed` 0 asks for the whole context.
Result<std::unique_ptr<device::Session>> openSession(const Setting &setting, device::Device &device,
                                                     int64_t needed, int slots);

/// The tokens that a sequence may have: of -c, else the model's.
int64_t contextOf(const Setting &setting);

/// The options' sampler; draws a seed and writes it to standard error where none was given.
Sampler makeSampler(const Setting &setting);

/// Set by SIGINT from the first call on; a second SIGINT ends the process.
std::atomic<bool> &watchInterrupt();

/// `fmt::print` to standard error.
template <typename... Args> void remark(fmt::format_string<Args...> format, Args &&...args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_COMMANDS_H
