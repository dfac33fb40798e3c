// SPDX-License-Identifier: Apache-2.0
// --perplexity: the negative log-likelihood of a text under the model, with --top-logprobs of each token.
#include "runtime/generate/Commands.h"
#include "runtime/generate/Output.h"
#include "runtime/generate/TokenJson.h"
#include <algorithm>
#include <cmath>
#include <unistd.h>

namespace sinter {

namespace {

/// Tokens of one window, whose first token is only looked back on. Later windows begin with what the
/// tokenizer puts in front or, where that is nothing, with the last token of the window before, so that every
/// token of the text but the first is scored once.
struct Windows {
  std::vector<int32_t> prefix, body;
  size_t most; // tokens a window may have

  size_t lead(size_t begin) const { return begin > 0 && prefix.empty() ? 1 : prefix.size(); }
  size_t end(size_t begin) const { return std::min(body.size(), begin + most - lead(begin)); }
  std::vector<int32_t> at(size_t begin) const {
    std::vector<int32_t> tokens = prefix;
    tokens.insert(tokens.end(), body.begin() + ptrdiff_t(begin - (prefix.empty() && begin > 0)),
                  body.begin() + ptrdiff_t(end(begin)));
    return tokens;
  }
};

/// The ids of --prompt-tokens as they are, or a text behind what the tokenizer puts in front.
Result<Windows> windowsOf(const Setting &setting, const Codec &codec) {
  Windows windows = {};
  if (setting.options.promptTokens) {
    windows.body = *setting.options.promptTokens;
    return windows;
  }
  const Result<std::string> text = inputText(setting.options);
  if (!text)
    return tl::unexpected(text.error());
  Result<std::vector<int32_t>> body = encodeForModel(setting, codec, *text, false);
  Result<std::vector<int32_t>> whole = encodeForModel(setting, codec, *text, true);
  if (!body)
    return tl::unexpected(body.error());
  if (!whole)
    return tl::unexpected(whole.error());
  windows.body = std::move(*body);
  const auto front = std::search(whole->begin(), whole->end(), windows.body.begin(), windows.body.end());
  windows.prefix.assign(whole->begin(), front);
  return windows;
}

} // namespace

Result<void> runPerplexity(const Setting &setting) {
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return tl::unexpected(codec.error());
  Result<Windows> given = windowsOf(setting, **codec);
  if (!given)
    return tl::unexpected(given.error());
  Windows &windows = *given;
  const size_t total = windows.prefix.size() + windows.body.size();
  if (total < 2)
    return fail("expected a text of at least 2 tokens, as the first is not scored, found {}", total);

  Result<std::unique_ptr<device::Device>> device = openDevice(setting);
  if (!device)
    return tl::unexpected(device.error());
  Result<std::unique_ptr<device::Session>> session = openSession(setting, **device, int64_t(total), 1);
  if (!session)
    return tl::unexpected(session.error());
  windows.most = std::min(size_t((*session)->capacity()), size_t(contextOf(setting)));
  if (total > windows.most && windows.most < windows.prefix.size() + 2)
    return fail("-c: expected a context of at least {} tokens to score a text in windows, found {}",
                windows.prefix.size() + 2, windows.most);
  if (total > windows.most)
    remark("the text has {} tokens: scored in windows of {}\n", total, windows.most);
  Engine engine(setting.model, std::move(*session));
  Output out(STDOUT_FILENO);
  TokenJson json(**codec, setting.options.topLogprobs.value_or(0), /*numbered=*/false);
  std::string line;

  const std::atomic<bool> &interrupt = watchInterrupt();
  double sum = 0;
  uint64_t scored = 0, nans = 0;
  for (size_t begin = 0; begin < windows.body.size(); begin = windows.end(begin)) {
    const std::vector<int32_t> tokens = windows.at(begin);
    const Result<void> done = engine.score(
        0, tokens, 0,
        [&](size_t row, std::span<const float> logits) {
          if (row + 1 == tokens.size() || row + 1 < windows.prefix.size())
            return; // nothing follows, or what follows is the tokenizer's
          const int32_t next = tokens[row + 1];
          nans += uint64_t(findPeak(logits).nans);
          sum += logSumExp(logits) - double(logits[size_t(next)]);
          ++scored;
          if (!setting.options.topLogprobs || nans)
            return;
          line.clear();
          json.append({0, next, /*isEnd=*/false, logits}, line);
          out.write(line);
        },
        &interrupt);
    if (!done)
      return done;
    if (interrupt)
      return fail("interrupted after {} of {} tokens", scored, total - 1);
  }
  if (nans)
    return fail("{} logits are not a number (NaN)", nans);
  const double perplexity = std::exp(sum / double(scored));
  const auto number = [](double value) { // JSON has no infinity
    return std::isfinite(value) ? fmt::format("{}", value) : std::string("null");
  };
  out.write(setting.options.json
                ? fmt::format("{{\"tokens\":{},\"nll\":{},\"perplexity\":{}}}\n", scored, number(sum),
                              number(perplexity))
                : fmt::format("tokens {}, negative log-likelihood {:.6f} nats, perplexity {:.6f}\n", scored,
                              sum, perplexity));
  return out.status();
}

} // namespace sinter
