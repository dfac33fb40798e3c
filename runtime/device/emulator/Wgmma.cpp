// SPDX-License-Identifier: Apache-2.0
// wgmma (PTX ISA 9.7.15): 64xN products of a warpgroup, A from shared memory or registers, B from shared
// memory; setmaxnreg. Each warp computes its 16 rows alone: nothing of the result depends on the other three.
// That all four execute the same is checked when they have exited.
#include "runtime/device/emulator/Wgmma.h"
#include "runtime/device/emulator/Fragments.h"
#include "runtime/device/emulator/InFlight.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/Races.h"
#include "runtime/device/emulator/TensorMap.h"
#include "runtime/device/emulator/Warps.h"
#include "runtime/device/emulator/WgmmaFences.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace sinter::emulator {

namespace {

struct WarpgroupMma {
  int n = 8, k = 16;
  Type a, b, d;
  bool saturates = false; // integers
  bool aInRegisters = false, transposeA = false, transposeB = false, negateA = false, negateB = false;
  uint32_t registersD = 0;
  uint32_t scaleD = 0; // slot of a predicate
};

/// A matrix descriptor (PTX ISA 9.7.15.5.1.2.2): start address, leading and stride byte offsets in units of
/// 16 bytes, and the swizzle in bits 62 and 63.
struct Descriptor {
  uint32_t start, leading, stride;
  Swizzle swizzle;
};

Descriptor decode(uint64_t bits) {
  constexpr Swizzle swizzles[] = {Swizzle::none, Swizzle::bytes128, Swizzle::bytes64, Swizzle::bytes32};
  return {static_cast<uint32_t>(bits & 0x3fff) << 4, static_cast<uint32_t>(bits >> 16 & 0x3fff) << 4,
          static_cast<uint32_t>(bits >> 32 & 0x3fff) << 4, swizzles[bits >> 62]};
}

/// Where the 16 bytes around element (row, k) of an operand lie, row counting along M or N.
/// K-major (9.7.15.5.1.2.1.1): 8 rows of one swizzle span are a block; blocks along M or N are `stride`
/// apart. Without swizzle a block is 8 rows of 16 bytes, and blocks along K are `leading` apart. MN-major
/// (the operand is transposed): the span runs along M or N, 8 spans of consecutive k are a block; blocks
/// along K are `stride` apart and along M or N `leading` (without swizzle the other way round).
uint32_t addressOf(const Descriptor &descriptor, bool transposed, int row, int k, int bytes) {
  const uint32_t span =
      descriptor.swizzle == Swizzle::none ? 16 : 16u << static_cast<int>(descriptor.swizzle);
  const auto along = static_cast<uint32_t>((transposed ? row : k) * bytes),
             across = static_cast<uint32_t>(transposed ? k : row);
  uint32_t address = descriptor.start + across % 8 * span;
  if (!transposed) {
    address += across / 8 * descriptor.stride;
    address += descriptor.swizzle == Swizzle::none ? along / 16 * descriptor.leading + along % 16 : along;
  } else if (descriptor.swizzle == Swizzle::none) {
    address += across / 8 * descriptor.leading + along / 16 * descriptor.stride + along % 16;
  } else {
    address += across / 8 * descriptor.stride + along / span * descriptor.leading + along % span;
  }
  return static_cast<uint32_t>(swizzled(address & ~15u, descriptor.swizzle)) | (address & 15);
}

struct Source {
  const WarpgroupMma *how;
  Warp *warp;
  const Instruction *in;
  Descriptor a, b;
};

/// Calls put(row, k, element) for rows `first` to first + rows - 1 of an operand in shared memory, 16
/// neighbouring bytes at a time; false if some lie outside of it.
template <typename T, typename Put>
bool eachElement(const Source &source, const Descriptor &descriptor, bool transposed, Type type, int first,
                 int rows, Put put) {
  const int bytes = 4 / elementsOfRegister(type), step = 16 / bytes;
  const std::vector<uint8_t> &shared = source.warp->block->shared;
  for (int row = 0; row < rows; row += transposed ? step : 1)
    for (int k = 0; k < source.how->k; k += transposed ? 1 : step) {
      const uint32_t address = addressOf(descriptor, transposed, first + row, k, bytes);
      if (address + 16 > shared.size())
        return false;
      for (int i = 0; i < step; ++i) {
        uint32_t bits = 0;
        std::memcpy(&bits, shared.data() + address + i * bytes, static_cast<size_t>(bytes));
        put(transposed ? row + i : row, transposed ? k : k + i, element<T>(bits, 0, type));
      }
    }
  return true;
}

/// The accumulators of this warp: rows 16 w to 16 w + 15 in the layout of Fragments.h, repeated every 8
/// columns.
template <typename T, typename Sum = T>
void multiply(const Source &source, bool scale, PendingMma::Values &values) {
  const WarpgroupMma &how = *source.how;
  Warp &warp = *source.warp;
  const int firstRow = static_cast<int>(warp.index % 4) * 16;
  static thread_local std::vector<T> b;
  static thread_local std::vector<Sum> c;
  T a[16][32];
  b.assign(static_cast<size_t>(how.k * how.n), T(0));
  c.assign(static_cast<size_t>(16 * how.n), Sum(0));
  bool inside = true;
  if (how.aInRegisters) {
    const uint32_t *slots = warp.program->lists.data() + source.in->list + how.registersD;
    const int elements = elementsOfRegister(how.a);
    for (int r = 0; r < 4; ++r)
      for (int lane = 0; lane < lanesOfWarp; ++lane)
        for (int e = 0; e < elements; ++e)
          a[lane / 4 + 8 * (r % 2)][lane % 4 * elements + e + 4 * elements * (r / 2)] =
              element<T>(warp.reg<uint32_t>(slots[r])[lane], e, how.a);
  } else {
    inside &= eachElement<T>(source, source.a, how.transposeA, how.a, firstRow, 16,
                             [&](int row, int k, T value) { a[row][k] = value; });
  }
  inside &= eachElement<T>(source, source.b, how.transposeB, how.b, 0, how.n,
                           [&](int n, int k, T value) { b[static_cast<size_t>(k * how.n + n)] = value; });
  if (!inside)
    return warp.fault(*source.in, "{}: a matrix descriptor reaches past the end of shared memory",
                      warp.describe());
  const bool negate = how.negateA != how.negateB;
  const bool halves = how.d == Type::f16;
  const auto eachResult = [&](auto body) {
    for (int n = 0; n < how.n; n += 8)
      for (int i = 0; i < 4; ++i)
        for (int lane = 0; lane < lanesOfWarp; ++lane) {
          const size_t index = static_cast<size_t>(halves ? n / 4 + i / 2 : n / 2 + i);
          body(values[index][static_cast<size_t>(lane)], i % 2,
               c[static_cast<size_t>((lane / 4 + 8 * (i / 2)) * how.n + n + 2 * (lane % 4) + i % 2)]);
        }
  };
  if (scale)
    eachResult([&](uint32_t &bits, int e, Sum &value) {
      value = halves ? static_cast<T>(halfToFloat(static_cast<uint16_t>(bits >> 16 * e)))
                     : std::bit_cast<T>(bits);
    });
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < how.k; ++k) {
      const T factor = negate ? static_cast<T>(-a[row][k]) : a[row][k];
      const T *right = b.data() + k * how.n;
      Sum *sum = c.data() + row * how.n;
      for (int n = 0; n < how.n; ++n) {
        if constexpr (std::is_same_v<T, float>)
          sum[n] = __builtin_fmaf(factor, right[n], sum[n]);
        else if constexpr (std::is_same_v<Sum, int64_t>)
          sum[n] += static_cast<int64_t>(factor) * right[n];
        else
          sum[n] =
              static_cast<int32_t>(static_cast<uint32_t>(sum[n]) + static_cast<uint32_t>(factor * right[n]));
      }
    }
  eachResult([&](uint32_t &bits, int e, Sum &value) {
    if (!halves) {
      if constexpr (std::is_same_v<Sum, int64_t>) // .satfinite
        bits = static_cast<uint32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
      else
        bits = std::bit_cast<uint32_t>(value);
      return;
    }
    const uint32_t half = nearestHalf(static_cast<float>(value));
    bits = e ? (bits & 0xffff) | half << 16 : half;
  });
}

