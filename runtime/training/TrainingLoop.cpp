// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/TrainingLoop.h"
#include "runtime/data/TokenizerFiles.h"
#include "runtime/files/MappedFile.h"
#include "runtime/training/AppendFile.h"
#include "runtime/training/Batches.h"
#include "runtime/training/EventFile.h"
#include "runtime/training/RunReport.h"
#include "runtime/training/SampleText.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <numbers>

namespace fs = std::filesystem;

namespace sinter::training {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t spikeAfter = 20;   // steps before a loss can be a spike
constexpr double recentShare = 0.05; // of a step in the running mean of losses
constexpr int64_t mostBadSteps = 20; // skipped one after another before training stops after all

class Run {
public:
  Run(TrainingStep &step, const TrainingOptions &options, std::span<const ModelFile> files,
      TrainingView &view, const std::atomic<bool> &interrupt, const Tokenizer *tokenizer,
      uint64_t tokenizerChecksum, RunFolder folder)
      : step(step), options(options), files(files), view(view), interrupt(interrupt), tokenizer(tokenizer),
        tokenizerChecksum(tokenizerChecksum), folder(std::move(folder)), images(imagesOf(step)),
        schedule(options.scheduleOf()) {}

  Result<TrainingOutcome> run();

private:
  Result<> openData();
  Result<> checkTokenizer();
  Result<> collectFiles();
  Result<> begin();
  Result<bool> resume();
  Result<> checkConfiguration();
  Result<> checkFlags(const RunState &stored);
  Result<> openOutputs();
  Result<> doStep();
  Result<std::optional<std::string>> badStep(const StepMetrics &metrics);
  Result<> evaluate();
  Result<> sample();
  Result<> save();
  Result<> writeReport();
  bool hasAdapters() const { return !step.adapterConfig().empty(); }
  Result<> writeAdapters();
  double averageShare() const;
  /// What is offered as the model: the average, where one is kept.
  const NamedImage &saved() const { return images[step.averageImage().value_or(0)]; }
  std::string lastCheckpoint() const { return describeLastCheckpoint(folder.path()); }
  /// What a device said when it failed, with what is left of the run.
  tl::unexpected<Error> failed(const Error &error) const {
    return fail("step {}: {}; {}", state.step, error.message, lastCheckpoint());
  }

