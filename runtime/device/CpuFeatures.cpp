// SPDX-License-Identifier: Apache-2.0
// Reads CPUID and XGETBV (Intel SDM volume 2A, CPUID leaves 1, 7.0, 7.1 and 80000001; volume 1, 13.3).
#include "runtime/device/CpuFeatures.h"
#include "runtime/abi.h"
#include <cpuid.h>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

namespace sinter::device {

namespace {

bool bit(unsigned word, int index) { return (word >> index) & 1; }

unsigned long long readXcr0() {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (unsigned long long)high << 32 | low;
}

/// Linux grants the tile registers' state to a process on request.
bool permitTiles() {
  const int archReqXcompPerm = 0x1023, xfeatureTileData = 18;
  return syscall(SYS_arch_prctl, archReqXcompPerm, xfeatureTileData) == 0;
}

const char *const names[SINTER_ISA_COUNT] = {"avx2", "avx512", "avx512bf16", "amx"};

} // namespace

int detectIsa() {
  unsigned a, b, c, d, b7, c7, d7, a71 = 0, c80;
  if (!__get_cpuid(1, &a, &b, &c, &d))
    return -1;
  const bool osxsave = bit(c, 27), avx = bit(c, 28), fma = bit(c, 12), f16c = bit(c, 29), movbe = bit(c, 22);
  if (!(osxsave && avx && fma && f16c && movbe))
    return -1;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
    return -1;
  const unsigned subleaves = a;
  const bool avx2 = bit(b7, 5), bmi1 = bit(b7, 3), bmi2 = bit(b7, 8);
  if (!__get_cpuid(0x80000001u, &a, &b, &c80, &d))
    return -1;
  const bool lzcnt = bit(c80, 5);
  const unsigned long long xcr0 = readXcr0();
  if (!(avx2 && bmi1 && bmi2 && lzcnt && (xcr0 & 0x6) == 0x6))
    return -1;

  const bool f = bit(b7, 16), dq = bit(b7, 17), cd = bit(b7, 28), bw = bit(b7, 30), vl = bit(b7, 31);
  const bool vnni = bit(c7, 11);
  if (!(f && dq && cd && bw && vl && vnni && (xcr0 & 0xe6) == 0xe6))
    return SINTER_ISA_AVX2;

  if (subleaves >= 1)
    __get_cpuid_count(7, 1, &a71, &b, &c, &d);
  const bool bf16 = bit(a71, 5), amxBf16 = bit(d7, 22), amxTile = bit(d7, 24), amxInt8 = bit(d7, 25);
  if (bf16 && amxBf16 && amxTile && amxInt8 && (xcr0 & 0x60000) == 0x60000 && permitTiles())
    return SINTER_ISA_AMX;
  return bf16 ? SINTER_ISA_AVX512BF16 : SINTER_ISA_AVX512;
}

const char *isaName(int isa) { return names[isa]; }

int isaOfName(const char *name) {
  for (int isa = 0; isa < SINTER_ISA_COUNT; ++isa)
    if (std::strcmp(name, names[isa]) == 0)
      return isa;
  return -1;
}

} // namespace sinter::device
