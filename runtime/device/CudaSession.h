// SPDX-License-Identifier: Apache-2.0
// The cache, the activations and the logits of some sequences on a GPU, and the launches of a step over them.
#ifndef SINTER_RUNTIME_DEVICE_CUDASESSION_H
#define SINTER_RUNTIME_DEVICE_CUDASESSION_H

#include "runtime/device/CacheLayout.h"
#include "runtime/device/CudaLaunches.h"
#include "runtime/device/CudaPersistent.h"

namespace sinter::device::cuda {

/// What sessions of one device share.
struct Shared {
  std::shared_ptr<Gpu> gpu;
  DeviceBuffer weights;

  ~Shared() {
    if (gpu) // for the weights
      (void)gpu->makeCurrent();
  }
};

class CudaSession final : public Session {
public:
  CudaSession(const sinter_model &model, const sinter_gpu_program &program, std::shared_ptr<Shared> shared,
              const SessionOptions &options);
  ~CudaSession() override;

  /// Takes the memory, resolves all buffers and kernels. When the GPU has too little memory, the error says
  /// how much is needed and which capacity would fit.
  Result<void> prepare();

  Result<void> run(const Rows &rows, std::span<const int32_t> select) override;
  Result<void> runHead(std::span<const int32_t> select) override;
  int64_t maxDraws() const override { return drawCount; }
  int64_t maxAdjustments() const override { return drawCount ? adjustmentCount : 0; }
  Result<std::span<const int32_t>> runAndDraw(const Rows &rows, std::span<const int32_t> select,
                                              std::span<const sinter_sampling> draws,
                                              std::span<const sinter_adjustment> adjustments) override;
  Result<void> fetchLogits() override;
  const float *logits() const override { return reinterpret_cast<const float *>(hostLogits.data()); }
  Result<void> copyPrefix(int32_t from, int32_t to, int64_t tokens) override;
  void setLaunchTimes(EntryKind kind, LaunchTimes *times) override;
  int64_t maxRows(EntryKind kind) const override { return entryOf(kind).max_rows; }
  int64_t maxSelected(EntryKind kind) const override { return entryOf(kind).max_selected; }
  int64_t capacity() const override { return layout.capacity; }
  int32_t slots() const override { return slotCount; }
  sinter_dtype cacheDtype() const override { return sinter_dtype(program.cache_dtype); }

private:
  /// 16 KiB of each step's copy: the 64 tokens that penalties look back on, of 16 sequences.
  static constexpr int64_t adjustmentCount = 1024;
  struct BoundEntry {
    const sinter_gpu_entry *entry = nullptr;
    CudaLaunches launches;
    OwnedGraphExec whole;   ///< the step's copy and all launches, once captured
    OwnedGraphExec drawing; ///< and the launches of `sample`, and the copy of the tokens to the host
    LaunchTimes *times = nullptr;
  };

  const sinter_gpu_entry &entryOf(EntryKind kind) const {
    return kind == EntryKind::Prefill ? program.prefill : program.decode;
  }
  Result<void> allocate();
  Result<void> bind(BoundEntry &bound, const sinter_gpu_entry &entry, const DeviceBuffer &arena);
  sinter_step largestStep(const sinter_gpu_entry &entry) const;
  Result<void> bindPersistent();
  Address resolve(const sinter_buffer &buffer, const DeviceBuffer &arena) const;
  void layOutStep();
  void setSelect(std::span<const int32_t> select);
  Result<void> copyStep();
  Result<void> launch(BoundEntry &bound, uint64_t begin, uint64_t end);
  Result<void> launchTimed(BoundEntry &bound, uint64_t begin, uint64_t end);
  Result<void> launchStep(uint64_t end, bool draws);
  Result<void> start(const Rows &rows, std::span<const int32_t> select, bool draws);
  Result<void> copyLogits();
  /// Before each use: whether the device takes work, by the calling thread from now on.
  Result<void> ready() const;
  Result<void> remember(Result<void> result);

  const sinter_model &model;
  const sinter_gpu_program &program;
  const std::shared_ptr<Shared> shared;
  Driver &driver;
  const CacheLayout layout;
  const int32_t slotCount;
  const int64_t drawCount;
  OwnedStream stream;
  std::vector<OwnedEvent> events; // of the launches whose times are taken
  DeviceBuffer cache, arena, partial, split, deviceLogits, deviceStep, sampleArena, deviceDrawn;
  PinnedBuffer hostLogits, hostStep, hostDrawn;
  uint64_t splitCounterBytes = 0; // of `split`, before the sums
  // struct sinter_step and the arrays that it points to, in one block that is copied whole: places in it.
  uint64_t tokensAt = 0, positionsAt = 0, slotsAt = 0, selectAt = 0, samplingAt = 0, adjustmentsAt = 0,
           countersAt = 0, stepBytes = 0;
  BoundEntry prefill, decode, sample;
  PersistentStep persistent; // decode and sample in one launch, where the program has that
  BoundEntry *current = nullptr;
  std::optional<Error> failure; // what the device said first; it takes no more work then
};

} // namespace sinter::device::cuda

#endif // SINTER_RUNTIME_DEVICE_CUDASESSION_H
