// SPDX-License-Identifier: Apache-2.0
// Writes kernel.entry operations as the tables of runtime/abi.h, field by field in its order.
#include "compiler/ModelTable.h"

#include "dialects/kernel/Kernel.h"
#include "dialects/kernel/WeightLayout.h"
#include "runtime/abi.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/GlobalVariable.h"

using namespace mlir;

namespace sinter {
namespace {

/// Bytes of weights that a launch reads (of experts: for one row), and floating-point operations a row.
StepCost costOfLaunch(kernel::LaunchOp launch, kernel::FuncOp function) {
  StepCost cost;
  cost.launches = 1;
  auto matmul = dyn_cast<kernel::MatmulOp>(function.getAnchor().getOperation());
  if (matmul) {
    uint64_t experts = matmul.getExpertCount();
    uint64_t chosen = matmul.getExperts() ? matmul.getLeft().getType().getPerRow() : 1;
    for (Value weight : matmul.getWeights()) {
      auto type = cast<kernel::WeightType>(weight.getType());
      cost.weightBytes += kernel::WeightLayout(type).bytes() / experts * std::min(chosen, experts);
      cost.rowFlops += 2 * matmul.getOutputs() * matmul.getInputs() * chosen;
    }
  }
  return cost;
}

/// Builds constants of the structs of abi.h.
class TableBuilder {
public:
  TableBuilder(const ModelTableInput &input, llvm::LLVMContext &context)
      : input(input), context(context), module(std::make_unique<llvm::Module>("model", context)), symbols(input.module) {
    pointer = llvm::PointerType::get(context, 0);
    null = llvm::ConstantPointerNull::get(pointer);
  }

  std::unique_ptr<llvm::Module> build();

private:
  llvm::Constant *i32(uint64_t value) { return llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), value); }
  llvm::Constant *i64(uint64_t value) { return llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), value); }
  llvm::Constant *structure(llvm::ArrayRef<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }
  llvm::Constant *global(llvm::Constant *value, uint64_t alignment = 16) {
    auto *variable = new llvm::GlobalVariable(*module, value->getType(), /*isConstant=*/true,
                                              llvm::GlobalValue::PrivateLinkage, value);
    variable->setAlignment(llvm::Align(alignment));
    return variable;
  }
  llvm::Constant *array(llvm::ArrayRef<llvm::Constant *> elements) {
    if (elements.empty())
      return null;
    return global(llvm::ConstantArray::get(llvm::ArrayType::get(elements[0]->getType(), elements.size()), elements));
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
  llvm::Constant *external(const std::string &name, llvm::Type *type) {
    return module->getOrInsertGlobal(name, type);
  }

  llvm::Constant *buffer(kernel::BufferOp op);
  llvm::Constant *launch(kernel::LaunchOp op, uint64_t &scratch);
  llvm::Constant *entry(kernel::EntryOp op, llvm::StringRef name);
  void collectLayers(kernel::EntryOp op);

  const ModelTableInput &input;
  llvm::LLVMContext &context;
  std::unique_ptr<llvm::Module> module;
  SymbolTable symbols;
  llvm::PointerType *pointer;
  llvm::Constant *null;
  llvm::StringMap<llvm::Constant *> texts;
  std::map<int64_t, std::array<int64_t, 4>> layers; // kv_heads, key_dim, value_dim, window
  uint64_t partialBytes = 0, partialKeys = 0, vocabulary = 0;
};

llvm::Constant *TableBuilder::buffer(kernel::BufferOp op) {
  uint64_t offset = 0;
  switch (op.getSpace()) {
  case kernel::Space::Weight:
    offset = input.weights.offsets.at({op.getParameter()->str(), op.getType().getAsOpaquePointer()});
    break;
  case kernel::Space::Arena:
    assert(op.getOffset() && "memory is planned before the tables are made");
    offset = *op.getOffset();
    break;
  case kernel::Space::CacheK:
  case kernel::Space::CacheV:
    offset = *op.getLayer();
    break;
  case kernel::Space::Partial: {
    auto type = cast<kernel::PartialType>(op.getType());
    partialBytes = std::max<uint64_t>(partialBytes, type.getBytes());
    partialKeys = type.getKeys();
    break;
  }
  case kernel::Space::Logits:
    vocabulary = cast<kernel::RowsType>(op.getType()).getColumns();
    break;
  }
  return structure({i32(static_cast<uint32_t>(op.getSpace())), i32(0), i64(offset)});
}

llvm::Constant *TableBuilder::launch(kernel::LaunchOp op, uint64_t &scratch) {
  auto function = symbols.lookup<kernel::FuncOp>(op.getCallee());
  llvm::SmallVector<llvm::Constant *> versions;
  for (const std::string &isa : input.isas)
    versions.push_back(isa.empty() ? null : external((op.getCallee() + "." + isa).str(),
                                                     llvm::Type::getInt8Ty(context)));
  kernel::Grid grid = function.getAnchor().getGrid();
  llvm::SmallVector<llvm::Constant *> buffers;
  for (Value value : op.getBuffers())
    buffers.push_back(buffer(value.getDefiningOp<kernel::BufferOp>()));
  if (auto place = input.scratchBytes.find(op.getCallee().str()); place != input.scratchBytes.end())
    scratch = std::max(scratch, place->second);
  StepCost cost = costOfLaunch(op, function);
  llvm::Constant *gridFields = structure({i64(grid.columns), i32(grid.rowsPerTile), i32(grid.keysPerTile),
                                          i32(static_cast<uint32_t>(grid.domain)), i32(0)});
  return structure({text(op.getCallee()),
                    llvm::ConstantArray::get(llvm::ArrayType::get(pointer, versions.size()), versions), gridFields,
                    array(buffers), i64(buffers.size()), i64(cost.weightBytes), i64(cost.rowFlops)});
}

