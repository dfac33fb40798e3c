// SPDX-License-Identifier: Apache-2.0
// Kernels to PTX text: the passes of one architecture, then LLVM's NVPTX back end.
#include "compiler/CudaTarget.h"

#include "compiler/Optimise.h"

#include "dialects/kernel/Kernel.h"
#include "passes/Passes.h"
#include "passes/lowering/GpuPipeline.h"
#include "passes/lowering/gpu/Frame.h"
#include "passes/lowering/gpu/ShortGroups.h"
#include "passes/lowering/gpu/matmul/WideTiles.h"
#include "passes/lowering/gpu/training/SequenceTiles.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>

using namespace mlir;

namespace sinter {

namespace {

/// The lowest version of PTX that has what the emitters use: older drivers take it.
llvm::StringRef ptxVersion(gpu::Architecture architecture) {
  return architecture == gpu::Architecture::Sm80 ? "+ptx70" : "+ptx80";
}

std::vector<sinter_tensor_map> mapsOf(LLVM::LLVMFuncOp function) {
  std::vector<sinter_tensor_map> maps;
  for (const gpu::TensorMapPlan &map : gpu::notedMaps(function)) {
    auto u32 = [](int64_t number) { return static_cast<uint32_t>(number); };
    auto u64 = [](int64_t number) { return static_cast<uint64_t>(number); };
    maps.push_back({u32(map.buffer),
                    u32(map.swizzle),
                    map.strides[1] || map.ofCache ? 3u : 2u,
                    {u32(map.box[0]), u32(map.box[1]), u32(map.box[2])},
                    {u64(map.sizes[0]), u64(map.sizes[1]), u64(map.sizes[2])},
                    {u64(map.strides[0]), u64(map.strides[1])},
                    map.ofCache});
  }
  return maps;
}

std::unique_ptr<llvm::TargetMachine> createMachine(gpu::Architecture architecture) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    // An address of shared memory takes one register then, not two; only a flag of LLVM says so.
    auto &flags = llvm::cl::getRegisteredOptions();
    auto flag = flags.find("nvptx-short-ptr");
    assert(flag != flags.end() && "the target NVPTX knows short pointers");
    flag->second->addOccurrence(0, flag->first, "true");
  });
  std::string error;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  assert(target && "LLVM has the target NVPTX");
  llvm::TargetOptions options;
  // What shall be one operation is written as fma.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, gpu::nameOf(architecture), ptxVersion(architecture), options,
                                  llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

LogicalResult lower(ModuleOp module, gpu::Architecture architecture) {
  DialectRegistry registry;
  registerGpuLowering(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  module.getContext()->appendDialectRegistry(registry);
  module.getContext()->loadAllAvailableDialects();
  PassManager passes(module.getContext());
  buildGpuLowering(passes, architecture);
  return passes.run(module);
}

/// Assembly with side effects is for threads together (barriers, wgmma, setmaxnreg, the waits before them),
/// or beside what is: LLVM must neither copy it into branches nor move it under conditions.
void keepTogether(llvm::Function &function) {
  for (llvm::Instruction &instruction : llvm::instructions(function)) {
    auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction);
    if (!call || !call->isInlineAsm())
      continue;
    if (llvm::cast<llvm::InlineAsm>(call->getCalledOperand())->hasSideEffects())
      call->setConvergent();
  }
}

std::unique_ptr<llvm::Module> translate(ModuleOp module, llvm::LLVMContext &context,
                                        llvm::TargetMachine &machine) {
  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(module, context, "kernels");
  if (!result)
    return nullptr;
  for (llvm::Function &function : *result)
    if (!function.isDeclaration()) {
      function.addFnAttr(llvm::Attribute::NoUnwind);
      keepTogether(function);
    }
  optimise(*result, machine, "default<O3>");
  return result;
}

/// PTX knows letters, digits, _ and $ in names.
std::string ptxName(llvm::StringRef name) {
  std::string result = name.str();
  for (char &c : result)
    if (!llvm::isAlnum(c) && c != '_')
      c = '_';
  return result;
}

/// A copy of the module's kernels, with names of PTX and, if asked for, schedules for GPUs.
OwningOpRef<ModuleOp> copyKernels(ModuleOp module, const CudaOptions &options) {
  OwningOpRef<ModuleOp> copy(ModuleOp::create(module.getLoc()));
  llvm::StringMap<int64_t> mostRows;
  for (auto entry : module.getOps<kernel::EntryOp>())
    for (auto launch : entry.getOps<kernel::LaunchOp>()) {
      int64_t &most = mostRows[launch.getCallee()];
      most = std::max<int64_t>(most, launch.getRowCount().value_or(entry.getMaxRows()));
    }
  for (auto kernel : module.getOps<kernel::FuncOp>()) {
    auto clone = cast<kernel::FuncOp>(kernel->clone());
    clone.setName(ptxName(kernel.getName()));
    if (int64_t rows = mostRows.lookup(kernel.getName()))
      clone->setAttr("kernel.most_rows", OpBuilder(clone).getI64IntegerAttr(rows));
    copy->push_back(clone);
  }
  if (options.chooseSchedules) {
    gpu::shortenGroups(*copy);
    PassManager passes(module.getContext());
    passes.addPass(createChooseSchedulesPass({/*gpu=*/true}));
    [[maybe_unused]] LogicalResult chosen = passes.run(*copy);
    assert(succeeded(chosen) && "every kernel has a schedule for GPUs");
    gpu::widenTiles(*copy, options.architecture);
    gpu::splitFewTiles(*copy, options.architecture, options.splits);
    gpu::cutSequences(*copy);
  }
  return copy;
}

