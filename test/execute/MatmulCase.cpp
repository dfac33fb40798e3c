// SPDX-License-Identifier: Apache-2.0
// Random matmuls and their naive results.
#include "test/execute/MatmulCase.h"

#include "compiler/PackBlocks.h"
#include "compiler/PackWeights.h"
#include "runtime/files/BlockFormats.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace sinter::test {

namespace {

int64_t bytesOf(const std::string &type) { return type == "f32" ? 4 : type.starts_with("f8") ? 1 : 2; }

/// A number as f32, f16, bf16 or of 8 bits in memory, and back.
void put(char *to, const std::string &type, float number) {
  uint16_t bits = type == "f16"        ? f32ToF16(number)
                  : type == "f8E4M3FN" ? f32ToE4m3(number)
                  : type == "f8E5M2"   ? f32ToE5m2(number)
                                       : f32ToBf16(number);
  type == "f32" ? std::memcpy(to, &number, 4) : std::memcpy(to, &bits, bytesOf(type));
}
float take(const char *from, const std::string &type) {
  float number = 0;
  uint16_t bits = 0;
  if (type == "f32")
    return std::memcpy(&number, from, 4), number;
  std::memcpy(&bits, from, bytesOf(type));
  return type == "f16"        ? f16ToF32(bits)
         : type == "f8E4M3FN" ? e4m3ToF32(static_cast<uint8_t>(bits))
         : type == "f8E5M2"   ? e5m2ToF32(static_cast<uint8_t>(bits))
                              : bf16ToF32(bits);
}

/// Of a weight, by the dialect's name: those of 8 bits are in no table of model files.
const BlockFormat &blockFormatOf(const std::string &name) {
  return name == "f8E4M3FN" ? f8E4M3FNFormat : name == "f8E5M2" ? f8E5M2Format : *findBlockFormat(name);
}

} // namespace

std::vector<MatmulCase::Range> MatmulCase::allRanges() const {
  if (!ranges.empty())
    return ranges;
  int64_t group = 16;
  while (outputs % group)
    --group;
  return {{0, outputs, group}};
}

MatmulCase MatmulCase::tiled(int64_t rowsOfTile, int64_t columnsOfTile) const {
  MatmulCase c = *this;
  c.rowsPerTile = rowsOfTile;
  c.columnsPerTile = columnsOfTile;
  c.schedule = rowsOfTile ? fmt::format("rows_per_tile = {}", rowsOfTile) : "";
  if (columnsOfTile)
    c.schedule += fmt::format("{}columns_per_tile = {}", rowsOfTile ? ", " : "", columnsOfTile);
  return c;
}

int64_t MatmulCase::tiles() const {
  int64_t columnTiles = columnsPerTile ? (outputs + columnsPerTile - 1) / columnsPerTile : 1;
  if (!segments.empty())
    return columnTiles * experts();
  return columnTiles * (rowsPerTile ? (rows + rowsPerTile - 1) / rowsPerTile : 1);
}

int64_t MatmulCase::leftRowBytes() const {
  if (left == LeftKind::Q8)
    return (inputs + inputs / 32 * 8 + 63) / 64 * 64;
  return inputs * bytesOf(leftElement());
}

