// SPDX-License-Identifier: Apache-2.0
// The stages in order, then the product.
#include "compiler/Compilation.h"

#include "compiler/Executable.h"
#include "compiler/FusionReport.h"
#include "compiler/GpuProduct.h"
#include "compiler/KernelProduct.h"
#include "compiler/KernelTable.h"
#include "compiler/Library.h"
#include "compiler/ModelData.h"
#include "compiler/OutputFolder.h"
#include "compiler/Pipeline.h"
#include "compiler/TrainerTable.h"
#include "compiler/WeightImage.h"
#include "passes/Passes.h"
#include "passes/lowering/CpuPipeline.h"
#include "runtime/files/Utf8.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <filesystem>
#include <unistd.h>

using namespace mlir;

namespace sinter {

/// Also warnings, which MLIR leaves out without a handler. What is said of a model's files names them, so
/// that the name that stands for their place is left out.
static void printDiagnostic(Diagnostic &diagnostic) {
  llvm::raw_ostream &stream = llvm::errs();
  if (!isa<NameLoc>(diagnostic.getLocation()))
    stream << diagnostic.getLocation() << ": ";
  stream << (diagnostic.getSeverity() == DiagnosticSeverity::Error     ? "error: "
             : diagnostic.getSeverity() == DiagnosticSeverity::Warning ? "warning: "
                                                                       : "note: ")
         << diagnostic << "\n";
  for (Diagnostic &note : diagnostic.getNotes())
    printDiagnostic(note);
}

Compilation::Compilation(CompileOptions given) : options(std::move(given)) {
  DialectRegistry registry;
  registerCpuLowering(registry);
  registry.insert<func::FuncDialect, lm::LmDialect, kernel::KernelDialect>();
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  context.getDiagEngine().registerHandler(printDiagnostic);
}

bool Compilation::report(const Error &error) {
  llvm::errs() << "error: " << error.message << "\n";
  return false;
}

/// With -v a line a stage; on a terminal one line that changes.
void Compilation::announce(llvm::StringRef what) {
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (options.verbose)
    llvm::errs() << llvm::format("%7.3f s  ", seconds) << what << "\n";
  else if (llvm::errs().is_displayed())
    llvm::errs() << "\r\033[K" << what << (what == "done" ? "\n" : " ...");
}

bool Compilation::runPasses(Stage stage) {
  PassManager passes(&context);
  if (failed(applyPassManagerCLOptions(passes)))
    return false;
  applyDefaultTimingPassManagerCLOptions(passes);
  addStage(passes, stage, options.pipeline);
  return succeeded(passes.run(*module));
}

bool Compilation::printText(llvm::StringRef text) {
  if (options.output == "-") {
    llvm::raw_fd_ostream stream(STDOUT_FILENO, /*shouldClose=*/false);
    stream << text;
    stream.flush();
    std::error_code code = stream.error();
    stream.clear_error();
    return code ? report({"standard output: " + code.message()}) : true;
  }
  Result<AtomicFile> file = AtomicFile::create(options.output);
  Result<> written = file ? file->write(std::string_view(text)) : tl::unexpected(file.error());
  if (written)
    written = file->commit();
  return written ? true : report(written.error());
}

bool Compilation::printModule() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream);
  stream << "\n";
  return printText(text);
}

Result<std::vector<ObjectFile>> Compilation::makeObjects() {
  announce("reading the tokenizer"); // before what takes long, as it may be refused
  Result<ModelTokenizer> tokenizer = readModelTokenizer(*model, options.threads);
  if (!tokenizer)
    return tl::unexpected(tokenizer.error());
  announce("compiling kernels");
  llvm::FailureOr<CpuKernels> kernels =
      compileKernels(*module, {options.isas, options.threads, /*sharesCode=*/true});
  if (failed(kernels))
    return fail("{}: expected kernels that compile", options.model);

  announce("placing weights");
  placement = placeWeights(*module);
  if (Result<> written = writeWeightsOutside(); !written)
    return tl::unexpected(written.error());
  std::string weightsPath =
      weightsFile ? std::filesystem::absolute(options.weightsFile).lexically_normal() : "";
  ModelTableInput table;
  std::string emulatorFolder;
  if (!options.gpus.empty()) {
    Result<std::vector<GpuCode>> code = makeGpuCode();
    if (!code)
      return tl::unexpected(code.error());
    table.gpus = std::move(*code);
    if (Result<LinkTree> tree = LinkTree::find(options.program))
      emulatorFolder = tree->libraries();
  }
  table.module = *module;
  table.isas = isaSuffixes(options.isas);
  table.scratchBytes = kernels->scratchBytes;
  table.weights = placement;
  table.weightsInFile = weightsFile.has_value();
  table.name = model->config.name;
  table.context = model->config.contextLength;
  for (const Rope &rope : model->config.ropes)
    if (rope.dynamic) // made to go beyond: as far as the factor says
      table.context = std::max<int64_t>(table.context, rope.dynamic->length * rope.dynamic->factor);
  table.tokenizer = std::move(tokenizer->tables);
  table.metadata =
      makeMetadata(*model, tokenizer->spec, tokenizer->chatTemplate, weightsPath, emulatorFolder);

  llvm::LLVMContext llvmContext;
  std::vector<ObjectFile> objects = std::move(kernels->objects);
  objects.push_back(compileObject(*makeModelTable(table, llvmContext), "model"));
  return objects;
}

