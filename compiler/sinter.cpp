// SPDX-License-Identifier: Apache-2.0
// The program `sinter`: picks the command.
#include "compiler/ProcessSetup.h"
#include "compiler/commands/Commands.h"
#include "runtime/Result.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace {

struct Command {
  llvm::StringRef name, summary;
  int (*run)(const sinter::Invocation &);
};

constexpr Command commands[] = {
    {"compile", "a model (Hugging Face folder or GGUF file) into an executable", sinter::compileCommand},
    {"export", "a GGUF file into a Hugging Face folder", sinter::exportCommand},
    {"data", "clean: text into clean, different documents; tokenize: documents into tokens",
     sinter::dataCommand},
    {"info", "what a model is: architecture, sizes, tokenizer, cost of a token", sinter::infoCommand},
    {"kernel", "functions written in MLIR into an object that C and C++ call", sinter::kernelCommand},
    {"kernels", "registers, shared memory and occupancy of a model's GPU kernels", sinter::kernelsCommand},
    {"tokenizer", "train: a tokenizer from text", sinter::tokenizerCommand},
    {"train", "a configuration or a model on tokens: compiles the training step and runs it",
     sinter::trainCommand},
    {"run-ptx", "one kernel of a PTX file, executed and checked on the processor", sinter::runPtxCommand},
};

void printUsage(llvm::raw_ostream &stream) {
  stream << "usage: sinter COMMAND [ARGUMENTS]\n\n";
  for (const Command &command : commands)
    stream << "  " << command.name << std::string(12 - command.name.size(), ' ') << command.summary << "\n";
  stream << "\nsinter COMMAND --help says more.\n";
}

/// What the process writes to standard error meanwhile: llvm::cl knows no other place for half of its
/// complaints.
class CapturedErrors {
public:
  CapturedErrors() : kept(dup(STDERR_FILENO)), file(memfd_create("errors", MFD_CLOEXEC)) {
    dup2(file, STDERR_FILENO);
  }
  ~CapturedErrors() { release(); }

  std::string release() {
    std::string text;
    if (kept < 0)
      return text;
    dup2(kept, STDERR_FILENO);
    text.resize(std::max<off_t>(lseek(file, 0, SEEK_END), 0));
    text.resize(std::max<ssize_t>(pread(file, text.data(), text.size(), 0), 0));
    close(kept);
    close(file);
    kept = -1;
    return text;
  }

private:
  int kept, file;
};

/// LLVM's first complaint about a command line in the words of our own: what was expected, what was found.
std::string inOurWords(llvm::StringRef complaint) {
  complaint = complaint.split('\n').first.split(": ").second; // behind the command's name
  const auto quoted = [&] { return complaint.split('\'').second.split('\'').first.str(); };
  if (complaint.starts_with("Unknown command line argument"))
    return "expected a flag of this command, found '" + quoted() + "'";
  if (complaint.starts_with("Not enough positional")) {
    const auto &inputs = llvm::cl::SubCommand::getTopLevel().PositionalOpts;
    return "expected " + (inputs.empty() ? "an input" : inputs.front()->HelpStr.str()) + ", found none";
  }
  if (complaint.starts_with("Too many positional"))
    return "expected fewer inputs: flags begin with '-'";
  if (!complaint.consume_front("for the "))
    return complaint.str();
  auto [flag, reason] = complaint.split(" option: ");
  if (reason.starts_with("must be specified"))
    return ("expected " + flag + ", found none").str();
  if (reason.starts_with("requires a value"))
    return (flag + ": expected a value, found none").str();
  if (reason.contains("value invalid for"))
    return (flag + ": expected a number, found '").str() + quoted() + "'";
  return (flag + ": " + reason).str();
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv, /*InstallPipeSignalExitHandler=*/false);
  sinter::setUpProcess();
  llvm::StringRef name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h" || name == "help") {
    printUsage(llvm::outs());
    return 0;
  }
  auto printVersion = [](llvm::raw_ostream &out) { out << "sinter " SINTER_VERSION "\n"; };
  if (name == "--version") {
    printVersion(llvm::outs());
    return 0;
  }
  llvm::cl::SetVersionPrinter(printVersion);
  for (const Command &command : commands) {
    if (command.name != name)
      continue;
    std::string title = ("sinter " + name).str();
    std::vector<const char *> arguments = {title.c_str()};
    arguments.insert(arguments.end(), argv + 2, argv + argc);
    return command.run({argv[0], arguments});
  }
  if (name.empty())
    llvm::errs() << "sinter: expected a command, found none\n";
  else
    llvm::errs() << "sinter: expected a command, found '" << sinter::shortened(name) << "'\n";
  printUsage(llvm::errs());
  return 2;
}

sinter::Invocation sinter::dropVerb(const Invocation &invocation, const char *name) {
  static std::vector<const char *> arguments;
  arguments.assign(invocation.arguments.begin() + 1, invocation.arguments.end());
  arguments[0] = name;
  return {invocation.program, arguments};
}

bool sinter::parseFlags(const Invocation &invocation, llvm::StringRef overview) {
  // LLVM and MLIR bring some 400 flags of their own: --help shows the command's, --help-hidden all.
  for (auto &[flag, option] : llvm::cl::getRegisteredOptions()) {
    bool shown = llvm::any_of(option->Categories, [](llvm::cl::OptionCategory *category) {
      return category->getName().starts_with("sinter") || category->getName() == "Generic Options";
    });
    if (!shown && option->getOptionHiddenFlag() == llvm::cl::NotHidden)
      option->setHiddenFlag(llvm::cl::Hidden);
  }
  CapturedErrors errors;
  const bool parsed = llvm::cl::ParseCommandLineOptions(invocation.arguments.size(),
                                                        invocation.arguments.data(), overview, &llvm::errs());
  const std::string complaints = errors.release();
  if (parsed)
    return true;
  llvm::errs() << "error: " << shortened(inOurWords(complaints)) << "\n(" << invocation.arguments[0]
               << " --help lists the flags)\n";
  return false;
}