std::string MatmulCase::text() const {
  std::string weight = fmt::format("!kernel.weight<{}x{}, {}>", experts() * outputs, inputs, format);
  std::string leftType = fmt::format("!kernel.rows<{}x{}>", inputs, leftElement());
  std::string arguments = "%x: " + leftType, names, types;
  if (stores)
    arguments += ", %stored: " + leftType;
  for (int i = 0; i < weights; ++i) {
    arguments += fmt::format(", %w{}: {}", i, weight);
    names += fmt::format("{}%w{}", i ? ", " : "", i);
    types += (i ? ", " : "") + weight;
  }
  std::string expertsText;
  if (!segments.empty()) {
    expertsText = fmt::format("experts(%s : !kernel.segments<{}>) ", experts());
    arguments += fmt::format(", %s: !kernel.segments<{}>", experts());
  }
  std::string body;
  for (auto [i, range] : llvm::enumerate(allRanges())) {
    std::string vector = fmt::format("vector<{}xf32>", range.group);
    std::string rowsType = fmt::format("!kernel.rows<{}x{}>", range.end - range.begin, output);
    if (adds)
      arguments += fmt::format(", %z{}: {}", i, rowsType);
    arguments += fmt::format(", %y{}: {}", i, rowsType);
    body += fmt::format("kernel.range {} to {} group {} {{\n^bb0(%a0: {}, ", range.begin, range.end,
                        range.group, vector);
    if (weights == 2)
      body += fmt::format("%a1: {}, ", vector);
    body += "%row: index, %column: index):\n";
    body += fmt::format("%begin = arith.constant {} : index\n%local = arith.subi %column, %begin : index\n",
                        range.begin);
    std::string result = "%a0";
    if (weights == 2) {
      body += fmt::format("%p = arith.mulf %a0, %a1 : {}\n", vector);
      result = "%p";
    }
    if (addsLargest) {
      body += fmt::format("%m = vector.reduction <maxnumf>, {0} : {1} into f32\n"
                          "%ms = vector.broadcast %m : f32 to {1}\n%l = arith.addf {0}, %ms : {1}\n",
                          result, vector);
      result = "%l";
    }
    if (adds) {
      body += fmt::format("%old = kernel.load %z{}[%row, %local] : {}, {}\n%new = arith.addf {}, %old : {}\n",
                          i, rowsType, vector, result, vector);
      result = "%new";
    }
    body += fmt::format("kernel.store {}, %y{}[%row, %local] : {}, {}\nkernel.yield\n}}\n", result, i, vector,
                        rowsType);
  }
  std::string leftText = fmt::format("left(%x : {}) ", leftType), region;
  if (hasRegion()) {
    leftText = "";
    std::string vector = fmt::format("vector<{}xf32>", inputs), row = "%d";
    region = fmt::format("lhs {{\n^bb0(%row: index):\n%v = kernel.load %x[%row] : {0}, {1}\n"
                         "%d = arith.addf %v, %v : {1}\n",
                         leftType, vector);
    if (stores)
      region += fmt::format("kernel.store %d, %stored[%row] : {}, {}\n", vector, leftType);
    if (left == LeftKind::Scaled) {
      region += fmt::format("%m = vector.reduction <maxnumf>, %d : {0} into f32\n"
                            "%ms = vector.broadcast %m : f32 to {0}\n%q = arith.divf %d, %ms : {0}\n",
                            vector);
      row = "%q";
    }
    region += fmt::format("kernel.yield {} : {}\n}}\n", row, vector);
  }
  return fmt::format("kernel.func @matmul({}) {{\nkernel.matmul {}weights({} : {}) {}over({}) {} {} {} "
                     "{}ranges {{\n{}}}\n}}\n",
                     arguments, leftText, names, types, expertsText, selected ? "selected" : "rows",
                     isFast ? "fast_accumulation" : "", schedule.empty() ? "" : "schedule <" + schedule + ">",
                     splits > 1 ? fmt::format("attributes {{kernel.split_k = {} : i64}}", splits) : "",
                     region, body);
}

