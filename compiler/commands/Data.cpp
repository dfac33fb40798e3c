// SPDX-License-Identifier: Apache-2.0
// sinter data clean and sinter data tokenize: from text to what training reads.
#include "compiler/commands/Commands.h"
#include "compiler/commands/Progress.h"
#include "compiler/commands/ThreadsFlag.h"
#include "frontend/tokenizer/FolderTokenizer.h"
#include "runtime/data/Clean.h"
#include "runtime/data/Filters.h"
#include "runtime/data/Hash.h"
#include "runtime/data/PersonalData.h"
#include "runtime/data/Tokenize.h"
#include "runtime/files/MappedFile.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
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

/// The flags that both commands have.
struct CommonFlags {
  cl::OptionCategory category{"sinter data"};
  cl::list<std::string> names{cl::Positional, cl::desc("INPUTS: files, folders, globs (-: standard input)"),
                              cl::OneOrMore, cl::cat(category)};
  cl::opt<std::string> output{
      "o", cl::desc("Folder to make; it must be new, empty, or of the same run interrupted"),
      cl::value_desc("folder"), cl::Required, cl::cat(category)};
  cl::opt<std::string> field{"field",
                             cl::desc("Member of .jsonl lines with the text (a.b: inside of objects)"),
                             cl::init("text"), cl::cat(category)};
  cl::opt<std::string> format{"format", cl::desc("Format of named files: text, jsonl, wet"),
                              cl::cat(category)};
  cl::opt<unsigned> memory{"memory", cl::desc("Memory to use, in MiB"), cl::init(2048), cl::cat(category)};
  ThreadsFlag threads{category};
  cl::opt<bool> quiet{"q", cl::desc("Show no progress"), cl::cat(category)};
};

/// What was skipped or converted: the first few by name, all by number.
void printNotes(const data::Tally &tally) {
  for (auto [example, count] : {std::pair("note", "notes"), std::pair("bad line", "bad lines")}) {
    auto at = tally.examples.find(example);
    if (at == tally.examples.end())
      continue;
    for (const std::string &text : at->second)
      llvm::errs() << "note: " << text << "\n";
    if (const uint64_t more = tally[count] - at->second.size(); more > 0 && count == llvm::StringRef("notes"))
      llvm::errs() << "note: and " << more << " notes more\n";
  }
  if (uint64_t bad = tally["bad lines"])
    llvm::errs() << "note: " << bad << " lines without a text were skipped\n";
}

/// "default,-c4-sentences": all, none, default, names, names behind a minus.
Result<uint64_t> parseFilters(llvm::StringRef list) {
  uint64_t all = (uint64_t(1) << data::filters().size()) - 1, on = 0;
  llvm::SmallVector<llvm::StringRef> items;
  list.split(items, ',', -1, false);
  if (!items.empty() && items[0].starts_with("-"))
    items.insert(items.begin(), "default");
  for (llvm::StringRef item : items) {
    bool off = item.consume_front("-");
    int index = data::findFilter(std::string_view(item));
    if (!off && item == "all") {
      on = all;
    } else if (!off && item == "none") {
      on = 0;
    } else if (!off && item == "default") {
      on = all & ~(uint64_t(1) << data::findFilter("c4-curly-bracket"));
    } else if (index >= 0) {
      on = off ? on & ~(uint64_t(1) << index) : on | uint64_t(1) << index;
    } else {
      std::string known;
      for (const data::Filter &filter : data::filters())
        known += (known.empty() ? "" : ", ") + std::string(filter.name);
      return fail("--filters: expected all, none, default or names of filters ({}), found '{}'", known,
                  item.str());
    }
  }
  return on;
}

Result<unsigned> parseMask(const std::vector<std::string> &kinds) {
  unsigned mask = 0;
  for (const std::string &kind : kinds) {
    auto at = llvm::find(data::personalNames, std::string_view(kind));
    if (kind == "all")
      mask = (1u << data::personalNames.size()) - 1;
    else if (at != data::personalNames.end())
      mask |= 1u << (at - data::personalNames.begin());
    else
      return fail("--mask: expected email, phone, card, key or all, found '{}'", kind);
  }
  return mask;
}

