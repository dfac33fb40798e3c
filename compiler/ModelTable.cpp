// SPDX-License-Identifier: Apache-2.0
// Writes kernel.entry operations as the tables of runtime/abi.h, field by field in its order.
#include "compiler/ModelTable.h"

#include "compiler/ConstantBuilder.h"
#include "compiler/PersistentTasks.h"
#include "dialects/kernel/WeightLayout.h"
#include "runtime/abi.h"

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

/// Builds `sinter_model`.
class TableBuilder : GpuConstantBuilder {
public:
  TableBuilder(const ModelTableInput &input, llvm::Module &module)
      : GpuConstantBuilder(module), input(input), symbols(input.module) {}

  void build();

private:
  using ConstantBuilder::buffer, ConstantBuilder::launch, GpuConstantBuilder::gpuLaunch;
  llvm::Constant *buffer(kernel::BufferOp op);
  llvm::SmallVector<llvm::Constant *> buffers(kernel::LaunchOp op);
  llvm::Constant *launch(kernel::LaunchOp op, uint64_t &scratch);
  llvm::Constant *entry(kernel::EntryOp op, llvm::StringRef name);
  llvm::Constant *gpuLaunch(kernel::LaunchOp op, const CudaKernels &kernels);
  llvm::Constant *gpuEntry(kernel::EntryOp op, llvm::StringRef name, const CudaKernels &kernels);
  llvm::Constant *persistent(kernel::EntryOp decode, kernel::EntryOp sample, const CudaKernels &kernels);
  void collectLayers(kernel::EntryOp op);

  const ModelTableInput &input;
  SymbolTable symbols;
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
  default: // what is drawn begins at 0; training has a table of its own
    break;
  }
  return buffer(static_cast<uint32_t>(op.getSpace()), offset);
}

llvm::SmallVector<llvm::Constant *> TableBuilder::buffers(kernel::LaunchOp op) {
  llvm::SmallVector<llvm::Constant *> result;
  for (Value value : op.getBuffers())
    result.push_back(buffer(value.getDefiningOp<kernel::BufferOp>()));
  return result;
}

llvm::Constant *TableBuilder::launch(kernel::LaunchOp op, uint64_t &scratch) {
  auto function = symbols.lookup<kernel::FuncOp>(op.getCallee());
  if (auto place = input.scratchBytes.find(op.getCallee().str()); place != input.scratchBytes.end())
    scratch = std::max(scratch, place->second);
  StepCost cost = costOfLaunch(op, function);
  return launch(op.getCallee(), input.isas, function.getAnchor().getGrid(), buffers(op), cost.weightBytes,
                cost.rowFlops);
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

llvm::Constant *TableBuilder::gpuLaunch(kernel::LaunchOp op, const CudaKernels &kernels) {
  auto function = symbols.lookup<kernel::FuncOp>(op.getCallee());
  const CudaKernel &code = kernels.kernels.at(op.getCallee().str());
  StepCost cost = costOfLaunch(op, function);
  llvm::SmallVector<llvm::Constant *> all = buffers(op);
  if (code.split.parts > 1) {
    auto entry = op->getParentOfType<kernel::EntryOp>();
    int64_t rows = code.grid.domain == kernel::Domain::Selected ? entry.getMaxSelected() : entry.getMaxRows();
    all.push_back(
        structure({i32(SINTER_SPACE_SPLIT), i32(code.split.tiles(rows)), i64(code.split.bytes(rows))}));
  }
  return gpuLaunch(op.getCallee(), code, all, cost.weightBytes, cost.rowFlops);
}

llvm::Constant *TableBuilder::gpuEntry(kernel::EntryOp op, llvm::StringRef name, const CudaKernels &kernels) {
  llvm::SmallVector<llvm::Constant *> launches;
  if (!op) // its pass was left out: no launches, and the host does it
    return structure({text(name), array(launches), i64(0), i64(0), i64(0), i64(0), i64(0)});
  for (auto launchOp : op.getOps<kernel::LaunchOp>())
    launches.push_back(gpuLaunch(launchOp, kernels));
  return structure({text(name), array(launches), i64(launches.size()), i64(op.getHeadBegin().value_or(0)),
                    i64(op.getMaxRows()), i64(op.getMaxSelected()), i64(op.getArenaBytes().value_or(0))});
}

/// Null where no persistent kernel was made.
llvm::Constant *TableBuilder::persistent(kernel::EntryOp decode, kernel::EntryOp sample,
                                         const CudaKernels &kernels) {
  auto found = kernels.persistent.find(decode.getSymName().str());
  if (found == kernels.persistent.end())
    return null;
  const PersistentKernel &kernel = found->second;
  PersistentTasks plan = planTasks(decode, sample, kernels, kernel);
  llvm::SmallVector<llvm::Constant *> tasks, waits;
  for (const sinter_gpu_task &task : plan.tasks)
    tasks.push_back(structure({i32(task.kernel), i32(task.domain), i32(task.columns), i32(task.rows_per_tile),
                               i32(task.keys_per_tile), i32(task.first_wait), i32(task.wait_count),
                               i32(task.first_address), i32(task.address_count),
                               i32(task.prefetches[0].buffer), i32(task.prefetches[0].tile_bytes),
                               i32(task.prefetches[1].buffer), i32(task.prefetches[1].tile_bytes)}));
  for (uint32_t wait : plan.waits)
    waits.push_back(i32(wait));
  return array({structure({text(kernel.function), array(tasks), i64(tasks.size()), array(waits),
                           i64(waits.size()), i32(kernel.threads), i32(kernel.sharedBytes)})});
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
    layers[*keys.getLayer()] = {
        attention.getKeys().getType().getHeads(), attention.getKeys().getType().getSize(),
        attention.getValues().getType().getSize(), static_cast<int64_t>(attention.getWindow())};
  }
}

