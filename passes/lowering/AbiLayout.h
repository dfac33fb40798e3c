// SPDX-License-Identifier: Apache-2.0
// Where the fields of the structs of runtime/abi.h lie, which passes do not include; the same for every
// target.
#ifndef SINTER_PASSES_LOWERING_ABILAYOUT_H
#define SINTER_PASSES_LOWERING_ABILAYOUT_H

#include <cstdint>

/// Offsets in bytes; compiler/CpuTarget.cpp checks them.
namespace sinter::abi {
inline constexpr int64_t callBuffers = 0, callStep = 8, callScratch = 16;
inline constexpr int64_t stepRows = 0, stepSelected = 8, stepTokens = 16, stepPositions = 24, stepSlots = 32,
                         stepSelect = 40, stepKeys = 56, stepCacheTokens = 64, stepCacheSlotBytes = 72,
                         stepTargets = 80, stepTargetWeight = 88, stepAdds = 92, stepSeed = 96,
                         stepUpdate = 104, stepDraws = 112, stepSampling = 120, stepAdjustments = 128;
inline constexpr int64_t samplingSeed = 0, samplingStream = 8, samplingIndex = 16, samplingRow = 24,
                         samplingFilterCount = 28, samplingScale = 32, samplingAdjustmentCount = 36,
                         samplingFilters = 40, samplingBytes = 112;
inline constexpr int64_t adjustmentId = 0, adjustmentBias = 4, adjustmentRepeat = 8, adjustmentSubtract = 12,
                         adjustmentBytes = 16;
inline constexpr int64_t filterKind = 0, filterScale = 4, filterOffset = 8, filterAmount = 16,
                         filterBytes = 24;
/// enum sinter_filter_kind.
inline constexpr int64_t filterFloor = 0, filterCount = 1, filterShare = 2;
} // namespace sinter::abi

#endif // SINTER_PASSES_LOWERING_ABILAYOUT_H
