// SPDX-License-Identifier: Apache-2.0
// Equal kernels are one: the text of a kernel without its name is its key, so all layers share theirs.
#ifndef SINTER_PASSES_KERNELS_KERNELNAMES_H
#define SINTER_PASSES_KERNELS_KERNELNAMES_H

#include "dialects/kernel/Kernel.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"

namespace sinter {

class KernelNames {
public:
  explicit KernelNames(mlir::SymbolTable &symbols) : symbols(symbols) {}

  /// The name of the kernel in the module that is equal to `function`, which may become it as KIND_NUMBER.
  mlir::StringAttr intern(mlir::OwningOpRef<kernel::FuncOp> function, llvm::StringRef kind) {
    std::string text;
    llvm::raw_string_ostream(text) << *function;
    mlir::StringAttr &name = names[text];
    if (!name) {
      function->setSymName((kind + "_" + llvm::Twine(names.size() - 1)).str());
      name = symbols.insert(function.release());
    }
    return name;
  }

private:
  mlir::SymbolTable &symbols;
  llvm::StringMap<mlir::StringAttr> names;
};

} // namespace sinter

#endif // SINTER_PASSES_KERNELS_KERNELNAMES_H
