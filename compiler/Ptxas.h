// SPDX-License-Identifier: Apache-2.0
// NVIDIA's assembler, where there is one: PTX to machine code, and what that takes of a GPU's registers.
// Nothing else of CUDA is used, and nothing needs it: a driver assembles PTX, too.
#ifndef SINTER_COMPILER_PTXAS_H
#define SINTER_COMPILER_PTXAS_H

#include "runtime/Result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sinter {

/// What ptxas -v says about one kernel.
struct KernelResources {
  std::string name;
  int64_t registers = 0;  // a thread
  int64_t spillBytes = 0; // stored and loaded, a thread
  int64_t stackBytes = 0; // a thread
};

struct Cubin {
  std::vector<uint8_t> bytes;
  std::vector<KernelResources> kernels;
  std::vector<std::string> warnings;
};

class Ptxas {
public:
  /// $SINTER_PTXAS, else `ptxas` of the PATH, of a CUDA toolkit in /usr/local/cuda, or of the PyPI package
  /// nvidia-cuda-nvcc in the active or the user's Python environment. None: the error names the package.
  static Result<Ptxas> find();

  /// Assembles `ptx` for `architecture` ("sm_90a"). The error holds ptxas's messages.
  Result<Cubin> assemble(const std::string &ptx, const std::string &architecture) const;

  const std::string &path() const { return program; }

private:
  explicit Ptxas(std::string program) : program(std::move(program)) {}

  std::string program;
};

/// Takes the output of ptxas -v apart.
void readPtxasReport(std::string_view text, Cubin &cubin);

} // namespace sinter

#endif // SINTER_COMPILER_PTXAS_H
