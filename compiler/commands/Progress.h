// SPDX-License-Identifier: Apache-2.0
// Shows how far a long command is: one line that changes on a terminal, else a line a stage.
#ifndef SINTER_COMPILER_COMMANDS_PROGRESS_H
#define SINTER_COMPILER_COMMANDS_PROGRESS_H

#include "llvm/ADT/StringRef.h"

#include <chrono>
#include <string>

namespace sinter {

class Progress {
public:
  /// `quiet`: shows nothing.
  explicit Progress(bool quiet) : quiet(quiet) {}
  ~Progress() { clear(); }
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  /// `of` 0: nobody knows. Cheap: prints a few times a second at most.
  void show(llvm::StringRef what, uint64_t done, uint64_t of);
  /// Takes the line away, so that other output can follow.
  void clear();

private:
  const bool quiet;
  std::string stage;
  bool shown = false;
  std::chrono::steady_clock::time_point last{}, begin = std::chrono::steady_clock::now();
};

} // namespace sinter

#endif // SINTER_COMPILER_COMMANDS_PROGRESS_H
