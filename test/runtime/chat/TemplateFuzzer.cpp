// SPDX-License-Identifier: Apache-2.0
// Any bytes as a template: parses, and renders what parses.
#include "runtime/chat/Template.h"
#include "runtime/files/Utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace sinter::chat;
  const std::string source = sinter::repairUtf8({reinterpret_cast<const char *>(data), size});
  if (const sinter::Result<Template> parsed = Template::parse(source))
    (void)parsed->render({{"system", "be brief"}, {"user", "hi"}, {"assistant", "hello"}},
                         {{"bos_token", "<s>"}}, true);
  return 0;
}
