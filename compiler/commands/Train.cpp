// SPDX-License-Identifier: Apache-2.0
// sinter train: compiles the training step of a model into the folder of the run, and becomes it.
#include "compiler/AdapterConfig.h"
#include "compiler/Compilation.h"
#include "compiler/ModelData.h"
#include "compiler/commands/Commands.h"
#include "frontend/Export.h"
#include "frontend/tokenizer/FolderTokenizer.h"
#include "runtime/data/Hash.h"
#include "runtime/data/TokenizeChats.h"
#include "runtime/device/CpuFeatures.h"
#include "runtime/device/CudaDriver.h"
#include "runtime/files/AtomicFile.h"
#include "runtime/files/Json.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/files/MappedFile.h"
#include "runtime/training/RunFolder.h"
#include "runtime/training/RunOptions.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <filesystem>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;

namespace sinter {
namespace {

using training::TrainingOptions;

constexpr const char *description = "usage: sinter train MODEL --data PATH -o RUN [FLAGS]\n\nTrains MODEL, a "
                                    "config.json (from random weights), a folder "
                                    "or a GGUF file, on tokens of `sinter data tokenize`, or on chats "
                                    "(.jsonl lines with `messages`), of which only the "
                                    "answers are learnt.";

int report(const Error &error, int code) {
  llvm::errs() << "error: " << error.message << "\n"
               << (code == 2 ? "(sinter train --help lists the flags)\n" : "");
  return code;
}

/// What neither flags nor the run that goes on say.
void completeShape(TrainingOptions &options) {
  if (options.dropout.empty())
    options.dropout = "0";
  if (options.batch == 0)
    options.batch = 16;
  if (options.length == 0)
    options.length = 256;
  if (options.adapterRank > 0 && options.adapterAlpha == 0)
    options.adapterAlpha = training::usualAdapterAlpha(options.adapterRank);
  if (options.adapterRank > 0 && options.adapterTargets.empty())
    options.adapterTargets = "all-linear";
}

/// A number that changes with whatever the trainer is made from: the model's files, the shape, this program.
uint64_t keyOf(const std::string &model, const CompileOptions &options) {
  const PipelineOptions &pipeline = options.pipeline;
  std::string text =
      fmt::format("{} {} {} {} {} {} {} {} {}", pipeline.roundProducts, pipeline.batch, pipeline.sequence,
                  pipeline.routerCoefficient, pipeline.adapterRank, pipeline.adapterAlpha,
                  adapterTargets(pipeline), pipeline.dropout, pipeline.recompute);
  for (cpu::Isa isa : options.isas)
    text += " " + cpu::nameOf(isa).str();
  for (gpu::Architecture architecture : options.gpus)
    text += " " + gpu::nameOf(architecture).str();
  std::error_code code;
  const auto add = [&](const fs::path &path) {
    const auto time = fs::last_write_time(path, code).time_since_epoch().count();
    text += fmt::format("\n{} {} {}", fs::absolute(path, code).string(), fs::file_size(path, code), time);
  };
  add("/proc/self/exe");
  add(fs::read_symlink("/proc/self/exe", code));
  if (!fs::is_directory(model, code))
    add(model);
  std::vector<fs::path> files;
  for (const fs::directory_entry &entry : fs::directory_iterator(model, code))
    if (entry.is_regular_file(code))
      files.push_back(entry.path());
  std::ranges::sort(files);
  for (const fs::path &file : files)
    add(file);
  return data::hash64(text);
}

bool isCurrent(const std::string &trainer, const std::string &keyPath, const std::string &key) {
  std::error_code code;
  Result<MappedFile> found = MappedFile::open(keyPath);
  return found && found->text() == key && fs::exists(trainer, code);
}

/// Compiles `model` to RUN/trainer, unless that is there already. Gives false when the compiler has said why
/// not.
Result<bool> makeTrainer(const std::string &model, const training::RunFolder &run, CompileOptions options) {
  options.output = run.path("trainer");
  const std::string key = fmt::format("{:016x}\n", keyOf(model, options)), keyPath = run.path("trainer.key");
  if (isCurrent(options.output, keyPath, key))
    return true;
  // Of a GGUF file a folder is made first; what is needed of it is in the trainer afterwards.
  const std::string exported = run.path("trainer-model");
  std::error_code code;
  fs::remove_all(exported, code);
  options.model = options.base = model;
  if (llvm::StringRef(model).ends_with(".gguf")) {
    Result<Gguf> gguf = Gguf::open(model);
    Result<> done = gguf ? exportToHuggingFace(*gguf, exported) : tl::unexpected(gguf.error());
    if (!done) {
      fs::remove_all(exported, code);
      return tl::unexpected(done.error());
    }
    options.model = exported;
  }
  llvm::outs() << "compiling the training step of " << shortened(model) << "\n";
  llvm::outs().flush();
  const bool compiled = Compilation(std::move(options)).run();
  fs::remove_all(exported, code);
  if (!compiled)
    return false;
  Result<> written = run.write("trainer.key", key);
  return written ? Result<bool>(true) : tl::unexpected(written.error());
}

bool isChats(llvm::StringRef path) {
  return path.ends_with(".jsonl") || path.ends_with(".jsonl.gz") || path.ends_with(".jsonl.zst");
}

/// Chats as token shards in RUN/trainer-data, rendered and tokenized as the model will be asked. Gives that
/// folder.
Result<std::string> prepareChats(const std::string &modelPath, const TrainingOptions &options,
                                 const training::RunFolder &run) {
  Result<Model> model = openModel(modelPath);
  if (!model)
    return tl::unexpected(model.error());
  Result<ModelTokenizer> source = readModelTokenizer(*model, /*threads=*/1);
  if (!source)
    return tl::unexpected(source.error());
  if (source->chatTemplate.empty())
    return fail("{}: expected a model with a chat template to train on chats, found none", modelPath);
  Result<chat::Template> form = chat::Template::parse(source->chatTemplate);
  if (!form)
    return tl::unexpected(form.error());
  Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(source->tables)));
  if (!tokenizer)
    return tl::unexpected(tokenizer.error());
  data::ChatFormat format{*tokenizer, *form, source->spec.namedTokens()};

