// SPDX-License-Identifier: Apache-2.0
// A step is one copy of its description to the GPU, then the launches in order on one stream, or one kernel
// that does all of them; everything they are given is fixed when the session begins, so a decode step is
// captured once as a graph and replayed.
#include "runtime/device/CudaSession.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace sinter::device::cuda {

namespace {
/// Rows of logits that a session has at once.
int64_t mostSelected(const sinter_gpu_program &program) {
  return std::max(program.prefill.max_selected, program.decode.max_selected);
}

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }
} // namespace

CudaSession::CudaSession(const sinter_model &model, const sinter_gpu_program &program,
                         std::shared_ptr<Shared> shared, const SessionOptions &options)
    : model(model), program(program), shared(std::move(shared)), driver(*this->shared->gpu->driver()),
      layout(model, dtypeBytes(program.cache_dtype), options.capacity), slotCount(options.slots),
      drawCount(program.sample.launch_count ? std::max<int64_t>(mostSelected(program), options.slots) : 0) {}

CudaSession::~CudaSession() {
  (void)shared->gpu->makeCurrent(); // for what is given back
  if (stream)
    driver.streamSynchronize(stream);
}

Result<void> CudaSession::prepare() {
  if (Result<void> current = ready(); !current)
    return current;
  Result<OwnedStream> made = makeStream(shared->gpu->driver());
  if (!made)
    return tl::unexpected(made.error());
  stream = std::move(*made);
  layOutStep();
  if (Result<void> allocated = allocate(); !allocated)
    return allocated;
  if (Result<void> bound = bind(prefill, program.prefill, arena); !bound)
    return bound;
  if (Result<void> bound = bind(decode, program.decode, arena); !bound)
    return bound;
  if (Result<void> bound = bind(sample, program.sample, sampleArena); !bound)
    return bound;
  return program.persistent ? bindPersistent() : Result<void>();
}

/// The largest step of `entry`.
sinter_step CudaSession::largestStep(const sinter_gpu_entry &entry) const {
  sinter_step largest = {};
  largest.rows = entry.max_rows;
  largest.selected = entry.max_selected;
  largest.keys = layout.tokens;
  largest.cache_tokens = layout.tokens;
  largest.cache_slot_bytes = int64_t(layout.slotBytes);
  largest.draws = drawCount;
  return largest;
}

Result<void> CudaSession::bindPersistent() {
  std::vector<Address> buffers;
  const auto add = [&](const sinter_gpu_entry &entry, const DeviceBuffer &arena) {
    for (uint64_t i = 0; i < entry.launch_count; ++i)
      for (uint64_t j = 0; j < entry.launches[i].buffer_count; ++j)
        buffers.push_back(resolve(entry.launches[i].buffers[j], arena));
  };
  add(program.decode, arena);
  add(program.sample, sampleArena);
  return persistent.prepare(*shared->gpu, *program.persistent,
                            {deviceStep.address(), deviceStep.address() + countersAt, buffers},
                            largestStep(program.decode), stream);
}

/// Places of the step's arrays, each on a 64-byte line.
void CudaSession::layOutStep() {
  const uint64_t rows = uint64_t(std::max(program.prefill.max_rows, program.decode.max_rows));
  const uint64_t wanted = uint64_t(std::max(program.prefill.max_selected, program.decode.max_selected));
  tokensAt = roundUp(sizeof(sinter_step), 64);
  positionsAt = tokensAt + roundUp(rows * sizeof(int32_t), 64);
  slotsAt = positionsAt + roundUp(rows * sizeof(int32_t), 64);
  selectAt = slotsAt + roundUp(rows * sizeof(int32_t), 64);
  samplingAt = selectAt + roundUp(wanted * sizeof(int32_t), 64);
  adjustmentsAt = roundUp(samplingAt + uint64_t(drawCount) * sizeof(sinter_sampling), 64);
  countersAt = roundUp(adjustmentsAt + uint64_t(maxAdjustments()) * sizeof(sinter_adjustment),
                       SINTER_GPU_COUNTER_BYTES);
  stepBytes = countersAt + (program.persistent ? PersistentStep::counterBytes(*program.persistent) : 0);
}

