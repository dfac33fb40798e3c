// SPDX-License-Identifier: Apache-2.0
// Any bytes as model.safetensors.index.json beside two shards: an error, or tensors that lie inside of them.
#include "frontend/Weights.h"
#include "test/TemporaryFolder.h"

using namespace sinter;

namespace {

/// Header and data of a shard that holds `name`, four numbers.
std::string shard(std::string_view name) {
  std::string header = fmt::format(R"({{"{}":{{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}}})", name);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  return bytes + header + std::string(16, '\x3F');
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const TemporaryFolder folder;
  static const bool written = [] {
    folder.write("a.safetensors", shard("model.embed.weight"));
    folder.write("b.safetensors", shard("head.weight"));
    return true;
  }();
  (void)written;
  folder.write("model.safetensors.index.json", {reinterpret_cast<const char *>(data), size});
  const Result<WeightSource> source = WeightSource::openFolder(folder.path());
  if (!source)
    return source.error().message.empty() ? (std::abort(), 0) : 0;
  for (const Weight &weight : source->weights()) {
    std::vector<float> numbers(static_cast<size_t>(weight.rowCount() * weight.rowLength()));
    decodeRows(weight, 0, weight.rowCount(), numbers.data());
    if (!checkFinite(weight, 1) || source->find(weight.name) != &weight)
      std::abort();
  }
  const int64_t any[] = {-1, -1};
  (void)source->claim("embed.weight", any);
  (void)source->unclaimed();
  return 0;
}
