// SPDX-License-Identifier: Apache-2.0
// The program `sinter`: picks the command.
#include "compiler/commands/Commands.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

namespace {

struct Command {
  llvm::StringRef name, summary;
  int (*run)(const sinter::Invocation &);
};

constexpr Command commands[] = {
    {"compile", "a model (Hugging Face folder or GGUF file) into an executable", sinter::compileCommand},
    {"export", "a GGUF file into a Hugging Face folder", sinter::exportCommand},
    {"info", "what a model is: architecture, sizes, tokenizer, cost of a token", sinter::infoCommand},
    {"run-ptx", "one kernel of a PTX file, executed and checked on the processor", sinter::runPtxCommand},
};

void printUsage(llvm::raw_ostream &stream) {
  stream << "usage: sinter COMMAND [ARGUMENTS]\n\n";
  for (const Command &command : commands)
    stream << "  " << command.name << std::string(12 - command.name.size(), ' ') << command.summary << "\n";
  stream << "\nsinter COMMAND --help says more.\n";
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::StringRef name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h" || name == "help") {
    printUsage(llvm::outs());
    return 0;
  }
  if (name == "--version") {
    llvm::outs() << "sinter " SINTER_VERSION "\n";
    return 0;
  }
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
    llvm::errs() << "sinter: expected a command, found '" << name << "'\n";
  printUsage(llvm::errs());
  return 2;
}

bool sinter::parseFlags(const Invocation &invocation, llvm::StringRef overview) {
  return llvm::cl::ParseCommandLineOptions(invocation.arguments.size(), invocation.arguments.data(), overview,
                                           &llvm::errs());
}
