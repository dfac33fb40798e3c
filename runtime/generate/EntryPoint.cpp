// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/EntryPoint.h"
#include "runtime/generate/Program.h"
#include "runtime/generate/TokenizerCodec.h"

namespace sinter {

int runExecutable(const ::sinter_model &model, int argc, const char *const *argv) {
  return runProgram(model, openTokenizerCodec, argc, argv);
}

} // namespace sinter