  const std::string folder = run.path("trainer-data");
  // A run that goes on is evaluated on the chats that it began with: its own flag names this folder.
  std::string validation = options.validation;
  std::error_code code;
  if (options.resume && (validation.empty() || fs::equivalent(validation, folder, code)))
    if (Result<Json> before = Json::read(folder + "/tokens.json"))
      validation = before->root()["val"].get<std::string>("source").value_or("");
  fs::remove_all(folder, code);
  fs::create_directory(folder, code);
  if (code)
    return fail("{}: cannot make the folder: {}", folder, code.message());
  JsonWriter list;
  list.beginObject().key("version").value(1);
  for (const auto &[part, path] : {std::pair("train", options.data), std::pair("val", validation)}) {
    list.key(part)
        .beginObject()
        .key("shards")
        .value(int(isChats(path)))
        .key("source")
        .value(path)
        .endObject();
    if (!isChats(path))
      continue;
    Result<std::vector<data::Input>> inputs = data::findInputs({path});
    if (!inputs)
      return tl::unexpected(inputs.error());
    Result<data::ChatCounts> counts = data::tokenizeChats(format, *inputs, options.length, folder, part);
    if (!counts)
      return tl::unexpected(counts.error());
    llvm::outs() << path << ": " << counts->chats << " chats, " << counts->tokens << " tokens, of which "
                 << counts->answers << " are learnt";
    if (counts->cut > 0)
      llvm::outs() << "; " << counts->cut << " chats were longer than " << options.length
                   << " tokens and are cut";
    llvm::outs() << "\n";
  }
  Result<AtomicFile> file = AtomicFile::create(folder + "/tokens.json");
  Result<> written = file ? file->write(list.endObject().take() + "\n") : tl::unexpected(file.error());
  if (written)
    written = file->commit();
  return written ? Result<std::string>(folder) : tl::unexpected(written.error());
}

/// Leaves the tokenizer of the tokens in the run, compiled, for the texts that a model without one writes.
Result<> prepareTokenizer(const TrainingOptions &options, const training::RunFolder &run) {
  const std::string folder = options.tokenizer.empty() ? options.data : options.tokenizer;
  std::error_code code;
  if (folder.empty() || !fs::exists(fs::path(folder) / "tokenizer.json", code))
    return {};
  Result<TokenizerSpec> spec = readFolderTokenizer(folder);
  if (!spec)
    return tl::unexpected(spec.error());
  Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec);
  if (!tables)
    return tl::unexpected(tables.error());
  return run.write("trainer.tokenizer", {reinterpret_cast<const char *>(tables->data()), tables->size()});
}

} // namespace

