// SPDX-License-Identifier: Apache-2.0
// Placing and writing packed weights.
//
// The unit of work is some panels of one buffer: their rows are found in the mapped model file, converted
// where they must be, packed into memory of the thread and given away. So memory does not grow with the
// model, and threads share even a model that is one matrix.
#include "compiler/WeightImage.h"

#include "compiler/PackWeights.h"
#include "dialects/kernel/Kernel.h"
#include "dialects/lm/LmDialect.h"
#include "frontend/RowReader.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

using namespace mlir;

namespace sinter {

int64_t fileRow(lm::SourceAttr source, int64_t index, int64_t rows) {
  switch (source.getOrder()) {
  case lm::RowOrder::plain:
    break;
  case lm::RowOrder::interleaved_halves: {
    int64_t size = rows / source.getHeads(), head = index / size, inHead = index % size;
    return head * size + (inHead < size / 2 ? 2 * inHead : 2 * (inHead - size / 2) + 1);
  }
  case lm::RowOrder::qkv_by_head: {
    int64_t size = rows / 3 / source.getHeads(), part = index / (rows / 3), within = index % (rows / 3);
    return (within / size * 3 + part) * size + within % size;
  }
  }
  return index;
}

namespace {

const BlockFormat &formatOf(kernel::WeightFormat format) {
  switch (format) {
  case kernel::WeightFormat::F32:
    return f32Format;
  case kernel::WeightFormat::F16:
    return f16Format;
  case kernel::WeightFormat::BF16:
    return bf16Format;
  case kernel::WeightFormat::F8E4M3FN:
    return f8E4M3FNFormat;
  case kernel::WeightFormat::F8E5M2:
    return f8E5M2Format;
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

/// Rows that follow one another in a buffer and in one matrix of the model file. A vector is one row.
struct Run {
  const Weight *weight;        // null: `value`
  llvm::ArrayRef<float> value; // a constant of the graph
  lm::SourceAttr source;
  int64_t rows, width;    // width: numbers of a row
  int64_t base, fileRows; // where the matrix begins in the tensor, and its rows there
  bool isVector;
};

/// A buffer of weights with its place.
struct Item {
  std::optional<kernel::WeightLayout> layout; // none: a table of f32
  uint64_t offset;
  std::vector<Run> runs;
};

/// Panels of an item; of a table, all of it.
struct Unit {
  const Item *item;
  int64_t first = 0, count = 0;
};

class ImageWriter {
public:
  ImageWriter(ModuleOp module, const WeightSource &weights) : symbols(module), weights(weights) {}

  Result<> addItem(StringRef parameter, Type type, uint64_t offset);
  /// What the items are cut into, in order of the image.
  std::vector<Unit> units() const;

  /// Collects the bytes of a unit in `out` and says where they belong.
  static Result<uint64_t> pack(const Unit &unit, std::vector<std::byte> &out);

private:
  Result<> collect(lm::ParameterOp parameter, std::vector<Run> &runs) const;

  SymbolTable symbols;
  const WeightSource &weights;
  std::vector<Item> items;
};

Result<> ImageWriter::collect(lm::ParameterOp parameter, std::vector<Run> &runs) const {
  if (parameter.getParts()) {
    for (auto part : parameter.getParts()->getAsRange<FlatSymbolRefAttr>())
      if (Result<> done = collect(symbols.lookup<lm::ParameterOp>(part.getValue()), runs); !done)
        return done;
    return {};
  }
  if (parameter.getValue()) { // attributes live as long as the context
    llvm::ArrayRef<float> value = *parameter.getValue();
    runs.push_back({nullptr, value, {}, 1, static_cast<int64_t>(value.size()), 0, 1, true});
    return {};
  }
  if (!parameter.getSource())
    return fail("parameter {}: expected a tensor of the model file as its source, found none",
                parameter.getSymName().str());
  lm::SourceAttr source = *parameter.getSource();
  auto type = cast<RankedTensorType>(parameter.getType());
  bool isVector = type.getRank() == 1;
  int64_t tensors = source.getTensors().size();
  // Each tensor is a matrix (a vector), or one tensor is a stack of them.
  int64_t matrices = type.getRank() == 3 ? type.getDimSize(0) : isVector ? tensors : 1;
  int64_t width = isVector ? type.getDimSize(0) / matrices : type.getShape().back();
  int64_t rows = isVector ? 1 : type.getNumElements() / width / matrices;
  for (int64_t i = 0; i < matrices; ++i) {
    StringRef name = source.getTensors()[tensors == 1 ? 0 : i].getValue();
    const Weight *weight = weights.find(std::string_view(name));
    if (!weight)
      return fail("expected tensor '{}' in the model, found none", name.str());
    int64_t numbers = weight->rowCount() * weight->rowLength() / (tensors == 1 ? matrices : 1);
    runs.push_back({weight,
                    {},
                    source,
                    rows,
                    width,
                    tensors == 1 ? i * numbers : 0,
                    numbers / (isVector ? 1 : width),
                    isVector});
  }
  return {};
}

/// Reads row `row` of `run`.
Result<const std::byte *> readRow(RowReader &reader, const Run &run, int64_t row, int64_t slot) {
  if (!run.weight)
    return reinterpret_cast<const std::byte *>(run.value.data());
  int64_t firstRow = run.source.getFirstRow();
  if (run.isVector && run.source.getOrder() == lm::RowOrder::plain)
    return reader.read(*run.weight, run.base + firstRow, slot);
  std::vector<int64_t> positions;
  if (run.isVector) { // what is a row of a matrix is a number of its bias
    for (int64_t i = 0; i < run.width; ++i)
      positions.push_back(run.base + firstRow + fileRow(run.source, i, run.width));
    return reader.gather(*run.weight, positions, slot);
  }
  int64_t there = firstRow + fileRow(run.source, row, run.rows);
  if (!run.source.getTransposed())
    return reader.read(*run.weight, run.base + there * run.width, slot);
  for (int64_t i = 0; i < run.width; ++i) // (in, out) in the file
    positions.push_back(run.base + i * run.fileRows + there);
  return reader.gather(*run.weight, positions, slot);
}

Result<> ImageWriter::addItem(StringRef parameter, Type type, uint64_t offset) {
  Item item{{}, offset, {}};
  if (auto weight = dyn_cast<kernel::WeightType>(type))
    item.layout.emplace(weight);
  Result<> collected = collect(symbols.lookup<lm::ParameterOp>(parameter), item.runs);
  items.push_back(std::move(item));
  return collected;
}

std::vector<Unit> ImageWriter::units() const {
  constexpr int64_t unitBytes = 1 << 20;
  std::vector<Unit> units;
  for (const Item &item : items) {
    if (!item.layout) {
      units.push_back({&item});
      continue;
    }
    int64_t panels = item.layout->panels();
    int64_t most = std::max<int64_t>(1, unitBytes / item.layout->panelBytes());
    for (int64_t first = 0; first < panels; first += most)
      units.push_back({&item, first, std::min(most, panels - first)});
  }
  llvm::stable_sort(units, [](const Unit &a, const Unit &b) { return a.item->offset < b.item->offset; });
  return units;
}

Result<uint64_t> ImageWriter::pack(const Unit &unit, std::vector<std::byte> &out) {
  const Item &item = *unit.item;
  if (!item.layout) {
    out.clear();
    for (const Run &run : item.runs) {
      RowReader reader(f32Format, run.width, 1);
      for (int64_t row = 0; row < run.rows; ++row) {
        Result<const std::byte *> bytes = readRow(reader, run, row, 0);
        if (!bytes)
          return tl::unexpected(bytes.error());
        out.insert(out.end(), *bytes, *bytes + reader.rowBytes());
      }
    }
    return item.offset;
  }
  const kernel::WeightLayout &layout = *item.layout;
  RowReader reader(formatOf(layout.format), layout.columns, kernel::panelRows);
  out.resize(unit.count * layout.panelBytes());
  const Run *run = item.runs.data();
  int64_t before = 0; // rows of the runs before `run`
  for (int64_t panel = 0; panel < unit.count; ++panel) {
    const std::byte *rows[kernel::panelRows];
    int64_t first = (unit.first + panel) * kernel::panelRows;
    int64_t count = std::min(kernel::panelRows, layout.rows - first);
    for (int64_t i = 0; i < count; ++i) {
      while (first + i >= before + run->rows)
        before += run++->rows;
      Result<const std::byte *> row = readRow(reader, *run, first + i - before, i);
      if (!row)
        return tl::unexpected(row.error());
      rows[i] = *row;
    }
    packPanel(layout, {rows, static_cast<size_t>(count)}, out.data() + panel * layout.panelBytes());
  }
  return item.offset + unit.first * layout.panelBytes();
}

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

Result<> writeWeights(ModuleOp module, const WeightPlacement &placement, const WeightSource &weights,
                      const ImageSink &sink, unsigned threads) {
  ImageWriter writer(module, weights);
  for (auto &[key, offset] : placement.offsets)
    if (Result<> added = writer.addItem(key.first, Type::getFromOpaquePointer(key.second), offset); !added)
      return added;
  std::vector<Unit> units = writer.units();

  std::atomic<size_t> next = 0;
  std::mutex mutex;
  size_t firstFailed = units.size();
  Error error;
  auto work = [&] {
    std::vector<std::byte> bytes;
    for (size_t number; (number = next++) < units.size();) {
      Result<uint64_t> offset = ImageWriter::pack(units[number], bytes);
      Result<> done = offset ? sink(*offset, bytes) : tl::unexpected(offset.error());
      if (done)
        continue;
      std::lock_guard lock(mutex);
      if (number < firstFailed) {
        firstFailed = number;
        error = done.error();
      }
      next = units.size(); // units before this one are taken already: the first error is still found
    }
  };
  {
    std::vector<std::jthread> team;
    for (unsigned i = 1; i < threads; ++i)
      team.emplace_back(work);
    work();
  }
  return firstFailed < units.size() ? Result<>(tl::unexpected(error)) : Result<>();
}

} // namespace sinter
