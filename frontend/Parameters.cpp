// SPDX-License-Identifier: Apache-2.0
// From a parameter's name and shape to the tensors of the model file that it is.
#include "frontend/Parameters.h"

#include "llvm/ADT/StringExtras.h"

#include <fmt/format.h>

using namespace mlir;

namespace sinter {

struct Parameters::Found {
  SmallVector<StringAttr> tensors;
  const BlockFormat *format = &f32Format;
  int64_t firstRow = 0;
};

namespace {

/// "layers.3.attention.query.bias" taken apart.
struct ParameterName {
  std::string base;  // "layers.*.attention.query"
  std::string layer; // "3"; empty outside of layers
  bool isBias = false;

  explicit ParameterName(StringRef name) {
    isBias = name.consume_back(".bias");
    if (name.consume_front("layers.")) {
      auto [number, rest] = name.split('.');
      layer = number.str();
      base = ("layers.*." + rest).str();
    } else {
      base = name.str();
    }
  }
};

/// The tensor's name of one layer.
std::string expand(StringRef pattern, const ParameterName &name) {
  std::string text = pattern.str();
  if (size_t star = text.find('*'); star != text.npos)
    text.replace(star, 1, name.layer);
  if (name.isBias && StringRef(text).ends_with(".weight"))
    text = StringRef(text).drop_back(StringRef(".weight").size()).str() + ".bias";
  return text;
}

Type elementType(MLIRContext *context, const BlockFormat &format) {
  if (&format == &f32Format)
    return Float32Type::get(context);
  if (&format == &f16Format)
    return Float16Type::get(context);
  if (&format == &bf16Format)
    return BFloat16Type::get(context);
  std::string name(format.name); // ggml's "Q4_K" is the dialect's "q4_K"
  name[0] = llvm::toLower(name[0]);
  std::optional<lm::BlockFormat> block = lm::symbolizeBlockFormat(name);
  assert(block && "every format with a decoder is one of the dialect");
  return lm::BlockType::get(context, *block);
}

} // namespace

Parameters::Parameters(ModuleOp module, const Model &model)
    : model(model), declarations(OpBuilder::atBlockBegin(module.getBody())), loc(module.getLoc()) {}

Value Parameters::read(OpBuilder &builder, StringRef name, ArrayRef<int64_t> shape) {
  lm::ParameterOp &parameter = declared[name];
  if (!parameter)
    parameter = declare(name, shape);
  assert(cast<RankedTensorType>(parameter.getType()).getShape() == shape && "one shape a parameter");
  return lm::ReadOp::create(builder, loc, parameter.getType(), parameter.getSymName());
}

lm::ParameterOp Parameters::declare(StringRef name, ArrayRef<int64_t> shape) {
  const ParameterNames *names = findNames(*model.config.architecture, ParameterName(name).base);
  assert(names && "each parameter of a graph has its names in the architecture's table");
  const Spelling &spelling = model.gguf ? names->gguf : names->huggingFace;
  Found found;
  if (Result<> result = find(spelling, name, shape, found); !result)
    report(result.error());
  bool isMatrix = shape.size() > 1;
  auto type = RankedTensorType::get(shape, elementType(loc.getContext(), *found.format));
  auto source = lm::SourceAttr::get(
      loc.getContext(), found.tensors, spelling.transposed && isMatrix, found.firstRow, spelling.order,
      spelling.order == lm::RowOrder::plain                  ? 0
      : ParameterName(name).base == "layers.*.attention.key" ? model.config.keyValueHeads
                                                             : model.config.heads);
  return lm::ParameterOp::create(declarations, loc, name, type, source, /*trainable=*/true,
                                 /*parts=*/ArrayAttr(), /*value=*/DenseF32ArrayAttr());
}

Result<> Parameters::find(const Spelling &spelling, StringRef name, ArrayRef<int64_t> shape, Found &found) {
  ParameterName parts(name);
  // The first alternative that the file has; for messages and for models without weights, the first.
  SmallVector<StringRef> alternatives;
  StringRef(spelling.tensor).split(alternatives, '|');
  auto firstTensor = [](std::string text) {
    if (size_t hash = text.find('#'); hash != text.npos)
      text.replace(hash, 1, "0");
    return text;
  };
  std::string chosen = expand(alternatives.front(), parts);
  for (StringRef alternative : alternatives)
    if (std::string text = expand(alternative, parts);
        model.weights && model.weights->find(firstTensor(text))) {
      chosen = text;
      break;
    }

  // Of a tied pair the files may hold the head alone.
  if (name == "embedding" && model.config.tied && model.weights && !model.gguf &&
      !model.weights->find(chosen))
    if (const ParameterNames *head = findNames(*model.config.architecture, "head"))
      for (StringRef alternative : llvm::split(StringRef(head->huggingFace.tensor), '|'))
        if (model.weights->find(alternative.str()))
          chosen = alternative.str();

  // What one tensor of the file looks like, and how many there are.
  std::vector<int64_t> expected(shape.begin(), shape.end());
  int64_t count = 1;
  bool isVector = shape.size() == 1;
  bool perHead = isVector && model.config.queryKeyNorm == QueryKeyNorm::PerHead && name.ends_with("_norm") &&
                 name.contains(".attention.");
  size_t hash = chosen.find('#');
  if (perHead) {
    expected = {shape[0] / model.config.headDim, model.config.headDim};
    if (hash != chosen.npos) {
      count = expected[0];
      expected.erase(expected.begin());
    }
  } else if (hash != chosen.npos) {
    count = shape[0];
    expected.erase(expected.begin());
  }
  if (spelling.transposed && !isVector)
    std::swap(expected[0], expected[1]);
  bool isPart = spelling.part != Part::Whole && !(shape.size() == 3 && hash != chosen.npos);
  if (isPart) {
    int64_t &rows = expected[expected.size() == 3 ? 1 : 0];
    if (spelling.part == Part::Up)
      found.firstRow = rows;
    rows *= 2;
  }

  for (int64_t i = 0; i < count; ++i) {
    std::string tensor = chosen;
    if (hash != chosen.npos)
      tensor.replace(hash, 1, std::to_string(i));
    if (!model.weights) {
      found.tensors.push_back(StringAttr::get(loc.getContext(), tensor));
      continue;
    }
    Result<const Weight *> weight = model.weights->claim(tensor, expected);
    if (!weight)
      return tl::unexpected(weight.error());
    found.tensors.push_back(StringAttr::get(loc.getContext(), (*weight)->name));
    // Blocks run along the rows of the graph's matrix, and vectors stay vectors however a file stacks them.
    Weight stored = **weight;
    stored.shape.assign(shape.begin(), shape.end());
    // llama.cpp does not quantise these either: they are small, and errors in them spread.
    bool delicate = name == "positions" || name.ends_with(".router");
    const BlockFormat *wanted = model.wanted && !model.wanted->isFloat() && delicate ? nullptr : model.wanted;
    const BlockFormat *format = storageFormat(stored, wanted);
    if (i > 0 && format != found.format)
      return fail("{}: tensor '{}': expected type {} as in the other parts of {}, found {}", (*weight)->file,
                  (*weight)->name, found.format->name, name.str(), format->name);
    found.format = format;
  }
  return {};
}

void Parameters::checkAllUsed() {
  if (!model.weights)
    return;
  SmallVector<std::string> left;
  for (std::string_view name : model.weights->unclaimed()) {
    StringRef text(name.data(), name.size());
    // Read with the configuration, or a second copy of the embedding that the head does not use.
    bool known = text == "rope_freqs.weight" || text.starts_with("rope_factors_") ||
                 (model.config.tied && (text.ends_with("lm_head.weight") || text == "embed_out.weight"));
    // The other parts of a model that also sees or hears.
    bool elsewhere = text.contains("vision") || text.contains("multi_modal_projector") ||
                     text.contains("connector") || text.contains("audio");
    if (!known && !elsewhere)
      left.push_back(text.str());
  }
  if (left.empty())
    return;
  size_t count = left.size();
  left.resize(std::min<size_t>(count, 5));
  std::string names = llvm::join(left, ", ") + (count > left.size() ? ", ..." : "");
  if (model.gguf) // as llama.cpp does
    return report(
        {fmt::format("{}: expected no other tensors than those of a model of architecture {} with this "
                     "metadata, found {} more: {}",
                     model.path, model.config.architecture->name, count, names)});
  emitWarning(loc) << model.path << ": " << count << (count == 1 ? " tensor is" : " tensors are")
                   << " no part of a model of architecture " << StringRef(model.config.architecture->name)
                   << " with this configuration, and ignored: " << names;
}

void Parameters::report(const Error &error) {
  constexpr int limit = 10;
  if (errors < limit)
    emitError(loc) << error.message;
  else if (errors == limit)
    emitError(loc) << model.path << ": more tensors are missing or wrong";
  ++errors;
}

} // namespace sinter
