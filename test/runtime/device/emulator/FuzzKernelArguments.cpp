// SPDX-License-Identifier: Apache-2.0
// Any lines as --arg of `sinter run-ptx`: an error, or bytes of a kernel's parameters. Paths do not leave the
// folder of one small array.
#include "runtime/device/emulator/KernelArguments.h"
#include "test/TemporaryFolder.h"

#include <unistd.h>

using namespace sinter::emulator;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const sinter::TemporaryFolder folder;
  static const bool ready = [] {
    sinter::NpyArray array{"f4", {4, 8}, std::vector<uint8_t>(128, 1)};
    return sinter::writeNpy(folder.path("a.npy"), array).has_value() && chdir(folder.path().c_str()) == 0;
  }();
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  if (!ready || text.find('/') != text.npos)
    return 0;
  GlobalMemory memory;
  KernelArguments arguments(memory, 1 << 20); // a machine may have more, libFuzzer has not
  Program program;
  for (size_t at = 0; at < size;) {
    const size_t end = std::min(text.find('\n', at), size);
    const auto added = arguments.add(std::string(text.substr(at, end - at)));
    if (!added && added.error().message.empty())
      std::abort();
    at = end + 1;
  }
  (void)arguments.parameters(program);
  arguments.restore();
  (void)arguments.outputs();
  return 0;
}
