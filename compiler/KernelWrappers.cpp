// SPDX-License-Identifier: Apache-2.0
// The C functions over kernels, as LLVM IR:
//
//   void matmul(const float *x, const void *w, float *y, int64_t rows) {
//     void *arguments[] = {x, w, y};
//     struct sinter_step step = {rows, rows};
//     alignas(64) char scratch[SCRATCH];
//     sinter_run_function(&table, arguments, &step, NULL, scratch);
//   }
//   void matmul_pack_w(const void *stored, void *packed) {
//     sinter_pack_weight(Q8_0, 960, 576, stored, packed);
//   }
//
// sinter_run_function (runtime/device/Function.h) and the packer (compiler/PackInC.cpp) are linked into the
// same object.
#include "compiler/ConstantBuilder.h"
#include "compiler/KernelFunction.h"
#include "dialects/kernel/WeightLayout.h"
#include "runtime/device/Function.h"

#include "llvm/IR/IRBuilder.h"

using namespace mlir;

namespace sinter {
namespace {

class WrapperBuilder : ConstantBuilder {
public:
  WrapperBuilder(llvm::Module &module, ArrayRef<cpu::Isa> isas)
      : ConstantBuilder(module), isas(cpu::isaCount), ir(context), word(ir.getInt64Ty()) {
    for (cpu::Isa isa : isas)
      this->isas[static_cast<size_t>(isa)] = cpu::nameOf(isa).str();
  }

  void call(const KernelFunction &function);
  void packing(const KernelFunction &function);

private:
  llvm::Constant *table(const KernelFunction &function);
  llvm::Function *define(const std::string &name, llvm::Type *result, ArrayRef<llvm::Type *> arguments);
  llvm::FunctionCallee declare(StringRef name, llvm::Type *result, ArrayRef<llvm::Type *> arguments) {
    return module.getOrInsertFunction(name, llvm::FunctionType::get(result, arguments, false));
  }
  llvm::Value *onStack(uint64_t bytes) {
    llvm::AllocaInst *memory = ir.CreateAlloca(ir.getInt8Ty(), i64(bytes));
    memory->setAlignment(llvm::Align(64));
    return memory;
  }

