// SPDX-License-Identifier: Apache-2.0
// Moves the rows of a weight, as model files store them, into the panels of dialects/kernel/WeightLayout.h.
#ifndef SINTER_COMPILER_PACKWEIGHTS_H
#define SINTER_COMPILER_PACKWEIGHTS_H

#include "dialects/kernel/WeightLayout.h"

#include <cstddef>
#include <span>

namespace sinter {

/// Packs one panel of up to 16 rows. `out`: layout.panelBytes() bytes, all of which are written.
void packPanel(const kernel::WeightLayout &layout, std::span<const std::byte *const> rows, std::byte *out);

/// Packs `count` panels from panel `first` on. `rows`: where each of the layout's rows begins, in the same
/// format: floats, or ggml's blocks. Rows may lie anywhere (several tensors that became
/// one weight, permuted heads). `out`: count * layout.panelBytes() bytes, all of which are written.
void packPanels(const kernel::WeightLayout &layout, std::span<const std::byte *const> rows, int64_t first,
                int64_t count, std::byte *out);

} // namespace sinter

#endif // SINTER_COMPILER_PACKWEIGHTS_H
