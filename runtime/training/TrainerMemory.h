// SPDX-License-Identifier: Apache-2.0
// The memory that a training step takes, in words.
#ifndef SINTER_RUNTIME_TRAINING_TRAINERMEMORY_H
#define SINTER_RUNTIME_TRAINING_TRAINERMEMORY_H

#include "runtime/training/Trainer.h"

namespace sinter::training {

/// "memory: 1.25 GiB (weights 43.2 MiB, ...)".
std::string describe(const MemoryUse &use);

/// Fails when `use` is more than `available` bytes of `where` ("the free memory"), and says what would fit.
Result<> checkFits(const sinter_trainer &trainer, const MemoryUse &use, uint64_t available,
                   std::string_view where);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_TRAINERMEMORY_H
