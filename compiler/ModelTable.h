// SPDX-License-Identifier: Apache-2.0
// The constant `sinter_model` of runtime/abi.h: tables of launches, buffers and cache layers, and the blobs.
#ifndef SINTER_COMPILER_MODELTABLE_H
#define SINTER_COMPILER_MODELTABLE_H

#include "compiler/GpuTable.h"
#include "passes/lowering/cpu/Target.h"
#include "runtime/Result.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sinter {

/// Suffixes of kernels, "avx2", ..., by enum sinter_isa; "" where not compiled.
std::vector<std::string> isaSuffixes(llvm::ArrayRef<cpu::Isa> isas);

/// Where each parameter's packed bytes are in the weight image. The key is the buffer's parameter and type.
struct WeightPlacement {
  std::map<std::pair<std::string, const void *>, uint64_t> offsets;
  uint64_t size = 0;
  uint64_t hash = 0;
};

/// What the table needs beside the module of kernels and entries.
struct ModelTableInput {
  mlir::ModuleOp module;
  std::vector<std::string>
      isas; // suffixes of kernels, "avx2", ..., by enum sinter_isa; "" where not compiled
  std::map<std::string, uint64_t> scratchBytes;
  WeightPlacement weights;
  bool weightsInFile = false; // the image is a file of its own, sinter_model.weights.data is null
  std::string name;
  int64_t context = 0;
  std::vector<GpuCode> gpus;
  std::vector<uint8_t> tokenizer;
  std::string metadata;
};

/// The LLVM module that defines `sinter_model`; kernels and `sinter_weights` are declared.
std::unique_ptr<llvm::Module> makeModelTable(const ModelTableInput &input, llvm::LLVMContext &context);

/// Bytes of weights that one decode step reads, and floating-point operations of one row, by the entry
/// `decode`.
struct StepCost {
  uint64_t launches = 0, weightBytes = 0, rowFlops = 0;
};
StepCost costOfEntry(mlir::Operation *entry);

} // namespace sinter

#endif // SINTER_COMPILER_MODELTABLE_H
