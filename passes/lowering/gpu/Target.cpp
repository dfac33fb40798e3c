// SPDX-License-Identifier: Apache-2.0
// Names of architectures.
#include "passes/lowering/gpu/Target.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ErrorHandling.h"

namespace sinter::gpu {

llvm::StringRef nameOf(Architecture architecture) {
  switch (architecture) {
  case Architecture::Sm80:
    return "sm_80";
  case Architecture::Sm90:
    return "sm_90a";
  }
  llvm_unreachable("an architecture that is neither of the two");
}

std::optional<Architecture> architectureNamed(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<Architecture>>(name)
      .Case("sm_80", Architecture::Sm80)
      .Case("sm_90a", Architecture::Sm90)
      .Default(std::nullopt);
}

} // namespace sinter::gpu
