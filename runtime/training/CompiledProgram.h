// SPDX-License-Identifier: Apache-2.0
// What main calls: nothing in this header is compiled into main itself, see TrainerMain.cpp.
#ifndef SINTER_RUNTIME_TRAINING_COMPILEDPROGRAM_H
#define SINTER_RUNTIME_TRAINING_COMPILEDPROGRAM_H

struct sinter_trainer;

namespace sinter::training {

/// Runs a compiled step as a program.
int runCompiledTrainer(const ::sinter_trainer &trainer, int argc, const char *const *argv);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_COMPILEDPROGRAM_H
