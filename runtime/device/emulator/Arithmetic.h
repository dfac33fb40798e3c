// SPDX-License-Identifier: Apache-2.0
// Opcodes that mean integers or floating-point numbers depending on their type.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_ARITHMETIC_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_ARITHMETIC_H

#include "runtime/device/emulator/Translator.h"

namespace sinter::emulator {

enum class Arithmetic : uint8_t { add, sub, mul, mad, div, neg, abs, min, max, fma };

/// Translates the statement for a floating-point type (Floating.cpp).
void floatArithmetic(Translator &translator, Arithmetic operation, Type type);

/// What executes fma.rn.f32 for all lanes (Floating.cpp).
Handler multiplyAddHandler();

/// Puts slots of the operands 1, 2, ... into a, b, c and the target into d. All sources have type `type`.
Instruction &emitElementwise(Translator &translator, Handlers handlers, InstructionClass kind, Type type,
                             int sources, Type targetType = Type::none);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_ARITHMETIC_H
