// SPDX-License-Identifier: Apache-2.0
// Parses, opens, trains; and what a process is to do about signals.
#include "runtime/training/TrainerProgram.h"
#include "runtime/data/Hash.h"
#include "runtime/files/MappedFile.h"
#include "runtime/files/StandardStreams.h"
#include "runtime/files/Temporaries.h"
#include "runtime/training/RunFolder.h"
#include "runtime/training/RunOptions.h"
#include "runtime/training/TrainingLoop.h"
#include "runtime/training/TrainingProgress.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <sys/ioctl.h>
#include <unistd.h>

namespace sinter::training {
namespace {

std::atomic<bool> interrupted{false};

/// The first SIGINT or SIGTERM ends the run after its step, the second at once.
void watchSignals() {
  struct sigaction action = {};
  action.sa_handler = [](int) {
    if (interrupted.exchange(true)) {
      removeTemporaries();
      _exit(130);
    }
  };
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

[[noreturn]] void outOfMemory() {
  constexpr std::string_view message = "error: expected more memory, the system gave none\n";
  const ssize_t ignored = ::write(STDERR_FILENO, message.data(), message.size());
  (void)ignored;
  _exit(1);
}

void writeTo(FILE *stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

int report(const Error &error, int code) {
  writeTo(stderr, fmt::format("error: {}\n{}", error.message, code == 2 ? "(--help lists the flags)\n" : ""));
  return code;
}

int terminalColumns() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0)
    return 0;
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// Reports what kept a run from beginning, and leaves nothing of it in its folder.
int refuse(const Error &error, int code, const std::string &folder) {
  if (std::error_code ignored; !folder.empty() && std::filesystem::exists(folder + "/trainer.key", ignored))
    (void)RunFolder::open(folder, /*resume=*/true); // which cleans up
  return report(error, code);
}

} // namespace

int runTrainingProgram(const StepProgram &program, int argc, const char *const *argv) {
  reserveStandardStreams();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error of write()
  std::set_new_handler(outOfMemory);
  const std::string description = "Trains " + program.name + ", compiled by sinter for batches of " +
                                  std::to_string(program.shape.batch) + " sequences of " +
                                  std::to_string(program.shape.length) + " tokens.";
  tl::expected<ParsedOptions, RefusedOptions> parsed = parseRunOptions(argc, argv, description);
  if (!parsed)
    return report(parsed.error().error, parsed.error().code);
  if (parsed->options.help || parsed->options.version) {
    writeTo(stdout, parsed->options.help ? parsed->helpText
                                         : fmt::format("{} (sinter {})\n", program.name, SINTER_VERSION));
    return 0;
  }
  TrainingOptions &options = parsed->options;
  if (Result<> complete = completeOptions(options, program.shape); !complete)
    return refuse(complete.error(), 2, options.output);
  TrainingProgress view([](std::string_view text) { writeTo(stdout, text); },
                        options.plain ? 0 : terminalColumns());
  Result<std::unique_ptr<TrainingStep>> step =
      program.open(options, [](std::string text) { writeTo(stdout, text + "\n"); });
  if (!step)
    return refuse(step.error(), 1, options.output);
  // A bare configuration brings no tokenizer: `sinter train` leaves that of the tokens in the run.
  Result<MappedFile> tables = MappedFile::open(options.output + "/trainer.tokenizer");
  std::optional<Tokenizer> tokenizer;
  if (std::span<const std::byte> bytes =
          program.tokenizer.empty() && tables ? tables->bytes() : program.tokenizer;
      !bytes.empty()) {
    Result<Tokenizer> made = Tokenizer::open(bytes);
    if (!made)
      return refuse(made.error(), 1, options.output);
    tokenizer.emplace(std::move(*made));
  }
  watchSignals();
  Result<TrainingOutcome> outcome = train(
      **step, options, program.files, view, interrupted, tokenizer ? &*tokenizer : nullptr,
      program.tokenizer.empty() ? 0
                                : data::hash64({reinterpret_cast<const char *>(program.tokenizer.data()),
                                                program.tokenizer.size()}));
  view.clear();
  if (!outcome)
    return report(outcome.error(), 1);
  if (outcome->interrupted) {
    writeTo(stdout, fmt::format("interrupted after {} steps{}\n", outcome->steps,
                                outcome->steps > 0 ? ", which are saved: --resume goes on" : ""));
    return 130;
  }
  writeTo(stdout, fmt::format("done: {} holds the model, {}/report.html the curves\n", options.output,
                              options.output));
  return 0;
}

} // namespace sinter::training
