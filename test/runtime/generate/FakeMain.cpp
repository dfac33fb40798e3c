// SPDX-License-Identifier: Apache-2.0
// The fake model as an executable, for the tests of the command line.
#include "runtime/generate/Program.h"
#include "test/runtime/generate/FakeModel.h"

int main(int argc, char **argv) {
  return sinter::runProgram(sinter_model, sinter::fake::openByteCodec, argc, argv);
}
