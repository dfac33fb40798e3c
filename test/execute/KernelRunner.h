// SPDX-License-Identifier: Apache-2.0
// Compiles kernels in text for one instruction set and loads them into this process.
#ifndef SINTER_TEST_EXECUTE_KERNELRUNNER_H
#define SINTER_TEST_EXECUTE_KERNELRUNNER_H

#include "passes/lowering/cpu/Emitter.h"
#include "runtime/abi.h"

#include <memory>
#include <string>
#include <vector>

namespace sinter::test {

/// Whether this machine runs code for an instruction set (by its feature bits).
bool canRun(cpu::Isa isa);

/// Memory aligned to 64 bytes, followed by bytes that `isIntact` watches.
class AlignedBytes {
public:
  explicit AlignedBytes(size_t size, unsigned char fill = 0);
  char *data() {
    return reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(storage.data()) + 63) / 64 * 64);
  }
  size_t size() const { return bytes; }
  /// Nothing was written behind the end.
  bool isIntact();
  template <typename T> T *as() { return reinterpret_cast<T *>(data()); }

private:
  size_t bytes;
  std::vector<char> storage;
};

class KernelRunner {
public:
  /// `text`: kernel.func operations. A failure is a GoogleTest failure with the diagnostics, and leaves the
  /// runner empty.
  KernelRunner(const std::string &text, cpu::Isa isa);
  ~KernelRunner();

  explicit operator bool() const { return jit != nullptr; }
  /// Null if there is none.
  sinter_kernel find(const std::string &kernel) const;
  uint64_t scratchBytes(const std::string &kernel) const;
  /// Runs tiles begin to end - 1 with fresh scratch, which holds NaN.
  void run(const std::string &kernel, const std::vector<void *> &buffers, const sinter_step &step,
           int64_t begin, int64_t end) const;

private:
  struct Jit;
  std::unique_ptr<Jit> jit;
  cpu::Isa isa;
};

/// Assembly of kernels in text, for tests of what the inner loops are made of.
std::string assemblyOf(const std::string &text, cpu::Isa isa);

} // namespace sinter::test

#endif // SINTER_TEST_EXECUTE_KERNELRUNNER_H
