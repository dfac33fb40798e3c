// SPDX-License-Identifier: Apache-2.0
// What a driver lends, given back with its owner: memory of a GPU, and of the host where the GPU reads it;
// streams, events, graphs.
#ifndef SINTER_RUNTIME_DEVICE_CUDAMEMORY_H
#define SINTER_RUNTIME_DEVICE_CUDAMEMORY_H

#include "runtime/device/CudaDriver.h"
#include <utility>
#include <vector>

namespace sinter::device::cuda {

class DeviceBuffer {
public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer &&other) noexcept { *this = std::move(other); }
  DeviceBuffer &operator=(DeviceBuffer &&other) noexcept {
    std::swap(driver, other.driver);
    std::swap(start, other.start);
    std::swap(size, other.size);
    return *this;
  }
  ~DeviceBuffer() {
    if (start)
      driver->free(start);
  }

  /// At least one byte; `purpose` names the memory in the error.
  static Result<DeviceBuffer> allocate(std::shared_ptr<Driver> driver, uint64_t bytes, const char *purpose) {
    DeviceBuffer buffer;
    buffer.size = bytes ? bytes : 1;
    const Code code = driver->allocate(&buffer.start, buffer.size);
    if (Result<void> done =
            driver->check(code, fmt::format("{} bytes on the GPU for {}", buffer.size, purpose));
        !done)
      return tl::unexpected(done.error());
    buffer.driver = std::move(driver);
    return buffer;
  }

  Address address() const { return start; }
  uint64_t bytes() const { return size; }

private:
  std::shared_ptr<Driver> driver;
  Address start = 0;
  uint64_t size = 0;
};

/// Memory of the host that copies to and from the GPU need no detour for.
class PinnedBuffer {
public:
  PinnedBuffer() = default;
  PinnedBuffer(PinnedBuffer &&other) noexcept { *this = std::move(other); }
  PinnedBuffer &operator=(PinnedBuffer &&other) noexcept {
    std::swap(driver, other.driver);
    std::swap(start, other.start);
    return *this;
  }
  ~PinnedBuffer() {
    if (start)
      driver->hostFree(start);
  }

  static Result<PinnedBuffer> allocate(std::shared_ptr<Driver> driver, uint64_t bytes, const char *purpose) {
    PinnedBuffer buffer;
    const Code code = driver->hostAllocate(&buffer.start, bytes ? bytes : 1, 0);
    if (Result<void> done =
            driver->check(code, fmt::format("{} bytes of pinned memory for {}", bytes, purpose));
        !done)
      return tl::unexpected(done.error());
    buffer.driver = std::move(driver);
    return buffer;
  }

  std::byte *data() const { return static_cast<std::byte *>(start); }

private:
  std::shared_ptr<Driver> driver;
  void *start = nullptr;
};

/// A handle that `destroy`, a member of Driver, gives back. What works on a stream ends before its owner
/// does: who owns one waits for it.
template <typename Handle, auto destroy> class Owned {
public:
  Owned() = default;
  Owned(std::shared_ptr<Driver> driver, Handle handle) : driver(std::move(driver)), handle(handle) {}
  Owned(Owned &&other) noexcept { *this = std::move(other); }
  Owned &operator=(Owned &&other) noexcept {
    std::swap(driver, other.driver);
    std::swap(handle, other.handle);
    return *this;
  }
  ~Owned() {
    if (handle)
      (driver.get()->*destroy)(handle);
  }

  operator Handle() const { return handle; }

private:
  std::shared_ptr<Driver> driver;
  Handle handle = nullptr;
};

using OwnedStream = Owned<Stream, &Driver::streamDestroy>;
using OwnedEvent = Owned<Event, &Driver::eventDestroy>;
using OwnedGraph = Owned<Graph, &Driver::graphDestroy>;
using OwnedGraphExec = Owned<GraphExec, &Driver::graphExecDestroy>;

/// A stream that does not wait for others.
inline Result<OwnedStream> makeStream(std::shared_ptr<Driver> driver) {
  constexpr unsigned nonBlocking = 1; // CU_STREAM_NON_BLOCKING
  Stream stream = nullptr;
  if (Result<void> made = driver->check(driver->streamCreate(&stream, nonBlocking), "making a stream"); !made)
    return tl::unexpected(made.error());
  return OwnedStream(std::move(driver), stream);
}

/// Makes `events` at least `count`; false where the driver has none.
inline bool makeEvents(const std::shared_ptr<Driver> &driver, size_t count, std::vector<OwnedEvent> &events) {
  while (events.size() < count) {
    Event event = nullptr;
    if (driver->eventCreate(&event, 0) != Code::Success)
      return false;
    events.emplace_back(driver, event);
  }
  return true;
}

} // namespace sinter::device::cuda

#endif // SINTER_RUNTIME_DEVICE_CUDAMEMORY_H
