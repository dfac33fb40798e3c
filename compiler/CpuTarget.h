// SPDX-License-Identifier: Apache-2.0
// Kernels to machine code for x86-64: one object a share of the kernels and instruction set, made in threads.
#ifndef SINTER_COMPILER_CPUTARGET_H
#define SINTER_COMPILER_CPUTARGET_H

#include "mlir/IR/BuiltinOps.h"
#include "passes/lowering/cpu/Target.h"

#include <map>
#include <string>
#include <vector>

namespace llvm {
class Module;
}

namespace sinter {

struct CpuOptions {
  std::vector<cpu::Isa> isas = {cpu::allIsas.begin(), cpu::allIsas.end()};
  /// 0: as many as the machine has cores.
  unsigned threads = 0;
  /// Where a kernel's code would be that of a lower instruction set, its function jumps to that one: for
  /// products that are linked as a whole.
  bool sharesCode = false;
};

struct ObjectFile {
  std::string name;        // "kernels.avx2.0"
  std::vector<char> bytes; // ELF, position independent
};

struct CpuKernels {
  std::vector<ObjectFile> objects;
  /// Scratch that a thread needs, the largest of all instruction sets, by the kernel's name.
  std::map<std::string, uint64_t> scratchBytes;
};

/// Compiles each kernel.func of `module` for each instruction set; the functions are called NAME.ISA.
/// Failures are reported as diagnostics on `module`.
llvm::FailureOr<CpuKernels> compileKernels(mlir::ModuleOp module, const CpuOptions &options);

/// Data and code of an LLVM module for any x86-64 as an object.
ObjectFile compileObject(llvm::Module &module, llvm::StringRef name);

/// The stages in text: MLIR's llvm dialect, LLVM IR (optimised), assembly.
enum class CpuStage { Target, Llvm, Assembly };
llvm::FailureOr<std::string> printKernels(mlir::ModuleOp module, cpu::Isa isa, CpuStage stage);

/// The features that code for an instruction set may use, as LLVM writes them: "+avx2,+fma,...".
std::string targetFeatures(cpu::Isa isa);

} // namespace sinter

#endif // SINTER_COMPILER_CPUTARGET_H
