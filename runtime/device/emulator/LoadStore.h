// SPDX-License-Identifier: Apache-2.0
// Modifiers that all memory instructions share.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_LOADSTORE_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_LOADSTORE_H

#include "runtime/device/emulator/Memory.h"
#include "runtime/device/emulator/Translator.h"

namespace sinter::emulator {

Space takeSpace(Translator &translator, Space otherwise);
void takeOrder(Translator &translator, Access &access);
void takeCacheHints(Translator &translator);

/// What executes loads of 32 bits, or vectors of them, from addresses in registers.
Handler loadOfWords();

/// st.async (MBarriers.cpp).
void storeAsync(Translator &translator);
/// red.async, whose modifiers are all there but the last (MBarriers.cpp).
void reduceAsync(Translator &translator);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_LOADSTORE_H
