// SPDX-License-Identifier: Apache-2.0
// What --arg describes: buffers from and to NumPy files, numbers, and tensor maps over buffers.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_KERNELARGUMENTS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_KERNELARGUMENTS_H

#include "runtime/Result.h"
#include "runtime/device/emulator/HostMemory.h"
#include "runtime/device/emulator/Memory.h"
#include "runtime/device/emulator/Program.h"
#include "runtime/files/Npy.h"
#include <deque>

namespace sinter::emulator {

class KernelArguments {
public:
  /// An output array may have at most `most` bytes.
  explicit KernelArguments(GlobalMemory &memory, uint64_t most = physicalMemory())
      : memory(memory), most(most) {}

  /// One argument as written: in:a.npy, inout:a.npy, out:c.npy:f32[128,128], u32:512, f32:0.5, ptr:0, and
  /// map:SOURCE:box=64,128[:swizzle=128][:fill=nan], where SOURCE is a.npy or out:c.npy:f32[..]; a file that
  /// an earlier argument names is the same buffer, of which a map may be a view: another TYPE[SHAPE].
  /// in:a.npy:24=b.npy: in bytes 24 to 31 of a lies b's address.
  Result<> add(const std::string &text);
  /// The bytes of all parameters as the kernel lays them out.
  Result<std::vector<uint8_t>> parameters(const Program &program) const;
  /// Puts the buffers back to what they were before a launch.
  void restore();
  /// What the output buffers hold, one after the other.
  std::vector<std::vector<uint8_t>> outputs() const;
  Result<> writeOutputs() const;

private:
  struct Buffer {
    std::string path;
    NpyArray array;
    uint64_t address = 0;
    bool writes = false;
  };
  Result<Buffer *> buffer(const std::string &kind, const std::string &path, const std::string &shape);
  /// `text`: OFFSET=FILE.
  Result<> putAddress(Buffer &into, const std::string &text);
  Result<> addMap(const std::string &text);
  Result<> addNumber(const std::string &type, const std::string &value);

  GlobalMemory &memory;
  const uint64_t most;
  std::deque<Buffer> buffers;
  std::vector<std::pair<std::string, std::vector<uint8_t>>> values; // as written, and its bytes
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_KERNELARGUMENTS_H
