// SPDX-License-Identifier: Apache-2.0
// From the tensors of a GGUF file to transformers' state dict: names, and the order of rows where llama.cpp's
// converter changed it.
#include "frontend/ExportParts.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <numeric>

namespace sinter {
namespace {

/// What stands for `*` and `#` in a tensor's name.
struct Numbers {
  int64_t layer = -1, part = -1;
};

/// The numbers with which `name` is `pattern`; none if it is not.
std::optional<Numbers> matched(std::string_view pattern, std::string_view name) {
  Numbers numbers;
  for (char c : pattern) {
    if (c == '*' || c == '#') {
      int64_t &number = c == '*' ? numbers.layer : numbers.part;
      auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (error != std::errc() || number < 0)
        return std::nullopt;
      name.remove_prefix(static_cast<size_t>(rest - name.data()));
    } else if (name.starts_with(c)) {
      name.remove_prefix(1);
    } else {
      return std::nullopt;
    }
  }
  return name.empty() ? std::optional(numbers) : std::nullopt;
}

/// A tensor of a GGUF file in the table of names.
struct Place {
  const ParameterNames *names;
  Numbers numbers;
  bool isBias;
};

std::optional<Place> placeOf(const Architecture &architecture, std::string_view tensor) {
  constexpr std::string_view weight = ".weight", bias = ".bias";
  bool isBias = tensor.ends_with(bias);
  std::string name(tensor);
  if (isBias)
    name.replace(name.size() - bias.size(), bias.size(), weight);
  for (std::span<const ParameterNames> table : {architecture.tensors, llamaNames()})
    for (const ParameterNames &names : table)
      for (std::string_view rest = names.gguf.tensor; !rest.empty();) {
        size_t bar = std::min(rest.find('|'), rest.size());
        if (std::optional<Numbers> numbers = matched(rest.substr(0, bar), name))
          return Place{&names, *numbers, isBias};
        rest.remove_prefix(std::min(bar + 1, rest.size()));
      }
  return std::nullopt;
}

std::string replaced(std::string_view pattern, char placeholder, int64_t number) {
  std::string text(pattern);
  if (size_t at = text.find(placeholder); at != std::string::npos)
    text.replace(at, 1, std::to_string(number));
  return text;
}

std::vector<int64_t> allRows(int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

/// llama.cpp's Llama rotates neighbours, transformers rotates halves: row (head, j, i) of the file, i in {0,
/// 1}, is row (head, i, j) of transformers (LlamaModel.permute in convert_hf_to_gguf.py).
std::vector<int64_t> unpermuted(int64_t count, int64_t heads) {
  int64_t size = count / heads, half = size / 2;
  std::vector<int64_t> rows;
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < half; ++j)
        rows.push_back(head * size + 2 * j + i);
  return rows;
}

/// The file has all of Q, then K, then V; transformers (GPT-NeoX, BLOOM) has the three of a head together.
std::vector<int64_t> merged(int64_t count, int64_t heads) {
  int64_t size = count / (3 * heads);
  std::vector<int64_t> rows;
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t part = 0; part < 3; ++part)
      for (int64_t i = 0; i < size; ++i)
        rows.push_back((part * heads + head) * size + i);
  return rows;
}

/// What is computed from config.json and therefore has no place in a state dict.
bool isComputed(std::string_view name) {
  return name == "rope_freqs.weight" || name == "rope_factors_long.weight" ||
         name == "rope_factors_short.weight";
}

class Planner {
public:
  Planner(const Gguf &gguf, const Architecture &architecture) : gguf(gguf), architecture(architecture) {}

  Result<> readHeads() {
    std::string prefix = *gguf.get<std::string>("general.architecture") + ".attention.head_count";
    Result<int64_t> count = gguf.get<int64_t>(prefix);
    Result<int64_t> keyCount = count ? gguf.getOr<int64_t>(prefix + "_kv", *count) : count;
    if (!keyCount)
      return tl::unexpected(keyCount.error());
    heads = *count;
    keyHeads = *keyCount;
    if (heads < 1 || keyHeads < 1)
      return fail("{}: metadata key '{}': expected at least one head, found {} and {}", gguf.path(), prefix,
                  heads, keyHeads);
    return {};
  }