/// Every 16 bytes that the product reads, for the race checker.
void noteReads(Warp &warp, const Instruction &in, const Source &source, uint32_t time) {
  RaceChecker &races = *warp.block->cluster->races;
  const uint32_t agent = races.agentOf(warp, RaceChecker::Agent::wgmma);
  const WarpgroupMma &how = *source.how;
  const auto note = [&](const Descriptor &descriptor, bool transposed, Type type, int first, int rows) {
    const int bytes = 4 / elementsOfRegister(type), step = 16 / bytes;
    for (int row = 0; row < rows; row += transposed ? step : 1)
      for (int k = 0; k < how.k; k += transposed ? 1 : step) {
        const uint32_t address = addressOf(descriptor, transposed, first + row, k, bytes);
        if (address + 16 <= warp.block->shared.size())
          races.asyncAccess(warp, in, agent, time, sharedBase(*warp.block) + address, 16, false, true);
      }
  };
  if (!how.aInRegisters)
    note(source.a, how.transposeA, how.a, static_cast<int>(warp.index % 4) * 16, 16);
  note(source.b, how.transposeB, how.b, 0, how.n);
}

constexpr uint32_t warpsOfGroup = 4;

/// Whether the warp is here with all its lanes; then it is remembered what its warpgroup has to execute, too.
bool convergedGroup(Warp &warp, const Instruction &in) {
  if (!converged(warp, in, allLanes))
    return false;
  const auto at = static_cast<uint64_t>(&in - warp.program->code.data());
  warp.groupTrace = (warp.groupTrace ^ (at + 1)) * 0x9e3779b97f4a7c15;
  return true;
}

void mmaLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const WarpgroupMma *>(in.detail);
  if (!convergedGroup(warp, in))
    return;
  if (warp.active != allLanes)
    return warp.fault(in, "{}: expected all 32 lanes", warp.describe());
  const uint64_t descriptors =
      warp.reg<uint64_t>(in.b)[0] | (how.aInRegisters ? 0 : warp.reg<uint64_t>(in.a)[0]);
  if (descriptors >> 49 & 7)
    return warp.fault(in, "{}: base offsets of matrix descriptors other than 0 are not supported",
                      warp.describe());
  Source source{&how, &warp, &in, {}, decode(warp.reg<uint64_t>(in.b)[0])};
  if (!how.aInRegisters)
    source.a = decode(warp.reg<uint64_t>(in.a)[0]);
  if (warp.fragments)
    checkFragmentFence(warp, in, how.registersD, static_cast<uint32_t>(how.n << 8 | how.k));
  const bool scale = warp.predicate(how.scaleD) & 1;
  const bool real = how.d != Type::s32;
  startMma(warp, in, warp.program->lists.data() + in.list, how.registersD,
           [source, scale, real](PendingMma::Values &values) {
             if (real)
               multiply<float>(source, scale, values);
             else if (source.how->saturates)
               multiply<int32_t, int64_t>(source, scale, values);
             else
               multiply<int32_t>(source, scale, values);
           });
  if (warp.block->cluster->races)
    noteReads(warp, in, source, warp.inFlight->pending.back()->time);
  if (KernelCounters *counters = warp.block->cluster->counters)
    counters->addTensor(2ull * 16 * static_cast<uint64_t>(how.n * how.k), how.a);
}

void fenceLanes(Warp &warp, const Instruction &in) {
  if (convergedGroup(warp, in) && warp.fragments)
    fenceFragments(warp);
}
void commitLanes(Warp &warp, const Instruction &in) {
  if (convergedGroup(warp, in))
    commitMma(warp);
}
void waitLanes(Warp &warp, const Instruction &in) {
  if (convergedGroup(warp, in))
    waitMma(warp, static_cast<uint32_t>(in.offset));
}