  std::vector<std::string> isas; // by enum sinter_isa, "" where not compiled
  llvm::IRBuilder<> ir;
  llvm::IntegerType *word;
};

llvm::Constant *WrapperBuilder::table(const KernelFunction &function) {
  SmallVector<llvm::Constant *> launches, distances;
  for (const KernelLaunch &each : function.launches) {
    auto kernel = each.kernel;
    SmallVector<llvm::Constant *> buffers;
    for (const KernelBuffer &place : each.buffers) {
      bool isConstant = place.place == KernelBuffer::Place::Constant; // behind the arguments, see call()
      buffers.push_back(
          buffer(place.place == KernelBuffer::Place::Arena ? SINTER_SPACE_ARENA : SINTER_SPACE_ARGUMENT,
                 place.number + (isConstant ? function.arguments.size() : 0)));
    }
    launches.push_back(launch(kernel.getName(), isas, kernel.getAnchor().getGrid(), buffers, 0, 0));
  }
  for (const KernelArgument &argument : function.arguments)
    distances.push_back(i64(rowBytes(argument)));
  distances.append(function.constants.size(), i64(0));
  return global(structure({array(launches), i64(launches.size()), array(distances), i64(function.maxRows)}));
}

llvm::Function *WrapperBuilder::define(const std::string &name, llvm::Type *result,
                                       ArrayRef<llvm::Type *> arguments) {
  auto *function = llvm::Function::Create(llvm::FunctionType::get(result, arguments, false),
                                          llvm::GlobalValue::ExternalLinkage, name, module);
  ir.SetInsertPoint(llvm::BasicBlock::Create(context, "", function));
  return function;
}

void WrapperBuilder::call(const KernelFunction &function) {
  SmallVector<llvm::Type *> types(function.arguments.size(), pointer);
  types.push_back(function.takesStep ? static_cast<llvm::Type *>(pointer) : word);
  if (function.arenaBytes)
    types.push_back(pointer);
  llvm::Function *wrapper = define(function.name, ir.getVoidTy(), types);
  SmallVector<llvm::Value *> values(llvm::make_pointer_range(
      llvm::make_range(wrapper->arg_begin(), wrapper->arg_begin() + function.arguments.size())));
  for (auto [number, constant] : llvm::enumerate(function.constants)) {
    auto *variable = cast<llvm::GlobalVariable>(
        global(llvm::ConstantDataArray::get(context, ArrayRef<float>(constant)), 64));
    variable->setName(constantName(function, number));
    variable->setLinkage(llvm::GlobalValue::ExternalLinkage);
    values.push_back(variable);
  }
  llvm::Value *arguments = onStack(std::max<size_t>(values.size(), 1) * sizeof(void *));
  for (auto [number, value] : llvm::enumerate(values))
    ir.CreateStore(value, ir.CreateConstGEP1_64(pointer, arguments, number));
  llvm::Value *rows = wrapper->getArg(function.arguments.size()), *step = rows;
  if (!function.takesStep) {
    step = onStack(sizeof(sinter_step));
    ir.CreateMemSet(step, ir.getInt8(0), sizeof(sinter_step), llvm::Align(8));
    for (size_t offset : {offsetof(sinter_step, rows), offsetof(sinter_step, selected)})
      ir.CreateStore(rows, ir.CreateConstGEP1_64(ir.getInt8Ty(), step, offset));
  }
  llvm::Value *arena = null;
  if (function.arenaBytes)
    arena = wrapper->getArg(function.arguments.size() + 1);
  llvm::Value *scratch = onStack(function.scratchBytes);
  ir.CreateCall(declare("sinter_run_function", ir.getVoidTy(), {pointer, pointer, pointer, pointer, pointer}),
                {table(function), arguments, step, arena, scratch});
  ir.CreateRetVoid();
}

void WrapperBuilder::packing(const KernelFunction &function) {
  for (const KernelArgument &argument : function.arguments) {
    auto type = dyn_cast<kernel::WeightType>(argument.type);
    if (!type)
      continue;
    SmallVector<llvm::Type *> types = {ir.getInt32Ty(), word, word, pointer, pointer};
    auto arguments = [&](llvm::Function *wrapper) -> SmallVector<llvm::Value *> {
      return {i32(static_cast<uint32_t>(type.getFormat())), i64(type.getRows()), i64(type.getColumns()),
              wrapper->getArg(0), wrapper->getArg(1)};
    };
    llvm::Function *pack =
        define(function.name + "_pack_" + argument.name, ir.getVoidTy(), {pointer, pointer});
    ir.CreateCall(declare("sinter_pack_weight", ir.getVoidTy(), types), arguments(pack));
    ir.CreateRetVoid();
    if (!canRound(type.getFormat()))
      continue;
    llvm::Function *round =
        define(function.name + "_round_" + argument.name, ir.getInt32Ty(), {pointer, pointer});
    ir.CreateRet(ir.CreateCall(declare("sinter_round_weight", ir.getInt32Ty(), types), arguments(round)));
  }
}

} // namespace

ObjectFile compileKernelFunctions(ArrayRef<KernelFunction> functions, ArrayRef<cpu::Isa> isas) {
  llvm::LLVMContext context;
  llvm::Module module("functions", context);
  WrapperBuilder builder(module, isas);
  for (const KernelFunction &function : functions) {
    builder.call(function);
    builder.packing(function);
  }
  return compileObject(module, "functions");
}

std::vector<std::string> definedFunctions(ArrayRef<KernelFunction> functions) {
  std::vector<std::string> names;
  for (const KernelFunction &function : functions) {
    names.push_back(function.name);
    for (size_t number = 0; number < function.constants.size(); ++number)
      names.push_back(constantName(function, number));
    for (const KernelArgument &argument : function.arguments)
      if (auto type = dyn_cast<kernel::WeightType>(argument.type)) {
        names.push_back(function.name + "_pack_" + argument.name);
        if (canRound(type.getFormat()))
          names.push_back(function.name + "_round_" + argument.name);
      }
  }
  return names;
}

} // namespace sinter
