// SPDX-License-Identifier: Apache-2.0
// Kernels to objects. The module is cut into shares, each compiled in a context of its own (parsed from
// text), so that threads have nothing in common.
#include "compiler/CpuTarget.h"

#include "compiler/Optimise.h"

#include "dialects/kernel/Kernel.h"
#include "passes/lowering/CpuPipeline.h"
#include "passes/lowering/cpu/Emitters.h"
#include "runtime/abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>

using namespace mlir;

namespace sinter {

// The emitters address the structs of the contract by these numbers.
static_assert(offsetof(sinter_call, buffers) == abi::callBuffers);
static_assert(offsetof(sinter_call, step) == abi::callStep);
static_assert(offsetof(sinter_call, scratch) == abi::callScratch);
static_assert(offsetof(sinter_step, rows) == abi::stepRows);
static_assert(offsetof(sinter_step, selected) == abi::stepSelected);
static_assert(offsetof(sinter_step, tokens) == abi::stepTokens);
static_assert(offsetof(sinter_step, positions) == abi::stepPositions);
static_assert(offsetof(sinter_step, slots) == abi::stepSlots);
static_assert(offsetof(sinter_step, select) == abi::stepSelect);
static_assert(offsetof(sinter_step, keys) == abi::stepKeys);
static_assert(offsetof(sinter_step, cache_tokens) == abi::stepCacheTokens);
static_assert(offsetof(sinter_step, cache_slot_bytes) == abi::stepCacheSlotBytes);
static_assert(offsetof(sinter_step, targets) == abi::stepTargets);
static_assert(offsetof(sinter_step, target_weight) == abi::stepTargetWeight);
static_assert(offsetof(sinter_step, adds) == abi::stepAdds);
static_assert(offsetof(sinter_step, seed) == abi::stepSeed);
static_assert(offsetof(sinter_step, update) == abi::stepUpdate);
static_assert(offsetof(sinter_step, draws) == abi::stepDraws);
static_assert(offsetof(sinter_step, sampling) == abi::stepSampling);
static_assert(offsetof(sinter_step, adjustments) == abi::stepAdjustments);
static_assert(offsetof(sinter_sampling, seed) == abi::samplingSeed);
static_assert(offsetof(sinter_sampling, stream) == abi::samplingStream);
static_assert(offsetof(sinter_sampling, index) == abi::samplingIndex);
static_assert(offsetof(sinter_sampling, row) == abi::samplingRow);
static_assert(offsetof(sinter_sampling, filter_count) == abi::samplingFilterCount);
static_assert(offsetof(sinter_sampling, scale) == abi::samplingScale);
static_assert(offsetof(sinter_sampling, adjustment_count) == abi::samplingAdjustmentCount);
static_assert(offsetof(sinter_adjustment, id) == abi::adjustmentId);
static_assert(offsetof(sinter_adjustment, bias) == abi::adjustmentBias);
static_assert(offsetof(sinter_adjustment, repeat) == abi::adjustmentRepeat);
static_assert(offsetof(sinter_adjustment, subtract) == abi::adjustmentSubtract);
static_assert(sizeof(sinter_adjustment) == abi::adjustmentBytes);
static_assert(offsetof(sinter_sampling, filters) == abi::samplingFilters);
static_assert(sizeof(sinter_sampling) == abi::samplingBytes);
static_assert(offsetof(sinter_filter, kind) == abi::filterKind);
static_assert(offsetof(sinter_filter, scale) == abi::filterScale);
static_assert(offsetof(sinter_filter, offset) == abi::filterOffset);
static_assert(offsetof(sinter_filter, amount) == abi::filterAmount);
static_assert(sizeof(sinter_filter) == abi::filterBytes);
static_assert(SINTER_FILTER_FLOOR == abi::filterFloor && SINTER_FILTER_COUNT == abi::filterCount &&
              SINTER_FILTER_SHARE == abi::filterShare);
static_assert(SINTER_CACHE_PANEL == kernel::cachePanel);
static_assert(SINTER_ISA_COUNT == cpu::isaCount && SINTER_ISA_AVX2 == static_cast<int>(cpu::Isa::Avx2) &&
              SINTER_ISA_AVX512 == static_cast<int>(cpu::Isa::Avx512) &&
              SINTER_ISA_AVX512BF16 == static_cast<int>(cpu::Isa::Avx512Bf16) &&
              SINTER_ISA_AMX == static_cast<int>(cpu::Isa::Amx));
static_assert(SINTER_SPACE_LOGITS == static_cast<int>(kernel::Space::Logits));
static_assert(SINTER_SPACE_DRAWN == static_cast<int>(kernel::Space::Drawn));
static_assert(SINTER_DOMAIN_SELECTED == static_cast<int>(kernel::Domain::Selected));
static_assert(SINTER_DOMAIN_DRAWS == static_cast<int>(kernel::Domain::Draws));

std::string targetFeatures(cpu::Isa isa) {
  std::string features =
      "+cx16,+sahf,+popcnt,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,"
      "+movbe,+xsave";
  if (isa != cpu::Isa::Avx2)
    features += ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+avx512vnni";
  if (isa == cpu::Isa::Avx512Bf16 || isa == cpu::Isa::Amx)
    features += ",+avx512bf16";
  if (isa == cpu::Isa::Amx)
    features += ",+amx-tile,+amx-int8,+amx-bf16";
  return features;
}

namespace {

std::unique_ptr<llvm::TargetMachine> createMachine() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  std::string error;
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  assert(target && "LLVM has the target X86");
  llvm::TargetOptions options;
  // a * b + c is one operation where the emitter leaves the choice, on every machine of an instruction set.
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  options.FunctionSections = true;
  options.DataSections = true;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, "x86-64", "", options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
                                  llvm::CodeGenOptLevel::Aggressive));
}

