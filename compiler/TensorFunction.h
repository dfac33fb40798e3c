// SPDX-License-Identifier: Apache-2.0
// A function of the dialect lm as a C function over kernels.
#ifndef SINTER_COMPILER_TENSORFUNCTION_H
#define SINTER_COMPILER_TENSORFUNCTION_H

#include "compiler/KernelFunction.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <string>

namespace sinter {

/// Lowers `function` through fusion and appends its kernels to `kernels`; compiler/KernelFile.h says which
/// functions there are. `names`: of its arguments. What is wrong is reported where it stands.
mlir::FailureOr<KernelFunction> lowerTensorFunction(mlir::func::FuncOp function,
                                                    llvm::ArrayRef<std::string> names, bool gpu,
                                                    mlir::ModuleOp kernels);

} // namespace sinter

#endif // SINTER_COMPILER_TENSORFUNCTION_H
