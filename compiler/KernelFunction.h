// SPDX-License-Identifier: Apache-2.0
// The C interface of kernels: what a function takes, in which order, and which launches it is.
#ifndef SINTER_COMPILER_KERNELFUNCTION_H
#define SINTER_COMPILER_KERNELFUNCTION_H

#include "compiler/CpuTarget.h"
#include "dialects/kernel/Kernel.h"
#include "runtime/files/JsonWriter.h"

#include <string>
#include <vector>

namespace sinter {

/// An argument is a buffer: rows of activations, a packed weight, a table, a part of the cache.
struct KernelArgument {
  std::string name;
  mlir::Type type; // of the dialect kernel
  bool written = false;
};

/// Where a launch finds a buffer: an argument or a constant by its number, or the arena by its offset in
/// bytes.
struct KernelBuffer {
  enum class Place { Argument, Constant, Arena };
  Place place = Place::Argument;
  uint64_t number = 0;
};

struct KernelLaunch {
  kernel::FuncOp kernel;
  std::vector<KernelBuffer> buffers;
};

/// `void NAME(arguments..., int64_t rows)`, or with `const struct sinter_step *step` instead of the rows
/// where kernels need tokens, positions or the cache; and at the end `void *workspace` where launches have
/// buffers between them. Constants are `NAME_constantN`.
struct KernelFunction {
  std::string name;
  std::vector<KernelArgument> arguments;
  std::vector<std::vector<float>> constants; // tables of the function's own: frequencies, slopes
  std::vector<KernelLaunch> launches;
  bool takesStep = false;
  int64_t maxRows = 0;        // in one step; 0: any number
  uint64_t arenaBytes = 0;    // the workspace
  uint64_t scratchBytes = 64; // on the stack
};

/// One kernel as a function of one launch. `names` may be empty or lack names: an argument then gets one by
/// its kind.
KernelFunction makeKernelFunction(kernel::FuncOp kernel, llvm::ArrayRef<std::string> names);

/// The name in C of a constant of `function`, which its object defines: `const float NAME[]`.
std::string constantName(const KernelFunction &function, size_t number);

/// Objects of docs/kernels.md: where a launch finds a buffer; the array of a function's constants.
void writeBuffer(JsonWriter &json, const KernelBuffer &buffer);
void writeConstants(JsonWriter &json, const KernelFunction &function);

/// Whether `name` can be an argument in C and C++.
bool isCIdentifier(llvm::StringRef name);
/// Whether it can be a function: one that libc and libm do not have.
bool isCFunction(llvm::StringRef name);

/// "f32", "q8", ...: an element of rows or of a table.
std::string elementName(mlir::Type element);
/// The distance of two rows of an argument in bytes; 0 where all rows of a step share it.
uint64_t rowBytes(const KernelArgument &argument);

/// Whether NAME_round_ARGUMENT is there: f32 numbers rounded to the format of a packed weight.
bool canRound(kernel::WeightFormat format);

/// What lies in an argument, for a person: "(rows, 576) f32".
std::string argumentContents(const KernelArgument &argument);

/// The same for a program: members "kind", "columns", ... of docs/kernels.md, added to the object that is
/// open.
void writeBufferType(JsonWriter &json, mlir::Type type);

/// NAME.h: declares the functions, says what they take.
std::string kernelHeader(llvm::StringRef name, llvm::ArrayRef<KernelFunction> functions,
                         llvm::ArrayRef<cpu::Isa> isas);

/// The functions for a program, docs/kernels.md: one JSON array.
std::string kernelManifest(llvm::ArrayRef<KernelFunction> functions, llvm::ArrayRef<cpu::Isa> isas);

/// The module that defines the functions over the kernels, and those that pack weights.
ObjectFile compileKernelFunctions(llvm::ArrayRef<KernelFunction> functions, llvm::ArrayRef<cpu::Isa> isas);

/// Names of all functions that compileKernelFunctions defines.
std::vector<std::string> definedFunctions(llvm::ArrayRef<KernelFunction> functions);

} // namespace sinter

#endif // SINTER_COMPILER_KERNELFUNCTION_H
