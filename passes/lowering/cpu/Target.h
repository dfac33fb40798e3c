// SPDX-License-Identifier: Apache-2.0
// The instruction sets that kernels are emitted for, and what emitters may ask of them.
#ifndef SINTER_PASSES_LOWERING_CPU_TARGET_H
#define SINTER_PASSES_LOWERING_CPU_TARGET_H

#include "llvm/ADT/StringRef.h"

#include <array>
#include <cstdint>
#include <optional>

namespace sinter::cpu {

/// The same numbers as enum sinter_isa of runtime/abi.h.
enum class Isa : uint32_t { Avx2 = 0, Avx512 = 1, Avx512Bf16 = 2, Amx = 3 };
inline constexpr unsigned isaCount = 4;
inline constexpr std::array<Isa, isaCount> allIsas = {Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx};

/// "avx2", "avx512", "avx512bf16", "amx": the suffix of a kernel's function.
llvm::StringRef nameOf(Isa isa);
std::optional<Isa> isaNamed(llvm::StringRef name);

/// What emitters may ask of an instruction set.
struct Target {
  Isa isa = Isa::Avx2;
  /// f32 elements of a register.
  int64_t lanes() const { return isa == Isa::Avx2 ? 8 : 16; }
  int64_t registers() const { return isa == Isa::Avx2 ? 16 : 32; }
  bool vnni() const { return isa != Isa::Avx2; }
  /// Conversion to bf16 and products of pairs of bf16.
  bool bf16() const { return isa == Isa::Avx512Bf16 || isa == Isa::Amx; }
  bool amx() const { return isa == Isa::Amx; }
};

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_TARGET_H
