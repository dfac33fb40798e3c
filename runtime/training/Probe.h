// SPDX-License-Identifier: Apache-2.0
// `--probe DIR`: some steps on given tokens, with everything that another implementation can be compared
// with.
#ifndef SINTER_RUNTIME_TRAINING_PROBE_H
#define SINTER_RUNTIME_TRAINING_PROBE_H

#include "runtime/training/TrainingAbi.h"

namespace sinter::training {

/// Whether the command line asks for a probe.
bool isProbe(int argc, const char *const *argv);

/// Reads DIR/tokens.npy, positions.npy and targets.npy (i4, as many as the step has rows) and, where it is
/// there, DIR/parameters.safetensors. Writes gradients.safetensors (of the first step, under the names of the
/// model's tensors), logits.npy (of the last row, before the first update) and updated.safetensors (after all
/// steps), and prints a line `step loss norm seconds` for each. Flags: --steps N, --optimizer NAME, --lr X,
/// --beta1 X, --beta2 X, --eps X,
/// --weight-decay X, --clip X, -t N, --launches (times). Gives the exit code.
int runProbe(const sinter_trainer &trainer, int argc, const char *const *argv);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_PROBE_H
