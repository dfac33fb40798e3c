// SPDX-License-Identifier: Apache-2.0
// The processor as a device: a step is one parallel region in which every thread walks the list of launches,
// takes its fixed share of each launch's tiles and meets the others at a barrier.
#include "runtime/device/CacheLayout.h"
#include "runtime/device/CpuFeatures.h"
#include "runtime/device/CpuLimits.h"
#include "runtime/device/Device.h"
#include "runtime/device/InstructionSet.h"
#include "runtime/device/Memory.h"
#include "runtime/device/ThreadTeam.h"
#include "runtime/device/Tiles.h"
#include "runtime/device/WeightsMapping.h"
#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <sys/mman.h>
#include <vector>

namespace sinter::device {

namespace {

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

/// Whether every launch of every program has a kernel for `isa`.
bool hasKernels(const sinter_model &model, int isa) {
  for (uint64_t i = 0; i < model.program_count; ++i)
    for (const sinter_entry *entry : {&model.programs[i].prefill, &model.programs[i].decode})
      for (uint64_t j = 0; j < entry->launch_count; ++j)
        if (!entry->launches[j].kernels[isa])
          return false;
  return true;
}

/// Bit i: there are kernels for enum sinter_isa i.
uint32_t compiledIsas(const sinter_model &model) {
  uint32_t mask = 0;
  for (int isa = 0; isa < SINTER_ISA_COUNT; ++isa)
    mask |= hasKernels(model, isa) ? 1u << isa : 0;
  return mask;
}

/// A launch with its buffers' addresses, its kernel chosen.
struct BoundLaunch {
  sinter_kernel kernel;
  const sinter_grid *grid;
  void *const *buffers;
};
struct BoundEntry {
  const sinter_entry *entry = nullptr;
  std::vector<BoundLaunch> launches;
  std::vector<void *> buffers;
  LaunchTimes *times = nullptr;
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class CpuSession final : public Session {
public:
  CpuSession(const sinter_model &model, const sinter_program &program, ThreadTeam &team, int64_t capacity,
             int32_t slots)
      : model(model), program(program), team(team), layout(model, dtypeBytes(program.cache_dtype), capacity),
        slotCount(slots) {}

  /// Takes the memory and resolves all buffers.
  Result<void> prepare(const std::byte *weights, int isa);

  Result<void> run(const Rows &rows, std::span<const int32_t> select) override;
  Result<void> runHead(std::span<const int32_t> select) override;
  const float *logits() const override { return reinterpret_cast<const float *>(logitsMemory.data()); }
  Result<void> copyPrefix(int32_t from, int32_t to, int64_t tokens) override {
    assert(from < slotCount && to < slotCount && "slot out of range");
    layout.copyPrefix(cache.data() + uint64_t(from) * layout.slotBytes,
                      cache.data() + uint64_t(to) * layout.slotBytes, tokens);
    return {};
  }
  void setLaunchTimes(EntryKind kind, LaunchTimes *times) override;
  int64_t maxRows(EntryKind kind) const override { return entryOf(kind).max_rows; }
  int64_t maxSelected(EntryKind kind) const override { return entryOf(kind).max_selected; }
  int64_t capacity() const override { return layout.capacity; }
  int32_t slots() const override { return slotCount; }
  sinter_dtype cacheDtype() const override { return sinter_dtype(program.cache_dtype); }

private:
  const sinter_entry &entryOf(EntryKind kind) const {
    return kind == EntryKind::Prefill ? program.prefill : program.decode;
  }
  void bind(BoundEntry &bound, const sinter_entry &entry, const std::byte *weights, int isa);
  void *resolve(const sinter_buffer &buffer, const std::byte *weights);
  void setSelect(std::span<const int32_t> select);
  void runLaunches(uint64_t begin, uint64_t end);
  static void walk(void *session, int thread);

  const sinter_model &model;
  const sinter_program &program;
  ThreadTeam &team;
  const CacheLayout layout;
  const int32_t slotCount;
  Mapping cache, arena, partial, scratch, logitsMemory;
  uint64_t scratchStride = 0;
  BoundEntry prefill, decode;
  std::vector<int32_t> selected; // copy of the caller's, with room for the larger max_selected
  sinter_step step = {};
  const BoundEntry *current = nullptr;
  uint64_t walkBegin = 0, walkEnd = 0;
};

Result<void> CpuSession::prepare(const std::byte *weights, int isa) {
  const int64_t rows = std::max(program.prefill.max_rows, program.decode.max_rows);
  const int64_t wanted = std::max(program.prefill.max_selected, program.decode.max_selected);
  const uint64_t keyTiles =
      model.partial_keys
          ? (uint64_t(layout.tokens) + uint64_t(model.partial_keys) - 1) / uint64_t(model.partial_keys)
          : 0;
  scratchStride =
      roundUp(std::max({program.prefill.scratch_bytes, program.decode.scratch_bytes, uint64_t(64)}), 4096);
  // Large pages where all of it is used anyway; a long cache is used from its heads' beginnings only.
  const uint64_t cacheBytes = layout.slotBytes * uint64_t(slotCount);
  const bool largeCachePages = cacheBytes <= (uint64_t(64) << 20);
  struct Need {
    Mapping *where;
    uint64_t bytes;
    bool largePages;
    const char *purpose;
  };
  const Need needs[] = {
      {&cache, cacheBytes, largeCachePages, "keys and values"},
      {&arena, std::max(program.prefill.arena_bytes, program.decode.arena_bytes), true, "activations"},
      {&partial, uint64_t(rows) * keyTiles * model.partial_bytes, false, "partial results of attention"},
      {&scratch, scratchStride * uint64_t(team.threads()), true, "scratch of the threads"},
      {&logitsMemory, uint64_t(wanted) * uint64_t(model.vocabulary) * sizeof(float), true, "logits"},
  };
  for (const Need &need : needs) {
    Result<Mapping> memory = Mapping::anonymous(need.bytes, need.largePages, need.purpose);
    if (!memory)
      return tl::unexpected(memory.error());
    *need.where = std::move(*memory);
  }
  selected.resize(size_t(wanted));
  step.logits = reinterpret_cast<float *>(logitsMemory.data());
  step.cache_tokens = layout.tokens;
  step.cache_slot_bytes = int64_t(layout.slotBytes);
  bind(prefill, program.prefill, weights, isa);
  bind(decode, program.decode, weights, isa);
  return {};
}

void *CpuSession::resolve(const sinter_buffer &buffer, const std::byte *weights) {
  switch (buffer.space) {
  case SINTER_SPACE_WEIGHT:
    return const_cast<std::byte *>(weights) + buffer.offset;
  case SINTER_SPACE_ARENA:
    return arena.data() + buffer.offset;
  case SINTER_SPACE_CACHE_K:
    return cache.data() + layout.layers[buffer.offset].keys;
  case SINTER_SPACE_CACHE_V:
    return cache.data() + layout.layers[buffer.offset].values;
  case SINTER_SPACE_PARTIAL:
    return partial.data() + buffer.offset;
  case SINTER_SPACE_LOGITS:
    return logitsMemory.data();
  }
  assert(false && "the compiler wrote a buffer in an unknown space");
  return nullptr;
}

void CpuSession::bind(BoundEntry &bound, const sinter_entry &entry, const std::byte *weights, int isa) {
  bound.entry = &entry;
  size_t buffers = 0;
  for (uint64_t i = 0; i < entry.launch_count; ++i)
    buffers += entry.launches[i].buffer_count;
  bound.buffers.reserve(buffers); // addresses into it must stay
  for (uint64_t i = 0; i < entry.launch_count; ++i) {
    const sinter_launch &launch = entry.launches[i];
    void *const *first = bound.buffers.data() + bound.buffers.size();
    for (uint64_t j = 0; j < launch.buffer_count; ++j)
      bound.buffers.push_back(resolve(launch.buffers[j], weights));
    bound.launches.push_back({launch.kernels[isa], &launch.grid, first});
  }
}

void CpuSession::setSelect(std::span<const int32_t> select) {
  assert(int64_t(select.size()) <= current->entry->max_selected &&
         "more logits than the entry was planned for");
  std::copy(select.begin(), select.end(), selected.begin());
  step.selected = int64_t(select.size());
  step.select = selected.data();
}

Result<void> CpuSession::run(const Rows &rows, std::span<const int32_t> select) {
  current = rows.entry == EntryKind::Prefill ? &prefill : &decode;
  assert(int64_t(rows.tokens.size()) <= current->entry->max_rows &&
         "more rows than the entry was planned for");
  assert(rows.positions.size() == rows.tokens.size() && rows.slots.size() == rows.tokens.size());
  step.rows = int64_t(rows.tokens.size());
  step.tokens = rows.tokens.data();
  step.positions = rows.positions.data();
  step.slots = rows.slots.data();
  step.keys = 1 + *std::max_element(rows.positions.begin(), rows.positions.end());
  assert(step.keys <= layout.tokens && "position beyond the cache");
  setSelect(select);
  runLaunches(0, select.empty() ? current->entry->head_begin : current->entry->launch_count);
  return {};
}

Result<void> CpuSession::runHead(std::span<const int32_t> select) {
  assert(current && "runHead before run");
  setSelect(select);
  runLaunches(current->entry->head_begin, current->entry->launch_count);
  return {};
}

void CpuSession::setLaunchTimes(EntryKind kind, LaunchTimes *times) {
  BoundEntry &bound = kind == EntryKind::Prefill ? prefill : decode;
  bound.times = times;
  if (!times)
    return;
  times->work.resize(bound.launches.size());
  times->wait.resize(bound.launches.size());
}

void CpuSession::runLaunches(uint64_t begin, uint64_t end) {
  walkBegin = begin;
  walkEnd = end;
  team.run(walk, this);
}

void CpuSession::walk(void *self, int thread) {
  const CpuSession &session = *static_cast<CpuSession *>(self);
  const int64_t threads = session.team.threads();
  LaunchTimes *const times = thread == 0 ? session.current->times : nullptr;
  double before = times ? now() : 0;
  sinter_call call;
  call.step = &session.step;
  call.scratch = session.scratch.data() + uint64_t(thread) * session.scratchStride;
  for (uint64_t i = session.walkBegin; i < session.walkEnd; ++i) {
    const BoundLaunch &launch = session.current->launches[i];
    const int64_t tiles = sinter_tile_count(launch.grid, &session.step);
    const int64_t begin = tiles * thread / threads, end = tiles * (thread + 1) / threads;
    call.buffers = launch.buffers;
    if (begin < end)
      launch.kernel(&call, begin, end);
    const double done = times ? now() : 0;
    if (i + 1 < session.walkEnd) // the region's end is a barrier too
      session.team.barrier();
    if (!times)
      continue;
    times->work[i] += done - before;
    before = now();
    times->wait[i] += before - done;
  }
}

class CpuDevice final : public Device {
public:
  CpuDevice(const sinter_model &model, int isa, std::unique_ptr<ThreadTeam> team, WeightsMapping weights)
      : Device(model), isa(isa), team(std::move(team)), weights(std::move(weights)) {}

