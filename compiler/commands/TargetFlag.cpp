// SPDX-License-Identifier: Apache-2.0
// Reads --target.
#include "compiler/commands/TargetFlag.h"

#include "runtime/device/CpuFeatures.h"

namespace sinter {

Result<Targets> readTarget(llvm::StringRef text) {
  Targets targets;
  llvm::StringRef name = text;
  if (text == "cpu")
    return targets;
  if (text == "cpu:native") {
    int best = device::detectIsa();
    if (best < 0)
      return fail(
          "--target=cpu:native: expected a processor with AVX2, FMA, F16C and BMI, found one without");
    targets.isas = {static_cast<cpu::Isa>(best)};
    return targets;
  }
  if (name.consume_front("cpu:") && cpu::isaNamed(name)) {
    targets.isas = {*cpu::isaNamed(name)};
    return targets;
  }
  if (text == "cuda") {
    targets.gpus = {gpu::Architecture::Sm90, gpu::Architecture::Sm80};
    return targets;
  }
  if (name = text; name.consume_front("cuda:") && gpu::architectureNamed(name)) {
    targets.gpus = {*gpu::architectureNamed(name)};
    return targets;
  }
  return fail("--target: expected cpu, cpu:native, cpu:avx2, cpu:avx512, cpu:avx512bf16, cpu:amx, cuda, "
              "cuda:sm_80 or cuda:sm_90a, found '{}'",
              text.str());
}

} // namespace sinter
