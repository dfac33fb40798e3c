// SPDX-License-Identifier: Apache-2.0
// Weights from one storage format to another, row by row, and the check that every weight is a finite number.
#include "frontend/RowReader.h"
#include "runtime/files/FiniteNumbers.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <cstring>
#include <mutex>
#include <thread>

namespace sinter {
namespace {

int64_t numbersOf(const Weight &weight) { return weight.rowCount() * weight.rowLength(); }

/// The bytes of numbers `begin` to `end` - 1, whole blocks.
std::span<const std::byte> bytesOf(const Weight &weight, int64_t begin, int64_t end) {
  int64_t block = weight.format->blockLength, size = weight.format->blockBytes;
  assert(begin % block == 0 && (end - begin) % block == 0 && end <= numbersOf(weight) &&
         "whole blocks of the tensor");
  return weight.bytes.subspan(static_cast<size_t>(begin / block * size),
                              static_cast<size_t>((end - begin) / block * size));
}

float numberAt(const Weight &weight, int64_t position) {
  int64_t block = weight.format->blockLength, begin = position / block * block;
  float numbers[256];
  weight.format->dequantize(bytesOf(weight, begin, begin + block), numbers);
  return numbers[position - begin];
}

/// "model.gguf: tensor 'w' at [3, 17] (byte 1234): expected WHAT, found 65536", of a number of the tensor.
tl::unexpected<Error> badNumber(const Weight &weight, int64_t position, std::string_view expected) {
  std::vector<int64_t> index(weight.shape.size());
  int64_t rest = position;
  for (size_t i = index.size(); i-- > 0;) {
    index[i] = rest % weight.shape[i];
    rest /= weight.shape[i];
  }
  uint64_t byte = weight.offset +
                  static_cast<uint64_t>(position / weight.format->blockLength) * weight.format->blockBytes;
  return fail("{}: tensor '{}' at {} (byte {}): expected {}, found {}", weight.file, weight.name,
              shapeText(index), byte, expected, numberAt(weight, position));
}

constexpr std::string_view finite = "a finite number";

} // namespace

void decodeRows(const Weight &weight, int64_t begin, int64_t end, float *out) {
  assert(weight.format && weight.format->dequantize && "a weight that was claimed");
  assert(0 <= begin && begin <= end && end <= weight.rowCount() && "rows of the tensor");
  weight.format->dequantize(bytesOf(weight, begin * weight.rowLength(), end * weight.rowLength()), out);
}

Result<> checkFinite(const Weight &weight, unsigned threads) {
  constexpr int64_t part = 1 << 20;
  int64_t count = numbersOf(weight), parts = (count + part - 1) / part;
  std::atomic<int64_t> next = 0, first = count;
  auto run = [&] {
    for (int64_t i; (i = next.fetch_add(1)) < parts;) {
      int64_t found =
          findNonFinite(*weight.format, bytesOf(weight, i * part, std::min(count, (i + 1) * part)));
      if (found < 0)
        continue;
      next = parts; // earlier parts are taken already, so that the first place is still found
      int64_t known = first;
      while (i * part + found < known && !first.compare_exchange_weak(known, i * part + found))
        ;
    }
  };
  std::vector<std::jthread> helpers;
  for (int64_t i = 1; i < std::min<int64_t>(threads, parts); ++i)
    helpers.emplace_back(run);
  run();
  helpers.clear();
  return first == count ? Result<>() : badNumber(weight, first, finite);
}

const BlockFormat *storageFormat(const Weight &weight, const BlockFormat *wanted) {
  if (!wanted)
    return weight.format;
  if (weight.shape.size() < 2)
    return &f32Format;
  return weight.rowLength() % wanted->blockLength == 0 ? wanted : &f16Format;
}

Result<int64_t> convertedSize(const Weight &weight, const BlockFormat &format) {
  // Blocks run along rows, so that the whole must divide into blocks row by row.
  Result<int64_t> row = format.bytesOf(weight.rowLength());
  Result<int64_t> size = row ? format.bytesOf(numbersOf(weight)) : row;
  if (!size)
    return fail("{}: tensor '{}' of shape {} as {}: {}", weight.file, weight.name, shapeText(weight.shape),
                format.name, size.error().message);
  return size;
}

RowReader::RowReader(const BlockFormat &format, int64_t length, int64_t rows)
    : format(format), length(length), bytes(length / format.blockLength * format.blockBytes), numbers(length),
      converted(rows * bytes) {
  assert(length % format.blockLength == 0 && "whole blocks");
}

/// Checks and converts a row of `stored`; number i of it is number positions[i], or first + i, of the tensor.
Result<const std::byte *> RowReader::store(const Weight &weight, std::span<const std::byte> row,
                                           const BlockFormat &stored, std::span<const int64_t> positions,
                                           int64_t first, int64_t slot) {
  auto place = [&](int64_t i) { return positions.empty() ? first + i : positions[i]; };
  if (int64_t bad = findNonFinite(stored, row); bad >= 0)
    return badNumber(weight, place(bad), finite);
  std::byte *out = converted.data() + slot * bytes;
  if (&stored == &format) {
    if (positions.empty())
      return row.data();
    std::memcpy(out, row.data(), bytes);
    return out;
  }
  assert(format.quantize && "a format that Sinter writes");
  stored.dequantize(row, numbers.data());
  format.quantize(numbers, out);
  // Finite numbers can still be beyond the range of a sixteen-bit float or scale.
  int64_t bad = findNonFinite(format, {out, static_cast<size_t>(bytes)});
  if (bad < 0)
    return out;
  auto block = numbers.begin() + bad;
  auto largest = std::max_element(block, block + format.blockLength,
                                  [](float a, float b) { return std::abs(a) < std::abs(b); });
  return badNumber(weight, place(largest - numbers.begin()),
                   fmt::format("a number in the range of {}", format.name));
}

Result<const std::byte *> RowReader::read(const Weight &weight, int64_t first, int64_t slot) {
  return store(weight, bytesOf(weight, first, first + length), *weight.format, {}, first, slot);
}

Result<const std::byte *> RowReader::gather(const Weight &weight, std::span<const int64_t> positions,
                                            int64_t slot) {
  assert(static_cast<int64_t>(positions.size()) == length && "a position a number");
  // Blocks go apart into their numbers.
  const BlockFormat &stored = weight.format->isFloat() ? *weight.format : f32Format;
  size_t size = stored.blockBytes;
  gathered.resize(length * size);
  for (int64_t i = 0; i < length; ++i) {
    if (weight.format->isFloat()) {
      std::memcpy(gathered.data() + i * size, weight.bytes.data() + positions[i] * size, size);
      continue;
    }
    float number = numberAt(weight, positions[i]);
    std::memcpy(gathered.data() + i * size, &number, size);
  }
  return store(weight, gathered, stored, positions, 0, slot);
}

} // namespace sinter