/// The emitters have unrolled, vectorised and interleaved; what is left are repeated addresses, conversions
/// and loads that do not change in a loop. LLVM's O3 takes six times as long, and its code has more spills
/// and is no faster.
constexpr StringRef optimisations = "function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-"
                                    "fixpoint>,loop-mssa(loop-rotate,licm),loop(indvars),"
                                    "early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg)";

/// Whether flags of MLIR look at passes: one thread lowers then, as several would write into each other.
bool hasMlirFlags() {
  return llvm::any_of(llvm::cl::getRegisteredOptions(), [](const auto &option) {
    return option.first.starts_with("mlir-") && option.second->getNumOccurrences() > 0;
  });
}

/// What one thread compiles: some kernels for one instruction set.
class Share {
public:
  Share(const DialectRegistry &registry, cpu::Isa isa)
      : context(registry, MLIRContext::Threading::DISABLED), isa(isa) {
    // The one diagnostic handler of a share collects the text; the caller reports it.
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      llvm::raw_string_ostream(message) << diagnostic.getLocation() << ": " << diagnostic << "\n";
    });
  }

  /// Runs the passes on kernels in text, timed in `timing`.
  LogicalResult lower(StringRef text, TimingScope &timing) {
    module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    if (!module)
      return failure();
    PassManager passes(&context);
    if (hasMlirFlags() && failed(applyPassManagerCLOptions(passes)))
      return failure();
    passes.enableTiming(timing);
    buildCpuLowering(passes, isa);
    return passes.run(*module);
  }

  /// Translates and optimises.
  std::unique_ptr<llvm::Module> translate(llvm::LLVMContext &llvmContext, llvm::TargetMachine &machine);

  std::string message;

private:
  MLIRContext context;
  cpu::Isa isa;

public:
  OwningOpRef<ModuleOp> module; // goes before its context
};

