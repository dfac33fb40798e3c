// SPDX-License-Identifier: Apache-2.0
// sinter info: what a model is.
#include "frontend/Info.h"
#include "compiler/commands/Commands.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;

int sinter::infoCommand(const Invocation &invocation) {
  cl::OptionCategory category("sinter info");
  cl::opt<std::string> path(cl::Positional, cl::desc("MODEL (folder or .gguf file)"), cl::Required,
                            cl::cat(category));
  if (!parseFlags(invocation, "Says what a model is: architecture, sizes, tokenizer, cost of a token.\n"))
    return 2;
  Result<std::string> text = describeModel(path);
  if (!text) {
    llvm::errs() << "error: " << text.error().message << "\n";
    return 1;
  }
  llvm::outs() << *text;
  return 0;
}
