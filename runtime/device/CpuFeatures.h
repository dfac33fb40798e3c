// SPDX-License-Identifier: Apache-2.0
// Which instruction sets this processor and this kernel offer, from the feature bits alone: names of
// processors are masked on virtual machines. Runs on any x86-64.
#ifndef SINTER_RUNTIME_DEVICE_CPUFEATURES_H
#define SINTER_RUNTIME_DEVICE_CPUFEATURES_H

namespace sinter::device {

/// The highest enum sinter_isa that this machine runs, or -1 when it lacks x86-64-v3. Asks the kernel for
/// permission to use AMX where the processor has it.
int detectIsa();

/// "avx2", "avx512", "avx512bf16", "amx".
const char *isaName(int isa);

/// The enum sinter_isa of that name, or -1.
int isaOfName(const char *name);

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_CPUFEATURES_H
