// SPDX-License-Identifier: Apache-2.0
// Decodes the VEX encodings of AMX (Intel SDM, volume 2: ldtilecfg and following).
#include "test/execute/AmxEmulator.h"

#include "runtime/abi.h"
#include "runtime/device/CpuFeatures.h"

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <signal.h>
#include <ucontext.h>

namespace sinter::test {
namespace {

struct Tile {
  uint8_t bytes[16][64];
};

// Of the one thread that tests run kernels in.
Tile tiles[8];
uint8_t tileRows[8];
uint16_t tileRowBytes[8];
long productCount = 0;
struct sigaction before;

/// A register by its number in instructions.
uint64_t registerOf(const ucontext_t *context, unsigned number) {
  static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<uint64_t>(context->uc_mcontext.gregs[order[number]]);
}

struct Operand {
  uint64_t base = 0, index = 0; // index scaled: the stride of tile loads
  const uint8_t *next = nullptr;
};

/// The memory operand after `modrm`.
Operand memory(const ucontext_t *context, const uint8_t *modrm, bool highBase, bool highIndex) {
  Operand operand;
  unsigned mode = *modrm >> 6, low = *modrm & 7;
  const uint8_t *at = modrm + 1;
  bool hasBase = true;
  if (low == 4) {
    unsigned sib = *at++;
    unsigned index = (sib >> 3 & 7) | (highIndex ? 8 : 0), base = sib & 7;
    if (index != 4)
      operand.index = registerOf(context, index) << (sib >> 6);
    hasBase = !(base == 5 && mode == 0);
    low = base;
  }
  if (hasBase)
    operand.base = registerOf(context, low | (highBase ? 8 : 0));
  if (mode == 1) {
    operand.base += static_cast<int8_t>(*at++);
  } else if (mode == 2 || !hasBase) {
    int32_t offset;
    std::memcpy(&offset, at, 4);
    operand.base += offset;
    at += 4;
  }
  operand.next = at;
  return operand;
}

void configure(const uint8_t *from) {
  for (int i = 0; i < 8; ++i) {
    std::memcpy(&tileRowBytes[i], from + 16 + 2 * i, 2);
    tileRows[i] = from[48 + i];
  }
  std::memset(tiles, 0, sizeof tiles);
}

float bf16(const uint8_t *from) {
  uint16_t half;
  std::memcpy(&half, from, 2);
  return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
}

void multiply(unsigned to, unsigned left, unsigned right) {
  ++productCount;
  for (int row = 0; row < tileRows[to]; ++row)
    for (int column = 0; column < tileRowBytes[to] / 4; ++column) {
      float sum;
      std::memcpy(&sum, &tiles[to].bytes[row][column * 4], 4);
      for (int k = 0; k < tileRowBytes[left] / 4; ++k)
        for (int i = 0; i < 2; ++i)
          sum +=
              bf16(&tiles[left].bytes[row][k * 4 + i * 2]) * bf16(&tiles[right].bytes[k][column * 4 + i * 2]);
      std::memcpy(&tiles[to].bytes[row][column * 4], &sum, 4);
    }
}

/// Executes one instruction; null if it is none of AMX's.
const uint8_t *execute(const ucontext_t *context, const uint8_t *code) {
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2) // three-byte VEX, map 0F38
    return nullptr;
  bool highRegister = !(code[1] & 0x80), highIndex = !(code[1] & 0x40), highBase = !(code[1] & 0x20);
  unsigned prefix = code[2] & 3, other = ~(code[2] >> 3) & 15, opcode = code[3];
  const uint8_t *modrm = code + 4;
  unsigned reg = *modrm >> 3 & 7;
  if (highRegister)
    return nullptr;
  if (opcode == 0x49 && prefix == 0 && *modrm == 0xc0) { // tilerelease
    std::memset(tileRows, 0, sizeof tileRows);
    return modrm + 1;
  }
  if (opcode == 0x49 && prefix == 0) { // ldtilecfg
    Operand operand = memory(context, modrm, highBase, highIndex);
    configure(reinterpret_cast<const uint8_t *>(operand.base));
    return operand.next;
  }
  if (opcode == 0x49 && prefix == 3) { // tilezero
    std::memset(&tiles[reg], 0, sizeof(Tile));
    return modrm + 1;
  }
  if (opcode == 0x4b) { // tileloadd (F2), tilestored (F3)
    Operand operand = memory(context, modrm, highBase, highIndex);
    auto *address = reinterpret_cast<uint8_t *>(operand.base);
    if (prefix == 3)
      std::memset(&tiles[reg], 0, sizeof(Tile));
    for (int row = 0; row < tileRows[reg]; ++row, address += operand.index)
      if (prefix == 3)
        std::memcpy(tiles[reg].bytes[row], address, tileRowBytes[reg]);
      else
        std::memcpy(address, tiles[reg].bytes[row], tileRowBytes[reg]);
    return operand.next;
  }
  if (opcode == 0x5c && prefix == 2) { // tdpbf16ps
    multiply(reg, *modrm & 7, other);
    return modrm + 1;
  }
  return nullptr;
}

void handle(int signal, siginfo_t *info, void *data) {
  auto *context = static_cast<ucontext_t *>(data);
  auto *code = reinterpret_cast<const uint8_t *>(context->uc_mcontext.gregs[REG_RIP]);
  if (const uint8_t *next = execute(context, code))
    context->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(next);
  else
    sigaction(signal, &before, nullptr); // happens again, without us
}

/// Asks Linux for the state of tiles, too.
bool hasAmx() {
  static const bool has = device::detectIsa() == SINTER_ISA_AMX;
  return has;
}

} // namespace

void emulateAmx() {
  static const bool once = [] {
    if (!hasAmx()) {
      struct sigaction action{};
      action.sa_sigaction = handle;
      action.sa_flags = SA_SIGINFO;
      sigaction(SIGILL, &action, &before);
    }
    return true;
  }();
  (void)once;
}

std::optional<long> emulatedProducts() { return hasAmx() ? std::nullopt : std::optional<long>(productCount); }

} // namespace sinter::test
