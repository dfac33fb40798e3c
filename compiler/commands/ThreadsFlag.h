// SPDX-License-Identifier: Apache-2.0
// The flag -t of commands that work on several cores.
#ifndef SINTER_COMPILER_COMMANDS_THREADSFLAG_H
#define SINTER_COMPILER_COMMANDS_THREADSFLAG_H

#include "runtime/device/ThreadTeam.h"

#include "llvm/Support/CommandLine.h"

namespace sinter {

/// Reads 0 (all cores) to 1024.
class ThreadsParser : public llvm::cl::parser<unsigned> {
public:
  using parser::parser;

  bool parse(llvm::cl::Option &option, llvm::StringRef name, llvm::StringRef text, unsigned &value) const {
    constexpr unsigned most = 1024;
    if (!text.getAsInteger(0, value) && value <= most)
      return false;
    return option.error(
        "expected a number of threads from 0 to " + llvm::Twine(most) + ", found '" + text + "'", name);
  }
};

/// How many threads a command uses.
class ThreadsFlag : public llvm::cl::opt<unsigned, false, ThreadsParser> {
public:
  explicit ThreadsFlag(llvm::cl::OptionCategory &category)
      : opt("t", llvm::cl::desc("Threads (0: all cores)"), llvm::cl::init(0), llvm::cl::cat(category)) {}

  /// What was given, or the number of cores.
  unsigned count() const { return unsigned(device::threadsOrCores(int(getValue()))); }
};

} // namespace sinter

#endif // SINTER_COMPILER_COMMANDS_THREADSFLAG_H
