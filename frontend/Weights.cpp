// SPDX-License-Identifier: Apache-2.0
// The list of tensors, and how a name finds its tensor despite the prefixes that differ among files.
#include "frontend/Weights.h"

#include <cassert>
#include <unordered_map>

namespace sinter {
namespace {

/// `name` without the base model's prefixes, which depend on which class of transformers saved the file.
std::string_view withoutPrefix(std::string_view name) {
  constexpr std::string_view prefixes[] = {"transformer.", "model.", "language_model.", "text_model.",
                                           "gpt_neox."};
  for (bool again = true; again;) {
    again = false;
    for (std::string_view prefix : prefixes)
      if (name.starts_with(prefix)) {
        name.remove_prefix(prefix.size());
        again = true;
      }
  }
  return name;
}

/// Tensors that old versions of transformers saved although they are computed, not learnt.
bool isOldBuffer(std::string_view name) {
  constexpr std::string_view endings[] = {"attn.bias",           "attn.masked_bias",
                                          "attention.bias",      "attention.masked_bias",
                                          "rotary_emb.inv_freq", "position_ids"};
  for (std::string_view ending : endings)
    if (name == ending || (name.ends_with(ending) && name[name.size() - ending.size() - 1] == '.'))
      return true;
  return false;
}

bool matches(std::span<const int64_t> shape, std::span<const int64_t> expected) {
  if (shape.size() != expected.size())
    return false;
  for (size_t i = 0; i < shape.size(); ++i)
    if (expected[i] != -1 && shape[i] != expected[i])
      return false;
  return true;
}

} // namespace

struct WeightSource::Contents {
  std::optional<SafeTensors> safeTensors; // keep the files mapped
  std::optional<Gguf> gguf;
  std::string place; // folder or file, for messages
  std::vector<Weight> weights;
  std::vector<bool> claimed;
  std::unordered_map<std::string_view, size_t> byName;           // into weights
  std::unordered_multimap<std::string_view, size_t> byShortName; // the same, without prefixes

  void add(Weight weight) { weights.push_back(std::move(weight)); }

  /// To be called once, after the last add().
  void index() {
    claimed.assign(weights.size(), false);
    for (size_t i = 0; i < weights.size(); ++i) {
      byName.emplace(weights[i].name, i);
      byShortName.emplace(withoutPrefix(weights[i].name), i);
    }
  }

  /// All tensors that `name` could mean: the exact one alone, or those that differ by prefixes.
  std::vector<size_t> candidates(std::string_view name) const {
    if (auto exact = byName.find(name); exact != byName.end())
      return {exact->second};
    std::vector<size_t> found;
    auto [first, last] = byShortName.equal_range(withoutPrefix(name));
    for (; first != last; ++first)
      found.push_back(first->second);
    return found;
  }
};

int64_t Weight::rowCount() const {
  int64_t count = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i)
    count *= shape[i];
  return count;
}

Result<WeightSource> WeightSource::openFolder(const std::string &folder) {
  Result<SafeTensors> tensors = SafeTensors::openFolder(folder);
  if (!tensors)
    return tl::unexpected(tensors.error());
  WeightSource source = fromSafeTensors(std::move(*tensors));
  source.contents->place = folder;
  return source;
}

WeightSource WeightSource::fromSafeTensors(SafeTensors tensors) {
  auto contents = std::make_shared<Contents>();
  contents->safeTensors = std::move(tensors);
  for (const SafeTensor &tensor : contents->safeTensors->tensors()) {
    contents->place = tensor.file;
    contents->add(
        {tensor.name, tensor.format, tensor.dtype, tensor.shape, tensor.bytes, tensor.file, tensor.offset});
  }
  contents->index();
  return WeightSource(std::move(contents));
}

WeightSource WeightSource::fromGguf(Gguf gguf) {
  auto contents = std::make_shared<Contents>();
  contents->place = gguf.path();
  contents->gguf = std::move(gguf);
  for (const GgufTensor &tensor : contents->gguf->tensors())
    contents->add({std::string(tensor.name), tensor.format, std::string(tensor.format->name), tensor.shape,
                   tensor.bytes, contents->gguf->path(), tensor.offset});
  contents->index();
  return WeightSource(std::move(contents));
}

std::span<const Weight> WeightSource::weights() const { return contents->weights; }

const Weight *WeightSource::find(std::string_view name) const {
  std::vector<size_t> found = contents->candidates(name);
  return found.empty() ? nullptr : &contents->weights[found[0]];
}

Result<const Weight *> WeightSource::claim(std::string_view name, std::span<const int64_t> shape) const {
  Result<const Weight *> weight = claimIfPresent(name, shape);
  if (weight && !*weight)
    return fail("{}: expected tensor '{}' of shape {}, found none of this name", contents->place, name,
                shapeText(shape));
  return weight;
}

Result<const Weight *> WeightSource::claimIfPresent(std::string_view name,
                                                    std::span<const int64_t> shape) const {
  std::vector<size_t> found = contents->candidates(name);
  if (found.empty())
    return nullptr;
  const Weight &weight = contents->weights[found[0]];
  if (found.size() > 1)
    return fail("{}: expected one tensor for '{}', found '{}' and '{}'", contents->place, name, weight.name,
                contents->weights[found[1]].name);
  if (!weight.format || !weight.format->dequantize)
    return fail("{}: tensor '{}' (byte {}): expected a type that can be read, found {}; {}", weight.file,
                weight.name, weight.offset, weight.typeName,
                weight.file.ends_with(".gguf")
                    ? howToConvert()
                    : "supported are F32, F16 and BF16; convert with transformers: "
                      "from_pretrained(folder, dtype=\"float32\").save_pretrained(other)");
  if (!matches(weight.shape, shape))
    return fail("{}: tensor '{}' (byte {}): expected shape {}, found {}", weight.file, weight.name,
                weight.offset, shapeText(shape), shapeText(weight.shape));
  contents->claimed[found[0]] = true;
  return &weight;
}

std::vector<const Weight *> WeightSource::claimed() const {
  std::vector<const Weight *> used;
  for (size_t i = 0; i < contents->weights.size(); ++i)
    if (contents->claimed[i])
      used.push_back(&contents->weights[i]);
  return used;
}

std::vector<std::string_view> WeightSource::unclaimed() const {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < contents->weights.size(); ++i)
    if (!contents->claimed[i] && !isOldBuffer(contents->weights[i].name))
      names.push_back(contents->weights[i].name);
  return names;
}

} // namespace sinter
