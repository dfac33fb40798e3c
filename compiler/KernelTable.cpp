// SPDX-License-Identifier: Apache-2.0
// Registers are given to warps by 256, shared memory to blocks by 128 bytes and 1 KiB more.
#include "compiler/KernelTable.h"

#include "dialects/kernel/Kernel.h"

#include <fmt/format.h>

using namespace mlir;

namespace sinter {

constexpr int64_t smThreads = 2048, smBlocks = 32, smRegisters = 64 * 1024;

int64_t residentBlocks(gpu::Architecture architecture, int64_t registers, int64_t threads,
                       int64_t sharedBytes) {
  int64_t smShared = (architecture == gpu::Architecture::Sm80 ? 164 : 228) * 1024;
  int64_t warps = llvm::divideCeil(threads, gpu::warpSize);
  int64_t blocks = std::min(smBlocks, smThreads / (warps * gpu::warpSize));
  blocks = std::min(blocks, smShared / static_cast<int64_t>(llvm::alignTo(sharedBytes, 128) + 1024));
  if (registers)
    blocks = std::min(
        blocks, smRegisters / static_cast<int64_t>(llvm::alignTo(registers * gpu::warpSize, 256) * warps));
  return blocks;
}

/// Launches of each kernel in an entry of a form, for whichever type of cache it is in.
static std::map<std::string, int64_t> launchesOf(ModuleOp module, StringRef form) {
  std::map<std::string, int64_t> most;
  for (auto entry : module.getOps<kernel::EntryOp>()) {
    if (!entry.getSymName().starts_with(form))
      continue;
    std::map<std::string, int64_t> counts;
    for (auto launch : entry.getOps<kernel::LaunchOp>())
      ++counts[launch.getCallee().str()];
    for (auto [name, count] : counts)
      most[name] = std::max(most[name], count);
  }
  return most;
}

std::string kernelTable(ModuleOp module, llvm::ArrayRef<GpuCode> code) {
  std::map<std::string, int64_t> prefill = launchesOf(module, "prefill_"),
                                 decode = launchesOf(module, "decode_");
  std::string text;
  for (const GpuCode &each : code) {
    text += fmt::format("{:<24}{:>8}{:>8}{:>9}{:>11}{:>8}{:>10}{:>10}{:>7}\n",
                        gpu::nameOf(each.architecture).str(), "prefill", "decode", "threads", "registers",
                        "spills", "shared", "blocks/SM", "full");
    for (auto function : module.getOps<kernel::FuncOp>()) {
      std::string name = function.getName().str();
      const CudaKernel &facts = each.kernels.kernels.at(name);
      const KernelResources *resources = nullptr;
      if (each.cubin)
        for (const KernelResources &one : each.cubin->kernels)
          if (one.name == facts.function)
            resources = &one;
      int64_t blocks = residentBlocks(each.architecture, resources ? resources->registers : 0, facts.threads,
                                      facts.sharedBytes);
      auto known = [&](int64_t number) { return resources ? std::to_string(number) : std::string("-"); };
      text += fmt::format("{:<24}{:>8}{:>8}{:>9}{:>11}{:>8}{:>10}{:>10}{:>6}%\n", name, prefill[name],
                          decode[name], facts.threads, known(resources ? resources->registers : 0),
                          known(resources ? resources->spillBytes : 0), facts.sharedBytes, blocks,
                          blocks * facts.threads * 100 / smThreads);
    }
  }
  return text;
}

} // namespace sinter
