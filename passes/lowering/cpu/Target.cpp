// SPDX-License-Identifier: Apache-2.0
// Names of instruction sets.
#include "passes/lowering/cpu/Target.h"

#include "llvm/Support/ErrorHandling.h"

namespace sinter::cpu {

llvm::StringRef nameOf(Isa isa) {
  switch (isa) {
  case Isa::Avx2:
    return "avx2";
  case Isa::Avx512:
    return "avx512";
  case Isa::Avx512Bf16:
    return "avx512bf16";
  case Isa::Amx:
    return "amx";
  }
  llvm_unreachable("an instruction set that is none of the four");
}

std::optional<Isa> isaNamed(llvm::StringRef name) {
  for (Isa isa : allIsas)
    if (name == nameOf(isa))
      return isa;
  return std::nullopt;
}

} // namespace sinter::cpu
