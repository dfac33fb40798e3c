// SPDX-License-Identifier: Apache-2.0
// sinter tokenizer train: a tokenizer from text.
#include "compiler/commands/Commands.h"
#include "compiler/commands/Progress.h"
#include "compiler/commands/ThreadsFlag.h"
#include "runtime/data/TrainTokenizer.h"
#include "runtime/files/AtomicFile.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;

namespace sinter {
namespace {

int report(const Error &error) {
  llvm::errs() << "error: " << error.message << "\n";
  return 1;
}

Result<> writeFolder(const std::string &folder, const data::TrainedTokenizer &trained,
                     const data::TokenizerTraining &training) {
  if (std::error_code code = llvm::sys::fs::create_directories(folder, true, llvm::sys::fs::all_all))
    return fail("{}: {}", folder, code.message());
  for (auto [name, text] :
       {std::pair("tokenizer_config.json", data::makeTokenizerConfigJson(trained.vocabulary)),
        std::pair("tokenizer.json", data::makeTokenizerJson(trained.vocabulary, training))}) {
    Result<AtomicFile> file = AtomicFile::create(folder + "/" + name);
    if (!file)
      return tl::unexpected(file.error());
    if (Result<> written = file->write(text); !written)
      return written;
    if (Result<> done = file->commit(); !done)
      return done;
  }
  return {};
}

int train(const Invocation &invocation) {
  cl::OptionCategory category("sinter tokenizer train");
  cl::list<std::string> names(cl::Positional, cl::desc("FILES or folders (-: standard input)"), cl::OneOrMore,
                              cl::cat(category));
  cl::opt<unsigned> size("vocab-size", cl::desc("Bytes and merges; special tokens come on top"), cl::Required,
                         cl::cat(category));
  cl::opt<data::Splitting> pre(
      "pre", cl::desc("How text is split"),
      cl::values(clEnumValN(data::Splitting::Gpt2, "gpt2", "as GPT-2 does"),
                 clEnumValN(data::Splitting::Llama3, "llama3", "as Llama 3 does"),
                 clEnumValN(data::Splitting::Qwen2, "qwen2", "as Qwen 2 does, with NFC before")),
      cl::init(data::Splitting::Gpt2), cl::cat(category));
  cl::opt<bool> fallback("byte-fallback",
                         cl::desc("Characters, with a token a byte for those that do not occur"),
                         cl::cat(category));
  cl::opt<unsigned> alphabet("limit-alphabet",
                             cl::desc("With --byte-fallback: most characters kept (0: all)"), cl::init(0),
                             cl::cat(category));
  cl::opt<unsigned> frequency("min-frequency", cl::desc("Least frequency of a merge"), cl::init(0),
                              cl::cat(category));
  cl::list<std::string> special("special", cl::desc("Special token; give one flag a token"),
                                cl::cat(category));
  cl::opt<std::string> output("o", cl::desc("Folder for tokenizer.json"), cl::value_desc("folder"),
                              cl::Required, cl::cat(category));
  cl::opt<std::string> field("field", cl::desc("Member of .jsonl lines with the text"), cl::init("text"),
                             cl::cat(category));
  cl::opt<std::string> format("format", cl::desc("Format of named files: text, jsonl, wet"),
                              cl::cat(category));
  cl::opt<unsigned> memory("memory", cl::desc("Memory to use, in MiB"), cl::init(2048), cl::cat(category));
  ThreadsFlag threads(category);
  cl::opt<bool> quiet("q", cl::desc("Show no progress"), cl::cat(category));
  if (!parseFlags(invocation,
                  "Trains a byte-level BPE tokenizer, with the merges of Hugging Face's trainer.\n"))
    return 2;
  if (alphabet && !fallback) {
    llvm::errs() << "error: --limit-alphabet: expected --byte-fallback beside it, found none\n";
    return 2;
  }
  if (llvm::is_contained(special, "")) {
    llvm::errs() << "error: --special: expected a token, found an empty one\n";
    return 2;
  }
  data::TokenizerTraining training;
  Result<std::vector<data::Input>> inputs = data::findInputs(names, format);
  if (!inputs)
    return report(inputs.error());
  training.inputs = std::move(*inputs);
  training.field = field;
  training.splitting = pre;
  training.bpe.vocabularySize = size;
  training.bpe.special.assign(special.begin(), special.end());
  training.bpe.byteFallback = fallback;
  training.bpe.alphabetLimit = alphabet;
  training.bpe.minFrequency = frequency;
  training.memory = size_t(memory) << 20;
  training.threads = threads.count();
  Progress progress(quiet);
  training.progress = [&](std::string_view what, uint64_t done, uint64_t of) {
    progress.show(what, done, of);
  };
  Result<data::TrainedTokenizer> trained = data::trainTokenizer(training);
  progress.clear();
  if (!trained)
    return report(trained.error());
  if (Result<> written = writeFolder(output, *trained, training); !written)
    return report(written.error());
  for (const std::string &note : trained->notes)
    llvm::errs() << "note: " << note << "\n";
  if (trained->repaired)
    llvm::errs() << "note: " << trained->repaired << " ill-formed parts of UTF-8 were read as U+FFFD\n";
  if (trained->badLines)
    llvm::errs() << "note: " << trained->badLines << " lines were skipped; the first: " << trained->firstBad
                 << "\n";
  size_t tokens = trained->vocabulary.tokens.size(), wanted = size + trained->vocabulary.special;
  if (tokens < wanted)
    llvm::errs() << "note: expected " << wanted << " tokens, found text for " << tokens << " only\n";
  if (!quiet)
    llvm::outs() << tokens << " tokens from " << trained->bytes << " bytes, " << trained->words
                 << " different words\n";
  return 0;
}

} // namespace

int tokenizerCommand(const Invocation &invocation) {
  llvm::StringRef verb = invocation.arguments.size() > 1 ? invocation.arguments[1] : "";
  if (verb == "train")
    return train(dropVerb(invocation, "sinter tokenizer train"));
  llvm::raw_ostream &stream = verb == "--help" ? llvm::outs() : llvm::errs();
  if (verb != "--help")
    stream << "sinter tokenizer: expected train, found "
           << (verb.empty() ? "nothing" : "'" + verb.str() + "'") << "\n";
  stream << "usage: sinter tokenizer train FILES... --vocab-size N -o FOLDER\n\nsinter tokenizer train "
            "--help says more.\n";
  return verb == "--help" ? 0 : 2;
}

} // namespace sinter
