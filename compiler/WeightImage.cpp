// SPDX-License-Identifier: Apache-2.0
// Placing and writing packed weights.
//
// A parameter's rows are pointers into the mapped model file wherever its format is kept, so packing reads the file
// once and writes the image once; only converted and transposed tensors pass through a buffer of their own.
#include "compiler/WeightImage.h"

#include "compiler/PackWeights.h"
#include "dialects/kernel/Kernel.h"
#include "dialects/lm/LmDialect.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

using namespace mlir;

namespace sinter {
namespace {

const BlockFormat &formatOf(kernel::WeightFormat format) {
  switch (format) {
  case kernel::WeightFormat::F32:
    return f32Format;
  case kernel::WeightFormat::F16:
    return f16Format;
  case kernel::WeightFormat::BF16:
    return bf16Format;
  case kernel::WeightFormat::Q8_0:
    return q8_0Format;
  case kernel::WeightFormat::Q4_0:
    return q4_0Format;
  case kernel::WeightFormat::Q4_1:
    return q4_1Format;
  case kernel::WeightFormat::Q5_0:
    return q5_0Format;
  case kernel::WeightFormat::Q5_1:
    return q5_1Format;
  case kernel::WeightFormat::Q2_K:
    return q2_KFormat;
  case kernel::WeightFormat::Q3_K:
    return q3_KFormat;
  case kernel::WeightFormat::Q4_K:
    return q4_KFormat;
  case kernel::WeightFormat::Q5_K:
    return q5_KFormat;
  case kernel::WeightFormat::Q6_K:
    return q6_KFormat;
  }
  llvm_unreachable("unknown weight format");
}

/// Rows of a parameter in one format; `storage` holds those that are not in the model file as they are.
struct ParameterRows {
  std::vector<const std::byte *> rows;
  std::vector<int64_t> widths; // of vectors stacked into one, which differ
  std::vector<std::unique_ptr<std::byte[]>> storage;
};

/// The file's row that is row `index` of the graph, see lm.source.
int64_t fileRow(lm::SourceAttr source, int64_t index, int64_t rows) {
  switch (source.getOrder()) {
  case lm::RowOrder::plain:
    break;
  case lm::RowOrder::interleaved_halves: {
    int64_t size = rows / source.getHeads(), head = index / size, inHead = index % size;
    index = head * size + (inHead < size / 2 ? 2 * inHead : 2 * (inHead - size / 2) + 1);
    break;
  }
  case lm::RowOrder::qkv_by_head: {
    int64_t size = rows / 3 / source.getHeads(), part = index / (rows / 3), within = index % (rows / 3);
    index = (within / size * 3 + part) * size + within % size;
    break;
  }
  }
  return source.getFirstRow() + index;
}

class ImageWriter {
public:
  ImageWriter(ModuleOp module, const TensorLookup &tensors) : symbols(module), tensors(tensors) {}

  /// The rows of `parameter`, each `width` numbers, in `format`.
  Result<> collect(lm::ParameterOp parameter, const BlockFormat &format, ParameterRows &out) const;

private:
  Result<> collectSource(lm::ParameterOp parameter, StringRef tensorName, int64_t rows, int64_t width,
                         const BlockFormat &format, ParameterRows &out) const;

