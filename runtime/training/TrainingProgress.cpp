// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/TrainingProgress.h"

#include <cmath>

namespace sinter::training {

std::string durationText(double seconds) {
  const int64_t whole = std::llround(std::min(seconds, 1e9));
  if (whole >= 86400)
    return fmt::format("{}d{:02}h", whole / 86400, whole / 3600 % 24);
  if (whole >= 3600)
    return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return whole >= 60 ? fmt::format("{}m{:02}s", whole / 60, whole % 60) : fmt::format("{}s", whole);
}

void TrainingProgress::clear() {
  if (std::exchange(hasBar, false))
    write("\r\x1b[K");
}

void TrainingProgress::note(const std::string &text) {
  clear();
  write("note: " + text + "\n");
  if (!bar.empty()) {
    write(bar);
    hasBar = true;
  }
}

void TrainingProgress::started(const TrainingOptions &options, int64_t begin) {
  steps = options.steps;
  std::string line = "flags:", text;
  for (const FlagValue &flag : flagValues(options)) {
    const std::string item = " " + flag.name + (flag.value.empty() ? "" : " " + flag.value);
    if (line.size() + item.size() > 100) {
      text += line + "\n";
      line = "      ";
    }
    line += item;
  }
  write(text + line + "\n");
  write(fmt::format("steps {} to {}, each of {} tokens ({} sequences of {})\n", begin, options.steps,
                    options.batch * options.accumulate * options.length, options.batch * options.accumulate,
                    options.length));
}

void TrainingProgress::stepDone(const StepMetrics &m, double peakShare) {
  smoothedMs = smoothedMs == 0 ? m.ms : 0.9 * smoothedMs + 0.1 * m.ms;
  const int64_t done = m.step + 1;
  const std::string left = durationText(smoothedMs / 1e3 * double(steps - done));
  const std::string figures =
      fmt::format("loss {:.4f}  norm {:.3f}  lr {:.2e}  {:.{}f} ms  {:.0f} tokens/s  {:.0f}% of peak", m.loss,
                  m.norm, m.rate, m.ms, m.ms < 10 ? 2 : 0, m.tokensPerSecond, peakShare * 100);
  if (columns == 0) {
    write(fmt::format("step {}/{}  {}  {} left\n", m.step, steps, figures, left));
    return;
  }
  const std::string end = fmt::format(" {}/{}  {}  {} left", done, steps, figures, left);
  const int room = columns - 3 - int(end.size());
  const int full = room > 4 ? int(double(room) * double(done) / double(std::max<int64_t>(steps, 1))) : 0;
  bar = room > 4
            ? "\r\x1b[K[" + std::string(size_t(full), '=') + std::string(size_t(room - full), ' ') + "]" + end
            : "\r\x1b[K" + end.substr(1, size_t(std::max(columns - 1, 10)));
  write(bar);
  hasBar = true;
}

void TrainingProgress::evaluated(const Evaluation &evaluation) {
  clear();
  write(fmt::format("step {}: validation loss {:.4f}{}\n", evaluation.step, evaluation.loss,
                    evaluation.bitsPerByte ? fmt::format(", {:.4f} bits a byte", *evaluation.bitsPerByte)
                                           : ""));
}

void TrainingProgress::sampled(int64_t step, const std::string &text) {
  clear();
  // A text of the model's may hold anything: what would move a terminal's cursor becomes a space.
  std::string shown;
  for (const char c : text)
    shown += c == '\n' ? "\n  " : std::string(1, (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c);
  write(fmt::format("sample after {} steps:\n  {}\n", step, shown));
}

void TrainingProgress::saved(const std::string &folder) {
  clear();
  write(fmt::format("saved {}\n", folder));
}

} // namespace sinter::training