namespace {

/// Random bytes that are a valid row of a format: scales of moderate size.
std::vector<std::byte> randomRow(const BlockFormat &format, int64_t length, std::mt19937 &random) {
  std::uniform_real_distribution<float> number(-1, 1);
  std::vector<std::byte> row(length / format.blockLength * format.blockBytes);
  if (format.isFloat()) {
    for (int64_t i = 0; i < length; ++i) {
      float value = number(random);
      format.quantize({&value, 1}, &row[i * format.blockBytes]);
    }
    return row;
  }
  for (std::byte &byte : row)
    byte = static_cast<std::byte>(random());
  // Where ggml's blocks hold f16 numbers.
  auto at = [&]() -> std::vector<int64_t> {
    std::string_view name = format.name;
    if (name == "Q2_K")
      return {80, 82};
    if (name == "Q3_K")
      return {108};
    if (name == "Q6_K")
      return {208};
    if (name.ends_with("_1") || name.ends_with("_K"))
      return {0, 2};
    return {0};
  };
  for (size_t block = 0; block < row.size(); block += format.blockBytes)
    for (int64_t offset : at()) {
      uint16_t half = f32ToF16(number(random) * 0.05f);
      std::memcpy(&row[block + offset], &half, 2);
    }
  return row;
}

/// As kernel.store rounds to q8; the result in place.
void quantiseRow(float *row, int64_t length, char *to) {
  for (int64_t block = 0; block < length / 32; ++block) {
    float *x = row + block * 32, largest = 0, sum = 0;
    for (int i = 0; i < 32; ++i)
      largest = std::max(largest, std::abs(x[i]));
    float scale = largest * (1.0f / 127), inverse = largest ? 127 / largest : 0;
    for (int i = 0; i < 32; ++i) {
      float integer = std::nearbyint(x[i] * inverse);
      if (to)
        to[block * 32 + i] = static_cast<char>(integer);
      sum += integer;
      x[i] = integer * scale;
    }
    sum *= scale;
    if (to) {
      std::memcpy(to + length + block * 4, &scale, 4);
      std::memcpy(to + length + length / 32 * 4 + block * 4, &sum, 4);
    }
  }
}

kernel::WeightFormat formatOf(const std::string &name) { return *kernel::symbolizeWeightFormat(name); }

} // namespace

MatmulData::MatmulData(const MatmulCase &c, unsigned seed)
    : c(c), left(c.rows * c.inputs), leftBytes(c.rows * c.leftRowBytes()),
      storedBytes(c.stores ? c.rows * c.inputs * 4 : 0, 0xff) {
  std::mt19937 random(seed);
  const BlockFormat &format = blockFormatOf(c.format);
  int64_t outputs = c.experts() * c.outputs;
  kernel::WeightLayout layout(formatOf(c.format), outputs, c.inputs);
  for (int i = 0; i < c.weights; ++i) {
    std::vector<std::vector<std::byte>> rows;
    std::vector<const std::byte *> addresses;
    std::vector<float> &numbers = weights.emplace_back(outputs * c.inputs);
    for (int64_t row = 0; row < outputs; ++row) {
      rows.push_back(randomRow(format, c.inputs, random));
      format.dequantize(rows.back(), &numbers[row * c.inputs]);
    }
    for (const auto &row : rows)
      addresses.push_back(row.data());
    packed.emplace_back(layout.bytes(), 0xcd);
    packPanels(layout, addresses, 0, layout.panels(), packed.back().as<std::byte>());
    EXPECT_TRUE(packed.back().isIntact());
  }
  std::normal_distribution<float> normal;
  for (float &x : left)
    x = normal(random);
  if (c.inputs >= 64) // a block of zeros
    std::fill_n(left.begin() + 32, 32, 0.0f);
  std::vector<float> seen = left;
  if (c.hasRegion())
    for (float &x : seen)
      x += x;
  if (c.left == LeftKind::Scaled)
    for (int64_t row = 0; row < c.rows; ++row) {
      float *numbers = &seen[row * c.inputs], largest = *std::max_element(numbers, numbers + c.inputs);
      for (int64_t i = 0; i < c.inputs; ++i)
        numbers[i] /= largest;
    }
  for (int64_t row = 0; row < c.rows; ++row) {
    int64_t rowBytes = c.leftRowBytes();
    if (c.left == LeftKind::Half)
      for (int64_t i = 0; i < c.inputs; ++i) {
        float &x = seen[row * c.inputs + i];
        char *place = leftBytes.data() + row * rowBytes + i * bytesOf(c.format);
        put(place, c.format, x);
        x = take(place, c.format);
      }
    else if (c.left != LeftKind::Q8)
      std::memcpy(leftBytes.data() + row * rowBytes, &left[row * c.inputs], c.inputs * 4);
    if (c.left == LeftKind::Q8 || (c.quantisesRows && !layout.isFloat()))
      quantiseRow(&seen[row * c.inputs], c.inputs,
                  c.left == LeftKind::Q8 ? leftBytes.data() + row * rowBytes : nullptr);
  }
  left = seen;
  for (const MatmulCase::Range &range : c.allRanges())
    this->outputs.emplace_back(c.rows * (range.end - range.begin) * bytesOf(c.output), 0xff);
  if (!c.adds)
    return;
  added.resize(c.rows * c.outputs);
  for (const MatmulCase::Range &range : c.allRanges()) {
    int64_t width = range.end - range.begin;
    AlignedBytes &bytes = addedBytes.emplace_back(c.rows * width * bytesOf(c.output));
    for (int64_t i = 0; i < c.rows * width; ++i) {
      char *place = bytes.data() + i * bytesOf(c.output);
      put(place, c.output, normal(random));
      added[i / width * c.outputs + range.begin + i % width] = take(place, c.output);
    }
  }
}