/// A folder that `sinter data clean` wrote has validation shards beside the training ones.
Result<std::vector<data::Input>> validationInputs(const std::vector<std::string> &names) {
  std::vector<data::Input> inputs;
  for (const std::string &name : names) {
    if (!llvm::sys::fs::exists(name + "/val-00000.jsonl.zst"))
      continue;
    Result<std::vector<data::Input>> more = data::findInputs({name + "/val-*.jsonl.zst"});
    if (!more)
      return more;
    inputs.insert(inputs.end(), more->begin(), more->end());
  }
  return inputs;
}

int clean(const Invocation &invocation) {
  CommonFlags flags;
  cl::OptionCategory &category = flags.category;
  cl::opt<std::string> filters(
      "filters",
      cl::desc("Quality filters: all, none, default (all but c4-curly-bracket), names; -name "
               "leaves one out"),
      cl::init("default"), cl::cat(category));
  cl::opt<bool> keepBoilerplate("keep-boilerplate", cl::desc("Keep lines of boilerplate"), cl::cat(category));
  cl::list<std::string> mask("mask", cl::desc("Personal data to mask: email, phone, card, key, all"),
                             cl::CommaSeparated, cl::cat(category));
  cl::list<std::string> languages("language", cl::desc("Languages to keep (en, zh, ...; und: unknown)"),
                                  cl::CommaSeparated, cl::cat(category));
  cl::opt<std::string> words("words", cl::desc("File of phrases; documents with one are dropped"),
                             cl::value_desc("file"), cl::cat(category));
  cl::opt<bool> exactOnly("exact-only", cl::desc("Drop equal documents only, no similar ones"),
                          cl::cat(category));
  cl::opt<double> threshold("threshold", cl::desc("Jaccard similarity from which documents are too similar"),
                            cl::init(0.8), cl::cat(category));
  cl::list<std::string> known("known", cl::desc("Folder of an earlier run: what it holds is dropped here"),
                              cl::cat(category));
  cl::opt<double> validation("val", cl::desc("Share of documents to hold out"), cl::init(0),
                             cl::cat(category));
  cl::opt<unsigned> shard("shard-size", cl::desc("MiB of text a shard"), cl::init(256), cl::cat(category));
  cl::opt<unsigned> level("level", cl::desc("Level of zstd, 1 to 19"), cl::init(3), cl::cat(category));
  if (!parseFlags(invocation,
                  "Cleans, filters and deduplicates text; writes .jsonl.zst shards and a report.\n"))
    return 2;
  auto usage = [](const std::string &what) {
    llvm::errs() << "error: " << shortened(what) << "\n";
    return 2;
  };
  if (!(validation >= 0 && validation < 1))
    return usage("--val: expected a share from 0 to below 1, found " + std::to_string(validation));
  if (!(threshold > 0 && threshold <= 1))
    return usage("--threshold: expected a similarity above 0 up to 1, found " + std::to_string(threshold));
  const std::vector<std::string_view> names = data::languageNames();
  for (const std::string &language : languages)
    if (!llvm::is_contained(names, language))
      return usage("--language: expected " + llvm::join(names, ", ") + ", found '" + language + "'");
  if (level < 1 || level > 19 || shard < 1 || flags.memory < 64)
    return usage("expected --level from 1 to 19, --shard-size from 1, --memory from 64");
  data::CleanOptions options;
  Result<uint64_t> on = parseFilters(filters.getValue());
  if (!on)
    return usage(on.error().message);
  Result<unsigned> kinds = parseMask(mask);
  if (!kinds)
    return usage(kinds.error().message);
  options.filters = *on;
  options.mask = *kinds;
  Result<std::vector<data::Input>> inputs = data::findInputs(flags.names, flags.format);
  if (!inputs)
    return report(inputs.error());
  options.inputs = std::move(*inputs);
  if (!known.empty()) {
    Result<std::vector<data::Input>> earlier = data::findInputs(known);
    if (!earlier)
      return report(earlier.error());
    options.known = std::move(*earlier);
    Result<std::vector<data::Input>> heldOut = validationInputs(known); // is what it holds, too
    if (!heldOut)
      return report(heldOut.error());
    llvm::append_range(options.known, *heldOut);
  }
  if (!words.empty()) {
    Result<data::WordList> list = data::WordList::read(words);
    if (!list)
      return report(list.error());
    options.words = std::move(*list);
  }
  options.output = flags.output;
  options.field = flags.field;
  options.boilerplate = !keepBoilerplate;
  options.languages.assign(languages.begin(), languages.end());
  options.near = !exactOnly;
  options.threshold = threshold;
  options.validation = validation;
  options.shardBytes = uint64_t(shard) << 20;
  options.level = int(level);
  options.memory = size_t(flags.memory) << 20;
  options.threads = flags.threads.count();
  Progress progress(flags.quiet);
  options.progress = [&](std::string_view what, uint64_t done, uint64_t of) {
    progress.show(what, done, of);
  };
  Result<data::Tally> tally = data::cleanData(options);
  progress.clear();
  if (!tally)
    return report(tally.error());
  if (uint64_t parts = (*tally)["cleaned invalid UTF-8"])
    llvm::errs() << "note: " << parts
                 << " ill-formed parts of UTF-8 became U+FFFD (text in another encoding?)\n";
  printNotes(*tally);
  if (!flags.quiet)
    llvm::outs() << (*tally)["in documents"] << " documents in, " << (*tally)["out train documents"]
                 << " for training, " << (*tally)["out val documents"] << " for validation; "
                 << (*tally)["duplicates equal"] << " equal and " << (*tally)["duplicates near"]
                 << " similar ones dropped; " << flags.output << "/report.html says more\n";
  return 0;
}