llvm::Constant *TableBuilder::entry(kernel::EntryOp op, llvm::StringRef name) {
  uint64_t scratch = 64;
  llvm::SmallVector<llvm::Constant *> launches;
  for (auto launchOp : op.getOps<kernel::LaunchOp>())
    launches.push_back(launch(launchOp, scratch));
  return structure({text(name), array(launches), i64(launches.size()), i64(op.getHeadBegin().value_or(0)),
                    i64(op.getMaxRows()), i64(op.getMaxSelected()), i64(op.getArenaBytes().value_or(0)),
                    i64(scratch)});
}

/// The cache's layers as the attention launches of an entry use them.
void TableBuilder::collectLayers(kernel::EntryOp op) {
  for (auto launchOp : op.getOps<kernel::LaunchOp>()) {
    auto function = symbols.lookup<kernel::FuncOp>(launchOp.getCallee());
    auto attention = dyn_cast<kernel::AttentionOp>(function.getAnchor().getOperation());
    if (!attention)
      continue;
    unsigned number = cast<BlockArgument>(attention.getKeys()).getArgNumber();
    auto keys = launchOp.getBuffers()[number].getDefiningOp<kernel::BufferOp>();
    layers[*keys.getLayer()] = {attention.getKeys().getType().getHeads(), attention.getKeys().getType().getSize(),
                                attention.getValues().getType().getSize(), static_cast<int64_t>(attention.getWindow())};
  }
}

std::unique_ptr<llvm::Module> TableBuilder::build() {
  // Programs: prefill_f16 and decode_f16 make one.
  llvm::SmallVector<llvm::Constant *> programs;
  for (auto [number, type] : llvm::enumerate(llvm::ArrayRef<llvm::StringRef>{"f32", "f16", "bf16"})) {
    auto prefill = symbols.lookup<kernel::EntryOp>(("prefill_" + type).str());
    auto decode = symbols.lookup<kernel::EntryOp>(("decode_" + type).str());
    if (!prefill || !decode)
      continue;
    collectLayers(decode);
    llvm::Constant *program =
        structure({i32(number), i32(0), entry(prefill, "prefill"), entry(decode, "decode")});
    // f16 is the default wherever it is there.
    programs.insert(type == "f16" ? programs.begin() : programs.end(), program);
  }
  llvm::SmallVector<llvm::Constant *> layerConstants;
  for (auto &[number, layer] : layers) {
    assert(number == static_cast<int64_t>(layerConstants.size()) && "layers of the cache are numbered from 0");
    layerConstants.push_back(structure({i32(layer[0]), i32(layer[1]), i32(layer[2]), i32(layer[3])}));
  }
  uint32_t mask = 0;
  for (auto [number, isa] : llvm::enumerate(input.isas))
    mask |= isa.empty() ? 0 : 1u << number;
  llvm::Constant *weights =
      input.weightsInFile ? null : external("sinter_weights", llvm::Type::getInt8Ty(context));
  llvm::ArrayRef<uint8_t> metadata(reinterpret_cast<const uint8_t *>(input.metadata.data()), input.metadata.size());
  llvm::Constant *model = structure(
      {i32(SINTER_ABI_VERSION), i32(mask), text(input.name), i64(vocabulary), i64(input.context), array(programs),
       i64(programs.size()), array(layerConstants), i64(layerConstants.size()), i64(partialBytes), i64(partialKeys),
       structure({weights, i64(input.weights.size)}), i64(input.weights.hash),
       structure({bytes(input.tokenizer, 64), i64(input.tokenizer.size())}),
       structure({bytes(metadata, 1), i64(metadata.size())})});
  new llvm::GlobalVariable(*module, model->getType(), true, llvm::GlobalValue::ExternalLinkage, model,
                           "sinter_model");
  return std::move(module);
}

} // namespace

StepCost costOfEntry(Operation *entry) {
  StepCost total;
  auto module = entry->getParentOfType<ModuleOp>();
  SymbolTable symbols(module);
  for (auto launch : cast<kernel::EntryOp>(entry).getOps<kernel::LaunchOp>()) {
    StepCost cost = costOfLaunch(launch, symbols.lookup<kernel::FuncOp>(launch.getCallee()));
    total.launches += cost.launches;
    total.weightBytes += cost.weightBytes;
    total.rowFlops += cost.rowFlops;
  }
  return total;
}

std::unique_ptr<llvm::Module> makeModelTable(const ModelTableInput &input, llvm::LLVMContext &context) {
  return TableBuilder(input, context).build();
}

} // namespace sinter