  Result<std::unique_ptr<Session>> openSession(const SessionOptions &options) override;
  Limits measureLimits() override;
  const char *backend() const override { return "cpu"; }
  const char *isaName() const override { return device::isaName(isa); }
  std::string name() const override { return {}; }
  int threads() const override { return team->threads(); }
  MemorySize memory() const override { return {availableMemory(), totalMemory()}; }

private:
  const int isa;
  std::unique_ptr<ThreadTeam> team;
  WeightsMapping weights;
};

Result<std::unique_ptr<Session>> CpuDevice::openSession(const SessionOptions &options) {
  const sinter_program *program = findProgram(model(), options.cacheDtype);
  if (!program) {
    std::string have;
    for (uint64_t i = 0; i < model().program_count; ++i)
      have += (i ? ", " : "") + std::string(dtypeName(model().programs[i].cache_dtype));
    return fail("this program was compiled for keys and values in {}, not in {}", have,
                options.cacheDtype ? dtypeName(*options.cacheDtype) : "any type");
  }
  assert(options.capacity > 0 && options.slots > 0);
  auto session = std::make_unique<CpuSession>(model(), *program, *team, options.capacity, options.slots);
  if (Result<void> ready = session->prepare(weights.data, isa); !ready)
    return tl::unexpected(ready.error());
  return session;
}

Limits CpuDevice::measureLimits() {
  struct Work {
    ThreadTeam *team;
    const std::byte *data;
    size_t bytes;
    std::vector<uint64_t> sums;
  };
  const size_t least = size_t(64) << 20;
  Mapping own;
  Work work{team.get(), weights.data, model().weights.size, {}};
  if (work.bytes < least) {
    if (Result<Mapping> memory = Mapping::anonymous(least, true, "bandwidth measurement")) {
      own = std::move(*memory);
      std::memset(own.data(), 1, least);
      work.data = own.data();
      work.bytes = least;
    }
  }
  work.sums.resize(size_t(threads()));

  const auto read = [](void *context, int thread) {
    Work &w = *static_cast<Work *>(context);
    const size_t share = w.bytes / size_t(w.team->threads()) / 4096 * 4096;
    w.sums[size_t(thread)] = readStreams(w.data + size_t(thread) * share, share);
  };
  const auto seconds = [&](ThreadTeam::Body body) {
    const auto begin = std::chrono::steady_clock::now();
    team->run(body, &work);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  Limits limits{0, 0, multiplyAddKind(isa)};
  const double bytes = double(work.bytes / size_t(threads()) / 4096 * 4096) * threads();
  for (int i = 0; i < 8; ++i) // the first also maps the pages
    limits.readBytesPerSecond = std::max(limits.readBytesPerSecond, bytes / seconds(read));
  limits.flopsPerSecond = measureFlopsPerSecond(*team, isa);
  return limits;
}

} // namespace

Result<std::unique_ptr<Device>> openCpu(const sinter_model &model, const DeviceOptions &options) {
  if (model.abi_version != SINTER_ABI_VERSION)
    return fail("the model was compiled for version {} of the runtime, this is version {}", model.abi_version,
                SINTER_ABI_VERSION);
  Result<int> isa = chooseIsa(compiledIsas(model));
  if (!isa)
    return tl::unexpected(isa.error());
  Result<WeightsMapping> weights = WeightsMapping::open(model, options.weightsPath);
  if (!weights)
    return tl::unexpected(weights.error());
  Result<std::unique_ptr<ThreadTeam>> team = ThreadTeam::start(threadsOrCores(options.threads));
  if (!team)
    return tl::unexpected(team.error());
  return std::make_unique<CpuDevice>(model, *isa, std::move(*team), std::move(*weights));
}

} // namespace sinter::device
