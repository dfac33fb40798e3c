// SPDX-License-Identifier: Apache-2.0
// Files in, steps, files out.
#include "runtime/training/Probe.h"

#include "runtime/files/Npy.h"
#include "runtime/files/SafeTensors.h"
#include "runtime/training/ParameterTensors.h"
#include "runtime/training/Trainer.h"
#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <map>

namespace sinter::training {
namespace {

struct ProbeOptions {
  std::string folder;
  int64_t steps = 1;
  bool launches = false;
  TrainerOptions trainer;
  std::string optimizer = "adamw";
  Hyperparameters hyperparameters;
};

Result<ProbeOptions> readFlags(int argc, const char *const *argv) {
  ProbeOptions options;
  Hyperparameters &h = options.hyperparameters;
  const std::map<std::string_view, double *> numbers = {
      {"--lr", &h.learningRate},
      {"--beta1", &h.beta1},
      {"--beta2", &h.beta2},
      {"--eps", &h.epsilon},
      {"--clip", &h.clip},
      {"--weight-decay", &h.weightDecay},
      {"--label-smoothing", &options.trainer.labelSmoothing},
      {"--z-loss", &options.trainer.zLoss},
      {"--muon-lr", &h.muonRate}};
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--launches") {
      options.launches = true;
      continue;
    }
    if (i + 1 == argc)
      return fail("{}: expected a value, found the end of the line", flag);
    const char *value = argv[++i];
    char *end = nullptr;
    const double number = std::strtod(value, &end);
    const bool isNumber = end != value && *end == 0;
    if (flag == "--probe")
      options.folder = value;
    else if (flag == "--optimizer")
      options.optimizer = value;
    else if (flag == "--device") {
      if (!readDeviceChoice(value, options.trainer.device))
        return fail("--device: expected cpu, cuda or emulator, found '{}'", value);
    } else if (!isNumber)
      return fail("{}: expected a number, found '{}'", flag, value);
    else if (flag == "--steps")
      options.steps = int64_t(number);
    else if (flag == "-t")
      options.trainer.threads = int(number);
    else if (auto place = numbers.find(flag); place != numbers.end())
      *place->second = number;
    else
      return fail("expected a flag of --probe, found '{}'", flag);
  }
  return options;
}

Result<std::vector<int32_t>> readIds(const std::string &path, int64_t rows) {
  Result<NpyArray> array = readNpy(path);
  if (!array)
    return tl::unexpected(array.error());
  if (array->type != "i4" || int64_t(array->count()) != rows)
    return fail("{}: expected {} numbers of type i4, found {} of type {}", path, rows, array->count(),
                array->type);
  std::vector<int32_t> ids(static_cast<size_t>(rows));
  std::memcpy(ids.data(), array->data.data(), array->data.size());
  return ids;
}

/// With `initial` the model's tensors, of it and of the adapters in `image`.
Result<> writeImage(const std::string &path, const ParameterTensors &tensors, std::span<const float> image,
                    const float *initial = nullptr) {
  SafeTensorsWriter writer(path);
  for (const TensorShape &tensor : tensors.tensors())
    writer.declare(tensor.name, f32Format, tensor.shape);
  if (Result<> begun = writer.begin(); !begun)
    return begun;
  for (size_t i = 0; i < tensors.tensors().size(); ++i) {
    Result<> written = forEachPiece(
        tensors.tensors()[i].elements(),
        [&](size_t first, std::span<float> piece) {
          tensors.gather(i, initial ? initial : image.data(), first, piece);
          if (initial)
            tensors.addAdapters(i, image, first, piece);
        },
        [&](std::span<const float> piece) { return writer.append(std::as_bytes(piece)); });
    if (!written)
      return written;
  }
  return writer.commit();
}

Result<> readImage(const std::string &path, const ParameterTensors &tensors, std::span<float> image) {
  Result<SafeTensors> file = SafeTensors::open(path);
  if (!file)
    return tl::unexpected(file.error());
  for (size_t i = 0; i < tensors.tensors().size(); ++i) {
    const TensorShape &tensor = tensors.tensors()[i];
    const SafeTensor *found = file->find(tensor.name);
    if (!found || found->format != &f32Format || found->shape != tensor.shape)
      return fail("{}: expected tensor '{}' of f32 and the model's shape, found {}", path, tensor.name,
                  found ? "another" : "none");
    std::vector<float> numbers(size_t(tensor.elements()));
    std::memcpy(numbers.data(), found->bytes.data(), found->bytes.size());
    tensors.scatter(i, numbers, image);
  }
  return {};
}

void printLaunches(const sinter_trainer &trainer, const std::vector<double> &seconds, int64_t steps) {
  struct Sum {
    double seconds = 0, flops = 0;
    int64_t count = 0;
  };
  std::map<std::string, Sum> sums;
  for (uint64_t i = 0; i < trainer.launch_count; ++i) {
    const sinter_train_launch &launch = trainer.launches[i];
    Sum &sum = sums[launch.launch.name];
    sum.seconds += seconds[i] / double(steps);
    sum.flops += double(launch.launch.row_flops) * double(launch.rows);
    ++sum.count;
  }
  std::vector<std::pair<std::string, Sum>> sorted(sums.begin(), sums.end());
  std::sort(sorted.begin(), sorted.end(),
            [](auto &a, auto &b) { return a.second.seconds > b.second.seconds; });
  for (auto &[name, sum] : sorted)
    fmt::print("{:>8.2f} ms {:>7.1f} GFLOP/s {:>4} x {}\n", sum.seconds * 1e3, sum.flops / sum.seconds / 1e9,
               sum.count, name);
}