std::vector<float> MatmulData::run(const KernelRunner &runner, int64_t pieces) {
  std::vector<void *> buffers = {leftBytes.data()};
  if (c.stores)
    buffers.push_back(storedBytes.data());
  for (AlignedBytes &weight : packed)
    buffers.push_back(weight.data());
  std::vector<int32_t> segments = c.segments;
  if (!segments.empty())
    buffers.push_back(segments.data());
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (c.adds)
      buffers.push_back(addedBytes[i].data());
    buffers.push_back(outputs[i].data());
  }
  sinter_step step{};
  step.rows = c.selected ? c.rows + 3 : c.rows;
  step.selected = c.selected ? c.rows : 0;
  int64_t tiles = c.tiles();
  for (int64_t piece = 0; piece < pieces; ++piece)
    runner.run("matmul", buffers, step, tiles * piece / pieces, tiles * (piece + 1) / pieces);
  if (c.stores) {
    EXPECT_TRUE(storedBytes.isIntact()) << "the prologue wrote behind its rows";
    const float *stored = storedBytes.as<float>(), *given = leftBytes.as<float>();
    for (int64_t i = 0; i < c.rows * c.inputs; ++i)
      EXPECT_EQ(stored[i], given[i] + given[i]) << "row " << i / c.inputs << ", column " << i % c.inputs;
  }
  std::vector<float> result(c.rows * c.outputs);
  std::vector<MatmulCase::Range> ranges = c.allRanges();
  for (size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_TRUE(outputs[i].isIntact()) << "the kernel wrote behind its output";
    int64_t width = ranges[i].end - ranges[i].begin;
    for (int64_t at = 0; at < c.rows * width; ++at)
      result[at / width * c.outputs + ranges[i].begin + at % width] =
          take(outputs[i].data() + at * bytesOf(c.output), c.output);
  }
  return result;
}

void MatmulData::expected(std::vector<double> &values, std::vector<double> &tolerances,
                          double relative) const {
  values.assign(c.rows * c.outputs, 0);
  tolerances.assign(c.rows * c.outputs, 0);
  int64_t expert = 0;
  for (int64_t row = 0; row < c.rows; ++row) {
    while (!c.segments.empty() && row >= c.segments[expert + 1])
      ++expert;
    for (int64_t column = 0; column < c.outputs; ++column) {
      int64_t weightRow = expert * c.outputs + column;
      double product = 1, tolerance = 0;
      for (const std::vector<float> &weight : weights) {
        double sum = 0, magnitude = 0;
        for (int64_t k = 0; k < c.inputs; ++k) {
          double term = static_cast<double>(left[row * c.inputs + k]) * weight[weightRow * c.inputs + k];
          sum += term;
          magnitude += std::abs(term);
        }
        tolerance =
            std::abs(product) * magnitude * relative + tolerance * (std::abs(sum) + magnitude * relative);
        product *= sum;
      }
      values[row * c.outputs + column] = product;
      tolerances[row * c.outputs + column] = tolerance + 1e-7;
    }
  }
  for (const MatmulCase::Range &range : c.allRanges())
    for (int64_t row = 0; row < c.rows && c.addsLargest; ++row)
      for (int64_t first = row * c.outputs + range.begin, end = first + range.end - range.begin; first < end;
           first += range.group) {
        double largest = *std::max_element(&values[first], &values[first + range.group]);
        double further = *std::max_element(&tolerances[first], &tolerances[first + range.group]);
        for (int64_t i = first; i < first + range.group; ++i)
          values[i] += largest, tolerances[i] += further;
      }
  // Half of the last bit of what is stored.
  double rounding = c.output == "f16"        ? 0x1p-11
                    : c.output == "bf16"     ? 0x1p-8
                    : c.output == "f8E4M3FN" ? 0x1p-4
                    : c.output == "f8E5M2"   ? 0x1p-3
                                             : 0;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] += c.adds ? added[i] : 0;
    if (c.output.starts_with("f8")) { // beyond the largest number that number
      const double largest = c.output == "f8E4M3FN" ? 448 : 57344;
      values[i] = std::clamp(values[i], -largest, largest);
    }
    tolerances[i] += std::abs(values[i]) * rounding * 1.01;
    if (c.output.starts_with("f8")) // of subnormal numbers
      tolerances[i] += c.output == "f8E4M3FN" ? 0x1p-10 : 0x1p-17;
  }
}

