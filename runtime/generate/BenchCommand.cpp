// SPDX-License-Identifier: Apache-2.0
// --bench: tokens a second of prefill and of generation, as llama-bench's rows, with the shares of what this
// machine can do at best, measured before and after each test. --launches: the time of each kernel.
#include "runtime/generate/Commands.h"
#include "runtime/generate/LaunchTable.h"
#include "runtime/generate/Output.h"
#include "runtime/generate/Sampler.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <unistd.h>

namespace sinter {

namespace {

using Clock = std::chrono::steady_clock;

struct Test {
  std::string name;
  int64_t tokens;
  device::EntryKind kind;
  int64_t steps = 0; ///< of the entry
  double bytes = 0;  ///< of weights read
  double flops = 0;
  std::vector<double> seconds = {};

  double mean() const {
    double sum = 0;
    for (double each : seconds)
      sum += double(tokens) / each;
    return sum / double(seconds.size());
  }
  double deviation() const {
    double sum = 0;
    for (double each : seconds)
      sum += std::pow(double(tokens) / each - mean(), 2);
    return seconds.size() > 1 ? std::sqrt(sum / double(seconds.size() - 1)) : 0;
  }
};

/// Adds what one run of launches begin to end - 1 costs for `rows` rows.
void addCost(const sinter_entry &entry, uint64_t begin, uint64_t end, int64_t rows, Test &test) {
  for (uint64_t i = begin; i < end; ++i) {
    test.bytes += double(entry.launches[i].weight_bytes);
    test.flops += double(entry.launches[i].row_flops) * double(rows);
  }
}

/// Any ids do: the work does not depend on them.
std::vector<int32_t> someTokens(int64_t count, int64_t vocabulary) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(int32_t((i * 7919 + 11) % vocabulary));
  return tokens;
}

Result<void> runPrefill(Engine &engine, const std::vector<int32_t> &tokens) {
  return engine.prefill(0, tokens, 0).map([](std::span<const float>) {});
}

/// What a device needs to choose the best token.
sinter_sampling bestToken() {
  SamplerOptions options;
  options.temperature = 0;
  return Sampler(options, 1).forDevice(0, 0);
}

/// Each step ends where its token can be chosen: drawn on the device, or with the logits on the host.
Result<void> runDecode(Engine &engine, const std::vector<int32_t> &tokens) {
  const int32_t slot = 0;
  sinter_sampling greedy = bestToken();
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int32_t position = int32_t(i);
    const std::span token(&tokens[i], 1), where(&position, 1), which(&slot, 1);
    const Result<void> done = engine.draws()
                                  ? engine.decodeAndDraw(token, where, which, {&greedy, 1}, {},
                                                         [](size_t, int32_t, std::span<const float>) {})
                                  : engine.decode(token, where, which, [](size_t, std::span<const float>) {});
    if (!done)
      return done;
  }
  return {};
}

std::string_view nameOf(const Setting &setting) { return setting.model.name ? setting.model.name : ""; }
size_t nameWidth(const Setting &setting) { return std::max<size_t>(30, nameOf(setting).size()); }

std::string row(const Setting &setting, const device::Device &device, const Test &test,
                const device::Limits &limits) {
  const double perSecond = test.mean() / double(test.tokens);
  const double bandwidth = test.bytes * perSecond / limits.readBytesPerSecond;
  const double peak = test.flops * perSecond / limits.flopsPerSecond;
  if (setting.options.json)
    return fmt::format(
        "{{\"test\":\"{}\",\"tok_s\":{},\"stddev\":{},\"repetitions\":{},\"threads\":{},\"isa\":\"{}\","
        "\"bandwidth_share\":{},\"bandwidth_gb_s\":{},\"peak_share\":{},\"peak_gflop_s\":{},"
        "\"peak_kind\":\"{}\"}}\n",
        test.name, test.mean(), test.deviation(), test.seconds.size(), device.threads(), device.isaName(),
        bandwidth, limits.readBytesPerSecond / 1e9, peak, limits.flopsPerSecond / 1e9, limits.flopsKind);
  return fmt::format(
      "| {:<{}} | {:>9.2f} MiB | {:>9.2f} M | {:<15} | {:>7} | {:>7} | {:>9.2f} ± {:<7.2f} | {:>8.1f}% "
      "| {:>5.1f}% |\n",
      nameOf(setting), nameWidth(setting), double(setting.model.weights.size) / 0x1p20,
      double(setting.metadata.parameters) / 1e6, fmt::format("{} {}", device.backend(), device.isaName()),
      device.threads(), test.name, test.mean(), test.deviation(), bandwidth * 100, peak * 100);
}

} // namespace

