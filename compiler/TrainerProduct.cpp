// SPDX-License-Identifier: Apache-2.0
// The training step as an executable: kernels, tables, the texts that a folder of the model needs, and the
// parameters to start from where the model has some.
#include "compiler/Compilation.h"

#include "compiler/AdapterConfig.h"
#include "compiler/ConfigOfTraining.h"
#include "compiler/Executable.h"
#include "compiler/ModelData.h"
#include "compiler/TrainerTable.h"
#include "compiler/WeightImage.h"
#include "runtime/data/TokenizerFiles.h"
#include "runtime/files/MappedFile.h"

#include "llvm/IR/Module.h"

#include <algorithm>
#include <filesystem>

using namespace mlir;

namespace sinter {
namespace {

/// The configurations of the model's folder and what makes its tokenizer, or the configuration alone.
Result<data::NamedTexts> readFiles(const std::string &model) {
  namespace fs = std::filesystem;
  bool isFolder = fs::is_directory(model);
  data::NamedTexts files;
  for (const char *name : {"config.json", "generation_config.json"}) {
    std::string path = isFolder ? (fs::path(model) / name).string() : model;
    if (isFolder ? !fs::exists(path) : std::string_view(name) != "config.json")
      continue;
    Result<MappedFile> file = MappedFile::open(path);
    if (!file)
      return tl::unexpected(file.error());
    files.emplace_back(name, file->text());
  }
  if (!isFolder)
    return files;
  Result<data::NamedTexts> tokenizer = data::readTokenizerFiles(model);
  if (!tokenizer)
    return tl::unexpected(tokenizer.error());
  std::ranges::move(*tokenizer, std::back_inserter(files));
  return files;
}

} // namespace

Result<> Compilation::completeTraining() {
  PipelineOptions &pipeline = options.pipeline;
  constexpr int64_t mostRows = int64_t(1) << 31; // each chunk of the loss is launches of its own
  if (pipeline.batch > mostRows / pipeline.sequence)
    return fail("--batch, --seq: expected a micro-batch of at most {} tokens, found {} sequences of {}",
                mostRows, pipeline.batch, pipeline.sequence);
  const int64_t positions = model->config.learnedPositions - model->config.positionOffset;
  if (model->config.learnedPositions > 0 && pipeline.sequence > positions)
    return fail("{}: expected sequences of at most {} tokens, the model's positions, found --seq {}",
                model->path, positions, pipeline.sequence);
  if (pipeline.routerCoefficient < 0) {
    Result<double> coefficient = routerCoefficientOf(*model);
    if (!coefficient)
      return tl::unexpected(coefficient.error());
    pipeline.routerCoefficient = *coefficient;
  }
  if (pipeline.routerCoefficient > 0 && model->config.experts == 0)
    return fail("{}: expected a mixture of experts for --router-aux-loss, found a model without",
                model->path);
  if (pipeline.adapterRank > 0) {
    if (!model->weights)
      return fail("{}: expected a model with weights for --lora, found a configuration alone", model->path);
    pipeline.adapterPrefix = adapterPrefix(*model);
  }
  Result<TrainingDropout> dropout = dropoutOf(*model, pipeline.dropout);
  if (!dropout)
    return tl::unexpected(dropout.error());
  model->config.dropout = dropout->rates;
  dropoutKeys = std::move(dropout->keys);
  return {};
}

Result<std::vector<ObjectFile>> Compilation::makeTrainerObjects() {
  if (model->gguf)
    return fail("{}: expected a folder or a config.json to train, found a GGUF file; make a folder of it by "
                "sinter export",
                options.model);
  announce("compiling kernels");
  llvm::FailureOr<CpuKernels> kernels =
      compileKernels(*module, {options.isas, options.threads, /*sharesCode=*/true});
  if (failed(kernels))
    return fail("{}: expected kernels that compile", options.model);
  std::vector<GpuCode> gpus;
  if (!options.gpus.empty()) {
    Result<std::vector<GpuCode>> code = makeGpuCode();
    if (!code)
      return tl::unexpected(code.error());
    gpus = std::move(*code);
  }
  announce("making tables");
  placement = placeParameters(*module);
  TrainerTableInput table;
  table.module = *module;
  table.gpus = std::move(gpus);
  if (Result<LinkTree> tree = LinkTree::find(options.program); tree && !table.gpus.empty())
    table.emulatorFolder = tree->libraries();
  table.isas = isaSuffixes(options.isas);
  table.scratchBytes = kernels->scratchBytes;
  table.name = model->config.name;
  table.batch = options.pipeline.batch;
  table.sequence = options.pipeline.sequence;
  table.vocabulary = model->config.vocabulary;
  table.context = model->config.contextLength;
  table.hasInitial = model->weights.has_value();
  Result<Initialisation> start = initialisationOf(*model);
  if (!start)
    return tl::unexpected(start.error());
  table.initialisation = *start;
  table.dropout = options.pipeline.dropout;
  table.dropoutKeys = dropoutKeys;
  table.recomputes = options.pipeline.recompute;
  Result<data::NamedTexts> files = readFiles(model->path);
  if (!files)
    return tl::unexpected(files.error());
  table.files = std::move(*files);
  bool hasTokenizer = llvm::any_of(table.files, [](const auto &file) {
    return file.first == "tokenizer.json" || file.first == "tokenizer.model";
  });
  if (hasTokenizer) {
    Result<ModelTokenizer> tokenizer = readModelTokenizer(*model, options.threads);
    if (!tokenizer)
      return tl::unexpected(tokenizer.error());
    table.tokenizer = std::move(tokenizer->tables);
    if (model->weights)
      table.metadata = makeMetadata(*model, tokenizer->spec, tokenizer->chatTemplate, "", "");
  }
  table.dtype = options.pipeline.roundProducts ? "bf16" : "f32";
  if (options.pipeline.adapterRank > 0) {
    const std::string &base = options.base.empty() ? options.model : options.base;
    table.adapterRank = options.pipeline.adapterRank;
    table.adapterAlpha = options.pipeline.adapterAlpha;
    table.adapterTargets = adapterTargets(options.pipeline);
    table.adapterConfig =
        makeAdapterConfig(*module, options.pipeline, std::filesystem::absolute(base).lexically_normal());
  }
  llvm::LLVMContext llvmContext;
  std::vector<ObjectFile> objects = std::move(kernels->objects);
  objects.push_back(compileObject(*makeTrainerTable(table, llvmContext), "trainer"));
  return objects;
}

bool Compilation::writeTrainer() {
  Result<std::vector<ObjectFile>> objects = makeTrainerObjects();
  if (!objects)
    return report(objects.error());
  announce("linking");
  Result<LinkTree> tree = LinkTree::find(options.program);
  if (!tree)
    return report(tree.error());
  Result<> written =
      linkExecutable(*tree, *objects, model->weights ? weightImage() : WeightImage(),
                     options.gpus.empty() ? Linkage::Static : Linkage::DynamicTrainer, options.output);
  return finish(written);
}

} // namespace sinter
