// SPDX-License-Identifier: Apache-2.0
// sinter compile: from a model to an executable, or to any stage between.
#include "compiler/CpuTarget.h"
#include "compiler/Executable.h"
#include "compiler/FusionReport.h"
#include "compiler/ModelData.h"
#include "compiler/ModelTable.h"
#include "compiler/Pipeline.h"
#include "compiler/WeightImage.h"
#include "compiler/commands/Commands.h"
#include "frontend/Model.h"
#include "frontend/WantedFormat.h"
#include "passes/Passes.h"
#include "passes/lowering/CpuPipeline.h"
#include "runtime/device/CpuFeatures.h"
#include "runtime/files/AtomicFile.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

#include <chrono>
#include <thread>
#include <unistd.h>

namespace cl = llvm::cl;
using namespace mlir;

namespace sinter {
namespace {

struct CompileFlags {
  cl::OptionCategory category{"sinter compile"};
  cl::opt<std::string> model{cl::Positional, cl::desc("MODEL (folder or .gguf file)"), cl::Required, cl::cat(category)};
  cl::opt<std::string> output{"o", cl::desc("Where the result goes (-: standard output)"), cl::value_desc("path"),
                              cl::Required, cl::cat(category)};
  cl::opt<std::string> emit{"emit", cl::desc("Stage to stop at: import, fuse, kernels, memory, target, llvm, exe"),
                            cl::init("exe"), cl::cat(category)};
  cl::opt<std::string> weights{"weights", cl::desc("Type of weights: keep, f32, bf16, f16, q8_0, q4_0, q4_1"),
                               cl::init("keep"), cl::cat(category)};
  cl::opt<std::string> target{"target", cl::desc("cpu: versions for AVX2, AVX-512 and AMX; cpu:native: for this machine"),
                              cl::init("cpu"), cl::cat(category)};
  cl::list<std::string> skip{"skip-pass", cl::desc("Leave out a pass, by its flag"), cl::CommaSeparated, cl::cat(category)};
  cl::opt<unsigned> threads{"t", cl::desc("Threads (0: all cores)"), cl::init(0), cl::cat(category)};
  cl::opt<bool> verbose{"v", cl::desc("Say what is done, what was fused and how long it took"), cl::cat(category)};
};

int report(const Error &error) {
  llvm::errs() << "error: " << error.message << "\n";
  return 1;
}

/// One compilation; the stages in order.
class Compilation {
public:
  Compilation(const Invocation &invocation, const CompileFlags &flags)
      : invocation(invocation), flags(flags), threads(flags.threads ? unsigned(flags.threads)
                                                                    : std::max(1u, std::thread::hardware_concurrency())) {}

  int run();

private:
  bool runPasses(Stage stage);
  int printModule();
  int printText(llvm::StringRef text);
  int link();
  Result<std::string> writeObject(llvm::Module &module, const std::string &path);
  void step(llvm::StringRef what);

  const Invocation &invocation;
  const CompileFlags &flags;
  const unsigned threads;
  MLIRContext context;
  std::optional<Model> model;
  OwningOpRef<ModuleOp> module;
  PipelineOptions options;
  std::vector<cpu::Isa> isas = {cpu::Isa::Avx2, cpu::Isa::Avx512, cpu::Isa::Amx};
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

/// With -v a line a stage; on a terminal one line that changes.
void Compilation::step(llvm::StringRef what) {
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (flags.verbose)
    llvm::errs() << llvm::format("%7.3f s  ", seconds) << what << "\n";
  else if (llvm::errs().is_displayed())
    llvm::errs() << "\r\033[K" << what << (what == "done" ? "\n" : " ...");
}

bool Compilation::runPasses(Stage stage) {
  PassManager passes(&context);
  if (failed(applyPassManagerCLOptions(passes)))
    return false;
  applyDefaultTimingPassManagerCLOptions(passes);
  addStage(passes, stage, options);
  return succeeded(passes.run(*module));
}

int Compilation::printText(llvm::StringRef text) {
  if (flags.output == "-") {
    llvm::raw_fd_ostream stream(STDOUT_FILENO, /*shouldClose=*/false);
    stream << text;
    stream.flush();
    std::error_code code = stream.error();
    stream.clear_error();
    return code ? report({"standard output: " + code.message()}) : 0;
  }
  Result<AtomicFile> file = AtomicFile::create(flags.output);
  Result<> written = file ? file->write(std::string_view(text)) : tl::unexpected(file.error());
  if (written)
    written = file->commit();
  return written ? 0 : report(written.error());
}

int Compilation::printModule() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream);
  stream << "\n";
  return printText(text);
}

Result<std::string> Compilation::writeObject(llvm::Module &table, const std::string &path) {
  std::string message;
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return fail("expected a code generator for x86-64, found: {}", message);
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, "x86-64", "", {}, llvm::Reloc::PIC_));
  table.setTargetTriple(triple);
  table.setDataLayout(machine->createDataLayout());
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (code)
    return fail("{}: {}", path, code.message());
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return fail("expected a code generator that writes objects, found one that does not");
  passes.run(table);
  return path;
}

