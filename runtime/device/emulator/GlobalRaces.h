// SPDX-License-Identifier: Apache-2.0
// Finds accesses to global memory that nothing orders, between the warps of one block and between blocks,
// from the semantics: blocks are ordered by what one releases and another acquires (PTX ISA 8.9: release and
// acquire operations, or a fence before a strong write and after a strong read of the same address).
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_GLOBALRACES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_GLOBALRACES_H

#include "runtime/device/emulator/Scopes.h"
#include <array>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace sinter::emulator {

/// One for a launch; clusters on several threads use it.
class GlobalRaceChecker {
public:
  explicit GlobalRaceChecker(Launch &launch) : launch(launch) {}

  /// The active lanes' accesses, when all lie in global memory.
  void lanes(Warp &warp, const Instruction &in, const Access &access, const uint64_t (&addresses)[32],
             Mask active);
  /// After a strong load or an atomic operation has read: another CPU thread may have released what it found
  /// since lanes() looked.
  void found(Warp &warp, const Access &access, uint8_t *const (&host)[32], Mask active);
  /// A range that a copy reads or writes on behalf of the warp.
  void range(Warp &warp, const Instruction &in, uint64_t address, uint64_t bytes, bool isWrite);
  /// Memory that malloc gives anew: what was done to it before is nobody's concern.
  void forget(uint64_t address, uint64_t bytes);

private:
  /// Who did it: the time is that of the warp's clock, 0 for nobody.
  struct Stamp {
    uint32_t cluster = 0, time = 0, line = 0;
    uint16_t warp = 0;
    uint8_t lane = 0;
  };
  /// The last write, and reads since: the first, and the last of another warp. (A third reader is not kept,
  /// so a write that is ordered after those two and not after it goes unseen.)
  struct Cell {
    Stamp writer, reader, otherReader;
  };
  static constexpr uint64_t wordsOfPage = 256;
  struct Page {
    std::array<Cell, wordsOfPage> words;
    std::unordered_map<uint32_t, std::array<Cell, 4>> bytes; // of words that were accessed in parts
  };
  struct Stripe {
    std::mutex lock;
    std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
  };

  void access(Warp &warp, const Instruction &in, const Clock &clock, const Stamp &stamp, uint64_t address,
              uint64_t bytes, bool isWrite);
  void visit(Warp &warp, const Instruction &in, const Clock &clock, const Stamp &stamp, Cell &cell,
             uint64_t address, bool isWrite);
  bool unordered(const Clock &clock, const Stamp &now, const Stamp &before, const Instruction &in) const;
  std::string nameOf(uint32_t cluster, uint32_t warp) const;
  void report(Warp &warp, const Instruction &in, const Stamp &now, const Stamp &before, const char *what,
              const char *earlier, uint64_t address);

  Launch &launch;
  std::array<Stripe, 64> stripes;
  std::mutex strongLock;
  StrongPlaces strong; // by address
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_GLOBALRACES_H
