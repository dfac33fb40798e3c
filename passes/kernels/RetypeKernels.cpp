// SPDX-License-Identifier: Apache-2.0
#include "passes/kernels/RetypeKernels.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace sinter {

static void retype(kernel::FuncOp function, FunctionType type) {
  function.setFunctionType(type);
  for (auto [argument, input] : llvm::zip_equal(function.getArguments(), type.getInputs()))
    argument.setType(input);
}

void retypeKernels(ModuleOp module, SymbolTable &symbols) {
  // Of a function: the launches that want it with these types of arguments.
  llvm::MapVector<kernel::FuncOp, llvm::MapVector<Type, SmallVector<kernel::LaunchOp>>> wanted;
  for (auto entry : module.getOps<kernel::EntryOp>())
    for (auto launch : entry.getOps<kernel::LaunchOp>()) {
      auto type = FunctionType::get(module.getContext(), launch.getBuffers().getTypes(), {});
      wanted[symbols.lookup<kernel::FuncOp>(launch.getCallee())][type].push_back(launch);
    }
  for (auto &[function, byType] : wanted) {
    for (auto &[type, launches] : llvm::drop_begin(byType)) {
      kernel::FuncOp copy = function.clone();
      retype(copy, cast<FunctionType>(type));
      StringAttr name = symbols.insert(copy);
      for (kernel::LaunchOp launch : launches)
        launch.setCalleeAttr(FlatSymbolRefAttr::get(name));
    }
    retype(function, cast<FunctionType>(byType.front().first));
  }
}

} // namespace sinter
