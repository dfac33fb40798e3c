// SPDX-License-Identifier: Apache-2.0
// Where the adjustments of a step's logits lie (runtime/abi.h), which passes do not include.
#ifndef SINTER_PASSES_LOWERING_ADJUSTMENTLAYOUT_H
#define SINTER_PASSES_LOWERING_ADJUSTMENTLAYOUT_H

#include <cstdint>

/// Offsets in bytes; compiler/CpuTarget.cpp checks them.
namespace sinter::abi {
inline constexpr int64_t stepAdjustments = 128, samplingAdjustmentCount = 36;
inline constexpr int64_t adjustmentId = 0, adjustmentBias = 4, adjustmentRepeat = 8, adjustmentSubtract = 12,
                         adjustmentBytes = 16;
} // namespace sinter::abi

#endif // SINTER_PASSES_LOWERING_ADJUSTMENTLAYOUT_H