int Compilation::link() {
  if (!model->weights)
    return report({model->path + ": expected a model with weights, found a configuration alone"});
  step("compiling kernels");
  CpuOptions cpuOptions;
  cpuOptions.isas = isas;
  cpuOptions.threads = threads;
  llvm::FailureOr<CpuKernels> kernels = compileKernels(*module, cpuOptions);
  if (failed(kernels))
    return 1;

  llvm::SmallString<128> folder;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory("sinter", folder))
    return report({"a temporary folder: " + code.message()});
  auto cleaner = llvm::make_scope_exit([&] { llvm::sys::fs::remove_directories(folder); });
  std::vector<std::string> objects;
  for (const CpuObject &object : kernels->objects) {
    std::string path = (folder + "/" + object.name + ".o").str();
    std::error_code code;
    llvm::raw_fd_ostream stream(path, code);
    if (code)
      return report({path + ": " + code.message()});
    stream.write(object.bytes.data(), object.bytes.size());
    stream.close();
    if (stream.has_error())
      return report({path + ": " + stream.error().message()});
    objects.push_back(path);
  }

  step("placing weights");
  ModelTableInput table;
  table.module = *module;
  table.isas.assign(cpu::isaCount, "");
  for (cpu::Isa isa : isas)
    table.isas[static_cast<size_t>(isa)] = cpu::nameOf(isa).str();
  table.scratchBytes = kernels->scratchBytes;
  table.weights = placeWeights(*module);
  table.name = model->config.name;
  table.context = model->config.contextLength;
  for (const Rope &rope : model->config.ropes)
    if (rope.dynamic) // made to go beyond: as far as the factor says
      table.context = std::max<int64_t>(table.context, rope.dynamic->length * rope.dynamic->factor);
  Result<TokenizerSpec> tokenizer = readTokenizer(*model);
  if (!tokenizer)
    return report(tokenizer.error());
  Result<std::vector<uint8_t>> tables = buildTokenizerTables(*tokenizer, threads);
  if (!tables)
    return report(tables.error());
  table.tokenizer = std::move(*tables);
  Result<std::string> chatTemplate = readChatTemplate(*model);
  if (!chatTemplate)
    return report(chatTemplate.error());
  table.metadata = makeMetadata(*model, *tokenizer, *chatTemplate);
  llvm::LLVMContext llvmContext;
  Result<std::string> object = writeObject(*makeModelTable(table, llvmContext), (folder + "/model.o").str());
  if (!object)
    return report(object.error());
  objects.push_back(*object);

  step("linking and writing weights");
  Result<LinkTree> tree = LinkTree::find(invocation.program);
  if (!tree)
    return report(tree.error());
  WeightImage image;
  image.size = table.weights.size;
  image.write = [&](const ImageSink &sink) {
    return writeWeights(*module, table.weights, *model->weights, sink, threads);
  };
  if (Result<> linked = linkExecutable(*tree, objects, image, flags.output); !linked)
    return report(linked.error());
  step("done");
  return 0;
}

int Compilation::run() {
  std::optional<Stage> stage = stageByName(flags.emit);
  if (!stage) {
    llvm::errs() << "error: --emit: expected import, fuse, kernels, memory, target, llvm or exe, found '" << flags.emit
                 << "'\n";
    return 2;
  }
  if (flags.target == "cpu:native") {
    int best = device::detectIsa();
    if (best < 0)
      return report({"--target=cpu:native: expected a processor with AVX2, FMA, F16C and BMI, found one without"});
    isas = {static_cast<cpu::Isa>(best)};
  } else if (flags.target != "cpu") {
    llvm::errs() << "error: --target: expected cpu or cpu:native, found '" << flags.target << "'\n";
    return 2;
  }
  if (Result<const BlockFormat *> wanted = wantedWeights(flags.weights.getValue()); !wanted) {
    report(wanted.error());
    return 2;
  }
  for (const std::string &flag : flags.skip)
    if (!isPipelinePass(flag)) {
      llvm::errs() << "error: --skip-pass: expected the flag of a pass of the pipeline, found '" << flag << "'\n";
      return 2;
    }
  constexpr unsigned mostThreads = 1024;
  if (flags.threads > mostThreads) {
    llvm::errs() << "error: -t: expected a number of threads from 0 to " << mostThreads << ", found " << flags.threads
                 << "\n";
    return 2;
  }
  options.skip.assign(flags.skip.begin(), flags.skip.end());
  if (flags.weights == "f32")
    options.cacheTypes = {"f32"};
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  DialectRegistry registry;
  registerCpuLowering(registry);
  registry.insert<func::FuncDialect, lm::LmDialect, kernel::KernelDialect>();
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();

  step("reading the model");
  Result<Model> opened = openModel(flags.model, flags.weights.getValue());
  if (!opened)
    return report(opened.error());
  model = std::move(*opened);
  if (model->weights)
    for (const Weight &weight : model->weights->weights())
      if (llvm::sys::fs::equivalent(std::string(weight.file), flags.output.getValue()))
        return report({flags.output + ": expected an output that is not the model itself"});
  module = importModel(context, *model);
  if (!module)
    return 1;
  FusionReport fusion;
  fusion.addGraph(*module);
  for (Stage next : {Stage::Fuse, Stage::Kernels, Stage::Memory}) {
    if (*stage < next)
      return printModule();
    step(next == Stage::Fuse ? "fusing" : next == Stage::Kernels ? "making kernels" : "planning memory");
    if (!runPasses(next))
      return 1;
    if (next == Stage::Fuse)
      fusion.addFused(*module);
  }
  if (*stage == Stage::Memory)
    return printModule();
  if (flags.verbose)
    fusion.print(llvm::errs(), *module);
  if (*stage == Stage::Target || *stage == Stage::Llvm) {
    llvm::FailureOr<std::string> text =
        printKernels(*module, isas[0], *stage == Stage::Target ? CpuStage::Target : CpuStage::Llvm);
    return failed(text) ? 1 : printText(*text);
  }
  return link();
}

} // namespace

int compileCommand(const Invocation &invocation) {
  CompileFlags flags;
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
  registerDefaultTimingManagerCLOptions();
  if (!parseFlags(invocation, "Compiles a model into an executable.\n"))
    return 2;
  return Compilation(invocation, flags).run();
}

} // namespace sinter