Result<> probe(const sinter_trainer &trainer, const ProbeOptions &options) {
  const int64_t rows = trainer.batch * trainer.sequence;
  std::vector<int32_t> ids[3];
  const char *names[] = {"tokens", "positions", "targets"};
  for (int i = 0; i < 3; ++i) {
    Result<std::vector<int32_t>> read = readIds(fmt::format("{}/{}.npy", options.folder, names[i]), rows);
    if (!read)
      return tl::unexpected(read.error());
    ids[i] = std::move(*read);
  }
  for (int64_t i = 0; i < rows; ++i)
    if (ids[0][size_t(i)] < 0 || ids[0][size_t(i)] >= trainer.vocabulary ||
        ids[2][size_t(i)] >= trainer.vocabulary || ids[1][size_t(i)] < 0 ||
        ids[1][size_t(i)] >= trainer.sequence)
      return fail("{}: expected tokens and targets below {} and positions below {}, found others in row {}",
                  options.folder, trainer.vocabulary, trainer.sequence, i);
  TrainerOptions open = options.trainer;
  open.optimizer = options.optimizer;
  std::string said;
  Result<std::unique_ptr<Trainer>> opened = openTrainer(trainer, open, said);
  if (!opened)
    return tl::unexpected(opened.error());
  Trainer &step = **opened;
  const bool hasAdapters = trainer.adapter_rank > 0;
  const ParameterTensors model(trainer, ParameterTensors::Which::Model),
      adapters(trainer, ParameterTensors::Which::Adapters), &tensors = hasAdapters ? adapters : model;
  const std::string start = options.folder + "/parameters.safetensors";
  if (std::filesystem::exists(start)) {
    if (Result<> read = readImage(start, tensors, step.image(0)); !read)
      return read;
  } else if (hasAdapters || !trainer.initial.data) {
    tensors.initialise(1, step.image(0), options.trainer.threads);
  } else if (Result<> fetched = step.fetch(0); !fetched) {
    return fetched;
  }
  if (Result<> stored = step.store(0); !stored)
    return stored;

  const Batch batch{ids[0], ids[1], ids[2]};
  const int64_t counted = std::count_if(ids[2].begin(), ids[2].end(), [](int32_t id) { return id >= 0; });
  NpyArray logits{"f4", {uint64_t(trainer.vocabulary)}, {}};
  logits.data.resize(size_t(trainer.vocabulary) * 4);
  const Result<const float *> found = step.logits(batch, rows - 1);
  if (!found)
    return tl::unexpected(found.error());
  std::memcpy(logits.data.data(), *found, logits.data.size());
  if (Result<> written = writeNpy(options.folder + "/logits.npy", logits); !written)
    return written;
  std::vector<double> times(trainer.launch_count);
  if (options.launches)
    step.setLaunchTimes(times.data());
  Hyperparameters h = options.hyperparameters;
  for (int64_t number = 0; number < options.steps; ++number) {
    const auto begin = std::chrono::steady_clock::now();
    const Result<double> sum = step.microStep(batch, counted, false, uint64_t(number));
    if (!sum)
      return tl::unexpected(sum.error());
    const double loss = *sum / double(counted) + double(trainer.router_coefficient) * step.routerLoss();
    const Result<double> norm = step.gradientNorm();
    if (!norm)
      return tl::unexpected(norm.error());
    if (number == 0) {
      const Result<std::span<const float>> gradients = step.gradients();
      Result<> written = gradients
                             ? writeImage(options.folder + "/gradients.safetensors", tensors, *gradients)
                             : tl::unexpected(gradients.error());
      if (!written)
        return written;
    }
    const auto before = std::chrono::steady_clock::now();
    h.t = number + 1;
    if (Result<> moved = step.update(h, *norm); !moved)
      return moved;
    const auto end = std::chrono::steady_clock::now();
    fmt::print("{} {:.9g} {:.9g} {:.4f} {:.4f}\n", number, loss, *norm,
               std::chrono::duration<double>(number ? end - begin : before - begin).count(),
               std::chrono::duration<double>(end - before).count());
  }
  if (options.launches)
    printLaunches(trainer, times, options.steps);
  if (Result<> fetched = step.fetch(0); !fetched)
    return fetched;
  if (hasAdapters)
    if (Result<> written =
            writeImage(options.folder + "/merged.safetensors", model, step.image(0), step.initial());
        !written)
      return written;
  return writeImage(options.folder + "/updated.safetensors", tensors, step.image(0));
}

} // namespace

bool isProbe(int argc, const char *const *argv) {
  return std::any_of(argv + 1, argv + argc,
                     [](const char *flag) { return std::strcmp(flag, "--probe") == 0; });
}

int runProbe(const sinter_trainer &trainer, int argc, const char *const *argv) {
  Result<ProbeOptions> options = readFlags(argc, argv);
  if (!options) {
    fmt::print(stderr, "error: {}\n", options.error().message);
    return 2;
  }
  if (Result<> done = probe(trainer, *options); !done) {
    fmt::print(stderr, "error: {}\n", done.error().message);
    return 1;
  }
  return 0;
}

} // namespace sinter::training
