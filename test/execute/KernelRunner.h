// SPDX-License-Identifier: Apache-2.0
// Compiles kernels in text for one machine and runs them: in this process, or on the emulated GPU.
#ifndef SINTER_TEST_EXECUTE_KERNELRUNNER_H
#define SINTER_TEST_EXECUTE_KERNELRUNNER_H

#include "passes/lowering/cpu/Target.h"
#include "passes/lowering/gpu/Target.h"
#include "runtime/abi.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace sinter::test {

/// What kernels are compiled for: an instruction set of CPUs or an architecture of GPUs.
class Machine {
public:
  Machine(cpu::Isa isa) : isa(isa) {}
  Machine(gpu::Architecture architecture) : architecture(architecture) {}

  bool isGpu() const { return architecture.has_value(); }
  /// "avx2", "sm_90a".
  std::string name() const { return (isGpu() ? gpu::nameOf(*architecture) : cpu::nameOf(isa)).str(); }

  cpu::Isa isa = cpu::Isa::Avx2;
  std::optional<gpu::Architecture> architecture;
};

/// For messages of GoogleTest.
inline void PrintTo(const Machine &machine, std::ostream *stream) { *stream << machine.name(); }

/// For suites of tests: every machine, and those whose code for other kernels than matrix products differs
/// (AMX's is that of AVX512-BF16).
inline const std::vector<Machine> everyMachine = {cpu::Isa::Avx2,          cpu::Isa::Avx512,
                                                  cpu::Isa::Avx512Bf16,    cpu::Isa::Amx,
                                                  gpu::Architecture::Sm80, gpu::Architecture::Sm90};
inline const std::vector<Machine> everyMachineButAmx = {
    cpu::Isa::Avx2, cpu::Isa::Avx512, cpu::Isa::Avx512Bf16, gpu::Architecture::Sm80, gpu::Architecture::Sm90};

/// Whether code for a machine runs here: instruction sets by their feature bits, GPUs always, as they are
/// emulated, and AMX where the rest of its code runs (AVX-512 with BF16).
bool canRun(Machine machine);

/// Numbers of the standard normal distribution.
std::vector<float> randomFloats(size_t n, unsigned seed);

/// Rounded to bf16, to nearest even; and as bf16 lies in memory.
float toBf16(float number);
std::vector<float> toBf16(std::vector<float> numbers);
std::vector<uint16_t> halvesOf(const std::vector<float> &numbers);

/// Memory aligned to 64 bytes, followed by bytes that `isIntact` watches.
class AlignedBytes {
public:
  explicit AlignedBytes(size_t size, unsigned char fill = 0);
  AlignedBytes(AlignedBytes &&other) noexcept;
  ~AlignedBytes();
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
  /// runner empty. `lower`: instruction sets below that of a CPU, whose code it shares where its own would be
  /// the same, as executables do.
  KernelRunner(const std::string &text, Machine machine, const std::vector<cpu::Isa> &lower = {});
  ~KernelRunner();

  explicit operator bool() const { return jit || gpu; }
  /// Of a CPU. Null if there is none.
  sinter_kernel find(const std::string &kernel) const;
  uint64_t scratchBytes(const std::string &kernel) const;
  /// Runs tiles begin to end - 1 with fresh scratch, which holds NaN. A launch on a GPU is always whole: the
  /// call with the first tile runs it, by `blocks` blocks that share the tiles, with all of the emulator's
  /// checks.
  void run(const std::string &kernel, const std::vector<void *> &buffers, const sinter_step &step,
           int64_t begin, int64_t end) const;
  /// Of a launch on a GPU; whole clusters.
  unsigned blocks = 3;

private:
  struct Jit;
  void compileForCpu(mlir::ModuleOp module, std::vector<cpu::Isa> lower);
  std::unique_ptr<Jit> jit;
  std::unique_ptr<class GpuKernels> gpu;
  cpu::Isa isa;
};

/// Assembly of kernels in text, for tests of what the inner loops are made of.
std::string assemblyOf(const std::string &text, cpu::Isa isa);
/// MLIR's llvm dialect of kernels, without the suffix of the instruction set in names.
std::string loweredOf(const std::string &text, cpu::Isa isa);
/// cpu::hasOwnCode of the only kernel in `text`.
bool hasOwnCode(const std::string &text, cpu::Isa isa);
/// LLVM IR of kernels for GPUs, optimised, with schedules of the compiler's choice.
std::string optimisedIrOf(const std::string &text, gpu::Architecture architecture);

} // namespace sinter::test

#endif // SINTER_TEST_EXECUTE_KERNELRUNNER_H
