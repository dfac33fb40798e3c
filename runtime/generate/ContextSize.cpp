// SPDX-License-Identifier: Apache-2.0
// From bytes of a token's keys and values to tokens.
#include "runtime/generate/ContextSize.h"
#include "runtime/device/CacheLayout.h"
#include <algorithm>

namespace sinter {

int64_t modelContext(const sinter_model &model) {
  constexpr int64_t withoutLimit = 4096; // of models whose positions have none
  return model.context > 0 ? model.context : withoutLimit;
}

Result<ContextSize> chooseContext(const sinter_model &model, const device::Device &device,
                                  const ContextWish &wish) {
  const sinter_program *program = device::findProgram(model, wish.cacheDtype);
  const uint64_t tokenBytes =
      program ? device::cacheTokenBytes(model, program->cache_dtype) * uint64_t(wish.slots) : 0;
  int64_t tokens = wish.tokens > 0 ? wish.tokens : modelContext(model);
  if (wish.needed > 0)
    tokens = std::min(tokens, wish.needed);
  const uint64_t bytes = tokenBytes * uint64_t(tokens);
  const device::MemorySize memory = device.memory();
  if (wish.tokens > 0 && bytes > memory.total)
    return fail("the context of {} tokens times {} needs {:.1f} GiB for keys and values; this {} has {:.1f} "
                "GiB of memory: give a smaller one",
                tokens, wish.slots, double(bytes) / 0x1p30, device.name().empty() ? "machine" : "GPU",
                double(memory.total) / 0x1p30);
  const uint64_t half = memory.available / 2;
  if (wish.tokens > 0 || bytes <= half)
    return ContextSize{tokens, false};
  return ContextSize{std::max<int64_t>(SINTER_CACHE_PANEL, int64_t(half / std::max<uint64_t>(tokenBytes, 1))),
                     true};
}

} // namespace sinter