void MatmulData::check(const KernelRunner &runner, int64_t pieces, double relative) {
  std::vector<float> found = run(runner, pieces);
  std::vector<double> values, tolerances;
  expected(values, tolerances, relative);
  int wrong = 0;
  for (size_t i = 0; i < found.size(); ++i)
    if (!(std::abs(found[i] - values[i]) <= tolerances[i]) && ++wrong <= 3)
      ADD_FAILURE() << c.format << " " << c.rows << "x" << c.outputs << "x" << c.inputs << ": expected "
                    << values[i] << " (+- " << tolerances[i] << ") in row " << i / c.outputs << ", column "
                    << i % c.outputs << ", found " << found[i];
  EXPECT_EQ(wrong, 0) << "wrong numbers of " << found.size();
}

uint64_t MatmulData::weightBytes() const {
  uint64_t bytes = 0;
  for (const AlignedBytes &weight : packed)
    bytes += weight.size();
  return bytes;
}

double toleranceOnCpu(const MatmulCase &c, cpu::Isa isa) {
  bool isExact = !c.rowsPerTile || c.format.starts_with("f8") || c.format == "f32" || c.format == "f16" ||
                 isa < cpu::Isa::Avx512Bf16 || (isa == cpu::Isa::Avx512Bf16 && c.format != "bf16");
  return isExact ? 2e-6 : c.format == "bf16" ? 2.1e-3 : 1.0 / 256;
}

std::vector<RowsOfCase> storedTiles(MatmulCase c) {
  c.outputs = 512;
  std::vector<RowsOfCase> all;
  auto add = [&](int64_t rowsPerTile, int64_t columnsPerTile, std::vector<int64_t> rows) {
    all.push_back({c.tiled(rowsPerTile, columnsPerTile), std::move(rows)});
  };
  add(128, 128, {150, 256});
  add(64, 64, {100});
  add(64, 256, {100});
  add(128, 256, {130});
  c.ranges = {{0, 256, 128}, {256, 512, 16}};
  c.adds = true;
  add(128, 128, {140});
  c.addsLargest = true;
  add(64, 128, {70});
  add(0, 0, {2});
  c.weights = 2;
  add(128, 128, {128});
  return all;
}

void expectBitsOfDecode(const MatmulCase &many, Machine machine) {
  MatmulCase one = many.tiled(0, 0);
  one.rows = 1;
  KernelRunner prefill(many.text(), machine), decode(one.text(), machine);
  ASSERT_TRUE(prefill && decode);
  MatmulData data(many, 1);
  const std::vector<float> all = data.run(prefill);
  for (int64_t row = 0; row < many.rows; ++row) {
    MatmulData single(one, 1);
    std::memcpy(single.leftBytes.data(), data.leftBytes.data() + row * many.leftRowBytes(),
                many.leftRowBytes());
    EXPECT_EQ(std::memcmp(single.run(decode).data(), &all[row * many.outputs], many.outputs * 4), 0)
        << many.format << " row " << row;
  }
}

} // namespace sinter::test
