// SPDX-License-Identifier: Apache-2.0
// All of a training step on a GPU: images, activations and what launches are given lie in its memory. A
// micro-step, an evaluation, the norm, an update and the exchange of weights and average are a graph each,
// captured when they first run: one copy
// of the steps of all launches with the batch to the GPU, the launches in order, and the numbers that the
// loop wants back to the host.
#include "runtime/training/TrainerMemory.h"
#include "runtime/training/TrainerSteps.h"

#include "runtime/device/CudaLaunches.h"
#include "runtime/device/Memory.h"
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <map>

namespace sinter::training {
namespace {

using namespace device::cuda;
using device::Mapping;

uint64_t lineUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

class CudaTrainer final : public Trainer {
public:
  CudaTrainer(const sinter_trainer &trainer, size_t optimizer, std::shared_ptr<Gpu> gpu,
              const TrainerOptions &options)
      : trainer(trainer), optimizer(optimizer), gpu(std::move(gpu)), driver(*this->gpu->driver()),
        averages(options.averages), hyper(lossSettings(options)) {}
  ~CudaTrainer() override;

  Result<> prepare(const sinter_gpu_train_program &program);

  Result<double> microStep(const Batch &batch, int64_t counted, bool adds, uint64_t seed) override;
  double routerLoss() override { return balanceLoss(trainer, {hostVotes(), size_t(2 * trainer.experts)}); }
  Result<double> gradientNorm() override;
  Result<> update(const Hyperparameters &hyperparameters, double gradientNorm) override;
  Result<> exchangeAverage() override;
  Result<double> evaluate(const Batch &batch) override;
  Result<const float *> logits(const Batch &batch, int64_t row) override;

  std::span<float> image(uint64_t number) override { return mirror(mirrors[number]); }
  uint64_t images() const override { return 1 + stateImages() + averages; }
  Result<> fetch(uint64_t number) override { return copyBack(mirror(mirrors[number]), imageOf(number)); }
  Result<> store(uint64_t number) override;
  Result<std::span<const float>> gradients() override;
  const float *initial() const override { return static_cast<const float *>(trainer.initial.data); }

  std::string runsOn() const override {
    return fmt::format("kernels for {}, on {}", gpu->architectureText(), gpu->name());
  }
  double measureFlopsPerSecond() override { return gpu->limits().flopsPerSecond; }
  MemoryUse memory() const override { return use; }
  void setLaunchTimes(double *seconds) override;

private:
  enum class Work { MicroStep, Evaluation, Norm, Update, Exchange };
  static constexpr size_t works = 5;

  int64_t rows() const { return trainer.batch * trainer.sequence; }
  uint64_t imageBytes() const { return trainer.trained_floats * sizeof(float); }
  uint64_t stateImages() const { return trainer.optimizers[optimizer].state_images; }
  const DeviceBuffer &imageOf(uint64_t number) const {
    return number == 0 ? parameters : number <= stateImages() ? states[number - 1] : average;
  }
  std::span<float> mirror(const Mapping &mapping) const {
    return {reinterpret_cast<float *>(mapping.data()), size_t(trainer.trained_floats)};
  }
  const float *hostLosses() const { return reinterpret_cast<const float *>(hostResults.data()); }
  const float *hostNorms() const { return hostLosses() + rows(); }
  const float *hostVotes() const { return hostNorms() + trainer.norm_blocks; }

  Result<> allocate();
  void layOutSteps(const sinter_gpu_train_program &program);
  Result<> bind(CudaLaunches &launches, const sinter_gpu_train_list &from);
  const CudaLaunches &launchesOf(Work work) const;
  void describeImages();
  Address resolve(const sinter_buffer &buffer) const;
  void setBatch(const Batch &batch, int64_t counted, bool adds, uint64_t seed, const sinter_update &numbers);
  sinter_step &stepAt(uint64_t place) { return *reinterpret_cast<sinter_step *>(hostStep.data() + place); }
  Result<> copySteps();
  Result<> copyBack(std::span<float> to, const DeviceBuffer &from);
  Result<> record(Work work, bool timed);
  Result<> runTimed();
  Result<> run(Work work);
  Result<> synchronize() { return driver.check(driver.streamSynchronize(stream), "running a training step"); }
  /// Before each use: whether the device takes work, by the calling thread from now on.
  Result<> ready() const;
  Result<> remember(Result<> result);

