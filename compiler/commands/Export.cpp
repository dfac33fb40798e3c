// SPDX-License-Identifier: Apache-2.0
// sinter export: a GGUF file as a Hugging Face folder.
#include "frontend/Export.h"
#include "compiler/commands/Commands.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;

int sinter::exportCommand(const Invocation &invocation) {
  cl::OptionCategory category("sinter export");
  cl::opt<std::string> path(cl::Positional, cl::desc("MODEL.gguf"), cl::Required, cl::cat(category));
  cl::opt<std::string> folder("o", cl::desc("Folder to make; it must be new or empty"),
                              cl::value_desc("folder"), cl::Required, cl::cat(category));
  if (!parseFlags(invocation, "Writes a GGUF model, dequantised, as a Hugging Face folder.\n"))
    return 2;
  Result<Gguf> gguf = Gguf::open(path);
  Result<> done = gguf ? exportToHuggingFace(*gguf, folder) : tl::unexpected(gguf.error());
  if (!done) {
    llvm::errs() << "error: " << done.error().message << "\n";
    return 1;
  }
  return 0;
}
