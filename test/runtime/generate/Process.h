// SPDX-License-Identifier: Apache-2.0
// Runs a program and catches what it writes.
#ifndef SINTER_TEST_RUNTIME_GENERATE_PROCESS_H
#define SINTER_TEST_RUNTIME_GENERATE_PROCESS_H

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sinter::fake {

struct Outcome {
  int code; ///< exit code, or 128 + the signal that ended it
  std::string out, err;
};

struct Launch {
  std::vector<std::string> arguments;
  std::string input;                    ///< standard input, closed after it
  std::vector<std::string> environment; ///< NAME=VALUE, added
  std::string outputFile;               ///< standard output goes there instead
  /// Called with the process and the output so far whenever some comes; returning false closes the pipe.
  std::function<bool(pid_t, const std::string &)> onOutput = nullptr;
  std::string inputFile = {}; ///< standard input comes from there instead
};

/// Runs `program`; at most 60 seconds.
Outcome run(const std::string &program, const Launch &launch);

} // namespace sinter::fake

#endif // SINTER_TEST_RUNTIME_GENERATE_PROCESS_H