  TrainingStep &step;
  const TrainingOptions &options;
  std::span<const ModelFile> files;
  TrainingView &view;
  const std::atomic<bool> &interrupt;
  const Tokenizer *tokenizer;
  const uint64_t tokenizerChecksum;
  RunFolder folder;
  std::vector<NamedImage> images;
  Schedule schedule;
  std::optional<Batches> tokens, heldOut;
  data::NamedTexts contents; // of the model's files
  RunState state;
  std::optional<AppendFile> metrics;
  std::optional<EventFile> events;
  double peak = 0;
  int64_t savedStep = -1, badSteps = 0;
  bool isOwed = false;             // a checkpoint that was due behind a bad step
  std::vector<MicroBatch> batches; // of a step
};

bool isRaw(const std::string &path) { return path.ends_with(".u16") || path.ends_with(".u32"); }

Result<data::TokenStream> openStream(const std::string &path, const char *part) {
  return isRaw(path) ? data::TokenStream::openRaw(path) : data::TokenStream::open(path, part);
}

Result<> Run::openData() {
  const StepShape &shape = step.shape();
  const auto open = [&](const std::string &path, const char *part, const BatchOrder &order,
                        std::optional<Batches> &out) -> Result<> {
    Result<data::TokenStream> stream = openStream(path, part);
    if (!stream)
      return tl::unexpected(stream.error());
    Result<Batches> made = Batches::make(std::move(*stream), path, shape, order);
    if (!made)
      return tl::unexpected(made.error());
    out.emplace(std::move(*made));
    return {};
  };
  using Order = data::TokenStream::Order;
  BatchOrder order{options.shuffled ? Order::Shuffled : Order::Sequential, options.seed,
                   options.crossDocuments};
  if (Result<> opened = open(options.data, "train", order, tokens); !opened)
    return opened;
  order.order = Order::Sequential;
  if (!options.validation.empty())
    return open(options.validation, "val", order, heldOut);
  if (isRaw(options.data))
    return {};
  Result<data::TokenStream> part = openStream(options.data, "val");
  if (!part)
    return tl::unexpected(part.error());
  if (part->sequences(uint64_t(shape.length)) > 0)
    return open(options.data, "val", order, heldOut);
  if (part->tokens() > 0)
    view.note(fmt::format("{}: the {} tokens held out are less than a sequence: nothing is evaluated",
                          options.data, part->tokens()));
  return {};
}

/// Ids of another tokenizer are other words to a model that has its own. Tables may differ where the file is
/// the same (an end token that a configuration names), files where the tables are (spaces).
Result<> Run::checkTokenizer() {
  if (tokenizerChecksum == 0 || tokens->tokens().tokenizer() == 0 || !options.tokenizer.empty() ||
      tokens->tokens().tokenizer() == tokenizerChecksum)
    return {};
  Result<data::NamedTexts> theirs = data::readTokenizerFiles(options.data);
  if (!theirs)
    return tl::unexpected(theirs.error());
  for (const auto &[name, text] : *theirs)
    for (const ModelFile &file : files)
      if ((name == "tokenizer.json" || name == "tokenizer.model") && file.name == name &&
          file.contents == text)
        return {};
  return fail(
      "{0}: expected tokens of the model's tokenizer, found those of another (--tokenizer {0} gives the "
      "model theirs)",
      options.data);
}

Result<> Run::collectFiles() {
  for (const ModelFile &file : files)
    contents.emplace_back(file.name, file.contents);
  const auto hasTokenizer = [&] {
    return std::ranges::any_of(contents,
                               [](const auto &file) { return file.first.starts_with("tokenizer."); });
  };
  // The tokens know their tokenizer; --tokenizer says otherwise.
  std::string source = options.tokenizer;
  if (source.empty() && !isRaw(options.data) && !hasTokenizer())
    source = options.data;
  if (!source.empty()) {
    Result<data::NamedTexts> found = data::readTokenizerFiles(source);
    if (!found)
      return tl::unexpected(found.error());
    if (found->empty() && !options.tokenizer.empty())
      return fail("--tokenizer: expected a folder with tokenizer.json or tokenizer.model, found none in '{}'",
                  source);
    for (auto &[name, text] : *found) {
      std::erase_if(contents, [&](const auto &file) { return file.first == name; });
      contents.emplace_back(name, std::move(text));
    }
  }
  if (!hasTokenizer())
    view.note(fmt::format(
        "{} gets no tokenizer (--tokenizer DIR brings one): it will not compile before it has one",
        folder.path()));
  return {};
}

/// Where two texts first differ, as "line 3: expected '...', found '...'".
std::string firstDifference(std::string_view expected, std::string_view found) {
  size_t line = 1;
  while (true) {
    const std::string_view a = expected.substr(0, expected.find('\n')), b = found.substr(0, found.find('\n'));
    if (a != b || (a.size() == expected.size()) != (b.size() == found.size()) ||
        a.size() == expected.size()) {
      // All of a configuration may be one line: what stands around the difference is shown.
      const auto same = static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
      size_t begin = same < 40 ? 0 : same - 40;
      while (begin > 0 && (static_cast<unsigned char>(a[begin]) & 0xC0) == 0x80)
        --begin;
      const std::string_view cut = begin > 0 ? "..." : "";
      return fmt::format("line {}: expected '{}{}', found '{}{}'", line, cut, a.substr(begin, 100), cut,
                         b.substr(begin, 100));
    }
    expected.remove_prefix(a.size() + 1);
    found.remove_prefix(b.size() + 1);
    ++line;
  }
}

Result<> Run::checkConfiguration() {
  for (const ModelFile &file : files) {
    if (file.name != "config.json" || !fs::exists(folder.path(file.name)))
      continue;
    Result<MappedFile> there = MappedFile::open(folder.path(file.name));
    if (!there)
      return tl::unexpected(there.error());
    if (there->text() != file.contents)
      return fail("--resume: expected the configuration of the run, {}, found another: {}", there->path(),
                  firstDifference(there->text(), file.contents));
  }
  return {};
}

Result<> Run::checkFlags(const RunState &stored) {
  for (const FlagValue &flag : flagValues(options)) {
    auto known = std::ranges::find(stored.flags, flag.name, &std::pair<std::string, std::string>::first);
    const std::string was = known == stored.flags.end() ? "none" : known->second;
    if (was == flag.value)
      continue;
    if (flag.fixed)
      return fail("--resume: expected {} {}, as the run began with, found {}", flag.name, was, flag.value);
    if (flag.name != "--data")
      view.note(fmt::format("{} was {}, is {} from here on", flag.name, was, flag.value));
  }
  // After the flags: sequences of another length are other tokens, too.
  if (stored.data != tokens->fingerprint())
    return fail("--resume: expected the tokens of the run, found others in '{}'", options.data);
  if (stored.base != step.baseFingerprint())
    return fail(
        "--resume: expected the model whose weights the adapters of the run are beside, found other weights");
  return {};
}

Result<bool> Run::resume() {
  removeUnfinishedCheckpoints(folder.path());
  if (Result<> same = checkConfiguration(); !same)
    return tl::unexpected(same.error());
  const std::vector<FoundCheckpoint> all = findCheckpoints(folder.path());
  for (const FoundCheckpoint &found : all) {
    Result<StoredState> stored = readState(found.folder);
    if (stored) {
      if (Result<> same = checkFlags(stored->state); !same)
        return tl::unexpected(same.error());
      if (Result<> read = readImages(found.folder, *stored, step, images); !read)
        stored = tl::unexpected(read.error());
      for (size_t i = 0; stored && i < step.images(); ++i)
        if (Result<> kept = step.store(i); !kept)
          return tl::unexpected(kept.error());
    }
    if (!stored) {
      // Weights and metrics of hours are not written over because a disk or a version went wrong.
      if (&found == &all.back())
        return fail("{}; expected a checkpoint that can be read, found none: without {}/checkpoints --resume "
                    "starts at step 0",
                    stored.error().message, folder.path());
      view.note(fmt::format("{}; the checkpoint before it is taken", stored.error().message));
      continue;
    }
    state = std::move(stored->state);
    savedStep = state.step;
    view.note(fmt::format("going on from {}", found.folder));
    return true;
  }
  view.note(fmt::format("{}: no finished checkpoint, starting at step 0", folder.path()));
  return false;
}

Result<> Run::begin() {
  bool resumed = false;
  if (options.resume) {
    Result<bool> found = resume();
    if (!found)
      return tl::unexpected(found.error());
    resumed = *found;
  }
  if (!resumed) {
    if (Result<> drawn = step.initialise(options.seed); !drawn)
      return drawn;
    for (size_t i = 1; i < step.images(); ++i) {
      if (step.averageImage() == i)
        std::ranges::copy(step.image(0), step.image(i).begin());
      else
        std::ranges::fill(step.image(i), 0.0f);
      if (Result<> stored = step.store(i); !stored)
        return stored;
    }
    state = {};
    state.base = step.baseFingerprint();
  }
  state.data = tokens->fingerprint();
  state.flags.clear();
  for (const FlagValue &flag : flagValues(options))
    state.flags.emplace_back(flag.name, flag.value);
  for (const auto &[name, text] : contents)
    if (Result<> written = folder.write(name, text); !written)
      return written;
  if (Result<> written = writeModel(step, saved().image, folder.path("model.safetensors"), options.saveType);
      !written)
    return written;
  if (hasAdapters())
    if (Result<> written = writeAdapters(); !written)
      return written;
  return truncateMetrics(folder.path("metrics.jsonl"), resumed ? state.step : -1);
}

/// RUN/adapter, as PEFT reads it.
Result<> Run::writeAdapters() {
  std::error_code code;
  fs::create_directory(folder.path("adapter"), code);
  if (code)
    return fail("{}: cannot make the folder: {}", folder.path("adapter"), code.message());
  Result<uint64_t> written =
      writeImage(step, saved().image, folder.path("adapter/adapter_model.safetensors"), "f32");
  return written ? folder.write("adapter/adapter_config.json", step.adapterConfig())
                 : tl::unexpected(written.error());
}

Result<> Run::openOutputs() {
  Result<AppendFile> file = AppendFile::open(folder.path("metrics.jsonl"));
  if (!file)
    return tl::unexpected(file.error());
  metrics.emplace(std::move(*file));
  Result<EventFile> board = EventFile::create(folder.path("tensorboard"), state.step);
  if (!board)
    return tl::unexpected(board.error());
  events.emplace(std::move(*board));
  return {};
}

/// Of the weights behind update `state.updates` in their average. Early weights are soon forgotten: the decay
/// grows to what was asked for.
double Run::averageShare() const {
  const double count = double(state.updates);
  return 1 - std::min(options.average, (1 + count) / (10 + count));
}

/// What is wrong with a step, if anything is.
Result<std::optional<std::string>> Run::badStep(const StepMetrics &done) {
  std::string what;
  if (!std::isfinite(done.loss) || !std::isfinite(done.norm)) {
    const std::optional<size_t> tensor = step.findBadGradient();
    what = fmt::format("loss {} and gradient norm {} are not both finite{}", done.loss, done.norm,
                       tensor ? fmt::format(", the gradient of {} is not", step.tensors()[*tensor].name)
                              : ", though each gradient is");
  } else if (options.spike > 0 && state.recentSteps >= spikeAfter &&
             done.loss > state.recentLoss + options.spike) {
    what = fmt::format("the loss {:.4f} is over {} nats above the recent mean, {:.4f}", done.loss,
                       options.spike, state.recentLoss);
  } else {
    badSteps = 0;
    return std::nullopt;
  }
  what = fmt::format("step {}: {}", done.step, what);
  if (options.skipBadSteps && ++badSteps < mostBadSteps)
    return what;
  return fail(
      "{}{}; {}", what,
      options.skipBadSteps ? fmt::format(", and {} steps before it were skipped", badSteps - 1)
                           : " (--on-nan=skip leaves such steps out)",
      describeLastCheckpoint(folder.path(), options.skipBadSteps ? done.step - badSteps + 1 : done.step));
}

Result<> Run::doStep() {
  const auto start = Clock::now();
  const StepShape &shape = step.shape();
  // The gradient is that of the mean over all tokens of the step, so they are counted first.
  int64_t counted = 0;
  batches.resize(size_t(options.accumulate));
  for (int64_t i = 0; i < options.accumulate; ++i) {
    tokens->read(state.step * options.accumulate + i, batches[size_t(i)]);
    counted += batches[size_t(i)].counted;
  }
  if (counted == 0)
    return fail("step {}: expected tokens to learn, found none in its {} sequences", state.step,
                options.accumulate * shape.batch);
  double sum = 0, router = 0;
  for (int64_t i = 0; i < options.accumulate; ++i) {
    const uint64_t seed = options.seed * 0x9E3779B97F4A7C15u + uint64_t(state.step * options.accumulate + i);
    const Result<double> own = step.microStep(batches[size_t(i)], counted, i == 0, seed);
    if (!own)
      return failed(own.error());
    sum += *own;
    router += step.routerLoss() * double(batches[size_t(i)].counted) / double(counted);
  }
  const Result<double> norm = step.gradientNorm();
  if (!norm)
    return failed(norm.error());
  StepMetrics done{.step = state.step,
                   .loss = sum / double(counted),
                   .norm = *norm,
                   .rate = schedule.at(state.step),
                   .ms = 0,
                   .tokensPerSecond = 0};
  if (shape.routerCoefficient > 0) {
    done.routerLoss = router;
    done.loss += shape.routerCoefficient * router;
  }
  Result<std::optional<std::string>> bad = badStep(done);
  if (bad && !*bad) {
    const double share = options.rate > 0 ? done.rate / options.rate : 0;
    ++state.updates;
    const UpdateSettings settings = {.rate = done.rate,
                                     .beta1 = options.beta1,
                                     .beta2 = options.beta2,
                                     .epsilon = options.epsilon,
                                     .weightDecay = options.weightDecay,
                                     .clip = options.clip,
                                     .muonRate = options.muonRate * share,
                                     .number = state.updates,
                                     .averageShare = averageShare()};
    if (Result<> moved = step.update(settings, done.norm); !moved)
      return failed(moved.error());
    state.recentLoss =
        state.recentSteps == 0 ? done.loss : state.recentLoss + recentShare * (done.loss - state.recentLoss);
    ++state.recentSteps;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  done.ms = seconds * 1e3;
  done.tokensPerSecond = double(options.accumulate * shape.rows()) / seconds;
  if (Result<> written = metrics->append(metricsLine(done)); !written)
    return fail("{}; {}", written.error().message, lastCheckpoint());
  if (!bad)
    return tl::unexpected(bad.error());
  if (*bad)
    view.note(**bad + ": skipped");
  view.stepDone(done, peak > 0 ? shape.flops * double(options.accumulate) / seconds / peak : 0);
  std::vector<Scalar> scalars = {{"train/loss", done.loss},
                                 {"train/grad_norm", done.norm},
                                 {"train/lr", done.rate},
                                 {"train/tokens_per_s", done.tokensPerSecond}};
  if (done.routerLoss)
    scalars.push_back({"train/router_loss", *done.routerLoss});
  if (Result<> written = events->add(done.step, scalars); !written)
    return fail("{}; {}", written.error().message, lastCheckpoint());
  ++state.step;
  state.validation.reset();
  return {};
}

Result<> Run::evaluate() {
  int64_t count = heldOut->batches();
  if (options.evaluationBatches > 0)
    count = std::min(count, options.evaluationBatches);
  // What is saved is what is measured.
  if (Result<> swapped = step.exchangeAverage(); !swapped)
    return failed(swapped.error());
  double sum = 0;
  int64_t counted = 0;
  MicroBatch batch;
  for (int64_t i = 0; i < count; ++i) {
    heldOut->readOnce(i, batch);
    const Result<double> own = step.evaluate(batch);
    if (!own)
      return failed(own.error());
    sum += *own;
    counted += batch.counted;
  }
  if (Result<> swapped = step.exchangeAverage(); !swapped)
    return failed(swapped.error());
  Evaluation evaluation{state.step, sum / double(counted), std::nullopt};
  if (heldOut->tokens().bytes() > 0)
    evaluation.bitsPerByte = evaluation.loss / std::numbers::ln2 * double(heldOut->tokens().tokens()) /
                             double(heldOut->tokens().bytes());
  state.validation = std::isfinite(evaluation.loss) ? std::optional(evaluation.loss) : std::nullopt;
  view.evaluated(evaluation);
  if (Result<> written = metrics->append(metricsLine(evaluation)); !written)
    return fail("{}; {}", written.error().message, lastCheckpoint());
  const Scalar scalars[] = {{"val/loss", evaluation.loss},
                            {"val/bits_per_byte", evaluation.bitsPerByte.value_or(0)}};
  return events->add(state.step, std::span(scalars).first(evaluation.bitsPerByte ? 2 : 1));
}

/// A text is for the eye: one that cannot be made does not stop a run.
Result<> Run::sample() {
  if (Result<> swapped = step.exchangeAverage(); !swapped)
    return failed(swapped.error());
  const Result<std::string> text = sampleText(step, *tokenizer, options.samplePrompt, options.sampleTokens,
                                              options.seed + uint64_t(state.step));
  if (Result<> swapped = step.exchangeAverage(); !swapped)
    return failed(swapped.error());
  text ? view.sampled(state.step, *text) : view.note(text.error().message);
  return {};
}

Result<> Run::writeReport() {
  std::vector<NamedRun> runs;
  std::vector<std::string> folders = options.compare;
  folders.insert(folders.begin(), folder.path());
  for (const std::string &each : folders) {
    Result<Metrics> read = readMetrics(each + "/metrics.jsonl");
    if (!read)
      return tl::unexpected(read.error());
    runs.push_back({each, std::move(*read)});
  }
  std::vector<std::pair<std::string, std::string>> flags;
  for (const FlagValue &flag : flagValues(options))
    flags.emplace_back(flag.name, flag.value);
  return folder.write("report.html", makeRunReport(runs, flags));
}

Result<> Run::save() {
  if (savedStep == state.step)
    return {};
  const auto wrap = [&](const Error &error) -> Result<> {
    return fail("step {} could not be saved: {}; {}", state.step, error.message, lastCheckpoint());
  };
  for (size_t i = 0; i < step.images(); ++i)
    if (Result<> fetched = step.fetch(i); !fetched)
      return wrap(fetched.error());
  std::vector<std::string> linked;
  for (const auto &[name, text] : contents)
    linked.push_back(name);
  Result<std::string> written = writeCheckpoint(folder.path(), step, state, images, linked);
  if (!written)
    return wrap(written.error());
  savedStep = state.step;
  if (options.saveType == "f32" && !hasAdapters()) {
    if (Result<> published = folder.publish(*written + "/" + saved().file, "model.safetensors"); !published)
      return wrap(published.error());
  } else if (Result<> done =
                 writeModel(step, saved().image, folder.path("model.safetensors"), options.saveType);
             !done) {
    return wrap(done.error());
  }
  if (hasAdapters())
    if (Result<> done = writeAdapters(); !done)
      return wrap(done.error());
  pruneCheckpoints(folder.path(), options.keep);
  view.saved(*written);
  return writeReport();
}

Result<TrainingOutcome> Run::run() {
  // A report that cannot be drawn is said now, not after hours.
  for (const std::string &other : options.compare)
    if (Result<Metrics> read = readMetrics(other + "/metrics.jsonl"); !read)
      return fail("--compare: {}", read.error().message);
  for (const auto part :
       {&Run::openData, &Run::checkTokenizer, &Run::collectFiles, &Run::begin, &Run::openOutputs})
    if (Result<> done = (this->*part)(); !done)
      return tl::unexpected(done.error());
  peak = step.measurePeak();
  view.started(options, state.step);
  const auto isDue = [&](int64_t every) { return every > 0 && state.step % every == 0; };
  while (true) {
    const bool ends = state.step >= options.steps || interrupt;
    // A run that goes on has evaluated already where its checkpoint stands.
    const bool measures =
        options.evaluateEvery > 0 && (isDue(options.evaluateEvery) || state.step >= options.steps);
    if (heldOut && measures && savedStep != state.step)
      if (Result<> done = evaluate(); !done)
        return tl::unexpected(done.error());
    // Behind a bad step the weights may be bad: they do not push a good checkpoint out.
    isOwed = isOwed || isDue(options.saveEvery);
    if (state.step > 0 && (ends || (isOwed && badSteps == 0))) {
      if (Result<> done = save(); !done)
        return tl::unexpected(done.error());
      isOwed = false;
    }
    if (tokenizer && state.step > 0 && !interrupt && options.sampleEvery > 0 &&
        (isDue(options.sampleEvery) || ends))
      if (Result<> done = sample(); !done)
        return tl::unexpected(done.error());
    if (ends)
      break;
    if (Result<> done = doStep(); !done)
      return tl::unexpected(done.error());
  }
  if (Result<> written = writeReport(); !written)
    return tl::unexpected(written.error());
  return TrainingOutcome{interrupt && state.step < options.steps, state.step};
}

} // namespace

std::vector<std::pair<std::string, std::string>> flagsOfRun(const std::string &run) {
  for (const FoundCheckpoint &found : findCheckpoints(run))
    if (Result<StoredState> stored = readState(found.folder))
      return stored->state.flags;
  return {};
}

Result<TrainingOutcome> train(TrainingStep &step, const TrainingOptions &options,
                              std::span<const ModelFile> files, TrainingView &view,
                              const std::atomic<bool> &interrupt, const Tokenizer *tokenizer,
                              uint64_t tokenizerChecksum) {
  Result<RunFolder> folder = RunFolder::open(options.output, options.resume);
  if (!folder)
    return tl::unexpected(folder.error());
  return Run(step, options, files, view, interrupt, tokenizer, tokenizerChecksum, std::move(*folder)).run();
}

} // namespace sinter::training
