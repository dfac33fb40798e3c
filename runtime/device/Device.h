// SPDX-License-Identifier: Apache-2.0
// What runs the launches of a model: one interface, one file a device. A Device holds the weights and the
// threads, a Session the cache, the activations and the logits of a number of sequences.
#ifndef SINTER_RUNTIME_DEVICE_DEVICE_H
#define SINTER_RUNTIME_DEVICE_DEVICE_H

#include "runtime/Result.h"
#include "runtime/abi.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sinter::device {

enum class EntryKind { Prefill, Decode };

/// The rows of one step. Prefill: consecutive tokens of one sequence; decode: the newest token of each of
/// several sequences, every one in a slot of its own.
struct Rows {
  EntryKind entry;
  std::span<const int32_t> tokens;    ///< (rows) ids below the vocabulary's size
  std::span<const int32_t> positions; ///< (rows) below the session's capacity
  std::span<const int32_t> slots;     ///< (rows) below the session's number of slots
};

struct SessionOptions {
  int64_t capacity = 0;                   ///< tokens a slot holds
  int32_t slots = 1;                      ///< sequences held at once
  std::optional<sinter_dtype> cacheDtype; ///< empty: that of the model's first program
};

/// Where the time of an entry's launches went on the first thread, in seconds added up over runs, by the
/// launch's number.
struct LaunchTimes {
  std::vector<double> work; ///< in the kernel
  std::vector<double> wait; ///< for the other threads
};

class Session {
public:
  virtual ~Session() = default;

  /// Runs the layers for `rows` (at most maxRows), then computes the logits of the rows in `select`
  /// (increasing, at most maxSelected; may be empty). The tokens' keys and values are in the cache after it.
  /// Fails when the device fails, and then every time.
  [[nodiscard]] virtual Result<void> run(const Rows &rows, std::span<const int32_t> select) = 0;

  /// Computes the logits of other rows of the latest run.
  [[nodiscard]] virtual Result<void> runHead(std::span<const int32_t> select) = 0;

  /// Tokens that the device can draw after a run; 0: the host draws.
  virtual int64_t maxDraws() const { return 0; }

  /// Logits that the device can adjust before it draws.
  virtual int64_t maxAdjustments() const { return 0; }

  /// As run, but logits stay on the device: it adjusts those that `adjustments` (at most maxAdjustments, of
  /// one draw after another) name and draws a token by each of `draws` (at least one, at most maxDraws).
  /// Returns the tokens, valid until the next call; -1 where none can be drawn.
  [[nodiscard]] virtual Result<std::span<const int32_t>>
  runAndDraw(const Rows &, std::span<const int32_t> /*select*/, std::span<const sinter_sampling> /*draws*/,
             std::span<const sinter_adjustment> /*adjustments*/ = {}) {
    return fail("this device draws no tokens");
  }

  /// Fetches the logits that the latest runAndDraw has left on the device: logits() has them then.
  [[nodiscard]] virtual Result<void> fetchLogits() { return {}; }

  /// Logits of the latest run or runHead, in the host's memory: (selected, vocabulary).
  virtual const float *logits() const = 0;

  /// Copies the cache of the first `tokens` positions of one slot to another.
  [[nodiscard]] virtual Result<void> copyPrefix(int32_t from, int32_t to, int64_t tokens) = 0;

  /// From now on adds the times of the launches of `entry` to `times`, which lives until it is replaced; null
  /// (as at the beginning): takes none.
  virtual void setLaunchTimes(EntryKind entry, LaunchTimes *times) = 0;

  virtual int64_t maxRows(EntryKind entry) const = 0;
  virtual int64_t maxSelected(EntryKind entry) const = 0;
  virtual int64_t capacity() const = 0;
  virtual int32_t slots() const = 0;
  virtual sinter_dtype cacheDtype() const = 0;
};

/// What the machine could do at best: of a processor measured by small loops on the device's own threads, of
/// a GPU computed from its clocks.
struct Limits {
  double readBytesPerSecond; ///< reading the weights from beginning to end
  double flopsPerSecond;     ///< multiply-adds on registers, two operations each
  const char *flopsKind;     ///< which instruction that was
};

struct MemorySize {
  uint64_t available, total; ///< bytes
};

struct DeviceOptions {
  int threads = 0;                 ///< 0: one a physical core that this process may use
  std::string weightsPath;         ///< the image's file when the model does not contain it
  bool emulated = false;           ///< the emulated GPU instead of a real one
  std::string emulatorFolder = {}; ///< where it is looked for last
};

class Device {
public:
  virtual ~Device() = default;
  virtual Result<std::unique_ptr<Session>> openSession(const SessionOptions &options) = 0;
  virtual Limits measureLimits() = 0;
  virtual const char *backend() const = 0; ///< "cpu", "cuda", "emulator"
  virtual const char *isaName() const = 0; ///< "avx2", "avx512", "avx512bf16", "amx"; "sm_90a"
  virtual std::string name() const = 0;    ///< of a GPU its product name, else empty
  virtual int threads() const = 0;         ///< of a GPU its multiprocessors
  virtual MemorySize memory() const = 0;   ///< that sessions come from
  const sinter_model &model() const { return *description; }

protected:
  explicit Device(const sinter_model &model) : description(&model) {}

private:
  const sinter_model *description;
};

/// Opens `model` on this machine's processor. Fails when the model is of another ABI, when the processor
/// lacks what its kernels need, when the weights' file is missing or another model's, and when threads cannot
/// be started. The environment variable SINTER_ISA=avx2|avx512|avx512bf16|amx chooses the instruction set
/// instead.
Result<std::unique_ptr<Device>> openCpu(const sinter_model &model, const DeviceOptions &options);

/// Opens `model` on a GPU: the first that the driver gives (CUDA_VISIBLE_DEVICES chooses), or the emulated
/// one. Fails when the model has no code for GPUs, when there is no driver, no GPU, an older driver or an
/// older GPU than the code needs, and when the weights do not fit.
using CudaOpener = Result<std::unique_ptr<Device>> (*)(const sinter_model &model,
                                                       const DeviceOptions &options);

/// The program whose cache has elements of type `dtype` (empty: the first one), or null.
const sinter_program *findProgram(const sinter_model &model, std::optional<sinter_dtype> dtype);

/// "f32", "f16" or "bf16".
const char *dtypeName(uint32_t dtype);

} // namespace sinter::device

/// There only in programs that are linked with it: static ones cannot open a driver, and leave it out.
/// `cudaOpener()` of them is null.
extern "C" const sinter::device::CudaOpener sinter_cuda_opener __attribute__((weak));

namespace sinter::device {
inline CudaOpener cudaOpener() { return &sinter_cuda_opener ? sinter_cuda_opener : nullptr; }
} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_DEVICE_H
