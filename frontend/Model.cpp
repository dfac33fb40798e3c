// SPDX-License-Identifier: Apache-2.0
// Tells folders, GGUF files and bare configurations apart, and opens them.
#include "frontend/Model.h"
#include "frontend/WantedFormat.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace sinter {
namespace {

namespace fs = std::filesystem;

bool isGguf(const std::string &path) {
  std::array<char, 4> magic = {};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  return std::string_view(magic.data(), magic.size()) == "GGUF";
}

Result<> openFolder(Model &model) {
  std::error_code code;
  fs::path folder = model.path;
  bool hasWeights = fs::exists(folder / "model.safetensors", code) ||
                    fs::exists(folder / "model.safetensors.index.json", code);
  // Pickles run code when they are read: torch's own files are never opened.
  for (const char *pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json"})
    if (!hasWeights && fs::exists(folder / pickle, code))
      return fail(
          "{}: expected model.safetensors, found pickled weights in {}; convert them with transformers: "
          "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(other)",
          model.path, pickle);
  Result<ModelConfig> config = readHuggingFaceConfig(model.path);
  if (!config)
    return tl::unexpected(config.error());
  model.config = std::move(*config);
  Result<WeightSource> weights = WeightSource::openFolder(model.path);
  if (!weights)
    return tl::unexpected(weights.error());
  model.weights = std::move(*weights);
  return {};
}

Result<> openGguf(Model &model) {
  Result<Gguf> file = Gguf::open(model.path);
  if (!file)
    return tl::unexpected(file.error());
  Result<ModelConfig> config = readGgufConfig(*file);
  if (!config)
    return tl::unexpected(config.error());
  model.config = std::move(*config);
  model.gguf = *file;
  model.weights = WeightSource::fromGguf(*file);
  return {};
}

} // namespace

Result<const BlockFormat *> wantedWeights(std::string_view weights) {
  static constexpr std::string_view names[] = {"f32", "bf16", "f16", "q8_0", "q4_0", "q4_1"};
  if (weights == "keep")
    return nullptr;
  for (std::string_view name : names)
    if (weights == name)
      return findBlockFormat(name);
  return fail("--weights: expected keep, f32, bf16, f16, q8_0, q4_0 or q4_1, found '{}'", weights);
}

Result<Model> openModel(const std::string &path, std::string_view weights) {
  Model model;
  model.path = path;
  Result<const BlockFormat *> wanted = wantedWeights(weights);
  if (!wanted)
    return tl::unexpected(wanted.error());
  model.wanted = *wanted;
  std::error_code code;
  if (!fs::exists(path, code))
    return fail("{}: expected a Hugging Face folder, a GGUF file or a config.json, found nothing there",
                path);
  if (access(path.c_str(), R_OK) != 0)
    return fail("{}: cannot read: {}", path, std::strerror(errno));
  Result<> opened;
  if (fs::is_directory(path, code)) {
    opened = openFolder(model);
  } else if (isGguf(path)) {
    opened = openGguf(model);
  } else if (fs::path(path).extension() == ".json") {
    Result<ModelConfig> config = readHuggingFaceConfig(path);
    if (config)
      model.config = std::move(*config);
    else
      opened = tl::unexpected(config.error());
  } else {
    return fail("{}: expected a Hugging Face folder, a GGUF file or a config.json, found a file that begins "
                "otherwise",
                path);
  }
  if (!opened)
    return tl::unexpected(opened.error());
  return model;
}

} // namespace sinter
