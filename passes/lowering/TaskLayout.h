// SPDX-License-Identifier: Apache-2.0
// Where the fields of struct sinter_gpu_task of runtime/abi.h lie, which passes do not include.
#ifndef SINTER_PASSES_LOWERING_TASKLAYOUT_H
#define SINTER_PASSES_LOWERING_TASKLAYOUT_H

#include <cstdint>

/// Offsets in bytes; compiler/PersistentTasks.cpp checks them.
namespace sinter::abi {
inline constexpr int64_t taskKernel = 0, taskDomain = 4, taskColumns = 8, taskRowsPerTile = 12,
                         taskKeysPerTile = 16, taskFirstWait = 20, taskWaitCount = 24, taskFirstAddress = 28,
                         taskAddressCount = 32, taskPrefetches = 36, taskBytes = 52;
/// Of a prefetch: the buffer's number, bytes a tile.
inline constexpr int64_t prefetchBuffer = 0, prefetchTileBytes = 4, prefetchBytes = 8, taskPrefetchCount = 2;
/// From one task's counter to the next one's.
inline constexpr int64_t counterBytes = 32;
} // namespace sinter::abi

#endif // SINTER_PASSES_LOWERING_TASKLAYOUT_H