void TableBuilder::build() {
  auto sample = symbols.lookup<kernel::EntryOp>("sample");
  // Programs: prefill_f16 and decode_f16 make one.
  llvm::SmallVector<llvm::Constant *> programs, gpuPrograms;
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
    for (const GpuCode &each : input.gpus) {
      program =
          structure({i32(static_cast<uint32_t>(each.architecture)), i32(number),
                     gpuEntry(prefill, "prefill", each.kernels), gpuEntry(decode, "decode", each.kernels),
                     gpuEntry(sample, "sample", each.kernels), persistent(decode, sample, each.kernels)});
      gpuPrograms.insert(type == "f16" ? gpuPrograms.begin() : gpuPrograms.end(), program);
    }
  }
  llvm::SmallVector<llvm::Constant *> layerConstants;
  for (auto &[number, layer] : layers) {
    assert(number == static_cast<int64_t>(layerConstants.size()) &&
           "layers of the cache are numbered from 0");
    layerConstants.push_back(structure({i32(layer[0]), i32(layer[1]), i32(layer[2]), i32(layer[3])}));
  }
  uint32_t mask = 0;
  for (auto [number, isa] : llvm::enumerate(input.isas))
    mask |= isa.empty() ? 0 : 1u << number;
  llvm::SmallVector<llvm::Constant *> images = gpuImages(input.gpus);
  bool hasGpu = !images.empty();
  llvm::Constant *weights = input.weightsInFile ? null : external("sinter_weights");
  llvm::ArrayRef<uint8_t> metadata(reinterpret_cast<const uint8_t *>(input.metadata.data()),
                                   input.metadata.size());
  llvm::Constant *model = structure({i32(SINTER_ABI_VERSION),
                                     i32(mask),
                                     text(input.name),
                                     i64(vocabulary),
                                     i64(input.context),
                                     array(programs),
                                     i64(programs.size()),
                                     array(layerConstants),
                                     i64(layerConstants.size()),
                                     i64(partialBytes),
                                     i64(partialKeys),
                                     structure({weights, i64(input.weights.size)}),
                                     i64(input.weights.hash),
                                     structure({bytes(input.tokenizer, 64), i64(input.tokenizer.size())}),
                                     structure({bytes(metadata, 1), i64(metadata.size())}),
                                     array(images),
                                     i64(images.size()),
                                     array(gpuPrograms),
                                     i64(gpuPrograms.size()),
                                     i64(hasGpu ? partialBytes : 0),
                                     i64(hasGpu ? partialKeys : 0)});
  new llvm::GlobalVariable(module, model->getType(), true, llvm::GlobalValue::ExternalLinkage, model,
                           "sinter_model");
}

} // namespace

std::vector<std::string> isaSuffixes(llvm::ArrayRef<cpu::Isa> isas) {
  std::vector<std::string> suffixes(cpu::isaCount);
  for (cpu::Isa isa : isas)
    suffixes[static_cast<size_t>(isa)] = cpu::nameOf(isa).str();
  return suffixes;
}

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
  auto module = std::make_unique<llvm::Module>("model", context);
  TableBuilder(input, *module).build();
  return module;
}

} // namespace sinter