/// Writes into `copy` which persistent kernels --kernel-make-persistent is to make, one a decode step. What
/// draws tokens finds the same with any number of threads; with its usual 512 all tasks would have fewer
/// registers.
std::map<std::string, PersistentKernel> planPersistent(ModuleOp module, ModuleOp copy) {
  constexpr int64_t mostThreadsOfSample = 256;
  std::map<std::string, PersistentKernel> all;
  OpBuilder builder(module.getContext());
  SmallVector<Attribute> plans;
  for (auto entry : module.getOps<kernel::EntryOp>()) {
    if (!entry.getSymName().starts_with("decode_"))
      continue;
    PersistentKernel persistent;
    persistent.function = ("persistent" + entry.getSymName().drop_front(StringRef("decode").size())).str();
    SmallVector<Attribute> kernels;
    int64_t tasks = 0;
    for (auto each : {entry, module.lookupSymbol<kernel::EntryOp>("sample")})
      for (auto launch :
           each ? llvm::to_vector(each.getOps<kernel::LaunchOp>()) : SmallVector<kernel::LaunchOp>()) {
        ++tasks;
        std::string callee = launch.getCallee().str(), name = ptxName(callee);
        if (llvm::is_contained(persistent.kernels, callee))
          continue;
        persistent.kernels.push_back(callee);
        auto function = copy.lookupSymbol<kernel::FuncOp>(name);
        if (isa<kernel::SampleOp>(function.getAnchor().getOperation())) {
          name += "_narrow";
          if (!copy.lookupSymbol(name)) {
            kernel::FuncOp narrow = function.clone();
            narrow.setName(name);
            narrow->setAttr("kernel.most_threads", builder.getI64IntegerAttr(mostThreadsOfSample));
            copy.push_back(narrow);
          }
        }
        kernels.push_back(builder.getStringAttr(name));
      }
    plans.push_back(
        builder.getDictionaryAttr({builder.getNamedAttr("name", builder.getStringAttr(persistent.function)),
                                   builder.getNamedAttr("tasks", builder.getI64IntegerAttr(tasks)),
                                   builder.getNamedAttr("kernels", builder.getArrayAttr(kernels))}));
    all.emplace(entry.getSymName().str(), std::move(persistent));
  }
  copy->setAttr("kernel.persistent", builder.getArrayAttr(plans));
  return all;
}

LogicalResult didNotCompile(ModuleOp module, gpu::Architecture architecture) {
  return module.emitError() << "expected kernels that compile for " << gpu::nameOf(architecture);
}

} // namespace

FailureOr<CudaKernels> compileCudaKernels(ModuleOp module, const CudaOptions &options) {
  auto fail = [&] { return didNotCompile(module, options.architecture); };
  OwningOpRef<ModuleOp> copy = copyKernels(module, options);
  CudaKernels result;
  if (options.persistent)
    result.persistent = planPersistent(module, *copy);
  for (auto kernel : module.getOps<kernel::FuncOp>())
    result.kernels[kernel.getName().str()].grid =
        copy->lookupSymbol<kernel::FuncOp>(ptxName(kernel.getName())).getAnchor().getGrid();
  if (failed(lower(*copy, options.architecture)))
    return fail();
  for (auto kernel : module.getOps<kernel::FuncOp>()) {
    auto function = copy->lookupSymbol<LLVM::LLVMFuncOp>(ptxName(kernel.getName()));
    auto number = [&](StringRef name) { return static_cast<uint32_t>(notedNumber(function, name)); };
    CudaKernel &facts = result.kernels[kernel.getName().str()];
    facts.function = function.getName().str();
    facts.threads = number("kernel.threads");
    facts.sharedBytes = number("kernel.shared_bytes");
    facts.cluster = number("kernel.cluster");
    facts.maps = mapsOf(function);
    if (auto split = function->getAttrOfType<DenseI64ArrayAttr>("kernel.split_k"))
      facts.split = {split[0], split[1], split[2], split[3]};
    facts.blocksPerSm = std::max(number("kernel.blocks_per_sm"), 1u);
  }
  for (auto &[entry, facts] : result.persistent) {
    auto function = copy->lookupSymbol<LLVM::LLVMFuncOp>(facts.function);
    facts.threads = static_cast<uint32_t>(notedNumber(function, "kernel.threads"));
    facts.sharedBytes = static_cast<uint32_t>(notedNumber(function, "kernel.shared_bytes"));
  }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(options.architecture);
  std::unique_ptr<llvm::Module> translated = translate(*copy, context, *machine);
  if (!translated)
    return fail();
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  [[maybe_unused]] bool cannot =
      machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile);
  assert(!cannot && "the target NVPTX writes text");
  passes.run(*translated);
  result.ptx.assign(bytes.begin(), bytes.end());
  return result;
}

FailureOr<std::string> printCudaKernels(ModuleOp module, const CudaOptions &options, CudaStage stage) {
  const gpu::Architecture architecture = options.architecture;
  OwningOpRef<ModuleOp> copy = copyKernels(module, options);
  if (options.persistent)
    planPersistent(module, *copy);
  if (failed(lower(*copy, architecture)))
    return didNotCompile(module, architecture);
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (stage == CudaStage::Target) {
    stream << *copy;
    return text;
  }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(architecture);
  std::unique_ptr<llvm::Module> translated = translate(*copy, context, *machine);
  if (!translated)
    return didNotCompile(module, architecture);
  stream << *translated;
  return text;
}

} // namespace sinter
