// SPDX-License-Identifier: Apache-2.0
// A micro-step is one parallel region: every thread walks the launches and meets the others after each. The
// rows of a launch and whether gradients are added to are read from a copy of the step made for each kind of
// launch.
#include "runtime/training/TrainerMemory.h"
#include "runtime/training/TrainerSteps.h"

#include "runtime/device/CpuFeatures.h"
#include "runtime/device/CpuLimits.h"
#include "runtime/device/InstructionSet.h"
#include "runtime/device/Memory.h"
#include "runtime/device/ThreadTeam.h"
#include "runtime/device/Tiles.h"
#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

namespace sinter::training {
namespace {

using device::Mapping;
using device::ThreadTeam;

constexpr uint64_t page = 4096;
uint64_t scratchStride(const sinter_trainer &trainer) {
  return (std::max<uint64_t>(trainer.scratch_bytes, 64) + page - 1) / page * page;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Launches with their addresses resolved.
struct BoundLaunch {
  sinter_kernel kernel;
  const sinter_grid *grid;
  void *const *buffers;
  const sinter_step *step;
  bool inLoss;
  bool isLogits; // fills the logits of its chunk
  int64_t firstRow;
};
struct BoundList {
  std::vector<BoundLaunch> launches;
  std::vector<void *> buffers;
};

class CpuTrainer final : public Trainer {
public:
  CpuTrainer(const sinter_trainer &trainer, const sinter_optimizer &optimizer, int isa,
             std::unique_ptr<ThreadTeam> team, const TrainerOptions &options)
      : trainer(trainer), optimizer(optimizer), isa(isa), team(std::move(team)), averages(options.averages),
        hyper(lossSettings(options)) {}

  Result<void> prepare(const MemoryUse &use);

  Result<double> microStep(const Batch &batch, int64_t counted, bool adds, uint64_t seed) override;
  double routerLoss() override { return balanceLoss(trainer, votes); }
  Result<double> gradientNorm() override;
  Result<> update(const Hyperparameters &hyperparameters, double gradientNorm) override;
  Result<> exchangeAverage() override;
  Result<double> evaluate(const Batch &batch) override;
  Result<const float *> logits(const Batch &batch, int64_t row) override;

  std::span<float> image(uint64_t number) override {
    assert(number < images() && "the optimizer has fewer images");
    return image(number == 0                        ? parameterImage
                 : number <= optimizer.state_images ? states[number - 1]
                                                    : averageImage);
  }
  uint64_t images() const override { return 1 + optimizer.state_images + averages; }
  const float *initial() const override { return static_cast<const float *>(trainer.initial.data); }
  Result<std::span<const float>> gradients() override { return image(gradientImage); }
  std::string runsOn() const override {
    return fmt::format("kernels for {}, {} threads", device::isaName(isa), team->threads());
  }
  double measureFlopsPerSecond() override { return device::measureFlopsPerSecond(*team, isa); }
  MemoryUse memory() const override { return use; }
  void setLaunchTimes(double *seconds) override { times = seconds; }

private:
  std::span<float> image(Mapping &mapping) {
    return {reinterpret_cast<float *>(mapping.data()), size_t(trainer.trained_floats)};
  }
  int64_t rows() const { return trainer.batch * trainer.sequence; }
  void *resolve(const sinter_buffer &buffer);
  using Launches = std::span<const sinter_train_launch>;
  void bind(BoundList &list, std::initializer_list<Launches> parts);
  void walkImages(const BoundList &list);
  void setBatch(const Batch &batch, int64_t counted, bool adds, uint64_t seed, const sinter_update &numbers);
  void walkAll(const BoundList &list, bool onlyLoss, int64_t untilRow);
  static void walk(void *self, int thread);

  const sinter_trainer &trainer;
  const sinter_optimizer &optimizer;
  const int isa;
  std::unique_ptr<ThreadTeam> team;
  const bool averages;
  MemoryUse use{};
  Mapping parameterImage, gradientImage, states[2], averageImage, arena, scratch;
  std::vector<float> losses, norms, votes;
  std::map<StepKind, sinter_step> steps; // nodes stay where they are
  BoundList micro, norm, moves, exchange;
  sinter_update hyper;
  const sinter_update plain{}; // of evaluations
  double *times = nullptr;

  // What the threads are walking.
  const BoundList *current = nullptr;
  bool onlyLoss = false;
  int64_t untilRow = -1; // >= 0: end behind the logits of the chunk with this row
};

Result<void> CpuTrainer::prepare(const MemoryUse &needed) {
  use = needed;
  const uint64_t imageBytes = trainer.trained_floats * sizeof(float);
  assert((trainer.initial.data || trainer.trained_floats == trainer.image_floats) &&
         "what is not trained is there");
  struct Need {
    Mapping *where;
    uint64_t bytes;
    const char *purpose;
  };
  std::vector<Need> needs = {{&parameterImage, imageBytes, "parameters"},
                             {&gradientImage, imageBytes, "gradients"},
                             {&arena, trainer.arena_bytes, "activations"},
                             {&scratch, use.scratch, "scratch of the threads"}};
  for (uint64_t i = 0; i < optimizer.state_images; ++i)
    needs.push_back({&states[i], imageBytes, "the optimizer's state"});
  if (averages)
    needs.push_back({&averageImage, imageBytes, "the average of the parameters"});
  for (const Need &need : needs) {
    Result<Mapping> memory = Mapping::anonymous(std::max<uint64_t>(need.bytes, 64), true, need.purpose);
    if (!memory)
      return tl::unexpected(memory.error());
    *need.where = std::move(*memory);
  }
  if (trainer.initial.data)
    device::copyFromFile(parameterImage.data(), trainer.initial.data, imageBytes);
  losses.resize(size_t(rows()));
  norms.resize(size_t(trainer.norm_blocks));
  votes.resize(size_t(2 * trainer.experts));
  const auto ifAveraged = [&](const sinter_train_launch *launches, uint64_t count) {
    return Launches(launches, averages ? count : 0);
  };
  bind(micro, {Launches(trainer.launches, trainer.launch_count)});
  bind(norm, {Launches(trainer.norm, trainer.norm_count)});
  bind(moves, {Launches(optimizer.launches, optimizer.launch_count),
               ifAveraged(trainer.average, trainer.average_count)});
  bind(exchange, {ifAveraged(trainer.exchange, trainer.exchange_count)});
  return {};
}

void *CpuTrainer::resolve(const sinter_buffer &buffer) {
  switch (buffer.space) {
  case SINTER_SPACE_WEIGHT:
    if (buffer.offset >= trainer.trained_floats * sizeof(float)) // only read
      return const_cast<std::byte *>(static_cast<const std::byte *>(trainer.initial.data)) + buffer.offset;
    return parameterImage.data() + buffer.offset;
  case SINTER_SPACE_ARENA:
    return arena.data() + buffer.offset;
  case SINTER_SPACE_GRADIENT:
    return gradientImage.data() + buffer.offset;
  case SINTER_SPACE_STATE0:
    return states[0].data() + buffer.offset;
  case SINTER_SPACE_STATE1:
    return states[1].data() + buffer.offset;
  case SINTER_SPACE_AVERAGE:
    return averageImage.data() + buffer.offset;
  case SINTER_SPACE_NORMS:
    return reinterpret_cast<std::byte *>(norms.data()) + buffer.offset;
  case SINTER_SPACE_LOSSES:
    return reinterpret_cast<std::byte *>(losses.data()) + buffer.offset;
  case SINTER_SPACE_VOTES:
    return reinterpret_cast<std::byte *>(votes.data()) + buffer.offset;
  case SINTER_SPACE_CONSTANT:
    return const_cast<std::byte *>(static_cast<const std::byte *>(trainer.constants.data)) + buffer.offset;
  }
  assert(false && "the compiler wrote a buffer in an unknown space");
  return nullptr;
}

void CpuTrainer::bind(BoundList &list, std::initializer_list<Launches> parts) {
  size_t buffers = 0;
  for (const Launches part : parts)
    for (const sinter_train_launch &from : part)
      buffers += from.launch.buffer_count;
  list.buffers.reserve(buffers); // addresses into it must stay
  for (const Launches part : parts)
    for (const sinter_train_launch &from : part) {
      void *const *first = list.buffers.data() + list.buffers.size();
      for (uint64_t j = 0; j < from.launch.buffer_count; ++j)
        list.buffers.push_back(resolve(from.launch.buffers[j]));
      const StepKind kind{from.first_row, from.rows, from.adds != 0};
      list.launches.push_back({from.launch.kernels[isa], &from.launch.grid, first, &steps[kind],
                               from.in_loss != 0, from.fills_logits != 0, from.first_row});
    }
}

void CpuTrainer::setBatch(const Batch &batch, int64_t counted, bool adds, uint64_t seed,
                          const sinter_update &numbers) {
  assert(int64_t(batch.tokens.size()) == rows() && "batch * sequence rows");
  const int64_t keys = keysOf(batch);
  for (auto &[kind, step] : steps) {
    step = stepOf(kind, keys, counted, adds, seed);
    step.tokens = batch.tokens.data() + kind.firstRow;
    step.positions = batch.positions.data() + kind.firstRow;
    step.targets = batch.targets.data() + kind.firstRow;
    step.update = &numbers;
  }
}

Result<double> CpuTrainer::microStep(const Batch &batch, int64_t counted, bool adds, uint64_t seed) {
  hyper.router_weight = routerWeight(batch, counted);
  std::ranges::fill(votes, 0.0f);
  setBatch(batch, counted, adds, seed, hyper);
  walkAll(micro, /*onlyLoss=*/false, -1);
  return sumOf(losses);
}

Result<double> CpuTrainer::evaluate(const Batch &batch) {
  setBatch(batch, 1, false, 0, plain);
  walkAll(micro, /*onlyLoss=*/true, -1);
  return sumOf(losses);
}

Result<const float *> CpuTrainer::logits(const Batch &batch, int64_t row) {
  setBatch(batch, 1, false, 0, plain);
  // Sequences behind that of the row are left out.
  const int64_t end = (row / trainer.sequence + 1) * trainer.sequence;
  for (auto &[kind, step] : steps)
    step.rows = step.selected = std::clamp<int64_t>(end - kind.firstRow, 0, kind.rows);
  walkAll(micro, /*onlyLoss=*/true, row);
  return reinterpret_cast<const float *>(arena.data() + trainer.logits_offset) +
         row % trainer.logits_rows * trainer.vocabulary;
}

Result<double> CpuTrainer::gradientNorm() {
  walkImages(norm);
  return std::sqrt(sumOf(norms));
}

Result<> CpuTrainer::update(const Hyperparameters &h, double gradientNorm) {
  setUpdate(hyper, h, gradientNorm);
  walkImages(moves);
  return {};
}

Result<> CpuTrainer::exchangeAverage() {
  assert(averages && "no average is kept");
  walkImages(exchange);
  return {};
}

/// All of a list, by the numbers of an update.
void CpuTrainer::walkImages(const BoundList &list) {
  for (auto &[kind, step] : steps) {
    step.rows = kind.rows;
    step.adds = kind.adds;
    step.update = &hyper;
  }
  walkAll(list, false, -1);
}

void CpuTrainer::walkAll(const BoundList &list, bool lossOnly, int64_t row) {
  current = &list;
  onlyLoss = lossOnly;
  untilRow = row;
  team->run(walk, this);
}

void CpuTrainer::walk(void *self, int thread) {
  const CpuTrainer &trainer = *static_cast<CpuTrainer *>(self);
  const int64_t threads = trainer.team->threads();
  double *const times = thread == 0 && trainer.current == &trainer.micro ? trainer.times : nullptr;
  double before = times ? now() : 0;
  sinter_call call;
  call.scratch = trainer.scratch.data() + uint64_t(thread) * scratchStride(trainer.trainer);
  size_t number = 0;
  for (const BoundLaunch &launch : trainer.current->launches) {
    ++number;
    if (trainer.onlyLoss && !launch.inLoss)
      continue;
    const int64_t tiles = sinter_tile_count(launch.grid, launch.step);
    const int64_t begin = tiles * thread / threads, end = tiles * (thread + 1) / threads;
    call.buffers = launch.buffers;
    call.step = launch.step;
    if (begin < end)
      launch.kernel(&call, begin, end);
    trainer.team->barrier();
    if (launch.isLogits && trainer.untilRow >= launch.firstRow &&
        trainer.untilRow < launch.firstRow + launch.step->rows)
      return;
    if (!times)
      continue;
    const double after = now();
    times[number - 1] += after - before;
    before = after;
  }
}

} // namespace

Result<std::unique_ptr<Trainer>> openCpuTrainer(const sinter_trainer &trainer,
                                                const TrainerOptions &options) {
  Result<size_t> number = findOptimizer(trainer, options.optimizer);
  if (!number)
    return tl::unexpected(number.error());
  const sinter_optimizer &optimizer = trainer.optimizers[*number];
  Result<int> isa = device::chooseIsa(trainer.isa_mask);
  if (!isa)
    return tl::unexpected(isa.error());
  const uint64_t image = trainer.trained_floats * sizeof(float);
  const auto use = [&](int threads) {
    return MemoryUse{image,
                     image,
                     image * optimizer.state_images,
                     trainer.arena_bytes,
                     scratchStride(trainer) * uint64_t(threads),
                     (trainer.image_floats - trainer.trained_floats) * sizeof(float),
                     options.averages ? image : 0};
  };
  const int threads = device::threadsOrCores(options.threads);
  if (Result<> fits = checkFits(trainer, use(threads), device::availableMemory(), "the free memory"); !fits)
    return tl::unexpected(fits.error());
  Result<std::unique_ptr<ThreadTeam>> team = ThreadTeam::start(threads);
  if (!team)
    return tl::unexpected(team.error());
  const MemoryUse needed = use((*team)->threads());
  auto opened = std::make_unique<CpuTrainer>(trainer, optimizer, *isa, std::move(*team), options);
  if (Result<void> ready = opened->prepare(needed); !ready)
    return tl::unexpected(ready.error());
  return opened;
}

} // namespace sinter::training