/// Files of kernels have no parts of K that go through device memory: who calls them would have to bring it.
CudaOptions Compilation::cudaOptions(gpu::Architecture architecture) const {
  bool isProduct = options.stage != Stage::Ptx && options.stage != Stage::Cubin;
  return {architecture, /*chooseSchedules=*/true, options.persistent,
          /*splits=*/isProduct && !options.pipeline.train};
}

Result<std::vector<GpuCode>> Compilation::makeGpuCode() {
  std::vector<GpuCode> all;
  Result<Ptxas> ptxas = Ptxas::find();
  for (gpu::Architecture architecture : options.gpus) {
    std::string name = gpu::nameOf(architecture).str();
    announce("compiling kernels for " + name);
    llvm::FailureOr<CudaKernels> kernels = compileCudaKernels(*module, cudaOptions(architecture));
    if (failed(kernels))
      return fail("{}: expected kernels that compile for {}", options.model, name);
    GpuCode code{architecture, std::move(*kernels), std::nullopt};
    if (ptxas && options.machineCode) {
      announce("assembling kernels for " + name);
      Result<Cubin> cubin = ptxas->assemble(code.kernels.ptx, name);
      if (!cubin)
        return tl::unexpected(cubin.error());
      code.cubin = std::move(*cubin);
    }
    all.push_back(std::move(code));
  }
  if (!ptxas && options.verbose)
    llvm::errs() << "without machine code for GPUs: " << ptxas.error().message << "\n";
  return all;
}

bool Compilation::printKernelTable() {
  Result<std::vector<GpuCode>> code = makeGpuCode();
  if (!code)
    return report(code.error());
  announce("counting one launch of each kernel");
  Result<std::string> text = options.json ? kernelJson(*module, *code) : kernelTable(*module, *code);
  if (!text)
    return report(text.error());
  announce("done");
  return printText(*text);
}

WeightImage Compilation::weightImage() {
  return {placement.size, [this](const ImageSink &sink) {
            return writeWeights(*module, placement, *model->weights, sink, options.threads);
          }};
}

/// --weights-file: the file gets its name when the product is there.
Result<> Compilation::writeWeightsOutside() {
  if (options.weightsFile.empty())
    return {};
  announce("writing weights");
  Result<WeightsFile> written = writeWeightsFile(options.weightsFile, weightImage());
  if (!written)
    return tl::unexpected(written.error());
  placement.hash = written->hash;
  weightsFile = std::move(written->file);
  return {};
}

/// What follows once the product was written, or was not.
bool Compilation::finish(Result<> written) {
  if (written && weightsFile)
    written = weightsFile->commit();
  if (!written)
    return report(written.error());
  announce("done");
  return true;
}

/// Puts the output's name in front of those of kernels, so that those of two models can be in one program.
bool Compilation::renameKernels() {
  std::string prefix = OutputFolder::nameOf(options.output) + "_";
  for (char &c : prefix)
    c = llvm::isAlnum(c) ? c : '_';
  if (!llvm::isAlpha(prefix.front())) // C takes no name that begins with a digit, and keeps `__` for itself
    prefix = "kernels_" + prefix;
  SymbolTable symbols(*module);
  for (auto function : llvm::to_vector(module->getOps<kernel::FuncOp>()))
    if (failed(symbols.rename(function, (prefix + function.getName()).str())))
      return false;
  return true;
}

