// SPDX-License-Identifier: Apache-2.0
// Handlers that remove temporary files. Those of signals run before LLVM's own, which prints where a crash
// was.
#include "compiler/ProcessSetup.h"

#include "runtime/files/StandardStreams.h"
#include "runtime/files/Temporaries.h"

#include "llvm/Support/ErrorHandling.h"

#include <array>
#include <csignal>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace sinter {
namespace {

constexpr std::array ends = {SIGHUP,  SIGINT, SIGTERM, SIGPIPE, SIGQUIT,
                             SIGABRT, SIGBUS, SIGSEGV, SIGILL,  SIGFPE};
std::array<struct sigaction, ends.size()> before;

[[noreturn]] void stop(std::string_view message) {
  removeTemporaries();
  for (std::string_view part : {std::string_view("error: "), message, std::string_view("\n")})
    if (write(STDERR_FILENO, part.data(), part.size()) < 0)
      break;
  _exit(1);
}

/// Whether the system gives no more memory: not all of LLVM and libc asks before it uses what it was given.
bool isOutOfMemory() {
  constexpr size_t size = 16 << 20;
  void *more = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (more == MAP_FAILED)
    return true;
  munmap(more, size);
  return false;
}

/// Nobody caught an exception: memory or threads are missing, or it is ours to report.
[[noreturn]] void onException() {
  try {
    if (std::current_exception())
      std::rethrow_exception(std::current_exception());
  } catch (const std::bad_alloc &) {
  } catch (const std::length_error &) {
  } catch (const std::system_error &error) {
    stop(error.what());
  } catch (const std::exception &error) {
    stop(std::string("this is a mistake of sinter's: ") + error.what());
  }
  stop("expected more memory, the system gave none");
}

void onSignal(int number) {
  removeTemporaries();
  if ((number == SIGSEGV || number == SIGABRT) && isOutOfMemory())
    stop("expected more memory, the system gave none");
  if (number == SIGBUS) // pages of a mapped file that are not there
    stop("expected room for temporary files, and files that nobody makes shorter, found a page of a file "
         "that is not there");
  for (size_t i = 0; i < ends.size(); ++i)
    if (ends[i] == number)
      sigaction(number, &before[i], nullptr);
  raise(number); // waits until this handler has returned
}

} // namespace

void setUpProcess() {
  reserveStandardStreams();
  std::signal(SIGXFSZ, SIG_IGN);
  struct sigaction action = {};
  action.sa_handler = onSignal;
  action.sa_flags = SA_ONSTACK;
  for (size_t i = 0; i < ends.size(); ++i) {
    sigaction(ends[i], nullptr, &before[i]);
    if (before[i].sa_handler != SIG_IGN) // nohup, or a shell's job in the background
      sigaction(ends[i], &action, nullptr);
  }
  std::set_new_handler([] { stop("expected more memory, the system gave none"); });
  llvm::remove_bad_alloc_error_handler();
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { stop("expected more memory, the system gave none"); });
  llvm::install_fatal_error_handler([](void *, const char *reason, bool) { stop(reason); });
  std::set_terminate(onException);
}

} // namespace sinter
