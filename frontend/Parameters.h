// SPDX-License-Identifier: Apache-2.0
// Declares the parameters of a graph: finds each in the model file, checks its shape, and says where its
// bytes are.
#ifndef SINTER_FRONTEND_PARAMETERS_H
#define SINTER_FRONTEND_PARAMETERS_H

#include "frontend/Architecture.h"
#include "frontend/Model.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace sinter {

class Parameters {
public:
  Parameters(mlir::ModuleOp module, const Model &model);

  /// The value of `@name` (lm.read), which is declared with this shape at first use. A tensor that is missing
  /// or wrong is reported, and declared as f32 so that all of them are found in one run.
  mlir::Value read(mlir::OpBuilder &builder, llvm::StringRef name, llvm::ArrayRef<int64_t> shape);

  /// Reports the tensors of the file that no parameter is.
  void checkAllUsed();

  bool failed() const { return errors != 0; }

private:
  struct Found;
  lm::ParameterOp declare(llvm::StringRef name, llvm::ArrayRef<int64_t> shape);
  /// Fills `found`, or gives what is wrong.
  Result<> find(const Spelling &spelling, llvm::StringRef name, llvm::ArrayRef<int64_t> shape, Found &found);
  void report(const Error &error);

  const Model &model;
  mlir::OpBuilder declarations;
  mlir::Location loc;
  llvm::StringMap<lm::ParameterOp> declared;
  int errors = 0;
};

} // namespace sinter

#endif // SINTER_FRONTEND_PARAMETERS_H