std::unique_ptr<llvm::Module> Share::translate(llvm::LLVMContext &llvmContext, llvm::TargetMachine &machine) {
  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(*module, llvmContext, "kernels");
  if (!result)
    return nullptr;
  for (llvm::Function &function : *result) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-features", targetFeatures(isa));
    function.addFnAttr("prefer-vector-width", isa == cpu::Isa::Avx2 ? "256" : "512");
    function.addFnAttr("no-trapping-math", "true");
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
  optimise(*result, machine, optimisations);
  return result;
}

bool generate(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType type,
              llvm::SmallVectorImpl<char> &bytes) {
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return false;
  passes.run(module);
  return true;
}

DialectRegistry makeRegistry() {
  DialectRegistry registry;
  registerCpuLowering(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  return registry;
}

/// The kernels of a module that the processor runs. Tokens are drawn by kernels on GPUs alone: where the
/// processor makes the logits, the sampler has them.
SmallVector<kernel::FuncOp> kernelsOf(ModuleOp module) {
  return llvm::to_vector(llvm::make_filter_range(module.getOps<kernel::FuncOp>(), [](kernel::FuncOp kernel) {
    return !isa<kernel::PeaksOp, kernel::SampleOp>(kernel.getAnchor().getOperation());
  }));
}

std::string textOf(ArrayRef<kernel::FuncOp> kernels) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (kernel::FuncOp kernel : kernels) {
    kernel->print(stream, OpPrintingFlags().useLocalScope());
    stream << "\n";
  }
  return text;
}

/// Functions that jump to others: from, to.
ObjectFile compileJumps(ArrayRef<std::pair<std::string, std::string>> jumps) {
  llvm::LLVMContext context;
  llvm::Module module("jumps", context);
  llvm::Type *word = llvm::Type::getInt64Ty(context);
  auto *type = llvm::FunctionType::get(llvm::Type::getVoidTy(context),
                                       {llvm::PointerType::get(context, 0), word, word}, /*isVarArg=*/false);
  for (const auto &[from, to] : jumps) {
    auto *function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, from, module);
    llvm::IRBuilder<> ir(llvm::BasicBlock::Create(context, "", function));
    SmallVector<llvm::Value *> arguments(llvm::make_pointer_range(function->args()));
    ir.CreateCall(module.getOrInsertFunction(to, type), arguments)
        ->setTailCallKind(llvm::CallInst::TCK_MustTail);
    ir.CreateRetVoid();
  }
  return compileObject(module, "kernels.jumps");
}

} // namespace

