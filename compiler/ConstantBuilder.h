// SPDX-License-Identifier: Apache-2.0
// Constants of the structs of runtime/abi.h in an LLVM module, field by field.
#ifndef SINTER_COMPILER_CONSTANTBUILDER_H
#define SINTER_COMPILER_CONSTANTBUILDER_H

#include "dialects/kernel/Kernel.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/GlobalVariable.h"
#include "llvm/IR/Module.h"

#include <string>
#include <vector>

namespace sinter {

class ConstantBuilder {
public:
  ConstantBuilder(llvm::Module &module)
      : module(module), context(module.getContext()), pointer(llvm::PointerType::get(context, 0)),
        null(llvm::ConstantPointerNull::get(pointer)) {}

  llvm::Constant *i32(uint64_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), value);
  }
  llvm::Constant *i64(uint64_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), value);
  }
  llvm::Constant *structure(llvm::ArrayRef<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }
  llvm::Constant *global(llvm::Constant *value, uint64_t alignment = 16) {
    auto *variable = new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true,
                                              llvm::GlobalValue::PrivateLinkage, value);
    variable->setAlignment(llvm::Align(alignment));
    return variable;
  }
  /// The address of the elements; null when there are none.
  llvm::Constant *array(llvm::ArrayRef<llvm::Constant *> elements) {
    if (elements.empty())
      return null;
    return global(
        llvm::ConstantArray::get(llvm::ArrayType::get(elements[0]->getType(), elements.size()), elements));
  }
  llvm::Constant *text(llvm::StringRef string) {
    llvm::Constant *&place = texts[string];
    if (!place)
      place = global(llvm::ConstantDataArray::getString(context, string), 1);
    return place;
  }
  llvm::Constant *bytes(llvm::ArrayRef<uint8_t> data, uint64_t alignment) {
    return data.empty() ? null : global(llvm::ConstantDataArray::get(context, data), alignment);
  }
  llvm::Constant *external(const std::string &name) {
    return module.getOrInsertGlobal(name, llvm::Type::getInt8Ty(context));
  }

  llvm::Constant *buffer(uint32_t space, uint64_t offset) {
    return structure({i32(space), i32(0), i64(offset)});
  }
  llvm::Constant *grid(const kernel::Grid &grid) {
    return structure({i64(grid.columns), i32(grid.rowsPerTile), i32(grid.keysPerTile),
                      i32(static_cast<uint32_t>(grid.domain)), i32(0)});
  }
  /// struct sinter_launch of the kernel `name`. `isas`: suffixes of its versions by enum sinter_isa, "" where
  /// there is none.
  llvm::Constant *launch(llvm::StringRef name, llvm::ArrayRef<std::string> isas, const kernel::Grid &tiles,
                         llvm::ArrayRef<llvm::Constant *> buffers, uint64_t weightBytes, uint64_t rowFlops) {
    llvm::SmallVector<llvm::Constant *> versions;
    for (const std::string &isa : isas)
      versions.push_back(isa.empty() ? null : external((name + "." + isa).str()));
    return structure({text(name),
                      llvm::ConstantArray::get(llvm::ArrayType::get(pointer, versions.size()), versions),
                      grid(tiles), array(buffers), i64(buffers.size()), i64(weightBytes), i64(rowFlops)});
  }

  llvm::Module &module;
  llvm::LLVMContext &context;
  llvm::PointerType *const pointer;
  llvm::Constant *const null;

private:
  llvm::StringMap<llvm::Constant *> texts;
};

} // namespace sinter

#endif // SINTER_COMPILER_CONSTANTBUILDER_H
