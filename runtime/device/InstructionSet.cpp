// SPDX-License-Identifier: Apache-2.0
// The choice of an instruction set, with what to say where there is none.
#include "runtime/device/InstructionSet.h"

#include "runtime/abi.h"
#include "runtime/device/CpuFeatures.h"
#include <cstdlib>

namespace sinter::device {

static std::string namesOf(uint32_t compiled) {
  std::string list;
  for (int isa = 0; isa < SINTER_ISA_COUNT; ++isa)
    if (compiled >> isa & 1)
      list += (list.empty() ? "" : ", ") + std::string(isaName(isa));
  return list.empty() ? "none" : list;
}

Result<int> chooseIsa(uint32_t compiled) {
  const int machine = detectIsa();
  if (machine < 0)
    return fail(
        "this program needs a processor with AVX2, FMA, F16C and BMI (x86-64-v3); this one lacks them");
  if (const char *wanted = std::getenv("SINTER_ISA"); wanted && *wanted) {
    const int isa = isaOfName(wanted);
    if (isa < 0)
      return fail("SINTER_ISA: expected avx2, avx512, avx512bf16 or amx, found '{}'", wanted);
    if (isa > machine)
      return fail("SINTER_ISA: '{}' is more than this machine has ({})", wanted, isaName(machine));
    if (!(compiled >> isa & 1))
      return fail("SINTER_ISA: this program was compiled for {}, not for '{}'", namesOf(compiled), wanted);
    return isa;
  }
  for (int isa = machine; isa >= 0; --isa)
    if (compiled >> isa & 1)
      return isa;
  return fail("this program was compiled for {}; this machine has {} at most", namesOf(compiled),
              isaName(machine));
}

} // namespace sinter::device