bool takeShape(Translator &t, WarpgroupMma &how) {
  for (const std::string_view each : t.modifiers()) {
    int n = 0, k = 0, used = 0;
    if (std::sscanf(std::string(each).c_str(), "m64n%dk%d%n", &n, &k, &used) == 2 &&
        used == static_cast<int>(each.size())) {
      how.n = n, how.k = k;
      return t.take(std::string_view(each));
    }
  }
  t.fail("expected a shape such as .m64n128k16");
  return false;
}

void mmaAsync(Translator &t) {
  WarpgroupMma how;
  if (t.take("sp"))
    return t.fail(".sp is not supported");
  if (!takeShape(t, how))
    return;
  how.saturates = t.take("satfinite");
  how.d = t.needType(), how.a = t.needType(), how.b = t.needType();
  const bool integers = how.d == Type::s32;
  if (how.saturates && !integers)
    return t.fail("expected no .satfinite with floating-point types");
  const int elements = elementsOfRegister(how.a);
  const bool is8Bit = elements == 4; // of which A and B may differ
  const bool fits = integers
                        ? !isFloat(how.a) && !isFloat(how.b) && is8Bit && (how.n % 16 == 0 || how.n <= 24)
                        : isFloat(how.a) && isFloat(how.b) && (is8Bit || how.a == how.b) &&
                              (how.d == Type::f32 || (how.d == Type::f16 && (is8Bit || how.a == Type::f16)));
  if (!elements || elements == 8 || elements != elementsOfRegister(how.b) || how.k != 8 * elements ||
      how.n < 8 || how.n > 256 || how.n % 8 || !fits)
    return t.fail("this shape is not supported for these types");
  how.registersD = static_cast<uint32_t>(how.n / 2 / (how.d == Type::f16 ? 2 : 1));
  if (t.operand(0).parts.size() != how.registersD)
    return t.fail("expected {} accumulators, found {}", how.registersD, t.operand(0).parts.size());
  std::vector<uint32_t> slots;
  for (const Operand &each : t.operand(0).parts)
    slots.push_back(t.target(each, Type::b32));
  how.aInRegisters = t.operand(1).kind == Operand::vector;
  if (how.aInRegisters)
    for (const Operand &each : t.operand(1).parts)
      slots.push_back(t.source(each, Type::b32));
  if (how.aInRegisters && t.operand(1).parts.size() != 4)
    return t.fail("expected 4 registers of A, found {}", t.operand(1).parts.size());
  const uint32_t a = how.aInRegisters ? 0 : t.source(1, Type::b64), b = t.source(2, Type::b64);
  how.scaleD = t.predicate(t.operand(3));
  // Floating-point types: signs of A and B; 16-bit types: whether A (of shared memory) and B are transposed.
  uint64_t flags[4] = {1, 1, 0, 0};
  const size_t most = integers ? 4 : elements != 2 ? 6 : how.aInRegisters ? 7 : 8;
  for (size_t i = 4; i < t.operandCount(); ++i)
    if (i >= most || !t.immediate(t.operand(i), flags[i - 4]))
      return t.fail("expected at most {} operands, constants from the fifth on", most);
  for (size_t i = 0; i < 4; ++i)
    if (i < 2 ? flags[i] != 1 && static_cast<int64_t>(flags[i]) != -1 : flags[i] > 1)
      return t.fail("expected {}, found {}", i < 2 ? "a scale of 1 or -1" : "0 or 1 for transposed",
                    static_cast<int64_t>(flags[i]));
  how.negateA = static_cast<int64_t>(flags[0]) == -1;
  how.negateB = static_cast<int64_t>(flags[1]) == -1;
  how.transposeA = !how.aInRegisters && flags[2];
  how.transposeB = how.aInRegisters ? flags[2] : flags[3];
  Instruction &in = t.emit(&mmaLanes, InstructionClass::tensor);
  in.a = a, in.b = b;
  t.list(in, slots);
  in.detail = t.keep(how);
}

