// SPDX-License-Identifier: Apache-2.0
// Small loops that show what one thread of this machine can do at best; --bench runs them on all threads at
// once and states the model's figures as shares of theirs.
#ifndef SINTER_RUNTIME_DEVICE_CPULIMITS_H
#define SINTER_RUNTIME_DEVICE_CPULIMITS_H

#include <cstddef>
#include <cstdint>

namespace sinter::device {

class ThreadTeam;

/// Reads `bytes` bytes (a multiple of 2048, 64-byte aligned) once in eight interleaved streams; returns their
/// exclusive or, so that the reads are needed.
uint64_t readStreams(const std::byte *data, size_t bytes);

/// Floating-point operations a second that independent multiply-adds of the instruction set `isa` (enum
/// sinter_isa) on registers reach, all threads of `team` together.
double measureFlopsPerSecond(ThreadTeam &team, int isa);

/// Which instruction that is: "f32 FMA, 256 bits", "f32 FMA, 512 bits" or "bf16 AMX".
const char *multiplyAddKind(int isa);

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_CPULIMITS_H
