// SPDX-License-Identifier: Apache-2.0
// Any bytes as a checkpoint's state and as one of its images. (Their checksums would stop a fuzzer at the
// door: it is given what it needs to pass.)
#include "runtime/data/Hash.h"
#include "runtime/files/SafeTensors.h"
#include "runtime/training/Checkpoint.h"
#include "runtime/training/MetricsFile.h"
#include "test/TemporaryFolder.h"
#include "test/runtime/training/BigramStep.h"

using namespace sinter;
using namespace sinter::training;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const TemporaryFolder folder;
  static const std::unique_ptr<TrainingStep> step = makeBigramStep({});
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  (void)parseState(text, "fuzz");
  constexpr std::string_view key = ",\"checksum\":\"";
  if (const size_t at = text.rfind(key); at != text.npos) {
    const std::string begin(text.substr(0, at));
    (void)parseState(fmt::format("{}{}{:016x}\"}}", begin, key, data::hash64(begin)), "fuzz");
  }
  folder.write("model.safetensors", text);
  StoredState stored;
  stored.checksums = {{"model.safetensors", 0}};
  const NamedImage images[] = {{"model.safetensors", step->image(0)}};
  (void)readImages(folder.path("."), stored, *step, images);
  folder.write("metrics.jsonl", text);
  (void)readMetrics(folder.path("metrics.jsonl"));
  (void)truncateMetrics(folder.path("metrics.jsonl"), 1);
  return 0;
}