void wgmma(Translator &t) {
  const int kind = t.takeOneOf({"mma_async", "fence", "commit_group", "wait_group"});
  t.take("sync");
  t.take("aligned");
  switch (kind) {
  case 0:
    return mmaAsync(t);
  case 1:
    t.emit(&fenceLanes, InstructionClass::barrier);
    return;
  case 2:
    t.emit(&commitLanes, InstructionClass::barrier);
    return;
  case 3: {
    uint64_t pending = 0;
    if (!t.immediate(t.operand(0), pending))
      return t.fail("expected a constant number of groups");
    t.emit(&waitLanes, InstructionClass::barrier).offset = static_cast<int64_t>(pending);
    return;
  }
  default:
    return t.fail("expected .mma_async, .fence, .commit_group or .wait_group");
  }
}

constexpr uint64_t smRegisters = 65536;

/// What a thread has at the kernel's entry: .maxnreg, else what .minnctapersm blocks leave to each; 0:
/// nothing says so.
uint64_t registersAtEntry(const Program &program) {
  if (program.maxRegisters || !program.minBlocks)
    return program.maxRegisters;
  const auto &size = program.requiredThreads[0] ? program.requiredThreads : program.maxThreads;
  const uint64_t threads = uint64_t(size[0]) * size[1] * size[2];
  return threads ? std::min<uint64_t>(smRegisters / (threads * program.minBlocks) / 8 * 8, 256) : 0;
}

/// setmaxnreg.inc, .dec (PTX ISA 9.7.17.5): only accounts. .inc may not ask for fewer registers than the
/// thread has, nor .dec for more. More than those of a multiprocessor would hang.
void setMaxRegisters(Warp &warp, const Instruction &in) {
  if (!convergedGroup(warp, in))
    return;
  const bool isMore = in.a != 0;
  const uint64_t asked = uint64_t(in.offset);
  const uint64_t now =
      warp.maxRegisters ? warp.maxRegisters : registersAtEntry(*warp.block->cluster->launch->program);
  if (now && (isMore ? asked < now : asked > now))
    return warp.fault(in, "setmaxnreg.{} to {} registers where a thread has {}: expected {}",
                      isMore ? "inc" : "dec", asked, now, isMore ? "no fewer" : "no more");
  warp.maxRegisters = static_cast<uint32_t>(in.offset);
  uint64_t total = 0;
  for (const Warp &each : warp.block->warps)
    total += each.live ? each.maxRegisters * lanesOfWarp : 0;
  if (total > smRegisters)
    warp.fault(in, "the warps of the block ask for {} registers; a multiprocessor has {}", total,
               smRegisters);
}

void setmaxnreg(Translator &t) {
  const int kind = t.takeOneOf({"inc", "dec"});
  t.take("sync");
  t.take("aligned");
  t.needType();
  uint64_t count = 0;
  if (kind < 0 || !t.immediate(t.operand(0), count) || count < 24 || count > 256 || count % 8)
    return t.fail("expected .inc or .dec and a multiple of 8 from 24 to 256");
  Instruction &in = t.emit(&setMaxRegisters, InstructionClass::barrier);
  in.a = kind == 0;
  in.offset = static_cast<int64_t>(count);
}

} // namespace

bool isWgmma(const Instruction &in) {
  return in.full == &mmaLanes || in.full == &fenceLanes || in.full == &commitLanes || in.full == &waitLanes;
}

bool isWgmmaProduct(const Instruction &in) { return in.full == &mmaLanes; }

void warpgroupExited(const Warp &warp) {
  const Block &block = *warp.block;
  const uint32_t first = warp.index / warpsOfGroup * warpsOfGroup;
  bool differ = false;
  for (uint32_t i = first; i < first + warpsOfGroup; ++i) {
    if (i < block.warps.size() && (block.warps[i].live || !block.warps[i].groups.empty()))
      return; // the last one to exit compares
    differ |= warp.groupTrace != (i < block.warps.size() ? block.warps[i].groupTrace : 0);
  }
  if (differ)
    block.cluster->fault(
        fmt::format("kernel '{}': {}: warps {} to {} are a warpgroup: expected all four to execute the "
                    "same wgmma and setmaxnreg in the same order, found others",
                    warp.program->name, warp.describe(), first, first + warpsOfGroup - 1));
}

std::span<const Opcode> wgmmaOpcodes() {
  static constexpr Opcode table[] = {{"wgmma", wgmma}, {"setmaxnreg", setmaxnreg}};
  return table;
}

} // namespace sinter::emulator