  Result<> add(const Weight &weight) {
    if (isComputed(weight.name))
      return {};
    if (!weight.format->dequantize)
      return fail("{}: tensor '{}' (byte {}): expected a type that can be read, found {}; {}", weight.file,
                  weight.name, weight.offset, weight.typeName, howToConvert());
    std::optional<Place> place = placeOf(architecture, weight.name);
    std::string_view target = place ? place->names->huggingFace.tensor : std::string_view();
    target = target.substr(0, target.find('|'));
    if (target.empty())
      return fail(
          "{}: tensor '{}' (byte {}): expected a tensor of architecture {}, found one without counterpart in "
          "transformers",
          weight.file, weight.name, weight.offset, architecture.name);
    std::string name = replaced(target, '*', place->numbers.layer);
    if (place->isBias)
      name.replace(name.rfind('.'), std::string::npos, ".bias");
    if (place->numbers.part < 0 && name.find('#') != std::string::npos)
      return addParts(weight, name);
    return addOne(weight, *place, replaced(name, '#', place->numbers.part));
  }

  std::vector<ExportedTensor> tensors;

private:
  const Gguf &gguf;
  const Architecture &architecture;
  int64_t heads = 0, keyHeads = 0;

  Result<> addOne(const Weight &weight, const Place &place, std::string target) {
    const ParameterNames &names = *place.names;
    assert((names.gguf.part == Part::Whole || names.gguf.part == names.huggingFace.part) &&
           "what a GGUF file holds as one, transformers does too");
    ExportedTensor tensor{std::move(target), weight.shape, &weight, {}, 0, false};
    if (weight.shape.size() > 2)
      return fail("{}: tensor '{}' (byte {}): expected a vector or matrix, found shape {}", weight.file,
                  weight.name, weight.offset, shapeText(weight.shape));
    int64_t outputs = weight.shape.front();
    auto divides = [&](int64_t parts) -> Result<> {
      if (outputs % parts != 0)
        return fail("{}: tensor '{}' (byte {}): expected a first length that {} divides, found shape {}",
                    weight.file, weight.name, weight.offset, parts, shapeText(weight.shape));
      return {};
    };

    // The outermost length is what heads divide: rows of a matrix, numbers of a bias.
    std::vector<int64_t> order = allRows(outputs);
    if (names.gguf.order == lm::RowOrder::interleaved_halves) {
      int64_t count = names.parameter == "layers.*.attention.key" ? keyHeads : heads;
      if (Result<> even = divides(2 * count); !even)
        return even;
      order = unpermuted(outputs, count);
    } else if (names.huggingFace.order == lm::RowOrder::qkv_by_head) {
      if (Result<> even = divides(3 * heads); !even)
        return even;
      order = merged(outputs, heads);
    }
    tensor.rows = std::move(order);
    tensor.transposed = names.huggingFace.transposed && weight.shape.size() == 2;
    if (tensor.transposed)
      std::swap(tensor.shape[0], tensor.shape[1]);
    if (names.parameter.ends_with("norm") && !place.isBias)
      tensor.added = static_cast<float>(-architecture.normOffset);
    tensors.push_back(std::move(tensor));
    return {};
  }

  /// One tensor of shape [parts, ...] becomes one a part: a matrix an expert, a vector a head.
  Result<> addParts(const Weight &weight, const std::string &target) {
    if (weight.shape.size() < 2 || weight.shape.size() > 3)
      return fail("{}: tensor '{}' (byte {}): expected a shape of [parts, rows, columns] or [parts, "
                  "columns], found {}",
                  weight.file, weight.name, weight.offset, shapeText(weight.shape));
    int64_t parts = weight.shape[0], rows = weight.rowCount() / parts;
    for (int64_t part = 0; part < parts; ++part) {
      ExportedTensor tensor{
          replaced(target, '#', part), {weight.shape.begin() + 1, weight.shape.end()}, &weight, {}, 0, false};
      tensor.rows.resize(static_cast<size_t>(rows));
      std::iota(tensor.rows.begin(), tensor.rows.end(), part * rows);
      tensors.push_back(std::move(tensor));
    }
    return {};
  }
};

} // namespace

Result<std::vector<ExportedTensor>> planTensors(const Gguf &gguf, const WeightSource &source,
                                                const Architecture &architecture) {
  Planner planner(gguf, architecture);
  if (Result<> heads = planner.readHeads(); !heads)
    return tl::unexpected(heads.error());
  for (const Weight &weight : source.weights())
    if (Result<> added = planner.add(weight); !added)
      return tl::unexpected(added.error());
  return std::move(planner.tensors);
}

} // namespace sinter