Result<void> CudaSession::allocate() {
  const uint64_t rows = uint64_t(std::max(program.prefill.max_rows, program.decode.max_rows));
  const uint64_t wanted = uint64_t(std::max(program.prefill.max_selected, program.decode.max_selected));
  const uint64_t logitBytes = wanted * uint64_t(model.vocabulary) * sizeof(float);
  const auto partialBytes = [&](int64_t tokens) {
    const uint64_t tileKeys = uint64_t(model.gpu_partial_keys);
    return tileKeys ? rows * ((uint64_t(tokens) + tileKeys - 1) / tileKeys) * model.gpu_partial_bytes : 0;
  };
  uint64_t splitBytes = 0;
  for (const sinter_gpu_entry *entry : {&program.prefill, &program.decode})
    for (uint64_t i = 0; i < entry->launch_count; ++i)
      for (uint64_t j = 0; j < entry->launches[i].buffer_count; ++j)
        if (const sinter_buffer &buffer = entry->launches[i].buffers[j]; buffer.space == SINTER_SPACE_SPLIT) {
          splitCounterBytes = std::max(splitCounterBytes, roundUp(buffer.counters * sizeof(uint32_t), 256));
          splitBytes = std::max(splitBytes, buffer.offset);
        }
  struct Need {
    DeviceBuffer *where;
    uint64_t bytes;
    const char *purpose;
  };
  const Need needs[] = {
      {&deviceStep, stepBytes, "the description of a step"},
      {&arena, std::max(program.prefill.arena_bytes, program.decode.arena_bytes), "activations"},
      {&deviceLogits, logitBytes, "logits"},
      {&sampleArena, program.sample.arena_bytes, "drawing tokens"},
      {&deviceDrawn, uint64_t(drawCount) * sizeof(int32_t), "drawn tokens"},
      {&partial, partialBytes(layout.tokens), "partial results of attention"},
      {&split, splitCounterBytes + splitBytes, "sums of parts of matmuls"},
      {&cache, layout.slotBytes * uint64_t(slotCount), "keys and values"},
  };
  size_t available = 0, total = 0;
  driver.memoryGetInfo(&available, &total);
  uint64_t needed = 0;
  for (const Need &need : needs)
    needed += roundUp(need.bytes, 512); // what an allocation takes at least
  for (const Need &need : needs) {
    Result<DeviceBuffer> buffer = DeviceBuffer::allocate(shared->gpu->driver(), need.bytes, need.purpose);
    if (buffer) {
      *need.where = std::move(*buffer);
      continue;
    }
    // What depends on the capacity is nearly in proportion to it.
    const uint64_t perContext = layout.slotBytes * uint64_t(slotCount) + partialBytes(layout.tokens),
                   fixed = needed - perContext;
    const uint64_t taken = fixed + 4096 * uint64_t(slotCount); // slots are whole pages
    const uint64_t room = available > taken ? available - taken : 0;
    const int64_t fits =
        int64_t(double(layout.tokens) * double(room) / double(std::max<uint64_t>(perContext, 1))) /
        SINTER_CACHE_PANEL * SINTER_CACHE_PANEL;
    return fail("{}: a context of {} tokens times {} needs {:.1f} MiB on the GPU, beside {:.1f} MiB of "
                "weights; {:.1f} MiB "
                "are free: {}",
                buffer.error().message, layout.tokens, slotCount, double(needed) / 0x1p20,
                double(shared->weights.bytes()) / 0x1p20, double(available) / 0x1p20,
                fits > 0 && fits < layout.tokens ? fmt::format("{} tokens would fit (-c {})", fits, fits)
                                                 : "no context fits");
  }
  // Kernels may read rows of the cache that nobody has written, with weight zero: they must hold numbers.
  if (Result<void> filled =
          driver.check(driver.fillBytes(cache.address(), 0, cache.bytes(), stream), "clearing the cache");
      !filled)
    return filled;
  if (splitCounterBytes) // each launch leaves them at 0
    if (Result<void> filled = driver.check(driver.fillBytes(split.address(), 0, splitCounterBytes, stream),
                                           "clearing counters of tiles");
        !filled)
      return filled;
  Result<PinnedBuffer> step =
      PinnedBuffer::allocate(shared->gpu->driver(), stepBytes, "the description of a step");
  if (!step)
    return tl::unexpected(step.error());
  hostStep = std::move(*step);
  Result<PinnedBuffer> logits = PinnedBuffer::allocate(shared->gpu->driver(), logitBytes, "logits");
  if (!logits)
    return tl::unexpected(logits.error());
  hostLogits = std::move(*logits);
  Result<PinnedBuffer> drawn =
      PinnedBuffer::allocate(shared->gpu->driver(), uint64_t(drawCount) * sizeof(int32_t), "drawn tokens");
  if (!drawn)
    return tl::unexpected(drawn.error());
  hostDrawn = std::move(*drawn);
  // The copy of the step resets the counters of the persistent kernel.
  std::memset(hostStep.data() + countersAt, 0, stepBytes - countersAt);
  // The pointers of the step are the GPU's and never change, but for that to adjustments.
  sinter_step &fixed = *new (hostStep.data()) sinter_step{};
  const auto onDevice = [&](uint64_t at) {
    return reinterpret_cast<const int32_t *>(deviceStep.address() + at);
  };
  fixed.tokens = onDevice(tokensAt);
  fixed.positions = onDevice(positionsAt);
  fixed.slots = onDevice(slotsAt);
  fixed.select = onDevice(selectAt);
  fixed.logits = reinterpret_cast<float *>(deviceLogits.address());
  fixed.sampling = reinterpret_cast<const sinter_sampling *>(deviceStep.address() + samplingAt);
  fixed.cache_tokens = layout.tokens;
  fixed.cache_slot_bytes = int64_t(layout.slotBytes);
  return {};
}