FailureOr<CpuKernels> compileKernels(ModuleOp module, const CpuOptions &options) {
  DialectRegistry registry = makeRegistry();
  SmallVector<kernel::FuncOp> all = kernelsOf(module);
  // A share of a few kernels pays for its context and is small enough to spread evenly.
  constexpr size_t kernelsPerShare = 4;
  struct Job {
    cpu::Isa isa;
    size_t number;
    std::string text, message;
    ObjectFile object;
    std::map<std::string, uint64_t> scratchBytes;
    bool done = false;
  };
  std::vector<Job> jobs;
  std::vector<std::pair<std::string, std::string>> jumps;
  std::map<std::string, std::string> versions; // by kernel, of the last instruction set
  for (auto [index, isa] : llvm::enumerate(options.isas)) {
    SmallVector<kernel::FuncOp> own;
    for (kernel::FuncOp kernel : all) {
      auto differs = [&](cpu::Isa each) {
        return each > options.isas[index - 1] && each <= isa && cpu::hasOwnCode(kernel, each);
      };
      std::string version = (kernel.getName() + "." + cpu::nameOf(isa)).str();
      std::string &lower = versions[kernel.getName().str()];
      if (!options.sharesCode || index == 0 || llvm::any_of(cpu::allIsas, differs)) {
        own.push_back(kernel);
        lower = version;
      } else {
        jumps.emplace_back(version, lower);
      }
    }
    for (size_t first = 0; first < own.size(); first += kernelsPerShare)
      jobs.emplace_back(isa, first / kernelsPerShare,
                        textOf(ArrayRef(own).slice(first, std::min(kernelsPerShare, own.size() - first))));
  }

  DefaultTimingManager timer; // --mlir-timing: a table for all shares
  applyDefaultTimingManagerCLOptions(timer);
  TimingScope timing = timer.getRootScope();
  auto run = [&](Job &job) {
    Share share(registry, job.isa);
    auto compile = [&] {
      TimingScope lowering = timing.nest(cpu::nameOf(job.isa));
      if (failed(share.lower(job.text, lowering)))
        return false;
      for (auto function : share.module->getOps<LLVM::LLVMFuncOp>())
        if (auto bytes = function->getAttrOfType<IntegerAttr>("kernel.scratch_bytes"))
          job.scratchBytes[function.getName().rsplit('.').first.str()] = bytes.getInt();
      llvm::LLVMContext llvmContext;
      std::unique_ptr<llvm::TargetMachine> machine = createMachine();
      std::unique_ptr<llvm::Module> translated = share.translate(llvmContext, *machine);
      if (!translated)
        return false;
      llvm::SmallVector<char, 0> bytes;
      if (!generate(*translated, *machine, llvm::CodeGenFileType::ObjectFile, bytes))
        return false;
      job.object.name = ("kernels." + cpu::nameOf(job.isa) + "." + llvm::Twine(job.number)).str();
      job.object.bytes.assign(bytes.begin(), bytes.end());
      return true;
    };
    job.done = compile();
    job.message = share.message;
  };
  createMachine(); // registers the target before threads start
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(hasMlirFlags() ? 1 : options.threads));
  for (Job &job : jobs)
    pool.async([&run, &job] { run(job); });
  pool.wait();

  CpuKernels kernels;
  for (Job &job : jobs) {
    if (!job.done) {
      module.emitError() << "expected kernels that compile for " << cpu::nameOf(job.isa)
                         << ", found: " << job.message;
      return failure();
    }
    for (const auto &[name, bytes] : job.scratchBytes)
      kernels.scratchBytes[name] = std::max(kernels.scratchBytes[name], bytes);
    kernels.objects.push_back(std::move(job.object));
  }
  if (!jumps.empty())
    kernels.objects.push_back(compileJumps(jumps));
  return kernels;
}

ObjectFile compileObject(llvm::Module &module, StringRef name) {
  std::unique_ptr<llvm::TargetMachine> machine = createMachine();
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  llvm::SmallVector<char, 0> bytes;
  [[maybe_unused]] bool done = generate(module, *machine, llvm::CodeGenFileType::ObjectFile, bytes);
  assert(done && "the target X86 writes objects");
  return {name.str(), {bytes.begin(), bytes.end()}};
}

FailureOr<std::string> printKernels(ModuleOp module, cpu::Isa isa, CpuStage stage) {
  DialectRegistry registry = makeRegistry();
  Share share(registry, isa);
  std::string result;
  auto fail = [&] {
    return module.emitError() << "expected kernels that compile for " << cpu::nameOf(isa)
                              << ", found: " << share.message;
  };
  TimingScope untimed;
  if (failed(share.lower(textOf(kernelsOf(module)), untimed)))
    return fail();
  llvm::raw_string_ostream stream(result);
  if (stage == CpuStage::Target) {
    stream << *share.module;
    return result;
  }
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::TargetMachine> machine = createMachine();
  std::unique_ptr<llvm::Module> translated = share.translate(llvmContext, *machine);
  if (!translated)
    return fail();
  if (stage == CpuStage::Llvm) {
    stream << *translated;
    return result;
  }
  llvm::SmallVector<char, 0> bytes;
  if (!generate(*translated, *machine, llvm::CodeGenFileType::AssemblyFile, bytes))
    return fail();
  return std::string(bytes.begin(), bytes.end());
}

} // namespace sinter
