// SPDX-License-Identifier: Apache-2.0
// Sums what a model's graph says: its parameters by type, and what one token costs.
#include "frontend/Info.h"

#include "frontend/Architecture.h"
#include "frontend/Model.h"
#include "runtime/files/Json.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"

#include <filesystem>
#include <map>

using namespace mlir;

namespace sinter {
namespace {

namespace fs = std::filesystem;

int64_t bytesOf(RankedTensorType type) {
  int64_t numbers = type.getNumElements();
  if (auto block = dyn_cast<lm::BlockType>(type.getElementType()))
    return numbers / block.getBlockElements() * block.getBlockBytes();
  return numbers * type.getElementTypeBitWidth() / 8;
}

std::string typeName(Type element) {
  if (auto block = dyn_cast<lm::BlockType>(element))
    return lm::stringifyBlockFormat(block.getFormat()).upper();
  return element.isF32() ? "F32" : element.isF16() ? "F16" : "BF16";
}

struct Sums {
  int64_t parameters = 0, bytes = 0;
  std::map<std::string, std::pair<int64_t, int64_t>> types; ///< tensors and bytes
  int64_t tokenBytes = 0, tokenFlops = 0; ///< one token, batch of one, without attention over earlier tokens
};

Sums sum(ModuleOp module) {
  Sums sums;
  for (auto parameter : module.getOps<lm::ParameterOp>()) {
    auto type = cast<RankedTensorType>(parameter.getType());
    sums.parameters += type.getNumElements();
    sums.bytes += bytesOf(type);
    auto &[tensors, bytes] = sums.types[typeName(type.getElementType())];
    tensors += parameter.getSource()->getTensors().size();
    bytes += bytesOf(type);
  }
  module.walk([&](lm::ReadOp read) {
    auto type = cast<RankedTensorType>(read.getType());
    for (Operation *user : read->getUsers()) {
      if (isa<lm::EmbeddingOp>(user)) { // one row
        sums.tokenBytes += bytesOf(type) / type.getDimSize(0);
        continue;
      }
      if (auto expert = dyn_cast<lm::ExpertLinearOp>(user)) { // the chosen ones
        int64_t chosen = lm::width(expert.getChosen());
        sums.tokenBytes += bytesOf(type) / type.getDimSize(0) * chosen;
        sums.tokenFlops += 2 * type.getNumElements() / type.getDimSize(0) * chosen;
        continue;
      }
      sums.tokenBytes += bytesOf(type);
      if (isa<lm::LinearOp>(user) && type.getRank() == 2)
        sums.tokenFlops += 2 * type.getNumElements();
    }
  });
  return sums;
}

/// 1234567 as "1.23 M".
std::string scaled(double value, std::string_view unit) {
  static constexpr std::string_view prefixes[] = {"", "k", "M", "G", "T"};
  size_t prefix = 0;
  for (; value >= 1000 && prefix + 1 < std::size(prefixes); ++prefix)
    value /= 1000;
  return fmt::format("{:.4g} {}{}", value, prefixes[prefix], unit);
}

std::string ggufTokenizer(const Gguf &file) {
  std::string model = file.getOr<std::string>("tokenizer.ggml.model", "none").value_or("unreadable");
  std::string pre = file.getOr<std::string>("tokenizer.ggml.pre", "").value_or("");
  return model + (pre.empty() ? "" : ", pre-tokenizer " + pre);
}

std::string folderTokenizer(const fs::path &folder) {
  std::error_code code;
  if (fs::exists(folder / "tokenizer.json", code)) {
    Result<Json> json = Json::read((folder / "tokenizer.json").string());
    return json ? "tokenizer.json, " +
                      json->root()["model"].getOr<std::string>("type", "BPE").value_or("unreadable")
                : json.error().message;
  }
  return fs::exists(folder / "tokenizer.model", code) ? "tokenizer.model (SentencePiece)" : "none";
}

bool hasChatTemplate(const Model &model) {
  if (model.gguf)
    return model.gguf->has("tokenizer.chat_template");
  std::error_code code;
  fs::path folder = model.path;
  if (fs::exists(folder / "chat_template.jinja", code))
    return true;
  Result<Json> json = Json::read((folder / "tokenizer_config.json").string());
  return json && json->root()["chat_template"].hasValue();
}

std::string positions(const ModelConfig &config) {
  if (!config.alibi.empty())
    return "ALiBi";
  if (config.learnedPositions)
    return "learned";
  if (config.ropes.empty())
    return "none";
  std::string text = "rotary";
  if (config.ropes.size() > 1)
    text += fmt::format(" ({} sets)", config.ropes.size());
  if (int64_t columns = 2 * config.ropes.front().frequencies.size(); columns < config.headDim)
    text += fmt::format(", {} of {} columns of a head", columns, config.headDim);
  return text;
}

} // namespace

Result<std::string> describeModel(const std::string &path) {
  Result<Model> model = openModel(path);
  if (!model)
    return tl::unexpected(model.error());
  MLIRContext context;
  std::string problem;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && problem.empty())
      problem = diagnostic.str();
  });
  OwningOpRef<ModuleOp> module = importModel(context, *model);
  if (!module)
    return fail("{}", problem);

  const ModelConfig &config = model->config;
  Sums sums = sum(*module);
  std::string out;
  auto line = [&](std::string_view name, std::string_view value) {
    out += fmt::format("{:<16}{}\n", name, value);
  };
  line("model", config.name);
  line("architecture", config.architecture->name);
  line("parameters",
       fmt::format("{} ({})", sums.parameters, scaled(static_cast<double>(sums.parameters), "")));
  for (auto &[type, count] : sums.types)
    line(&type == &sums.types.begin()->first ? "weights" : "",
         fmt::format("{}: {} tensor{}, {}", type, count.first, count.first == 1 ? "" : "s",
                     scaled(static_cast<double>(count.second), "B")));
  line("vocabulary", std::to_string(config.vocabulary));
  line("context", config.contextLength ? std::to_string(config.contextLength) : "unlimited");
  line("width", fmt::format("{}, feed-forward {}", config.hidden,
                            config.experts ? fmt::format("{} in {} of {} experts", config.expertIntermediate,
                                                         config.expertsPerToken, config.experts)
                                           : std::to_string(config.intermediate)));
  int64_t windowed =
      llvm::count_if(config.layers, [](const LayerConfig &layer) { return layer.window.has_value(); });
  line("layers", fmt::format("{}{}", config.layers.size(),
                             windowed ? fmt::format(", {} with a sliding window", windowed) : ""));
  line("heads", fmt::format("{} of {} columns, {} of keys and values", config.heads, config.headDim,
                            config.keyValueHeads));
  line("positions", positions(config));
  bool bare = !model->weights;
  line("tokenizer", model->gguf ? ggufTokenizer(*model->gguf) : bare ? "none" : folderTokenizer(model->path));
  line("chat template", !bare && hasChatTemplate(*model) ? "yes" : "no");
  line("a token", fmt::format("{} of weights, {}, and {} for each token before it",
                              scaled(static_cast<double>(sums.tokenBytes), "B"),
                              scaled(static_cast<double>(sums.tokenFlops), "FLOP"),
                              scaled(4.0 * config.heads * config.headDim * config.layers.size(), "FLOP")));
  return out;
}

} // namespace sinter