Address CudaSession::resolve(const sinter_buffer &buffer, const DeviceBuffer &arena) const {
  switch (buffer.space) {
  case SINTER_SPACE_WEIGHT:
    return shared->weights.address() + buffer.offset;
  case SINTER_SPACE_ARENA:
    return arena.address() + buffer.offset;
  case SINTER_SPACE_CACHE_K:
    return cache.address() + layout.layers[buffer.offset].keys;
  case SINTER_SPACE_CACHE_V:
    return cache.address() + layout.layers[buffer.offset].values;
  case SINTER_SPACE_PARTIAL:
    return partial.address() + buffer.offset;
  case SINTER_SPACE_LOGITS:
    return deviceLogits.address();
  case SINTER_SPACE_DRAWN:
    return deviceDrawn.address();
  case SINTER_SPACE_SPLIT:
    return split.address() + splitCounterBytes;
  }
  assert(false && "the compiler wrote a buffer in an unknown space");
  return 0;
}

Result<void> CudaSession::bind(BoundEntry &bound, const sinter_gpu_entry &entry, const DeviceBuffer &arena) {
  bound.entry = &entry;
  const sinter_step largest = largestStep(entry);
  const std::function<Address(const sinter_buffer &)> resolver = [&](const sinter_buffer &buffer) {
    return resolve(buffer, arena);
  };
  for (uint64_t i = 0; i < entry.launch_count; ++i)
    if (Result<void> added = bound.launches.add(*shared->gpu, stream, entry.launches[i],
                                                {deviceStep.address(), largest, resolver, slotCount});
        !added)
      return added;
  return {};
}

void CudaSession::setSelect(std::span<const int32_t> select) {
  assert(int64_t(select.size()) <= current->entry->max_selected &&
         "more logits than the entry was planned for");
  std::memcpy(hostStep.data() + selectAt, select.data(), select.size_bytes());
  reinterpret_cast<sinter_step *>(hostStep.data())->selected = int64_t(select.size());
}

Result<void> CudaSession::copyStep() {
  return driver.check(driver.copyToDevice(deviceStep.address(), hostStep.data(), stepBytes, stream),
                      "describing a step");
}

