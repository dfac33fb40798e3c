// SPDX-License-Identifier: Apache-2.0
// The emulated machine: an instruction as translated, a warp of 32 lanes with its registers, a block, a
// cluster of blocks and a launch. A cluster is run by one CPU thread, which switches between its warps where
// they wait.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_MACHINE_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_MACHINE_H

#include "runtime/device/emulator/Counters.h"
#include "runtime/device/emulator/Types.h"
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace sinter::emulator {

struct Warp;
struct Block;
struct Cluster;
struct Launch;
struct Program;
class GlobalMemory;
class RaceChecker;
class GlobalRaceChecker;
class AsyncQueue;

using Mask = uint32_t; // a bit for each lane
inline constexpr Mask allLanes = ~0u;
inline constexpr int lanesOfWarp = 32;

struct Instruction;
using Handler = void (*)(Warp &, const Instruction &);
/// `full` is called when all 32 lanes are active and there is no guard; it need not look at the mask.
struct Handlers {
  Handler full, masked;
};

/// One translated instruction. Registers are byte offsets into the warp's frame; slot 0 takes what nobody
/// reads.
struct Instruction {
  Handler full = nullptr, masked = nullptr;
  uint32_t d = 0, a = 0, b = 0, c = 0;
  int64_t offset = 0;           // of an address, or an immediate
  uint32_t guard = 0;           // slot of the predicate, 0 without one
  Mask guardFlip = 0;           // all ones for @!p
  uint32_t list = 0, count = 0; // further registers: Program::lists[list .. list + count)
  uint32_t extra = 0;           // what the family of instructions likes
  uint32_t line = 0;            // in the PTX text
  InstructionClass kind = InstructionClass::other;
  const void *detail = nullptr; // of the family, owned by Program::details
};

/// What a group of lanes waits for.
struct Wait {
  enum Kind : uint8_t { nothing, barrier, mbarrier, clusterBarrier, lanes };
  Kind kind = nothing;
  uint32_t id = 0;      // barrier: number
  uint64_t address = 0; // mbarrier: address in shared::cluster
  uint32_t phase = 0;   // mbarrier: parity awaited; clusterBarrier: phase awaited
  Mask needed = 0;      // lanes: who must come to this instruction
  uint32_t slot = 0;    // barrier: register that takes the result of a reduction
};

/// Lanes of a warp at one pc.
struct Group {
  uint32_t pc = 0;
  Mask mask = 0;
  Wait wait;
  uint32_t age = 0; // when it ran last, for fairness between groups that spin
};

/// [low, high); empty at first.
struct GlobalRange {
  uint64_t low = 1, high = 0;
  bool holds(uint64_t address, uint64_t bytes) const {
    return address >= low && address < high && bytes <= high - address;
  }
};

struct Warp {
  uint8_t *frame = nullptr;
  uint32_t pc = 0, stop = 0; // runs while pc < stop
  Mask mask = 0, active = 0; // of the running group; `active` after the guard of the current instruction
  Mask live = 0;             // lanes that have not exited
  uint64_t *executed = nullptr;
  Block *block = nullptr;
  const Program *program = nullptr;
  uint32_t index = 0;  // in the block
  uint32_t entity = 0; // in the cluster: what the race checker calls it
  /// The allocations of the last global accesses, the very last first.
  std::array<GlobalRange, 4> ranges;
  std::vector<Group> groups; // all but the running one
  uint32_t spins = 0;        // loads that may wait for another thread, since this warp last let others run
  bool yields = false;       // spins: let others run first
  uint64_t instructions = 0; // executed, where there is a limit
  bool rotate = false;       // the last group ran long; another of this warp goes first
  uint32_t clusterPhase = 0; // phase of the cluster barrier at this warp's arrival
  Mask clusterArrived = 0;
  Mask clusterWaits = 0;             // lanes that have arrived, and not waited since
  uint32_t inFlightAccumulators = 0; // registers that wgmma still writes: then every operand is checked
  std::shared_ptr<struct InFlight> inFlight;       // its wgmma
  std::shared_ptr<struct FragmentState> fragments; // of kernels with wgmma, when races are looked for
  std::shared_ptr<struct CallStack> calls;         // of programs with calls that are not inlined
  uint32_t maxRegisters = 0;                       // of a thread, after setmaxnreg
  uint64_t groupTrace = 0;            // hash of what it executed that a warpgroup executes together
  std::vector<uint8_t> local;         // lane l's local memory starts at l * Program::localBytes
  std::array<uint8_t, 128> scratch{}; // where inactive lanes read and write

  template <typename T> T *reg(uint32_t slot) const { return reinterpret_cast<T *>(frame + slot); }
  Mask predicate(uint32_t slot) const { return *reg<Mask>(slot); }
  /// Leaves the instruction loop: the running group goes back to `groups`.
  void leave() { stop = 0; }
  /// Lets the running group wait; its pc is that of the next instruction, or of this one when `again`.
  void suspend(const Wait &wait, bool again);
  /// Stops the launch with a message about the instruction being executed.
  template <typename... Args>
  void fault(const Instruction &at, fmt::format_string<Args...> text, Args &&...args) {
    report(at, fmt::format(text, std::forward<Args>(args)...));
  }
  void report(const Instruction &at, std::string text);
  /// "block (1,0,0), warp 3, lane 5": who did it; lane -1 for a whole warp.
  std::string describe(int lane = -1) const;
};

/// bar.sync, bar.arrive, bar.red (PTX ISA 9.7.13.1): one of a block's 16.
struct NamedBarrier {
  uint32_t expected = 0; // threads; 0: all live threads of the block
  bool inUse = false;
  std::vector<Mask> arrived; // of each warp
  uint32_t count = 0;        // of true predicates
  bool all = true, any = false;
};

struct Block {
  Cluster *cluster = nullptr;
  std::array<uint32_t, 3> id{};
  uint32_t rank = 0;           // in the cluster
  std::vector<uint8_t> shared; // from address 0; the first Program::sharedBase bytes are reserved
  std::vector<Warp> warps;
  std::array<NamedBarrier, 16> barriers;
  uint32_t runningWarps = 0;
};

/// For the race checker: when the last copy of a warp's open group, and of each committed group, was issued.
struct GroupTimes {
  uint32_t open = 0;
  std::vector<uint32_t> committed;
};

struct Cluster {
  std::map<std::pair<const Warp *, int>, GroupTimes> groupTimes;
  Launch *launch = nullptr;
  uint32_t index = 0;
  std::vector<Block> blocks;
  std::vector<uint8_t> frames;
  uint32_t clusterPhase = 0, runningWarps = 0;
  uint32_t clock = 0;
  uint64_t progress = 0;              // grows with everything that another warp could wait for
  KernelCounters *counters = nullptr; // of the thread that runs it
  bool faulted = false;
  std::unique_ptr<AsyncQueue> async;
  std::unique_ptr<RaceChecker> races;

  std::string faultText;

  /// Makes its blocks and their memory; nothing runs before start().
  Cluster(Launch &launch, std::vector<uint64_t> &executed);
  ~Cluster();
  /// Becomes number `index` of the launch's clusters, from the beginning.
  void start(uint32_t index);
  enum class State { done, running };
  /// Runs until all warps are done, or have run for a while (then call again, perhaps after other clusters).
  State run();
  void fault(std::string text);
};

/// Whether asynchronous work is done as soon or as late as the PTX ISA allows.
enum class Schedule : uint8_t { earliest, latest };

struct ExecutionOptions {
  Schedule schedule = Schedule::earliest;
  bool races = false;           // check the order of accesses to memory
  bool counters = false;        // count sectors and bank conflicts, too
  unsigned threads = 0;         // 0: one for each core
  uint64_t maxInstructions = 0; // that a warp may execute, 0: any number
};

/// What the checks found that does not stop a kernel, each once.
class HazardList {
public:
  void add(std::string text) {
    const std::lock_guard guard(lock);
    if (list.size() < 1000)
      list.push_back(std::move(text));
  }
  void addOnce(uint64_t key, std::string text) {
    {
      const std::lock_guard guard(lock);
      if (!keys.insert(key).second)
        return;
    }
    add(std::move(text));
  }
  std::vector<std::string> take() { return std::move(list); }

private:
  std::mutex lock;
  std::vector<std::string> list;
  std::set<uint64_t> keys;
};

struct Launch {
  Launch();
  ~Launch();

  HazardList hazards;
  std::unique_ptr<GlobalRaceChecker> globalRaces; // while it runs, when races are looked for
  const Program *program = nullptr;
  std::array<uint32_t, 3> grid{1, 1, 1}, block{1, 1, 1}, cluster{1, 1, 1};
  uint64_t dynamicShared = 0;
  std::vector<uint8_t> parameters;
  const uint8_t *parameterMemory = nullptr; // a copy of them, aligned for tensor maps, while the launch runs
  GlobalMemory *memory = nullptr;
  ExecutionOptions options;
  std::atomic<bool> stopped{false};

  uint32_t blocksOfCluster() const { return cluster[0] * cluster[1] * cluster[2]; } // checkLaunch: few
  uint32_t threadsOfBlock() const { return block[0] * block[1] * block[2]; }
  uint32_t warpsOfBlock() const { return (threadsOfBlock() + lanesOfWarp - 1) / lanesOfWarp; }
};

// Addresses. Global addresses are the host's own. A shared address holds the block's rank in its cluster from
// bit 24 on, as hardware does, so that an address of one's own block means the same in shared::cluster.
// Generic addresses of other spaces are marked by their top byte.
inline constexpr int sharedRankShift = 24;
inline constexpr uint64_t genericShared = 0x01ull << 56, genericLocal = 0x02ull << 56;

/// Of function `id` of the module: nothing that can be read or written.
inline constexpr uint64_t functionAddress(int32_t id) {
  return 0x03ull << 56 | (static_cast<uint64_t>(id) + 1) * 16;
}

inline uint32_t sharedBase(const Block &block) { return block.rank << sharedRankShift; }

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_MACHINE_H