  SymbolTable symbols;
  const TensorLookup &tensors;
};

Result<> checkFinite(std::span<const float> values, StringRef tensor, int64_t row) {
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      return fail("tensor {}: expected finite numbers, found {} at row {}, column {}", tensor.str(), values[i], row, i);
  return {};
}

Result<> ImageWriter::collectSource(lm::ParameterOp parameter, StringRef tensorName, int64_t rows, int64_t width,
                                    const BlockFormat &format, ParameterRows &out) const {
  Result<StoredTensor> tensor = tensors(tensorName);
  if (!tensor)
    return tl::unexpected(tensor.error());
  lm::SourceAttr source = *parameter.getSource();
  const BlockFormat &stored = *tensor->format;
  if (source.getTransposed()) {
    // (in, out) in the file: a column of it is a row here.
    int64_t columns = tensor->shape.back();
    std::vector<float> all(width * columns);
    stored.dequantize(tensor->bytes, all.data());
    std::vector<float> line(width);
    for (int64_t row = 0; row < rows; ++row) {
      int64_t column = fileRow(source, row, rows);
      for (int64_t i = 0; i < width; ++i)
        line[i] = all[i * columns + column];
      if (Result<> finite = checkFinite(line, tensorName, row); !finite)
        return finite;
      out.storage.push_back(std::make_unique<std::byte[]>(width / format.blockLength * format.blockBytes));
      format.quantize(line, out.storage.back().get());
      out.rows.push_back(out.storage.back().get());
    }
    return {};
  }
  if (cast<RankedTensorType>(parameter.getType()).getRank() == 1 &&
      (source.getOrder() != lm::RowOrder::plain || source.getFirstRow())) {
    // A vector: what is a row of a matrix is a number here.
    std::vector<float> all(tensor->shape.back()), line(width);
    stored.dequantize(tensor->bytes, all.data());
    for (int64_t i = 0; i < width; ++i)
      line[i] = all[fileRow(source, i, width)];
    if (Result<> finite = checkFinite(line, tensorName, 0); !finite)
      return finite;
    out.storage.push_back(std::make_unique<std::byte[]>(width / format.blockLength * format.blockBytes));
    format.quantize(line, out.storage.back().get());
    out.rows.push_back(out.storage.back().get());
    return {};
  }
  int64_t storedBytes = width / stored.blockLength * stored.blockBytes;
  int64_t bytes = width / format.blockLength * format.blockBytes;
  std::vector<float> line(width);
  std::byte *converted = nullptr;
  if (&stored != &format) {
    out.storage.push_back(std::make_unique<std::byte[]>(rows * bytes));
    converted = out.storage.back().get();
  }
  for (int64_t row = 0; row < rows; ++row) {
    std::span<const std::byte> here = tensor->bytes.subspan(fileRow(source, row, rows) * storedBytes, storedBytes);
    if (!converted) {
      out.rows.push_back(here.data());
      continue;
    }
    stored.dequantize(here, line.data());
    if (Result<> finite = checkFinite(line, tensorName, row); !finite)
      return finite;
    format.quantize(line, converted + row * bytes);
    out.rows.push_back(converted + row * bytes);
  }
  return {};
}

Result<> ImageWriter::collect(lm::ParameterOp parameter, const BlockFormat &format, ParameterRows &out) const {
  if (parameter.getParts()) {
    for (auto part : parameter.getParts()->getAsRange<FlatSymbolRefAttr>())
      if (Result<> done = collect(symbols.lookup<lm::ParameterOp>(part.getValue()), format, out); !done)
        return done;
    return {};
  }
  if (parameter.getValue()) {
    llvm::ArrayRef<float> value = *parameter.getValue();
    out.rows.push_back(reinterpret_cast<const std::byte *>(value.data()));
    out.widths.push_back(value.size()); // attributes live as long as the context
    return {};
  }
  auto type = cast<RankedTensorType>(parameter.getType());
  int64_t width = type.getShape().back(), rows = type.getNumElements() / width;
  if (!parameter.getSource())
    return fail("parameter {}: expected a tensor of the model file as its source, found none",
                parameter.getSymName().str());
  llvm::ArrayRef<StringAttr> names = parameter.getSource()->getTensors();
  int64_t count = names.size();
  // Vectors stack into a longer vector, matrices into one with more rows.
  (type.getRank() == 1 ? width : rows) /= count;
  if (type.getRank() == 1)
    rows = 1;
  for (StringAttr name : names)
    if (Result<> done = collectSource(parameter, name.getValue(), rows, width, format, out); !done)
      return done;
  out.widths.resize(out.rows.size(), width);
  return {};
}

/// A buffer of weights with its place, once.
struct Item {
  lm::ParameterOp parameter;
  Type type;
  uint64_t offset;
};

} // namespace

static uint64_t bytesOf(Type type) {
  if (auto weight = dyn_cast<kernel::WeightType>(type))
    return kernel::WeightLayout(weight).bytes();
  auto table = cast<kernel::TableType>(type);
  return table.getRows() * table.getRowBytes();
}

WeightPlacement placeWeights(ModuleOp module) {
  WeightPlacement placement;
  for (auto entry : module.getOps<kernel::EntryOp>())
    for (auto buffer : entry.getOps<kernel::BufferOp>()) {
      if (buffer.getSpace() != kernel::Space::Weight)
        continue;
      auto key = std::pair(buffer.getParameter()->str(), buffer.getType().getAsOpaquePointer());
      if (!placement.offsets.try_emplace(key, placement.size).second)
        continue;
      uint64_t bytes = bytesOf(buffer.getType());
      placement.size += (bytes + kernel::WeightLayout::alignment - 1) / kernel::WeightLayout::alignment *
                        kernel::WeightLayout::alignment;
      std::string line = llvm::formatv("{0} {1} {2} {3}", placement.hash, key.first, buffer.getType(), bytes);
      placement.hash = llvm::xxh3_64bits(line);
    }
  return placement;
}

Result<> writeWeights(ModuleOp module, const WeightPlacement &placement, const TensorLookup &tensors,
                      std::span<std::byte> image, unsigned threads) {
  SymbolTable symbols(module);
  std::vector<Item> items;
  for (auto &[key, offset] : placement.offsets)
    items.push_back({symbols.lookup<lm::ParameterOp>(key.first), Type::getFromOpaquePointer(key.second), offset});
  // The largest first, so that threads end together.
  llvm::stable_sort(items, [](const Item &a, const Item &b) { return bytesOf(a.type) > bytesOf(b.type); });

  ImageWriter writer(module, tensors);
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Result<> outcome;
  auto work = [&] {
    for (size_t number; (number = next++) < items.size();) {
      const Item &item = items[number];
      ParameterRows rows;
      auto weight = dyn_cast<kernel::WeightType>(item.type);
      Result<> done = writer.collect(item.parameter, weight ? formatOf(weight.getFormat()) : f32Format, rows);
      if (!done) {
        std::lock_guard lock(mutex);
        if (outcome)
          outcome = done;
        return;
      }
      if (weight) {
        kernel::WeightLayout layout(weight);
        packWeight(layout, rows.rows, image.subspan(item.offset, layout.bytes()), 1);
        continue;
      }
      std::byte *out = image.data() + item.offset;
      for (auto [row, width] : llvm::zip_equal(rows.rows, rows.widths)) {
        std::memcpy(out, row, width * sizeof(float));
        out += width * sizeof(float);
      }
    }
  };
  std::vector<std::thread> team;
  for (unsigned i = 1; i < threads; ++i)
    team.emplace_back(work);
  work();
  for (std::thread &thread : team)
    thread.join();
  return outcome;
}

} // namespace sinter