Result<void> CudaSession::launch(BoundEntry &bound, uint64_t begin, uint64_t end) {
  if (bound.times)
    return launchTimed(bound, begin, end);
  Result<void> result;
  for (uint64_t i = begin; i < end && result; ++i)
    result = bound.launches.start(driver, i);
  return result;
}

/// With an event before and after each launch. All of it is work: a GPU's blocks wait for nobody.
Result<void> CudaSession::launchTimed(BoundEntry &bound, uint64_t begin, uint64_t end) {
  LaunchTimes *const times = std::exchange(bound.times, nullptr);
  Result<void> result = driver.check(driver.eventRecord(events[0], stream), "taking the time");
  for (uint64_t i = begin; i < end && result; ++i) {
    result = launch(bound, i, i + 1);
    if (result)
      result = driver.check(driver.eventRecord(events[i - begin + 1], stream), "taking the time");
  }
  if (result)
    result = driver.check(driver.streamSynchronize(stream), "running a step");
  for (uint64_t i = begin; i < end && result; ++i) {
    float milliseconds = 0;
    result = driver.check(driver.eventElapsedTime(&milliseconds, events[i - begin], events[i - begin + 1]),
                          "taking the time");
    times->work[i] += milliseconds * 1e-3;
  }
  bound.times = times;
  return result;
}

/// The copy of the step and the launches of the current entry before `end`; with `draws` those that draw
/// tokens, and the copy of all places of tokens to the host: it is as large whatever the step.
Result<void> CudaSession::launchStep(uint64_t end, bool draws) {
  Result<void> result = copyStep();
  const bool isOne = persistent && current == &decode && end == decode.launches.size() && !decode.times;
  if (result)
    result = isOne ? persistent.launch(end + (draws ? sample.launches.size() : 0)) : launch(*current, 0, end);
  if (!result || !draws)
    return result;
  if (!isOne)
    result = launch(sample, 0, sample.entry->launch_count);
  if (result)
    result =
        driver.check(driver.copyToHost(hostDrawn.data(), deviceDrawn.address(), deviceDrawn.bytes(), stream),
                     "fetching tokens");
  return result;
}

Result<void> CudaSession::copyLogits() {
  const int64_t selected = reinterpret_cast<const sinter_step *>(hostStep.data())->selected;
  if (selected) {
    const uint64_t bytes = uint64_t(selected) * uint64_t(model.vocabulary) * sizeof(float);
    const Code code = driver.copyToHost(hostLogits.data(), deviceLogits.address(), bytes, stream);
    if (Result<void> copied = driver.check(code, "fetching logits"); !copied)
      return copied;
  }
  return driver.check(driver.streamSynchronize(stream), "running a step");
}

Result<void> CudaSession::ready() const {
  if (failure)
    return tl::unexpected(*failure);
  return shared->gpu->makeCurrent();
}

Result<void> CudaSession::remember(Result<void> result) {
  if (!result)
    failure = result.error();
  return result;
}

/// Launches a step without waiting for it.
Result<void> CudaSession::start(const Rows &rows, std::span<const int32_t> select, bool draws) {
  current = rows.entry == EntryKind::Prefill ? &prefill : &decode;
  assert(int64_t(rows.tokens.size()) <= current->entry->max_rows &&
         "more rows than the entry was planned for");
  assert(rows.positions.size() == rows.tokens.size() && rows.slots.size() == rows.tokens.size());
  sinter_step &step = *reinterpret_cast<sinter_step *>(hostStep.data());
  step.rows = int64_t(rows.tokens.size());
  step.keys = 1 + *std::max_element(rows.positions.begin(), rows.positions.end());
  assert(step.keys <= layout.tokens && "position beyond the cache");
  std::memcpy(hostStep.data() + tokensAt, rows.tokens.data(), rows.tokens.size_bytes());
  std::memcpy(hostStep.data() + positionsAt, rows.positions.data(), rows.positions.size_bytes());
  std::memcpy(hostStep.data() + slotsAt, rows.slots.data(), rows.slots.size_bytes());
  setSelect(select);
  if (rows.entry != EntryKind::Decode || select.empty() || current->times)
    return launchStep(select.empty() ? current->entry->head_begin : current->entry->launch_count, draws);
  // Kernels take their number of rows, and how tokens are drawn, from the step, so one graph serves all.
  OwnedGraphExec &graph = draws ? current->drawing : current->whole;
  if (!graph) {
    Result<OwnedGraphExec> captured = captureGraph(
        shared->gpu->driver(), stream, [&] { return launchStep(current->entry->launch_count, draws); });
    if (!captured)
      return tl::unexpected(captured.error());
    graph = std::move(*captured);
  }
  return driver.check(driver.graphLaunch(graph, stream), "running a step");
}

