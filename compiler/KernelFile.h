// SPDX-License-Identifier: Apache-2.0
// Functions written in MLIR, made ready to compile: kernel.func as it is, func.func of the dialect lm through
// fusion.
#ifndef SINTER_COMPILER_KERNELFILE_H
#define SINTER_COMPILER_KERNELFILE_H

#include "compiler/KernelFunction.h"

#include "mlir/IR/OwningOpRef.h"

namespace sinter {

struct KernelFile {
  mlir::OwningOpRef<mlir::ModuleOp> kernels; // all kernel.func of all functions
  std::vector<KernelFunction> functions;     // in the order of the file
};

/// Reads `path` ("-": standard input). What is wrong is reported to stderr with its place in the file.
///
/// In a func.func an argument of type tensor<? x N x f32> is activations; one with a static shape is a weight
/// (a matrix of any type that lm.linear takes, or a vector of f32), as is an lm.parameter. The C function
/// takes the arguments, then the parameters in the order of the file, then the results. The attribute lm.form
/// = "decode" asks for kernels for few rows instead of many.
///
/// Arguments of type tensor<?xi32> are the step's tokens, positions and sequences, in this order, and no
/// arguments in C: struct sinter_step has them. An !lm.cache becomes the keys and values of each layer that
/// is named, which come after the parameters; their numbers are of the type that the attribute lm.kv_type
/// names (f16, bf16, f32; f16 where there is none). `gpu`: kernels for GPUs, whose matmuls read rows of the
/// weights' type.
mlir::FailureOr<KernelFile> readKernelFile(mlir::MLIRContext &context, const std::string &path, bool gpu);

/// What readKernelFile needs in a context.
void registerKernelFileDialects(mlir::DialectRegistry &registry);

} // namespace sinter

#endif // SINTER_COMPILER_KERNELFILE_H
