// SPDX-License-Identifier: Apache-2.0
// Bulk copies, with and without a tensor map.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_BULKCOPIES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_BULKCOPIES_H

#include "runtime/device/emulator/Translator.h"

namespace sinter::emulator {

/// cp[.reduce].async.bulk... after these modifiers have been taken (BulkCopies.cpp).
void bulkCopy(Translator &translator, bool reduce);

/// For the race checker: the times of a warp's groups of copies (AsyncCopies.cpp).
GroupTimes &copyGroup(Warp &warp);
GroupTimes &bulkGroup(Warp &warp);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_BULKCOPIES_H
