// SPDX-License-Identifier: Apache-2.0
// Writes the folder: all texts first, then the weights tensor by tensor, and only at the end the files
// appear.
#include "frontend/Export.h"
#include "frontend/ExportParts.h"
#include "frontend/tokenizer/GgufTokenizer.h"
#include "runtime/files/AtomicFile.h"
#include "runtime/files/Temporaries.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>

namespace sinter {
namespace {

constexpr int64_t numbersAtOnce = 1 << 20;

/// Numbers of a vector in the order of `tensor.rows`; vectors are small.
std::vector<float> gatherVector(const ExportedTensor &tensor) {
  std::vector<float> all(static_cast<size_t>(tensor.weight->rowLength())), numbers;
  decodeRows(*tensor.weight, 0, 1, all.data());
  for (int64_t index : tensor.rows)
    numbers.push_back(all[static_cast<size_t>(index)]);
  return numbers;
}

/// Rows `begin` to `begin + count` - 1 of the exported matrix.
std::vector<float> gatherRows(const ExportedTensor &tensor, int64_t begin, int64_t count) {
  int64_t columns = tensor.weight->rowLength();
  std::vector<float> numbers(static_cast<size_t>(count * columns));
  for (int64_t i = 0; i < count; ++i) {
    int64_t row = tensor.rows[static_cast<size_t>(begin + i)];
    decodeRows(*tensor.weight, row, row + 1, numbers.data() + i * columns);
  }
  return numbers;
}

std::vector<float> transposed(const std::vector<float> &numbers, size_t columns) {
  std::vector<float> turned(numbers.size());
  size_t rows = numbers.size() / columns;
  for (size_t row = 0; row < rows; ++row)
    for (size_t column = 0; column < columns; ++column)
      turned[column * rows + row] = numbers[row * columns + column];
  return turned;
}

/// Decodes, shifts and writes one tensor in pieces of a few megabytes (whole when it must be transposed).
Result<> writeTensor(const ExportedTensor &tensor, SafeTensorsWriter &writer) {
  bool isVector = tensor.weight->shape.size() == 1;
  int64_t columns = tensor.weight->rowLength(), rows = static_cast<int64_t>(tensor.rows.size());
  int64_t step = isVector || tensor.transposed ? rows : std::max<int64_t>(numbersAtOnce / columns, 1);
  for (int64_t begin = 0; begin < rows; begin += step) {
    std::vector<float> numbers =
        isVector ? gatherVector(tensor) : gatherRows(tensor, begin, std::min(step, rows - begin));
    for (float &number : numbers)
      number += tensor.added;
    if (tensor.transposed)
      numbers = transposed(numbers, static_cast<size_t>(columns));
    if (Result<> written = writer.append(std::as_bytes(std::span(numbers))); !written)
      return written;
  }
  return {};
}

/// A folder that did not exist is removed again unless it is kept, by the handler of a signal, too.
class NewFolder {
public:
  static Result<NewFolder> create(const std::string &path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      if (!std::filesystem::is_empty(path, error) || error)
        return fail("{}: expected a new or empty folder, found one with files", path);
      return NewFolder("");
    }
    if (std::filesystem::exists(path, error))
      return fail("{}: expected a new or empty folder, found a file", path);
    if (!std::filesystem::create_directory(path, error))
      return fail("{}: cannot create the folder: {}", path, error.message());
    rememberTemporary(path);
    return NewFolder(path);
  }
  NewFolder(NewFolder &&other) noexcept : path(std::exchange(other.path, {})) {}
  NewFolder &operator=(NewFolder &&other) noexcept {
    std::swap(path, other.path);
    return *this;
  }
  ~NewFolder() {
    std::error_code ignored;
    if (!path.empty())
      std::filesystem::remove(path, ignored); // only if it is empty
    keep();
  }
  void keep() {
    if (!path.empty())
      forgetTemporary(path);
    path.clear();
  }

private:
  explicit NewFolder(std::string path) : path(std::move(path)) {}
  std::string path;
};

} // namespace

Result<> exportToHuggingFace(const Gguf &gguf, const std::string &folder) {
  Result<const Architecture *> architecture = architectureOf(gguf);
  if (!architecture)
    return tl::unexpected(architecture.error());
  WeightSource source = WeightSource::fromGguf(gguf);
  Result<std::vector<ExportedTensor>> tensors = planTensors(gguf, source, **architecture);
  if (!tensors)
    return tl::unexpected(tensors.error());
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  for (const Weight &weight : source.weights())
    if (Result<> finite = checkFinite(weight, threads); !finite)
      return finite;

  Result<TokenizerSpec> tokenizer = readGgufTokenizer(gguf);
  if (!tokenizer)
    return tl::unexpected(tokenizer.error());
  struct Text {
    std::string_view name;
    Result<std::string> content;
  };
  std::vector<Text> texts;
  texts.push_back({"config.json", makeConfig(gguf, **architecture)});
  texts.push_back({"generation_config.json", makeGenerationConfig(gguf)});
  texts.push_back({"tokenizer.json", makeTokenizer(*tokenizer)});
  texts.push_back({"tokenizer_config.json", makeTokenizerConfig(gguf, *tokenizer)});
  if (gguf.has("tokenizer.chat_template"))
    texts.push_back({"chat_template.jinja", gguf.get<std::string>("tokenizer.chat_template")});
  for (const Text &text : texts)
    if (!text.content)
      return tl::unexpected(text.content.error());

  Result<NewFolder> created = NewFolder::create(folder);
  if (!created)
    return tl::unexpected(created.error());
  SafeTensorsWriter writer(folder + "/model.safetensors");
  writer.addMetadata("format", "pt");
  for (const ExportedTensor &tensor : *tensors)
    writer.declare(tensor.name, f32Format, tensor.shape);
  if (Result<> begun = writer.begin(); !begun)
    return begun;
  for (const ExportedTensor &tensor : *tensors)
    if (Result<> written = writeTensor(tensor, writer); !written)
      return written;

  std::vector<AtomicFile> files;
  for (const Text &text : texts) {
    Result<AtomicFile> file = AtomicFile::create(folder + "/" + std::string(text.name));
    if (!file)
      return tl::unexpected(file.error());
    if (Result<> written = file->write(*text.content); !written)
      return written;
    files.push_back(std::move(*file));
  }
  created->keep();
  for (AtomicFile &file : files)
    if (Result<> committed = file.commit(); !committed)
      return committed;
  return writer.commit();
}

} // namespace sinter
