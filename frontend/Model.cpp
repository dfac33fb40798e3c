// SPDX-License-Identifier: Apache-2.0
// Tells folders, GGUF files and bare configurations apart, and opens them.
#include "frontend/Model.h"
#include "frontend/Architecture.h"
#include "frontend/WantedFormat.h"

#include <algorithm>
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

/// The tensor of a parameter outside of layers; null where the files have none.
const Weight *tensorOf(const Model &model, std::string_view parameter) {
  const ParameterNames *names = findNames(*model.config.architecture, parameter);
  std::string_view spellings = names ? names->huggingFace.tensor : "";
  while (!spellings.empty()) {
    const std::string_view name = spellings.substr(0, spellings.find('|'));
    if (const Weight *weight = model.weights->find(name))
      return weight;
    spellings.remove_prefix(std::min(name.size() + 1, spellings.size()));
  }
  return nullptr;
}

bool sameNumbers(const Weight &a, const Weight &b) {
  if (a.shape != b.shape)
    return false;
  for (const Weight *each : {&a, &b})
    if (!each->format || !each->format->dequantize)
      return true; // whoever reads it says what is wrong
  if (a.format == b.format)
    return a.bytes.size() == b.bytes.size() &&
           std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
  std::vector<float> left(static_cast<size_t>(a.rowLength())), right(left.size());
  for (int64_t row = 0; row < a.rowCount(); ++row) {
    decodeRows(a, row, row + 1, left.data());
    decodeRows(b, row, row + 1, right.data());
    if (left != right)
      return false;
  }
  return true;
}

/// As transformers 5 ties: a head that the files hold beside the embedding, with other numbers, is a head of
/// its own whatever the configuration says.
void untieOtherHead(Model &model) {
  const Weight *head = tensorOf(model, "head"), *embedding = tensorOf(model, "embedding");
  if (model.config.tied && head && embedding && !sameNumbers(*head, *embedding))
    model.config.tied = false;
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
  untieOtherHead(model);
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
  if (path.empty())
    return fail("expected a Hugging Face folder, a GGUF file or a config.json, found an empty path");
  if (!fs::exists(path, code))
    return fail("{}: expected a Hugging Face folder, a GGUF file or a config.json, found nothing there",
                path);
  if (access(path.c_str(), R_OK) != 0)
    return fail("{}: cannot read: {}", path, std::strerror(errno));
  Result<> opened;
  if (fs::is_directory(path, code)) {
    opened = openFolder(model);
  } else if (!fs::is_regular_file(path, code)) {
    return fail("{}: expected a Hugging Face folder, a GGUF file or a config.json, found a device or pipe",
                path);
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
  // The name is shown on terminals, which take orders from control characters.
  for (char &c : model.config.name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = ' ';
  return model;
}

} // namespace sinter
