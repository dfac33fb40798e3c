// SPDX-License-Identifier: Apache-2.0
// The table of flags, their ranges and their defaults.
#include "runtime/training/TrainingOptions.h"
#include "runtime/generate/Flags.h"

#include <limits>

namespace sinter::training {
namespace {

constexpr int64_t most = int64_t(1) << 40;
constexpr double infinity = std::numeric_limits<double>::max();

auto textInto(std::string &target) {
  return [&target](std::string_view text) -> Result<> {
    if (text.empty())
      return fail("expected a value, found an empty one");
    target = text;
    return {};
  };
}

/// One of `choices`; the target becomes its index.
template <typename Target> auto oneOf(std::vector<std::string_view> choices, Target &target) {
  return [choices = std::move(choices), &target](std::string_view text) -> Result<> {
    std::string list;
    for (size_t i = 0; i < choices.size(); ++i) {
      if (choices[i] == text) {
        if constexpr (std::is_same_v<Target, std::string>)
          target = text;
        else
          target = Target(i);
        return {};
      }
      list += (i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ") + std::string(choices[i]);
    }
    return fail("expected {}, found '{}'", list, text);
  };
}

auto switchOn(bool &target) {
  return [&target](std::string_view) -> Result<> {
    target = true;
    return {};
  };
}

auto number(double least, double greatest, double &target) { return numberBetween(least, greatest, target); }
auto count(int64_t least, int64_t &target) { return numberBetween<int64_t>(least, most, target); }

const std::vector<std::string_view> scheduleNames = {"cosine", "wsd", "linear", "constant"};

std::vector<FlagGroup> flagTable(TrainingOptions &o) {
  const double belowOne = std::nextafter(1.0, 0.0);
  return {
      {"Data",
       {{"--data", "PATH", "folder of `sinter data tokenize`, or raw ids in a .u16 or .u32 file",
         textInto(o.data)},
        {"--val-data", "FILE", "raw ids to evaluate on (a folder's own without it)", textInto(o.validation)},
        {"--batch", "N", "sequences of a micro-batch (16)", count(1, o.batch)},
        {"--seq", "N", "tokens of a sequence (256)", count(1, o.length)},
        {"--grad-accum", "N", "micro-batches of a step (1)", count(1, o.accumulate)},
        {"--order", "ORDER", "shuffled or sequential (shuffled)",
         [&o](std::string_view text) { // the index is the flag
           return oneOf<bool>({"sequential", "shuffled"}, o.shuffled)(text);
         }},
        {"--cross-documents", "", "let attention and positions go on across documents",
         switchOn(o.crossDocuments)},
        {"--seed", "N", "of weights, order and dropout (1)",
         numberBetween<uint64_t>(0, std::numeric_limits<uint64_t>::max(), o.seed)}}},
      {"Run",
       {{"-o", "RUN", "folder of the run: a model that Hugging Face's readers load", textInto(o.output)},
        {"--resume", "", "go on from the last checkpoint; flags not given are the run's", switchOn(o.resume)},
        {"--tokenizer", "DIR", "tokenizer files to put into RUN (without it: those beside the data)",
         textInto(o.tokenizer)},
        {"--steps", "N", "updates (1000)", count(0, o.steps)},
        {"--eval-every", "N", "steps between evaluations; 0: never (a tenth of the steps)",
         count(0, o.evaluateEvery)},
        {"--eval-batches", "N", "micro-batches of an evaluation; 0: all (50)", count(0, o.evaluationBatches)},
        {"--save-every", "N",
         "steps between checkpoints; 0: at the end only (a tenth of the steps, 100 at least)",
         count(0, o.saveEvery)},
        {"--sample-every", "N", "steps between texts that the model writes; 0: never (a tenth of the steps)",
         count(0, o.sampleEvery)},
        {"--sample-prompt", "TEXT", "what these texts begin with (nothing)",
         [&o](std::string_view text) -> Result<> {
           o.samplePrompt = text;
           return {};
         }},
        {"--sample-tokens", "N", "tokens of these texts (64)", count(1, o.sampleTokens)},
        {"--keep", "N", "checkpoints to keep besides the best (3)", count(1, o.keep)},
        {"--save-dtype", "TYPE", "of RUN/model.safetensors: f32, bf16 or f16 (f32)",
         oneOf<std::string>({"f32", "bf16", "f16"}, o.saveType)},
        {"--on-nan", "stop|skip", "at a loss or gradient that is not finite, or a spike (stop)",
         oneOf<bool>({"stop", "skip"}, o.skipBadSteps)},
        {"--spike", "X", "nats above the recent mean that count as a spike; 0: never (3)",
         number(0, infinity, o.spike)},
        {"--compare", "RUN", "another run to draw into report.html; may be given several times",
         [&o](std::string_view text) -> Result<> {
           o.compare.emplace_back(text);
           return {};
         }},
        {"--progress", "bar|lines", "bar (on a terminal) or a line a step",
         oneOf<bool>({"bar", "lines"}, o.plain)},
        {"--device", "DEVICE",
         "cpu, cuda, or emulator, an emulated GPU (without it a GPU where the trainer has code for one and "
         "there is one)",
         oneOf<std::string>({"auto", "cpu", "cuda", "emulator"}, o.device)},
        {"-t,--threads", "N", "threads of the processor; 0: all cores (0)",
         numberBetween(0, 4096, o.threads)}}},
      {"Optimisation",
       {{"--optimizer", "NAME", "adamw, muon or sgd (adamw)",
         oneOf<std::string>({"adamw", "muon", "sgd"}, o.optimizer)},
        {"--lr", "X", "learning rate after warm-up (3e-4)", number(0, infinity, o.rate)},
        {"--muon-lr", "X", "learning rate of the matrices that Muon moves, with the same schedule (0.02)",
         number(0, infinity, o.muonRate)},
        {"--schedule", "NAME", "cosine, wsd, linear or constant (cosine)", oneOf(scheduleNames, o.schedule)},
        {"--warmup", "N", "steps until the rate is reached (a hundredth of the steps)", count(0, o.warmup)},
        {"--min-lr", "X", "rate that the schedule ends with (a tenth of --lr)",
         number(0, infinity, o.leastRate)},
        {"--decay", "X", "share of the steps, at the end, in which wsd's rate falls (0.2)",
         number(0, 1, o.decayShare)},
        {"--weight-decay", "X", "of matrices and embeddings (0.1)", number(0, infinity, o.weightDecay)},
        {"--beta1", "X", "decay of the first moment; the momentum of sgd and muon (0.9)",
         number(0, belowOne, o.beta1)},
        {"--beta2", "X", "decay of the second moment (0.95)", number(0, belowOne, o.beta2)},
        {"--eps", "X", "added to the root of the second moment (1e-8)", number(0, infinity, o.epsilon)},
        {"--clip", "X", "largest global norm of the gradient; 0: any (1.0)", number(0, infinity, o.clip)},
        {"--ema", "X", "save an average of the weights with this decay; 0: none (0)",
         number(0, belowOne, o.average)},
        {"--label-smoothing", "X", "share of a target that is spread over all tokens (0)",
         number(0, belowOne, o.labelSmoothing)},
        {"--z-loss", "X", "weight of log(sum(exp(logits)))^2 in the loss (0)", number(0, infinity, o.zLoss)},
        {"--router-aux-loss", "X",
         "weight of the balance loss of experts (with output_router_logits the configuration's, else 0)",
         number(0, infinity, o.routerLoss)},
        {"--lora", "RANK", "train low-rank adapters of this rank, and leave the weights as they are",
         count(1, o.adapterRank)},
        {"--lora-alpha", "X", "what adapters are multiplied by, times the rank (twice the rank)",
         number(std::numeric_limits<double>::min(), infinity, o.adapterAlpha)},
        {"--lora-targets", "LIST",
         "modules that get adapters, by the ends of their names (all-linear: all linear layers but the head)",
         [&o](std::string_view text) -> Result<> {
           if (Result<std::vector<std::string>> names = parseAdapterTargets(text); !names)
             return tl::unexpected(names.error());
           o.adapterTargets = text;
           return {};
         }},
        {"--dtype", "TYPE", "auto, bf16 or f32: what is computed with (auto)",
         oneOf<std::string>({"auto", "bf16", "f32"}, o.dtype)},
        {"--recompute", "",
         "compute activations again in the backward pass: less memory, more time; the same numbers",
         switchOn(o.recompute)},
        {"--dropout", "P|config", "share of activations to drop, or the configuration's shares (0)",
         [&o](std::string_view text) -> Result<> {
           Result<std::string> dropout = parseDropout(text);
           if (!dropout)
             return tl::unexpected(dropout.error());
           o.dropout = std::move(*dropout);
           return {};
         }}}},
      {"Help",
       {{"-h,--help", "", "print this", switchOn(o.help)},
        {"--version", "", "print the version", switchOn(o.version)}}},
  };
}

/// Fails when `flag` was given (is not 0) and differs from what the step was compiled for; else takes that.
Result<> agree(std::string_view flag, int64_t &given, int64_t compiled) {
  if (given != 0 && given != compiled)
    return fail("{}: expected {}, which this step was compiled for, found {}", flag, compiled, given);
  given = compiled;
  return {};
}

Result<> agreeOnAdapters(TrainingOptions &o, const StepShape &shape) {
  if (o.adapterRank == 0 && (o.adapterAlpha > 0 || !o.adapterTargets.empty()) && shape.adapterRank == 0)
    return fail("--lora-alpha, --lora-targets: expected --lora with them, found them alone");
  if (o.adapterRank > 0 && o.adapterRank != shape.adapterRank)
    return fail("--lora: expected {}, which this step was compiled for, found {}",
                shape.adapterRank > 0 ? std::to_string(shape.adapterRank) : "none", o.adapterRank);
  if (o.adapterAlpha > 0 && float(o.adapterAlpha) != float(shape.adapterAlpha))
    return fail("--lora-alpha: expected {}, which this step was compiled for, found {}", shape.adapterAlpha,
                o.adapterAlpha);
  if (!o.adapterTargets.empty() && o.adapterTargets != shape.adapterTargets)
    return fail("--lora-targets: expected {}, which this step was compiled for, found {}",
                shape.adapterTargets, o.adapterTargets);
  o.adapterRank = shape.adapterRank;
  o.adapterAlpha = shape.adapterAlpha;
  o.adapterTargets = shape.adapterTargets;
  return {};
}

} // namespace

Result<ParsedOptions> parseTrainingOptions(int argc, const char *const *argv, const std::string &description,
                                           const TrainingOptions &base, std::string_view *model) {
  ParsedOptions parsed;
  parsed.options = base;
  std::vector<FlagGroup> groups = flagTable(parsed.options);
  if (model)
    groups.insert(groups.begin(), {"Model",
                                   {{"", "MODEL", "config.json, a Hugging Face folder, or a .gguf file",
                                     [model](std::string_view word) -> Result<> {
                                       if (!model->empty())
                                         return fail("expected one, found '{}' and '{}'", *model, word);
                                       *model = word;
                                       return {};
                                     }}}});
  if (Result<> good = parseFlags(groups, argc, argv); !good)
    return tl::unexpected(good.error());
  if (parsed.options.help)
    parsed.helpText = description + "\n" + describeFlags(groups);
  // A table that refers to this value must not outlive it.
  return ParsedOptions{parsed.options, std::move(parsed.helpText)};
}

Result<std::vector<std::string>> parseAdapterTargets(std::string_view list) {
  std::vector<std::string> names;
  if (list == "all-linear")
    return names;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (begin == end)
      return fail("expected names of modules with commas between them, found '{}'", list);
    names.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

Result<std::string> parseDropout(std::string_view text) {
  double share;
  if (text == "config")
    return std::string(text);
  if (!(parseNumber(text, share) && share >= 0 && share < 1))
    return fail("expected config or a share from 0 to below 1, found '{}'", text);
  return fmt::format("{}", share + 0.0); // -0 is 0
}

Result<> completeOptions(TrainingOptions &o, const StepShape &shape) {
  if (o.data.empty())
    return fail("--data: expected a folder or file of tokens, found none");
  if (o.output.empty())
    return fail("-o: expected the folder of the run, found none");
  if (Result<> good = agree("--batch", o.batch, shape.batch); !good)
    return good;
  if (Result<> good = agree("--seq", o.length, shape.length); !good)
    return good;
  if (o.dtype != "auto" && o.dtype != shape.dtype)
    return fail("--dtype: expected {}, which this step was compiled for, found {}", shape.dtype, o.dtype);
  o.dtype = shape.dtype;
  // The step has it as f32.
  if (o.routerLoss >= 0 && float(o.routerLoss) != float(shape.routerCoefficient))
    return fail("--router-aux-loss: expected {}, which this step was compiled for, found {}",
                shape.routerCoefficient, o.routerLoss);
  if (o.routerLoss < 0)
    o.routerLoss = shape.routerCoefficient;
  if (Result<> good = agreeOnAdapters(o, shape); !good)
    return good;
  if (!o.dropout.empty() && o.dropout != shape.dropout)
    return fail("--dropout: expected {}, which this step was compiled for, found {}", shape.dropout,
                o.dropout);
  o.dropout = shape.dropout;
  if (o.recompute && !shape.recomputes)
    return fail("--recompute: expected a step compiled with it, found one without");
  o.recompute = shape.recomputes;
  const int64_t tenth = std::max<int64_t>(1, o.steps / 10);
  if (o.warmup < 0)
    o.warmup = o.steps / 100;
  if (o.leastRate < 0)
    o.leastRate = o.rate / 10;
  if (o.evaluateEvery < 0)
    o.evaluateEvery = tenth;
  if (o.saveEvery < 0) // a short run is soon done again, and its files may be large
    o.saveEvery = std::max<int64_t>(tenth, 100);
  if (o.sampleEvery < 0)
    o.sampleEvery = tenth;
  if (o.leastRate > o.rate)
    return fail("--min-lr: expected at most {}, the learning rate, found {}", o.rate, o.leastRate);
  if (o.warmup > o.steps)
    return fail("--warmup: expected at most {}, the steps, found {}", o.steps, o.warmup);
  return {};
}

std::vector<FlagValue> flagValues(const TrainingOptions &o) {
  auto text = [](auto value) { return fmt::format("{}", value); };
  std::vector<FlagValue> flags = {
      {"--data", o.data, false}, // what is in it is checked by its fingerprint: it may have been moved
      {"--batch", text(o.batch), true},
      {"--seq", text(o.length), true},
      {"--grad-accum", text(o.accumulate), true},
      {"--order", o.shuffled ? "shuffled" : "sequential", true},
      {"--seed", text(o.seed), true},
      {"--steps", text(o.steps), false},
      {"--optimizer", o.optimizer, true},
      {"--lr", text(o.rate), false},
      {"--muon-lr", text(o.muonRate), false},
      {"--schedule", std::string(scheduleNames[size_t(o.schedule)]), false},
      {"--warmup", text(o.warmup), false},
      {"--min-lr", text(o.leastRate), false},
      {"--decay", text(o.decayShare), false},
      {"--weight-decay", text(o.weightDecay), false},
      {"--beta1", text(o.beta1), false},
      {"--beta2", text(o.beta2), false},
      {"--eps", text(o.epsilon), false},
      {"--clip", text(o.clip), false},
      {"--ema", text(o.average), true},
      {"--label-smoothing", text(o.labelSmoothing), false},
      {"--z-loss", text(o.zLoss), false},
      {"--dtype", o.dtype, true},
      {"--dropout", o.dropout, true},
      {"--eval-every", text(o.evaluateEvery), false},
      {"--eval-batches", text(o.evaluationBatches), false},
      {"--save-every", text(o.saveEvery), false},
      {"--sample-every", text(o.sampleEvery), false},
      {"--sample-tokens", text(o.sampleTokens), false},
      {"--keep", text(o.keep), false},
      {"--save-dtype", o.saveType, false},
      {"--on-nan", o.skipBadSteps ? "skip" : "stop", false},
      {"--spike", text(o.spike), false},
  };
  if (o.routerLoss > 0)
    flags.push_back({"--router-aux-loss", text(float(o.routerLoss)), true});
  if (o.adapterRank > 0) {
    flags.push_back({"--lora", text(o.adapterRank), true});
    flags.push_back({"--lora-alpha", text(float(o.adapterAlpha)), true});
    flags.push_back({"--lora-targets", o.adapterTargets, true});
  }
  if (o.device != "auto")
    flags.push_back({"--device", o.device, false});
  if (o.recompute)
    flags.push_back({"--recompute", "", false});
  if (o.crossDocuments)
    flags.push_back({"--cross-documents", "", true});
  if (!o.samplePrompt.empty())
    flags.push_back({"--sample-prompt", o.samplePrompt, false});
  if (!o.validation.empty())
    flags.push_back({"--val-data", o.validation, false});
  if (!o.tokenizer.empty())
    flags.push_back({"--tokenizer", o.tokenizer, false});
  return flags;
}

} // namespace sinter::training