/// --emit=ptx, cubin: kernels for GPUs, of each type of cache.
bool Compilation::writeGpuProduct() {
  GpuForm form = options.stage == Stage::Ptx ? GpuForm::Ptx : GpuForm::Cubin;
  if (form == GpuForm::Cubin) // known before anything is compiled
    if (Result<Ptxas> ptxas = Ptxas::find(); !ptxas)
      return report({"--emit=cubin: " + ptxas.error().message});
  if (!renameKernels())
    return false;
  Result<std::vector<GpuCode>> code = makeGpuCode();
  if (!code)
    return report(code.error());
  GpuProduct product;
  product.code = std::move(*code);
  for (auto function : module->getOps<kernel::FuncOp>())
    product.functions.push_back(makeKernelFunction(function, {}));
  placement = placeWeights(*module);
  product.model = modelManifest(*module, placement, model->config.name);
  if (Result<> written = writeWeightsOutside(); !written)
    return report(written.error());
  announce("writing kernels");
  Result<LinkTree> tree = LinkTree::find(options.program);
  Result<> written =
      tree ? writeGpuKernels(*tree, product, form, options.output) : tl::unexpected(tree.error());
  return finish(written);
}

/// --emit=objects.
bool Compilation::writeKernelProduct() {
  if (!renameKernels())
    return false;
  announce("compiling kernels");
  llvm::FailureOr<CpuKernels> kernels = compileKernels(*module, {options.isas, options.threads});
  if (failed(kernels))
    return false;
  KernelProduct product;
  for (auto function : module->getOps<kernel::FuncOp>()) {
    product.functions.push_back(makeKernelFunction(function, {}));
    product.functions.back().scratchBytes = kernels->scratchBytes.at(function.getName().str());
  }
  product.kernels = std::move(kernels->objects);
  product.isas = options.isas;
  placement = placeWeights(*module);
  product.model = modelManifest(*module, placement, model->config.name);
  if (Result<> written = writeWeightsOutside(); !written)
    return report(written.error());
  announce("linking");
  Result<LinkTree> tree = LinkTree::find(options.program);
  Result<> written = tree ? writeKernels(*tree, product, options.output) : tl::unexpected(tree.error());
  return finish(written);
}

/// --emit=target, llvm: every version of the kernels that the target asks for. Several are cut apart by lines
/// with `-----`, as MLIR's tools read them: a version is a module of its own.
bool Compilation::printVersions() {
  bool target = options.stage == Stage::Target;
  std::string text;
  auto add = [&](llvm::StringRef version, bool several, const llvm::FailureOr<std::string> &kernels) {
    if (failed(kernels))
      return false;
    std::string comment = target ? "// " : "; ";
    if (several)
      text +=
          (text.empty() ? "" : "\n" + comment + "-----\n") + comment + "version for " + version.str() + "\n";
    text += *kernels;
    return true;
  };
  for (gpu::Architecture architecture : options.gpus)
    if (!add(gpu::nameOf(architecture), options.gpus.size() > 1,
             printCudaKernels(*module, cudaOptions(architecture),
                              target ? CudaStage::Target : CudaStage::Llvm)))
      return false;
  if (options.gpus.empty())
    for (cpu::Isa isa : options.isas)
      if (!add(cpu::nameOf(isa), options.isas.size() > 1,
               printKernels(*module, isa, target ? CpuStage::Target : CpuStage::Llvm)))
        return false;
  return printText(text);
}

bool Compilation::writeProduct() {
  Result<std::vector<ObjectFile>> objects = makeObjects();
  if (!objects)
    return report(objects.error());
  announce(weightsFile ? "linking" : "linking and writing weights");
  Result<LinkTree> tree = LinkTree::find(options.program);
  if (!tree)
    return report(tree.error());
  WeightImage inside = weightsFile ? WeightImage() : weightImage();
  Result<> written =
      options.stage == Stage::Library
          ? writeLibrary(*tree, *objects, inside, model->config.name, !options.gpus.empty(), options.output)
          : linkExecutable(*tree, *objects, inside, options.gpus.empty() ? Linkage::Static : Linkage::Dynamic,
                           options.output);
  return finish(written);
}