int tokenize(const Invocation &invocation) {
  CommonFlags flags;
  cl::opt<std::string> folder("tokenizer", cl::desc("Folder with tokenizer.json"), cl::value_desc("folder"),
                              cl::Required, cl::cat(flags.category));
  cl::opt<unsigned> shard("shard-tokens", cl::desc("Millions of tokens a shard"), cl::init(64),
                          cl::cat(flags.category));
  if (!parseFlags(invocation, "Turns documents into token shards for training.\n"))
    return 2;
  if (flags.memory < 64 || shard < 1) {
    llvm::errs() << "error: expected --memory from 64, --shard-tokens from 1\n";
    return 2;
  }
  data::TokenizeOptions options;
  Result<std::vector<data::Input>> train = data::findInputs(flags.names, flags.format);
  if (!train)
    return report(train.error());
  Result<std::vector<data::Input>> validation = validationInputs(flags.names);
  if (!validation)
    return report(validation.error());
  Result<TokenizerSpec> spec = readFolderTokenizer(folder);
  if (!spec)
    return report(spec.error());
  Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec);
  if (!tables)
    return report(tables.error());
  Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*tables)));
  if (!tokenizer)
    return report(tokenizer.error());
  options.tokenizerChecksum = data::hash64({reinterpret_cast<const char *>(tables->data()), tables->size()});
  Result<data::NamedTexts> files = data::readTokenizerFiles(folder);
  if (!files)
    return report(files.error());
  options.tokenizerFiles = std::move(*files);
  options.train = std::move(*train);
  options.validation = std::move(*validation);
  options.field = flags.field;
  options.output = flags.output;
  options.shardTokens = uint64_t(shard) * 1000000;
  options.memory = size_t(flags.memory) << 20;
  options.threads = flags.threads.count();
  Progress progress(flags.quiet);
  options.progress = [&](std::string_view what, uint64_t done, uint64_t of) {
    progress.show(what, done, of);
  };
  Result<data::Tally> tally = data::tokenizeData(*tokenizer, options);
  progress.clear();
  if (!tally)
    return report(tally.error());
  printNotes(*tally);
  if (!flags.quiet)
    for (const char *part : {"train", "val"})
      llvm::outs() << part << ": " << (*tally)[fmt::format("{} documents", part)] << " documents, "
                   << (*tally)[fmt::format("{} tokens", part)] << " tokens, "
                   << (*tally)[fmt::format("{} bytes", part)] << " bytes of text\n";
  return 0;
}

} // namespace

int dataCommand(const Invocation &invocation) {
  llvm::StringRef verb = invocation.arguments.size() > 1 ? invocation.arguments[1] : "";
  if (verb == "clean")
    return clean(dropVerb(invocation, "sinter data clean"));
  if (verb == "tokenize")
    return tokenize(dropVerb(invocation, "sinter data tokenize"));
  llvm::raw_ostream &stream = verb == "--help" ? llvm::outs() : llvm::errs();
  if (verb != "--help")
    stream << "sinter data: expected clean or tokenize, found "
           << (verb.empty() ? "nothing" : "'" + verb.str() + "'") << "\n";
  stream << "usage: sinter data clean INPUTS... -o FOLDER\n"
            "       sinter data tokenize INPUTS... --tokenizer FOLDER -o FOLDER\n\n"
            "sinter data clean --help and sinter data tokenize --help say more.\n";
  return verb == "--help" ? 0 : 2;
}

} // namespace sinter
