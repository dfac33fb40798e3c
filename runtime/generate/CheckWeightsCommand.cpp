// SPDX-License-Identifier: Apache-2.0
// --check-weights: whether each byte of the file of weights is what the compiler wrote. A start looks at
// some.
#include "runtime/device/WeightsMapping.h"
#include "runtime/generate/Commands.h"
#include "runtime/generate/Output.h"
#include "runtime/generate/WeightsFile.h"
#include <unistd.h>

namespace sinter {

Result<void> runCheckWeights(const Setting &setting) {
  const std::string path = findWeightsFile(setting.options.weightsFile, setting.metadata.weightsFile);
  const Result<device::WeightsMapping> whole =
      device::WeightsMapping::open(setting.model, path, device::WeightsCheck::All);
  if (!whole)
    return tl::unexpected(whole.error());
  Output out(STDOUT_FILENO);
  out.write(
      fmt::format("{}: {} bytes of weights, as they were compiled\n", path, setting.model.weights.size));
  return out.status();
}

} // namespace sinter