  const sinter_trainer &trainer;
  const size_t optimizer;
  const std::shared_ptr<Gpu> gpu;
  Driver &driver;
  const bool averages;
  MemoryUse use{};
  OwnedStream stream;
  OwnedGraphExec graphs[works];
  std::vector<OwnedEvent> events; // of the launches whose times are taken
  double *times = nullptr;
  DeviceBuffer parameters, gradientImage, states[2], average, arena, constants, losses, norms, votes,
      deviceStep;
  Mapping mirrors[4], gradientMirror; // in the host's memory, which takes what is touched of them
  PinnedBuffer hostStep, hostResults, hostLogits;
  // The steps of all kinds of launches, the update and the batch, in one block that is copied whole.
  std::map<StepKind, uint64_t> places;
  uint64_t updateAt = 0, tokensAt = 0, positionsAt = 0, targetsAt = 0, stepBytes = 0;
  const sinter_gpu_train_launch *microLaunches = nullptr; // those of `micro`
  CudaLaunches micro, norm, moves, exchange;
  sinter_update hyper;
  std::optional<Error> failure; // what the device said first; it takes no more work then
};

CudaTrainer::~CudaTrainer() {
  (void)gpu->makeCurrent(); // for what is given back
  if (stream)
    driver.streamSynchronize(stream);
}

Result<> CudaTrainer::prepare(const sinter_gpu_train_program &program) {
  Result<OwnedStream> made = makeStream(gpu->driver());
  if (!made)
    return tl::unexpected(made.error());
  stream = std::move(*made);
  layOutSteps(program);
  if (Result<> allocated = allocate(); !allocated)
    return allocated;
  microLaunches = program.micro.launches;
  std::vector<std::pair<CudaLaunches *, const sinter_gpu_train_list *>> lists = {
      {&micro, &program.micro}, {&norm, &program.norm}, {&moves, &program.optimizers[optimizer]}};
  if (averages)
    lists.insert(lists.end(), {{&moves, &program.average}, {&exchange, &program.exchange}});
  for (auto [launches, from] : lists)
    if (Result<> bound = bind(*launches, *from); !bound)
      return bound;
  return {};
}

void CudaTrainer::layOutSteps(const sinter_gpu_train_program &program) {
  for (const sinter_gpu_train_list *list :
       {&program.micro, &program.norm, &program.optimizers[optimizer], &program.average, &program.exchange})
    for (uint64_t i = 0; i < list->count; ++i) {
      const sinter_gpu_train_launch &launch = list->launches[i];
      const bool isNew =
          places.try_emplace({launch.first_row, launch.rows, launch.adds != 0}, stepBytes).second;
      stepBytes += isNew ? lineUp(sizeof(sinter_step)) : 0;
    }
  updateAt = stepBytes;
  tokensAt = updateAt + lineUp(sizeof(sinter_update));
  const uint64_t ids = lineUp(uint64_t(rows()) * sizeof(int32_t));
  positionsAt = tokensAt + ids;
  targetsAt = positionsAt + ids;
  stepBytes = targetsAt + ids;
}

Result<> CudaTrainer::allocate() {
  use = {imageBytes(),
         imageBytes(),
         imageBytes() * stateImages(),
         trainer.arena_bytes,
         0,
         (trainer.image_floats - trainer.trained_floats) * sizeof(float),
         averages ? imageBytes() : 0};
  if (Result<> fits = checkFits(trainer, use, gpu->memory().available, "the free memory of the GPU"); !fits)
    return fits;
  struct Need {
    DeviceBuffer *where;
    uint64_t bytes;
    const char *purpose;
  };
  const uint64_t lossBytes = uint64_t(rows()) * sizeof(float),
                 normBytes = trainer.norm_blocks * sizeof(float),
                 voteBytes = uint64_t(2 * trainer.experts) * sizeof(float);
  std::vector<Need> needs = {{&deviceStep, stepBytes, "the description of a step"},
                             {&gradientImage, imageBytes(), "gradients"},
                             {&arena, trainer.arena_bytes, "activations"},
                             {&losses, lossBytes, "losses"},
                             {&norms, normBytes, "norms"},
                             {&votes, voteBytes, "votes of routers"}};
  if (!trainer.initial.data)
    needs.push_back({&parameters, trainer.image_floats * sizeof(float), "parameters"});
  for (uint64_t i = 0; i < stateImages(); ++i)
    needs.push_back({&states[i], imageBytes(), "the optimizer's state"});
  if (averages)
    needs.push_back({&average, imageBytes(), "the average of the parameters"});
  for (const Need &need : needs) {
    Result<DeviceBuffer> buffer = DeviceBuffer::allocate(gpu->driver(), need.bytes, need.purpose);
    if (!buffer)
      return fail("{}, of {:.1f} MiB that a step needs; {:.1f} MiB are free", buffer.error().message,
                  double(use.total()) / 0x1p20, double(gpu->memory().available) / 0x1p20);
    *need.where = std::move(*buffer);
  }
  if (trainer.initial.data) {
    Result<DeviceBuffer> uploaded =
        gpu->upload(trainer.initial.data, trainer.image_floats * sizeof(float), "the parameters");
    if (!uploaded)
      return tl::unexpected(uploaded.error());
    parameters = std::move(*uploaded);
  }
  Result<DeviceBuffer> uploaded = gpu->upload(trainer.constants.data, trainer.constants.size, "constants");
  if (!uploaded)
    return tl::unexpected(uploaded.error());
  constants = std::move(*uploaded);
  // Padding is zero in every image, and stays so.
  for (const DeviceBuffer *each :
       {trainer.initial.data ? nullptr : &parameters, &gradientImage, &states[0], &states[1], &average})
    if (each && each->address())
      if (Result<> cleared =
              driver.check(driver.fillBytes(each->address(), 0, each->bytes(), stream), "clearing an image");
          !cleared)
        return cleared;
  const auto pin = [&](PinnedBuffer &where, uint64_t bytes, const char *purpose) -> Result<> {
    Result<PinnedBuffer> pinned = PinnedBuffer::allocate(gpu->driver(), bytes, purpose);
    if (!pinned)
      return tl::unexpected(pinned.error());
    where = std::move(*pinned);
    return {};
  };
  Result<> pinned = pin(hostStep, stepBytes, "the description of a step");
  if (pinned)
    pinned = pin(hostResults, lossBytes + normBytes + voteBytes, "losses and norms");
  if (pinned)
    pinned = pin(hostLogits, uint64_t(trainer.vocabulary) * sizeof(float), "logits");
  if (!pinned)
    return pinned;
  std::memset(hostStep.data(), 0, stepBytes);
  std::memset(hostResults.data(), 0, lossBytes + normBytes + voteBytes);
  for (Mapping *each : {&mirrors[0], &mirrors[1], &mirrors[2], &mirrors[3], &gradientMirror}) {
    Result<Mapping> memory =
        Mapping::anonymous(std::max<uint64_t>(imageBytes(), 64), false, "a copy of an image");
    if (!memory)
      return tl::unexpected(memory.error());
    *each = std::move(*memory);
  }
  return synchronize();
}

Address CudaTrainer::resolve(const sinter_buffer &buffer) const {
  switch (buffer.space) {
  case SINTER_SPACE_WEIGHT:
    return parameters.address() + buffer.offset;
  case SINTER_SPACE_ARENA:
    return arena.address() + buffer.offset;
  case SINTER_SPACE_GRADIENT:
    return gradientImage.address() + buffer.offset;
  case SINTER_SPACE_STATE0:
    return states[0].address() + buffer.offset;
  case SINTER_SPACE_STATE1:
    return states[1].address() + buffer.offset;
  case SINTER_SPACE_AVERAGE:
    return average.address() + buffer.offset;
  case SINTER_SPACE_NORMS:
    return norms.address() + buffer.offset;
  case SINTER_SPACE_LOSSES:
    return losses.address() + buffer.offset;
  case SINTER_SPACE_VOTES:
    return votes.address() + buffer.offset;
  case SINTER_SPACE_CONSTANT:
    return constants.address() + buffer.offset;
  }
  assert(false && "the compiler wrote a buffer in an unknown space");
  return 0;
}

Result<> CudaTrainer::bind(CudaLaunches &launches, const sinter_gpu_train_list &from) {
  const std::function<Address(const sinter_buffer &)> resolver = [this](const sinter_buffer &buffer) {
    return resolve(buffer);
  };
  for (uint64_t i = 0; i < from.count; ++i) {
    const sinter_gpu_train_launch &launch = from.launches[i];
    const Address step = deviceStep.address() + places.at({launch.first_row, launch.rows, launch.adds != 0});
    sinter_step largest = {};
    largest.rows = largest.selected = launch.rows;
    largest.keys = trainer.sequence;
    if (Result<> added = launches.add(*gpu, stream, launch.launch, {step, largest, resolver}); !added)
      return added;
  }
  return {};
}

void CudaTrainer::setBatch(const Batch &batch, int64_t counted, bool adds, uint64_t seed,
                           const sinter_update &numbers) {
  assert(int64_t(batch.tokens.size()) == rows() && "batch * sequence rows");
  const int64_t keys = keysOf(batch);
  const auto onDevice = [&](uint64_t at, int64_t row) {
    return reinterpret_cast<const int32_t *>(deviceStep.address() + at) + row;
  };
  for (const auto &[kind, place] : places) {
    sinter_step &step = stepAt(place);
    step = stepOf(kind, keys, counted, adds, seed);
    step.tokens = onDevice(tokensAt, kind.firstRow);
    step.positions = onDevice(positionsAt, kind.firstRow);
    step.targets = onDevice(targetsAt, kind.firstRow);
    step.update = reinterpret_cast<const sinter_update *>(deviceStep.address() + updateAt);
  }
  std::memcpy(hostStep.data() + updateAt, &numbers, sizeof numbers);
  std::memcpy(hostStep.data() + tokensAt, batch.tokens.data(), batch.tokens.size_bytes());
  std::memcpy(hostStep.data() + positionsAt, batch.positions.data(), batch.positions.size_bytes());
  std::memcpy(hostStep.data() + targetsAt, batch.targets.data(), batch.targets.size_bytes());
}

Result<> CudaTrainer::copySteps() {
  return driver.check(driver.copyToDevice(deviceStep.address(), hostStep.data(), stepBytes, stream),
                      "describing a training step");
}

const CudaLaunches &CudaTrainer::launchesOf(Work work) const {
  switch (work) {
  case Work::MicroStep:
  case Work::Evaluation:
    return micro;
  case Work::Norm:
    return norm;
  case Work::Update:
    return moves;
  case Work::Exchange:
    break;
  }
  return exchange;
}

/// What a graph is made of; with `timed` also an event before and behind each launch.
Result<> CudaTrainer::record(Work work, bool timed) {
  const CudaLaunches &launches = launchesOf(work);
  Result<> result = copySteps();
  if (result && work == Work::MicroStep && trainer.experts > 0)
    result = driver.check(driver.fillBytes(votes.address(), 0, votes.bytes(), stream), "clearing votes");
  const auto mark = [&](size_t event) {
    if (timed && result)
      result = driver.check(driver.eventRecord(events[event], stream), "taking the time");
  };
  mark(0);
  for (size_t i = 0; i < launches.size() && result; ++i) {
    if (work != Work::Evaluation || microLaunches[i].in_loss)
      result = launches.start(driver, i);
    mark(i + 1);
  }
  const auto bring = [&](const float *to, const DeviceBuffer &from, uint64_t count) {
    if (result && count > 0)
      result = driver.check(
          driver.copyToHost(const_cast<float *>(to), from.address(), count * sizeof(float), stream),
          "fetching losses");
  };
  if (work == Work::Norm)
    bring(hostNorms(), norms, trainer.norm_blocks);
  if (work == Work::MicroStep || work == Work::Evaluation)
    bring(hostLosses(), losses, uint64_t(rows()));
  if (work == Work::MicroStep)
    bring(hostVotes(), votes, uint64_t(2 * trainer.experts));
  return result;
}

Result<> CudaTrainer::run(Work work) {
  if (Result<> current = ready(); !current)
    return current;
  if (times && work == Work::MicroStep)
    return remember(runTimed());
  OwnedGraphExec &graph = graphs[size_t(work)];
  if (!graph) {
    Result<OwnedGraphExec> captured =
        captureGraph(gpu->driver(), stream, [&] { return record(work, /*timed=*/false); });
    if (!captured)
      return remember(tl::unexpected(captured.error()));
    graph = std::move(*captured);
  }
  Result<> result = driver.check(driver.graphLaunch(graph, stream), "running a training step");
  return remember(result ? synchronize() : result);
}

/// A micro-step with an event before and behind each launch.
Result<> CudaTrainer::runTimed() {
  Result<> result = record(Work::MicroStep, /*timed=*/true);
  if (result)
    result = synchronize();
  for (size_t i = 0; i < micro.size() && result; ++i) {
    float milliseconds = 0;
    result =
        driver.check(driver.eventElapsedTime(&milliseconds, events[i], events[i + 1]), "taking the time");
    times[i] += milliseconds * 1e-3;
  }
  return result;
}

Result<> CudaTrainer::ready() const {
  if (failure)
    return tl::unexpected(*failure);
  return gpu->makeCurrent();
}

Result<> CudaTrainer::remember(Result<> result) {
  if (!result)
    failure = result.error();
  return result;
}

Result<double> CudaTrainer::microStep(const Batch &batch, int64_t counted, bool adds, uint64_t seed) {
  hyper.router_weight = routerWeight(batch, counted);
  setBatch(batch, counted, adds, seed, hyper);
  if (Result<> done = run(Work::MicroStep); !done)
    return tl::unexpected(done.error());
  return sumOf({hostLosses(), size_t(rows())});
}

Result<double> CudaTrainer::evaluate(const Batch &batch) {
  setBatch(batch, 1, false, 0, {});
  if (Result<> done = run(Work::Evaluation); !done)
    return tl::unexpected(done.error());
  return sumOf({hostLosses(), size_t(rows())});
}

Result<const float *> CudaTrainer::logits(const Batch &batch, int64_t row) {
  if (Result<> current = ready(); !current)
    return tl::unexpected(current.error());
  setBatch(batch, 1, false, 0, {});
  // Sequences behind that of the row are left out.
  const int64_t end = (row / trainer.sequence + 1) * trainer.sequence;
  for (const auto &[kind, place] : places) {
    sinter_step &step = stepAt(place);
    step.rows = step.selected = std::clamp<int64_t>(end - kind.firstRow, 0, kind.rows);
  }
  Result<> result = copySteps();
  for (size_t i = 0; i < micro.size() && result; ++i) {
    const sinter_gpu_train_launch &launch = microLaunches[i];
    if (!launch.in_loss)
      continue;
    result = micro.start(driver, i);
    if (launch.fills_logits && row >= launch.first_row && row < launch.first_row + launch.rows)
      break;
  }
  const uint64_t bytes = uint64_t(trainer.vocabulary) * sizeof(float);
  const Address from = arena.address() + trainer.logits_offset + uint64_t(row % trainer.logits_rows) * bytes;
  if (result)
    result = driver.check(driver.copyToHost(hostLogits.data(), from, bytes, stream), "fetching logits");
  if (result = remember(result ? synchronize() : result); !result)
    return tl::unexpected(result.error());
  return reinterpret_cast<const float *>(hostLogits.data());
}

/// Steps of launches on images.
void CudaTrainer::describeImages() {
  for (const auto &[kind, place] : places) {
    stepAt(place).rows = kind.rows;
    stepAt(place).adds = kind.adds;
  }
}

Result<double> CudaTrainer::gradientNorm() {
  describeImages();
  if (Result<> done = run(Work::Norm); !done)
    return tl::unexpected(done.error());
  return std::sqrt(sumOf({hostNorms(), size_t(trainer.norm_blocks)}));
}

Result<> CudaTrainer::update(const Hyperparameters &h, double gradientNorm) {
  setUpdate(hyper, h, gradientNorm);
  describeImages();
  std::memcpy(hostStep.data() + updateAt, &hyper, sizeof hyper);
  return run(Work::Update);
}

Result<> CudaTrainer::exchangeAverage() {
  assert(averages && "no average is kept");
  describeImages();
  return run(Work::Exchange);
}

Result<> CudaTrainer::copyBack(std::span<float> to, const DeviceBuffer &from) {
  if (Result<> current = ready(); !current)
    return current;
  Result<> result = driver.check(driver.copyToHost(to.data(), from.address(), to.size_bytes(), stream),
                                 "fetching an image");
  return remember(result ? synchronize() : result);
}

Result<> CudaTrainer::store(uint64_t number) {
  if (Result<> current = ready(); !current)
    return current;
  const std::span<float> from = image(number);
  Result<> result =
      driver.check(driver.copyToDevice(imageOf(number).address(), from.data(), from.size_bytes(), stream),
                   "storing an image");
  return remember(result ? synchronize() : result);
}

Result<std::span<const float>> CudaTrainer::gradients() {
  if (Result<> copied = copyBack(mirror(gradientMirror), gradientImage); !copied)
    return tl::unexpected(copied.error());
  return mirror(gradientMirror);
}

void CudaTrainer::setLaunchTimes(double *seconds) {
  times = nullptr;
  if (seconds && ready() && makeEvents(gpu->driver(), micro.size() + 1, events)) // else no times
    times = seconds;
}

Result<std::unique_ptr<Trainer>> openCuda(const sinter_trainer &trainer, const TrainerOptions &options) {
  if (!trainer.gpu_image_count)
    return fail(
        "this trainer was compiled for the processor alone (sinter compile --train --target=cuda makes "
        "code for GPUs)");
  Result<size_t> optimizer = findOptimizer(trainer, options.optimizer);
  if (!optimizer)
    return tl::unexpected(optimizer.error());
  device::DeviceOptions opening;
  opening.emulated = options.device == DeviceChoice::Emulator;
  opening.emulatorFolder = trainer.emulator_folder;
  Result<std::shared_ptr<Gpu>> gpu = Gpu::open({trainer.gpu_images, trainer.gpu_image_count}, opening);
  if (!gpu)
    return tl::unexpected(gpu.error());
  const std::span<const sinter_gpu_train_program> programs(trainer.gpu_programs, trainer.gpu_program_count);
  const auto program =
      std::ranges::find(programs, (*gpu)->architecture(), &sinter_gpu_train_program::architecture);
  assert(program != programs.end() && "every image has a program");
  auto opened = std::make_unique<CudaTrainer>(trainer, *optimizer, std::move(*gpu), options);
  if (Result<> ready = opened->prepare(*program); !ready)
    return tl::unexpected(ready.error());
  return opened;
}

} // namespace
} // namespace sinter::training

const sinter::training::CudaTrainerOpener sinter_cuda_trainer_opener = sinter::training::openCuda;