/// Fails where a result would take the place of a file of the model, or of the other result.
Result<> Compilation::checkOutputs() const {
  std::vector<std::string> files;
  if (model->weights)
    for (const Weight &weight : model->weights->weights())
      files.emplace_back(weight.file);
  std::error_code code;
  constexpr llvm::StringRef kinds[] = {".json", ".safetensors", ".model", ".jinja", ".txt", ".bin", ".gguf"};
  if (!llvm::sys::fs::is_directory(model->path))
    files.push_back(model->path);
  else
    for (llvm::sys::fs::directory_iterator file(model->path, code), end; file != end && !code;
         file.increment(code))
      if (llvm::is_contained(kinds, llvm::sys::path::extension(file->path())))
        files.push_back(file->path());
  for (const std::string &output : {options.output, options.weightsFile})
    for (const std::string &file : files)
      if (!output.empty() && llvm::sys::fs::equivalent(file, output))
        return fail("{}: expected an output that is no file of the model itself", output);
  auto whole = [&](const std::string &path) { return std::filesystem::weakly_canonical(path, code); };
  if (!options.weightsFile.empty() && whole(options.weightsFile) == whole(options.output))
    return fail("{}: expected another file for --weights-file than for -o", options.output);
  const std::string name = std::filesystem::path(options.weightsFile).filename();
  if (validUtf8Prefix(name) != name.size()) // the product remembers it, in JSON
    return fail("{}: expected a name in UTF-8 for --weights-file, found byte {:#04x}", options.weightsFile,
                static_cast<unsigned char>(name[validUtf8Prefix(name)]));
  return {};
}

/// Says which matrices --weights cannot cut into its blocks.
static void remarkOnOddRows(const Model &model) {
  if (!model.wanted || !model.weights)
    return;
  int64_t matrices = 0, odd = 0;
  const Weight *first = nullptr;
  for (const Weight *weight : model.weights->claimed()) {
    if (weight->shape.size() < 2)
      continue;
    ++matrices;
    if (storageFormat(*weight, model.wanted) == model.wanted)
      continue;
    ++odd;
    first = first ? first : weight;
  }
  if (first)
    llvm::errs() << llvm::formatv(
        "note: {0} of {1} matrices become F16, as their rows are no multiple of {2}'s "
        "block of {3} numbers (rows of '{4}' have {5})\n",
        odd, matrices, model.wanted->name, model.wanted->blockLength, first->name, first->rowLength());
}

bool Compilation::run() {
  announce("reading the model");
  bool train = options.pipeline.train;
  Result<Model> opened = openModel(options.model, train ? "f32" : options.weights);
  if (!opened)
    return report(opened.error());
  model = std::move(*opened);
  if (Result<> checked = checkOutputs(); !checked)
    return report(checked.error());
  if (train)
    if (Result<> completed = completeTraining(); !completed)
      return report(completed.error());
  module = importModel(context, *model);
  if (!module)
    return false;
  remarkOnOddRows(*model);
  FusionReport fusion;
  if (!train)
    fusion.addGraph(*module);
  for (Stage next : {Stage::Train, Stage::Fuse, Stage::Kernels, Stage::Memory}) {
    if (next == Stage::Train && !train)
      continue;
    if (options.stage < next)
      return printModule();
    announce(next == Stage::Train     ? "differentiating"
             : next == Stage::Fuse    ? "fusing"
             : next == Stage::Kernels ? "making kernels"
                                      : "planning memory");
    if (!runPasses(next))
      return false;
    if (next == Stage::Fuse && !train)
      fusion.addFused(*module);
  }
  if (options.stage == Stage::Memory)
    return printModule();
  if (options.verbose && train) {
    TrainingCost cost = costOfTraining(*module);
    llvm::errs() << llvm::format("%10.3f GFLOP a micro-step, %.1f MiB of activations, %llu launches\n",
                                 cost.flops / 1e9, cost.arenaBytes / 1048576.0,
                                 static_cast<unsigned long long>(cost.launches));
  } else if (options.verbose)
    fusion.print(llvm::errs(), *module);
  if (options.stage == Stage::Target || options.stage == Stage::Llvm)
    return printVersions();
  if (options.stage == Stage::KernelTable)
    return printKernelTable();
  if (train)
    return writeTrainer();
  bool isKernels =
      options.stage == Stage::Objects || options.stage == Stage::Ptx || options.stage == Stage::Cubin;
  if (!model->weights && (!isKernels || !options.weightsFile.empty()))
    return report({model->path + ": expected a model with weights, found a configuration alone"});
  if (options.stage == Stage::Objects)
    return writeKernelProduct();
  return isKernels ? writeGpuProduct() : writeProduct();
}

} // namespace sinter
