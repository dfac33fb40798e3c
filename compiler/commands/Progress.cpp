// SPDX-License-Identifier: Apache-2.0
// Progress on standard error.
#include "compiler/commands/Progress.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace sinter {

void Progress::show(llvm::StringRef what, uint64_t done, uint64_t of) {
  if (quiet)
    return;
  auto now = std::chrono::steady_clock::now();
  bool terminal = llvm::errs().is_displayed(), next = what != stage;
  if (!next && (!terminal || now - last < std::chrono::milliseconds(200)))
    return;
  last = now;
  stage = what.str();
  double seconds = std::chrono::duration<double>(now - begin).count();
  if (!terminal) {
    llvm::errs() << llvm::format("%7.1f s  ", seconds) << what << "\n";
    return;
  }
  llvm::errs() << "\r\033[K" << what;
  if (of > 0) {
    constexpr int width = 30;
    double share = double(done) / double(of);
    llvm::errs() << " [" << std::string(size_t(share * width), '#')
                 << std::string(size_t(width - int(share * width)), ' ')
                 << llvm::format("] %3.0f%%", 100 * share);
  } else if (done > 0) {
    llvm::errs() << ' ' << done;
  }
  llvm::errs() << llvm::format("  %.0f s", seconds);
  shown = true;
}

void Progress::clear() {
  if (shown)
    llvm::errs() << "\r\033[K";
  shown = false;
}

} // namespace sinter
