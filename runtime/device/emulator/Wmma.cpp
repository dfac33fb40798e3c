// SPDX-License-Identifier: Apache-2.0
// wmma.load, wmma.store, wmma.mma (PTX ISA 9.7.14.4). How a matrix lies in registers is left open: here a
// lane has neighbouring elements, row after row, and where there are more registers than elements, all of
// them again.
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/LoadStore.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/Warps.h"

#include <algorithm>
#include <cstring>

namespace sinter::emulator {

namespace {

unsigned bitsOf(Type type) {
  return type == Type::b1 ? 1 : type == Type::u4 || type == Type::s4 ? 4 : bytesOf(type) * 8;
}

/// One of the matrices A, B, C, D and the registers that hold it.
struct Matrix {
  Type type = Type::f16;
  unsigned rows = 0, columns = 0, list = 0,
           registers = 0; // registers: Program::lists[list ..) of the instruction

  unsigned registerBytes() const { return type == Type::f64 ? 8 : 4; }
  unsigned elementsOfRegister() const { return registerBytes() * 8 / bitsOf(type); }
  unsigned elementsOfLane() const { return rows * columns / lanesOfWarp; }
  bool fits() const {
    const unsigned slots = registers * elementsOfRegister(), own = elementsOfLane();
    return own && slots && slots % own == 0;
  }
};

struct Wmma {
  Access access; // of loads and stores: one element
  Matrix a, b, c, d;
  bool columnMajor = false, saturates = false, conjunction = false; // b1: and, else xor
  bool store = false;
};

uint64_t getBits(const Warp &warp, const uint32_t *slots, const Matrix &matrix, int lane, unsigned index) {
  const unsigned per = matrix.elementsOfRegister(), bits = bitsOf(matrix.type);
  const uint32_t slot = slots[index / per];
  if (bits == 64)
    return warp.reg<uint64_t>(slot)[lane];
  return warp.reg<uint32_t>(slot)[lane] >> index % per * bits & (bits == 32 ? ~0u : (1u << bits) - 1);
}
void setBits(Warp &warp, const uint32_t *slots, const Matrix &matrix, int lane, unsigned index,
             uint64_t value) {
  const unsigned per = matrix.elementsOfRegister(), bits = bitsOf(matrix.type);
  const uint32_t slot = slots[index / per];
  if (bits == 64) {
    warp.reg<uint64_t>(slot)[lane] = value;
    return;
  }
  const uint32_t mask = bits == 32 ? ~0u : (1u << bits) - 1, shift = index % per * bits;
  uint32_t &reg = warp.reg<uint32_t>(slot)[lane];
  reg = (reg & ~(mask << shift)) | (static_cast<uint32_t>(value) & mask) << shift;
}

/// Slots: a: address, b: distance of rows (or of columns) in elements.
void moveLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Wmma *>(in.detail);
  if (!converged(warp, in, allLanes))
    return;
  const Matrix &matrix = how.d;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  uint64_t base[32], addresses[32];
  laneAddresses(warp, in.a, how.access.addressBytes, in.offset, base);
  const unsigned bits = bitsOf(matrix.type), own = matrix.elementsOfLane(),
                 again = matrix.registers * matrix.elementsOfRegister();
  const uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
  for (unsigned i = 0; i < own; ++i) {
    unsigned shift[32];
    for (unsigned lane = 0; lane < lanesOfWarp; ++lane) {
      const unsigned at = lane * own + i, row = at / matrix.columns, column = at % matrix.columns;
      const uint64_t stride = warp.reg<uint32_t>(in.b)[lane],
                     bit = (how.columnMajor ? column * stride + row : row * stride + column) * bits;
      addresses[lane] = base[lane] + bit / 8;
      shift[lane] = bit % 8;
    }
    uint8_t *host[32];
    if (!locate(warp, in, how.access, addresses, host))
      return;
    for (int lane = 0; lane < lanesOfWarp; ++lane) {
      uint64_t value = 0;
      std::memcpy(&value, host[lane], how.access.bytes);
      if (how.store) {
        const uint64_t number = getBits(warp, slots, matrix, lane, i);
        value = (value & ~(mask << shift[lane])) | number << shift[lane];
        std::memcpy(host[lane], &value, how.access.bytes);
        continue;
      }
      for (unsigned copy = i; copy < again; copy += own)
        setBits(warp, slots, matrix, lane, copy, value >> shift[lane] & mask);
    }
  }
}

template <typename T> T number(uint64_t bits, Type type) {
  switch (type) {
  case Type::f16:
    return static_cast<T>(halfToFloat(static_cast<uint16_t>(bits)));
  case Type::bf16:
    return static_cast<T>(bfloatToFloat(static_cast<uint16_t>(bits)));
  case Type::tf32:
    return static_cast<T>(tf32ToFloat(static_cast<uint32_t>(bits)));
  case Type::f32:
    return static_cast<T>(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  case Type::f64:
    return static_cast<T>(std::bit_cast<double>(bits));
  case Type::s8:
    return static_cast<T>(static_cast<int8_t>(bits));
  case Type::s4:
    return static_cast<T>(static_cast<int8_t>(bits << 4) >> 4);
  case Type::s32:
    return static_cast<T>(static_cast<int32_t>(bits));
  default: // u8, u4, b1
    return static_cast<T>(bits);
  }
}

/// D = A * B + C, in the order of k; f32 and f64 by fused multiply-add, integers exactly.
template <typename T> void multiply(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Wmma *>(in.detail);
  if (!converged(warp, in, allLanes))
    return;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  const auto read = [&](const Matrix &matrix) {
    std::vector<T> numbers(matrix.rows * matrix.columns);
    for (unsigned at = 0; at < numbers.size(); ++at)
      numbers[at] =
          number<T>(getBits(warp, slots + matrix.list, matrix, static_cast<int>(at / matrix.elementsOfLane()),
                            at % matrix.elementsOfLane()),
                    matrix.type);
    return numbers;
  };
  const std::vector<T> a = read(how.a), b = read(how.b);
  std::vector<T> c = read(how.c);
  for (unsigned row = 0; row < how.a.rows; ++row)
    for (unsigned column = 0; column < how.b.columns; ++column) {
      T &sum = c[row * how.b.columns + column];
      for (unsigned k = 0; k < how.a.columns; ++k) {
        const T x = a[row * how.a.columns + k], y = b[k * how.b.columns + column];
        if constexpr (std::is_floating_point_v<T>)
          sum = std::fma(x, y, sum);
        else
          sum += how.a.type != Type::b1 ? x * y : how.conjunction ? x & y : x ^ y;
      }
    }
  const Matrix &d = how.d;
  const unsigned own = d.elementsOfLane(), again = d.registers * d.elementsOfRegister();
  for (int lane = 0; lane < lanesOfWarp; ++lane)
    for (unsigned i = 0; i < again; ++i) {
      const T sum = c[static_cast<unsigned>(lane) * own + i % own];
      uint64_t bits;
      if constexpr (std::is_same_v<T, double>)
        bits = std::bit_cast<uint64_t>(sum);
      else if constexpr (std::is_same_v<T, float>)
        bits = d.type == Type::f16 ? nearestHalf(sum) : std::bit_cast<uint32_t>(sum);
      else
        bits = static_cast<uint32_t>(how.saturates ? std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX) : sum);
      setBits(warp, slots + d.list, d, lane, i, bits);
    }
  if (KernelCounters *counters = warp.block->cluster->counters)
    counters->addTensor(2ull * how.a.rows * how.b.columns * how.a.columns, how.a.type);
}

bool takeShape(Translator &t, unsigned &m, unsigned &n, unsigned &k) {
  static constexpr struct {
    std::string_view name;
    unsigned m, n, k;
  } shapes[] = {{"m16n16k16", 16, 16, 16}, {"m32n8k16", 32, 8, 16}, {"m8n32k16", 8, 32, 16},
                {"m16n16k8", 16, 16, 8},   {"m8n8k4", 8, 8, 4},     {"m8n8k32", 8, 8, 32},
                {"m8n8k128", 8, 8, 128}};
  for (const auto &shape : shapes)
    if (t.take(shape.name)) {
      m = shape.m, n = shape.n, k = shape.k;
      return true;
    }
  t.fail("expected a shape such as .m16n16k16");
  return false;
}

/// Registers in braces, or one.
void takeRegisters(Translator &t, const Operand &operand, Matrix &matrix, bool written,
                   std::vector<uint32_t> &slots) {
  const Type type = matrix.type == Type::f64 ? Type::b64 : Type::b32;
  const bool isVector = operand.kind == Operand::vector;
  matrix.list = static_cast<unsigned>(slots.size());
  matrix.registers = isVector ? static_cast<unsigned>(operand.parts.size()) : 1;
  if (!matrix.fits())
    return t.fail("expected registers for {} elements of type .{}, found {}", matrix.elementsOfLane(),
                  nameOf(matrix.type), matrix.registers);
  for (unsigned i = 0; i < matrix.registers && !t.failed(); ++i) {
    const Operand &each = isVector ? operand.parts[i] : operand;
    slots.push_back(written ? t.target(each, type) : t.source(each, type));
  }
}

void loadOrStore(Translator &t, bool store) {
  Wmma how;
  how.store = store;
  const int which = t.takeOneOf({"a", "b", "c", "d"});
  const int layout = t.takeOneOf({"row", "col"});
  unsigned m, n, k;
  if (which < 0 || layout < 0)
    return t.fail("expected .a, .b, .c or .d, and .row or .col");
  if (!takeShape(t, m, n, k))
    return;
  how.columnMajor = layout == 1;
  how.access.kind = store ? AccessKind::store : AccessKind::load;
  how.access.space = takeSpace(t, Space::generic);
  Matrix &matrix = how.d;
  matrix.type = t.needType();
  matrix.rows = which == 1 ? k : m;
  matrix.columns = which == 0 ? k : n;
  how.access.bytes = std::max(1u, bitsOf(matrix.type) / 8);
  if (t.failed() || !bitsOf(matrix.type) || bitsOf(matrix.type) > 64)
    return t.fail("type .{} is not supported", nameOf(matrix.type));
  const Translator::Address address = t.address(t.operand(store ? 0 : 1));
  how.access.addressBytes = address.bytes;
  std::vector<uint32_t> slots;
  takeRegisters(t, t.operand(store ? 1 : 0), matrix, !store, slots);
  const uint32_t stride = t.operandCount() > 2
                              ? t.source(2, Type::u32)
                              : t.constant(how.columnMajor ? matrix.rows : matrix.columns, 4);
  using Kind = InstructionClass;
  const Kind kind = how.access.space == Space::shared ? Kind::matrixMove
                    : store                           ? Kind::globalStore
                                                      : Kind::globalLoad;
  Instruction &in = t.emit(&moveLanes, kind);
  in.a = address.slot, in.b = stride;
  in.offset = address.offset;
  t.list(in, slots);
  in.detail = t.keep(how);
}

void multiplyAdd(Translator &t) {
  Wmma how;
  const int logic = t.takeOneOf({"xor", "and"});
  how.conjunction = logic == 1;
  t.take("popc");
  t.takeOneOf({"row", "col"}); // fragments know their elements, however these lay in memory
  t.takeOneOf({"row", "col"});
  unsigned m, n, k;
  if (!takeShape(t, m, n, k))
    return;
  if (t.rounding(Rounding::nearest) != Rounding::nearest)
    return t.fail("expected rounding .rn");
  how.saturates = t.take("satfinite");
  // d and c, or d, a, b and c.
  std::vector<Type> types;
  for (Type type = t.takeType(); type != Type::none; type = t.takeType())
    types.push_back(type);
  if (types.size() != 2 && types.size() != 4)
    return t.fail("expected 2 or 4 types, found {}", types.size());
  how.d.type = types.front(), how.c.type = types.back();
  how.a.type = types.size() == 4 ? types[1] : Type::f16;
  how.b.type = types.size() == 4 ? types[2] : Type::f16;
  how.a.rows = m, how.a.columns = k;
  how.b.rows = k, how.b.columns = n;
  how.c.rows = how.d.rows = m, how.c.columns = how.d.columns = n;
  std::vector<uint32_t> slots;
  takeRegisters(t, t.operand(0), how.d, true, slots);
  takeRegisters(t, t.operand(1), how.a, false, slots);
  takeRegisters(t, t.operand(2), how.b, false, slots);
  takeRegisters(t, t.operand(3), how.c, false, slots);
  const Handler handler = how.a.type == Type::f64   ? &multiply<double>
                          : how.d.type == Type::s32 ? &multiply<int64_t>
                                                    : &multiply<float>;
  Instruction &in = t.emit(handler, InstructionClass::tensor);
  t.list(in, slots);
  in.detail = t.keep(how);
}

void wmma(Translator &t) {
  const int what = t.takeOneOf({"load", "store", "mma"});
  if (what < 0 || !t.take("sync") || !t.take("aligned"))
    return t.fail("expected .load, .store or .mma, and .sync.aligned");
  return what == 2 ? multiplyAdd(t) : loadOrStore(t, what == 1);
}

} // namespace

std::span<const Opcode> wmmaOpcodes() {
  static constexpr Opcode table[] = {{"wmma", wmma}};
  return table;
}

} // namespace sinter::emulator