Result<void> CudaSession::run(const Rows &rows, std::span<const int32_t> select) {
  if (Result<void> current = ready(); !current)
    return current;
  Result<void> result = start(rows, select, false);
  if (result)
    result = copyLogits();
  return remember(std::move(result));
}

Result<std::span<const int32_t>> CudaSession::runAndDraw(const Rows &rows, std::span<const int32_t> select,
                                                         std::span<const sinter_sampling> draws,
                                                         std::span<const sinter_adjustment> adjustments) {
  if (Result<void> current = ready(); !current)
    return tl::unexpected(current.error());
  assert(!draws.empty() && int64_t(draws.size()) <= drawCount && "more draws than there is room for");
  assert(int64_t(adjustments.size()) <= maxAdjustments() && "more adjustments than there is room for");
  std::memcpy(hostStep.data() + samplingAt, draws.data(), draws.size_bytes());
  sinter_step &step = *reinterpret_cast<sinter_step *>(hostStep.data());
  step.draws = int64_t(draws.size());
  step.adjustments = nullptr;
  if (!adjustments.empty()) {
    std::memcpy(hostStep.data() + adjustmentsAt, adjustments.data(), adjustments.size_bytes());
    step.adjustments = reinterpret_cast<const sinter_adjustment *>(deviceStep.address() + adjustmentsAt);
  }
  Result<void> result = start(rows, select, true);
  if (result)
    result = driver.check(driver.streamSynchronize(stream), "running a step");
  if (result = remember(std::move(result)); !result)
    return tl::unexpected(result.error());
  return std::span(reinterpret_cast<const int32_t *>(hostDrawn.data()), draws.size());
}

Result<void> CudaSession::fetchLogits() {
  if (Result<void> current = ready(); !current)
    return current;
  return remember(copyLogits());
}

Result<void> CudaSession::runHead(std::span<const int32_t> select) {
  assert(current && "runHead before run");
  if (Result<void> current = ready(); !current)
    return current;
  setSelect(select);
  Result<void> result = copyStep();
  if (result)
    result = launch(*current, current->entry->head_begin, current->entry->launch_count);
  if (result)
    result = copyLogits();
  return remember(std::move(result));
}

Result<void> CudaSession::copyPrefix(int32_t from, int32_t to, int64_t tokens) {
  assert(from < slotCount && to < slotCount && "slot out of range");
  if (Result<void> current = ready(); !current)
    return current;
  const Address source = cache.address() + uint64_t(from) * layout.slotBytes;
  const Address target = cache.address() + uint64_t(to) * layout.slotBytes;
  Result<void> result;
  layout.visitPrefix(tokens, [&](uint64_t offset, uint64_t bytes) {
    if (result)
      result = driver.check(driver.copyOnDevice(target + offset, source + offset, bytes, stream),
                            "copying the cache");
  });
  if (result)
    result = driver.check(driver.streamSynchronize(stream), "copying the cache");
  return remember(std::move(result));
}

void CudaSession::setLaunchTimes(EntryKind kind, LaunchTimes *times) {
  BoundEntry &bound = kind == EntryKind::Prefill ? prefill : decode;
  bound.times = nullptr;
  if (!times)
    return;
  times->work.resize(bound.launches.size());
  times->wait.resize(bound.launches.size());
  if (ready() && makeEvents(shared->gpu->driver(), bound.launches.size() + 1, events)) // else no times
    bound.times = times;
}

} // namespace sinter::device::cuda
