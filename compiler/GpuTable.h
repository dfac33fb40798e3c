// SPDX-License-Identifier: Apache-2.0
// Constants of what runtime/abi.h says of GPUs: images of code, and launches of the kernels in them.
#ifndef SINTER_COMPILER_GPUTABLE_H
#define SINTER_COMPILER_GPUTABLE_H

#include "compiler/ConstantBuilder.h"
#include "compiler/CudaTarget.h"
#include "compiler/Ptxas.h"

#include <optional>

namespace sinter {

/// A program's kernels for one architecture of GPUs.
struct GpuCode {
  gpu::Architecture architecture;
  CudaKernels kernels;
  std::optional<Cubin> cubin; // where ptxas was found
};

class GpuConstantBuilder : public ConstantBuilder {
public:
  using ConstantBuilder::ConstantBuilder;

  /// struct sinter_gpu_launch of the kernel `name`.
  llvm::Constant *gpuLaunch(llvm::StringRef name, const CudaKernel &code,
                            llvm::ArrayRef<llvm::Constant *> buffers, uint64_t weightBytes,
                            uint64_t rowFlops);
  /// struct sinter_gpu_image of each architecture: PTX, and machine code where there is some.
  llvm::SmallVector<llvm::Constant *> gpuImages(llvm::ArrayRef<GpuCode> all);
};

} // namespace sinter

#endif // SINTER_COMPILER_GPUTABLE_H
