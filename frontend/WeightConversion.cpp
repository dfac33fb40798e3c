// SPDX-License-Identifier: Apache-2.0
// Weights from one storage format to another: rows in tiles that stay in the cache, tiles shared by threads.
#include "frontend/Weights.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <mutex>
#include <thread>

namespace sinter {
namespace {

/// Floats decoded at once: 64 KiB, so that a tile stays in the second-level cache.
constexpr int64_t tileLength = 16384;

/// A part of a weight: whole rows, or a part of one that is longer than a tile.
struct Tile {
  int64_t begin, end; // numbers, counted over the whole tensor
};

/// Calls `work(tile)` for all tiles of `count` numbers, each a multiple of `unit` but for the last, on
/// `threads` threads. Returns the error of the first tile (in order of the tensor) that failed.
template <typename Work>
Result<> forEachTile(int64_t count, int64_t unit, unsigned threads, const Work &work) {
  int64_t length = std::max<int64_t>(tileLength / unit, 1) * unit;
  int64_t tiles = (count + length - 1) / length;
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  int64_t firstFailed = tiles;
  Error error;
  auto run = [&] {
    for (int64_t i; (i = next.fetch_add(1)) < tiles;) {
      Result<> done = work(Tile{i * length, std::min(count, (i + 1) * length)});
      if (done)
        continue;
      std::scoped_lock lock(mutex);
      if (i < firstFailed) {
        firstFailed = i;
        error = done.error();
      }
      next = tiles; // tiles before this one are taken already, so the first error is still found
    }
  };
  std::vector<std::thread> helpers;
  for (int64_t i = 1; i < std::min<int64_t>(threads, tiles); ++i)
    helpers.emplace_back(run);
  run();
  for (std::thread &helper : helpers)
    helper.join();
  if (firstFailed < tiles)
    return tl::unexpected(error);
  return {};
}

int64_t numbersOf(const Weight &weight) { return weight.rowCount() * weight.rowLength(); }

std::span<const std::byte> bytesOf(const Weight &weight, Tile tile) {
  int64_t block = weight.format->blockLength, size = weight.format->blockBytes;
  return weight.bytes.subspan(static_cast<size_t>(tile.begin / block * size),
                              static_cast<size_t>((tile.end - tile.begin) / block * size));
}

/// Position of the first NaN or infinity, -1 if there is none.
int64_t firstNonFinite(std::span<const float> numbers) {
  constexpr uint32_t exponent = 0x7F800000;
  uint32_t any = 0;
  for (float number : numbers)
    any |= (std::bit_cast<uint32_t>(number) & exponent) == exponent;
  if (!any)
    return -1;
  return std::ranges::find_if(numbers, [](float number) { return !std::isfinite(number); }) - numbers.begin();
}

/// "model.gguf: tensor 'w' at [3, 17] (byte 1234)", of number `position` of the tensor.
std::string placeOf(const Weight &weight, int64_t position) {
  std::vector<int64_t> index(weight.shape.size());
  int64_t rest = position;
  for (size_t i = index.size(); i-- > 0;) {
    index[i] = rest % weight.shape[i];
    rest /= weight.shape[i];
  }
  uint64_t byte = weight.offset +
                  static_cast<uint64_t>(position / weight.format->blockLength) * weight.format->blockBytes;
  return fmt::format("{}: tensor '{}' at {} (byte {})", weight.file, weight.name, shapeText(index), byte);
}

/// Decodes a tile and checks it.
Result<> decodeChecked(const Weight &weight, Tile tile, std::vector<float> &numbers) {
  numbers.resize(static_cast<size_t>(tile.end - tile.begin));
  weight.format->dequantize(bytesOf(weight, tile), numbers.data());
  int64_t bad = firstNonFinite(numbers);
  if (bad >= 0)
    return fail("{}: expected a finite number, found {}", placeOf(weight, tile.begin + bad),
                numbers[static_cast<size_t>(bad)]);
  return {};
}

} // namespace

void decodeRows(const Weight &weight, int64_t begin, int64_t end, float *out) {
  assert(weight.format && weight.format->dequantize && "a weight that was claimed");
  assert(0 <= begin && begin <= end && end <= weight.rowCount() && "rows of the tensor");
  weight.format->dequantize(bytesOf(weight, {begin * weight.rowLength(), end * weight.rowLength()}), out);
}

Result<> checkFinite(const Weight &weight, unsigned threads) {
  return forEachTile(numbersOf(weight), weight.format->blockLength, threads, [&](Tile tile) {
    thread_local std::vector<float> numbers;
    return decodeChecked(weight, tile, numbers);
  });
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

Result<> convert(const Weight &weight, const BlockFormat &format, std::span<std::byte> out,
                 unsigned threads) {
  assert(weight.format && weight.format->dequantize && "a weight that was claimed");
  assert(format.quantize || &format == weight.format);
  assert(out.size() == static_cast<size_t>(*convertedSize(weight, format)) && "convertedSize() bytes");
  int64_t unit = std::max(format.blockLength, weight.format->blockLength); // 1, 32 or 256
  return forEachTile(numbersOf(weight), unit, threads, [&](Tile tile) -> Result<> {
    thread_local std::vector<float> numbers, back;
    if (Result<> decoded = decodeChecked(weight, tile, numbers); !decoded)
      return decoded;
    size_t at = static_cast<size_t>(tile.begin / format.blockLength * format.blockBytes);
    if (&format == weight.format) {
      std::span<const std::byte> same = bytesOf(weight, tile);
      std::memcpy(out.data() + at, same.data(), same.size());
      return {};
    }
    format.quantize(numbers, out.data() + at);
    // Finite numbers can still be beyond the range of a sixteen-bit float or scale.
    back.resize(numbers.size());
    size_t size = numbers.size() / format.blockLength * format.blockBytes;
    format.dequantize(out.subspan(at, size), back.data());
    int64_t bad = firstNonFinite(back);
    if (bad >= 0)
      return fail("{}: expected a number in the range of {}, found {}", placeOf(weight, tile.begin + bad),
                  format.name, numbers[static_cast<size_t>(bad)]);
    return {};
  });
}

} // namespace sinter
