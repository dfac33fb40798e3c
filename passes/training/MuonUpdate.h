// SPDX-License-Identifier: Apache-2.0
// The launches of Muon that make an update of a matrix orthogonal.
#ifndef SINTER_PASSES_TRAINING_MUONUPDATE_H
#define SINTER_PASSES_TRAINING_MUONUPDATE_H

#include "passes/Passes.h"
#include "passes/kernels/KernelNames.h"

namespace sinter {

/// Numbers whose squares are added to one partial sum; also a tile of an update.
inline constexpr int64_t updateBlock = 16384;

/// Whether Muon moves this parameter: a hidden matrix (neither embedding nor head, nor vectors, nor low-rank
/// adapters) whose rows fill panels.
bool isMuons(lm::ParameterOp parameter);

/// Adds to `entry` what replaces each matrix of `parameter` in the image of gradients, an update before this,
/// by its orthogonalisation, times sqrt(max(1, rows / columns)).
void addOrthogonalisation(kernel::EntryOp entry, KernelNames &names, lm::ParameterOp parameter);

} // namespace sinter

#endif // SINTER_PASSES_TRAINING_MUONUPDATE_H
