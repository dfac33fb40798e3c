// SPDX-License-Identifier: Apache-2.0
// What main calls: nothing in this header is compiled into main itself, see Main.cpp.
#ifndef SINTER_RUNTIME_GENERATE_ENTRYPOINT_H
#define SINTER_RUNTIME_GENERATE_ENTRYPOINT_H

struct sinter_model;

namespace sinter {

/// runProgram with the model's own tokenizer.
int runExecutable(const ::sinter_model &model, int argc, const char *const *argv);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_ENTRYPOINT_H