Result<void> runBench(const Setting &setting) {
  const Options &options = setting.options;
  const int64_t longest = std::max(options.benchPrompt, options.benchGenerate);
  if (longest > contextOf(setting))
    return fail("--bench: expected at most {} tokens, the context, found {}", contextOf(setting), longest);
  Result<std::unique_ptr<device::Device>> device = openDevice(setting);
  if (!device)
    return tl::unexpected(device.error());
  Result<std::unique_ptr<device::Session>> session = openSession(setting, **device, longest, 1);
  if (!session)
    return tl::unexpected(session.error());
  if ((*session)->capacity() < longest)
    return fail("--bench: {} tokens do not fit into memory", longest);
  const sinter_program &program = *device::findProgram(setting.model, (*session)->cacheDtype());
  device::Session &timed = **session;
  Engine engine(setting.model, std::move(*session));

  Output out(STDOUT_FILENO);
  const size_t width = nameWidth(setting);
  const std::string header =
      fmt::format("| {:<{}} |          size |      params | backend         | threads |    test |   "
                  "         tok/s    | bandwidth |   peak |\n"
                  "| {:-<{}} | ------------: | ----------: | --------------- | ------: | ------: | "
                  "------------------: | --------: | -----: |\n",
                  "model", width, "", width);
  bool hasHeader = false;
  const std::atomic<bool> &interrupt = watchInterrupt();
  const auto measure = [&](Test test,
                           Result<void> (*run)(Engine &, const std::vector<int32_t> &)) -> Result<void> {
    const std::vector<int32_t> tokens = someTokens(test.tokens, setting.model.vocabulary);
    if (Result<void> warm = run(engine, tokens); !warm)
      return warm;
    device::Limits limits = (*device)->measureLimits();
    device::LaunchTimes times;
    timed.setLaunchTimes(test.kind, options.benchLaunches ? &times : nullptr);
    for (int i = 0; i < options.benchRepetitions && !interrupt; ++i) {
      const auto begin = Clock::now();
      if (Result<void> done = run(engine, tokens); !done)
        return done;
      test.seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
    timed.setLaunchTimes(test.kind, nullptr);
    if (test.seconds.empty())
      return {};
    const device::Limits after =
        (*device)->measureLimits(); // a shared machine changes: the better one counts
    limits.readBytesPerSecond = std::max(limits.readBytesPerSecond, after.readBytesPerSecond);
    limits.flopsPerSecond = std::max(limits.flopsPerSecond, after.flopsPerSecond);
    if (!options.json && (options.benchLaunches || !hasHeader))
      out.write(header);
    hasHeader = true;
    out.write(row(setting, **device, test, limits));
    if (!options.benchLaunches)
      return {};
    const int64_t runs = int64_t(test.seconds.size()), steps = runs * test.steps;
    const bool isPrefill = test.kind == device::EntryKind::Prefill;
    const std::vector<KernelTime> kernels = kernelTimes(isPrefill ? program.prefill : program.decode, times,
                                                        steps, runs * test.tokens, isPrefill ? runs : steps);
    out.write(launchTable(test.name, kernels, steps, limits, options.json));
    return {};
  };
  if (options.benchPrompt > 0) {
    Test test{fmt::format("pp{}", options.benchPrompt), options.benchPrompt, device::EntryKind::Prefill};
    const sinter_entry &entry = program.prefill;
    for (int64_t done = 0; done < test.tokens; done += entry.max_rows) {
      addCost(entry, 0, entry.head_begin, std::min(entry.max_rows, test.tokens - done), test);
      ++test.steps;
    }
    addCost(entry, entry.head_begin, entry.launch_count, 1, test);
    if (Result<void> done = measure(std::move(test), runPrefill); !done)
      return done;
  }
  if (options.benchGenerate > 0) {
    Test test{fmt::format("tg{}", options.benchGenerate), options.benchGenerate, device::EntryKind::Decode};
    test.steps = test.tokens;
    for (int64_t i = 0; i < test.tokens; ++i)
      addCost(program.decode, 0, program.decode.launch_count, 1, test);
    if (Result<void> done = measure(std::move(test), runDecode); !done)
      return done;
  }
  if (interrupt)
    remark("interrupted\n");
  return out.status();
}

} // namespace sinter
