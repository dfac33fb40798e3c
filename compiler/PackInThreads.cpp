// SPDX-License-Identifier: Apache-2.0
// Shares the panels of a weight among threads. Apart from the packer itself, which programs that call kernels
// have, too.
#include "compiler/PackWeights.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <thread>
#include <vector>

using sinter::kernel::WeightLayout;

namespace sinter {

void packWeight(const WeightLayout &layout, std::span<const std::byte *const> rows, std::span<std::byte> out,
                unsigned threads) {
  assert(static_cast<int64_t>(out.size()) == layout.bytes() && "room for the whole weight");
  constexpr int64_t atOnce = 16;
  std::atomic<int64_t> next = 0;
  auto work = [&] {
    for (int64_t first; (first = next.fetch_add(atOnce)) < layout.panels();)
      packPanels(layout, rows, first, std::min(atOnce, layout.panels() - first),
                 out.data() + first * layout.panelBytes());
  };
  int64_t useful = std::min<int64_t>(threads, (layout.panels() + atOnce - 1) / atOnce);
  std::vector<std::jthread> helpers;
  for (int64_t i = 1; i < useful; ++i)
    helpers.emplace_back(work);
  work();
}

} // namespace sinter