int trainCommand(const Invocation &invocation) {
  // Compilation asks for MLIR's own flags; here they keep their defaults.
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  std::string_view word;
  tl::expected<training::ParsedOptions, training::RefusedOptions> parsed = training::parseRunOptions(
      int(invocation.arguments.size()), invocation.arguments.data(), description, &word);
  if (!parsed)
    return report(parsed.error().error, parsed.error().code);
  if (parsed->options.help) {
    llvm::outs() << parsed->helpText << "\n";
    return 0;
  }
  TrainingOptions &options = parsed->options;
  const std::string model(word);
  if (model.empty())
    return report({"MODEL: expected a config.json, a folder or a GGUF file, found none"}, 2);
  completeShape(options);
  TrainingOptions complete = options;
  training::StepShape shape;
  shape.batch = options.batch;
  shape.length = options.length;
  shape.routerCoefficient = std::max(options.routerLoss, 0.0);
  std::vector<cpu::Isa> isas = CompileOptions().isas;
  if (const int best = device::detectIsa(); best >= 0)
    isas = {cpu::Isa(best)}; // it runs here
  const bool asBf16 = multipliesAsBf16(options.dtype, isas);
  shape.dtype = asBf16 ? "bf16" : "f32";
  shape.adapterRank = options.adapterRank;
  shape.adapterAlpha = options.adapterAlpha;
  shape.adapterTargets = options.adapterTargets;
  shape.dropout = options.dropout;
  shape.recomputes = options.recompute;
  if (Result<> good = options.resume ? Result<>() : training::completeOptions(complete, shape); !good)
    return report(good.error(), 2);
  if (options.output.empty())
    return report({"-o: expected the folder of the run, found none"}, 2);

  // Known before a minute is spent on kernels.
  if (options.device == "cuda")
    if (Result<std::shared_ptr<device::cuda::Driver>> driver = device::cuda::Driver::open("libcuda.so.1");
        !driver)
      return report({"--device cuda: " + driver.error().message}, 1);

  CompileOptions compile;
  compile.program = invocation.program;
  compile.stage = Stage::Executable;
  compile.pipeline.train = true;
  compile.pipeline.batch = options.batch;
  compile.pipeline.sequence = options.length;
  compile.pipeline.routerCoefficient = options.routerLoss;
  compile.pipeline.adapterRank = options.adapterRank;
  compile.pipeline.adapterAlpha = options.adapterAlpha;
  if (options.adapterRank > 0)
    compile.pipeline.adapterTargets =
        training::parseAdapterTargets(options.adapterTargets).value_or(std::vector<std::string>());
  compile.pipeline.dropout = options.dropout;
  compile.pipeline.recompute = options.recompute;
  compile.threads = std::max(1u, std::thread::hardware_concurrency());
  compile.isas = isas;
  compile.pipeline.roundProducts = asBf16;
  // The emulated GPU runs PTX of sm_80 whichever it is.
  compile.machineCode = options.device == "cuda";
  if (options.device == "cuda")
    compile.gpus = {gpu::Architecture::Sm90, gpu::Architecture::Sm80};
  else if (options.device == "emulator")
    compile.gpus = {gpu::Architecture::Sm80};
  compile.pipeline.gpu = !compile.gpus.empty();
  std::string trainer, chats;
  {
    Result<training::RunFolder> run = training::RunFolder::open(options.output, options.resume);
    if (!run)
      return report(run.error(), 1);
    Result<bool> made = makeTrainer(model, *run, std::move(compile));
    if (!made)
      return report(made.error(), 1);
    if (!*made)
      return 1;
    trainer = run->path("trainer");
    if (Result<> prepared = prepareTokenizer(options, *run); !prepared)
      return report(prepared.error(), 1);
    if (isChats(options.data)) {
      Result<std::string> prepared = prepareChats(model, options, *run);
      if (!prepared)
        return report(prepared.error(), 1);
      chats = *prepared;
    }
    run->keep();
  } // the lock is the trainer's now

  // The model's place is taken out; what the trainer was compiled for it knows.
  std::vector<const char *> arguments = {trainer.c_str()};
  for (const char *argument : invocation.arguments.drop_front())
    if (argument != word.data())
      arguments.push_back(argument);
  if (!chats.empty()) // what comes last counts
    arguments.insert(arguments.end(), {"--data", chats.c_str()});
  if (!chats.empty() && isChats(options.validation))
    arguments.insert(arguments.end(), {"--val-data", chats.c_str()});
  llvm::outs().flush();
  arguments.push_back(nullptr);
  ::execv(trainer.c_str(), const_cast<char *const *>(arguments.data()));
  return report({fmt::format("{}: cannot run it: {}", trainer, std::strerror(errno))}, 1);
}

} // namespace sinter
