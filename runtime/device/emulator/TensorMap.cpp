// SPDX-License-Identifier: Apache-2.0
// Tensor maps and copies of boxes.
#include "runtime/device/emulator/TensorMap.h"

#include <algorithm>
#include <cstring>

namespace sinter::emulator {

namespace {

// CUtensorMapDataType in the driver's order.
constexpr Type elementTypes[] = {Type::u8,  Type::u16,  Type::u32, Type::s32, Type::u64,
                                 Type::s64, Type::f16,  Type::f32, Type::f64, Type::bf16,
                                 Type::f32, Type::tf32, Type::tf32};

/// Calls row(shared offset, global address of the row's start or 0 outside, first coordinate) for each
/// innermost row.
template <typename F> void eachRow(const TensorMap &map, const int32_t *coordinates, F row) {
  std::array<uint32_t, 5> index{};
  const uint64_t rowBytes = static_cast<uint64_t>(map.count(0)) * map.elementBytes();
  uint64_t offset = 0;
  while (true) {
    uint64_t address = map.address;
    bool inside = true;
    for (int d = 1; d < map.rank; ++d) {
      const int64_t at =
          static_cast<int64_t>(coordinates[d]) + static_cast<int64_t>(index[d]) * map.elementStrides[d];
      inside &= at >= 0 && static_cast<uint64_t>(at) < map.size(d);
      address += static_cast<uint64_t>(at) * map.strides[d - 1];
    }
    row(offset, inside ? address : 0);
    offset += rowBytes;
    int d = 1;
    while (d < map.rank && ++index[d] == map.count(d))
      index[d++] = 0;
    if (d >= map.rank)
      return;
  }
}

} // namespace

unsigned bytesOfTensorType(uint8_t dataType) {
  return dataType < std::size(elementTypes) ? bytesOf(elementTypes[dataType]) : 0;
}

unsigned TensorMap::elementBytes() const { return bytesOfTensorType(dataType); }
Type TensorMap::elementType() const { return elementTypes[dataType]; }

uint64_t TensorMap::boxBytes() const {
  uint64_t bytes = elementBytes();
  for (int d = 0; d < rank; ++d)
    bytes *= count(d);
  return bytes;
}

Result<TensorMap> encodeTiled(uint8_t dataType, uint32_t rank, uint64_t address, const uint64_t *sizes,
                              const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                              uint32_t interleave, uint32_t swizzle, bool nanFill) {
  const unsigned bytes = bytesOfTensorType(dataType);
  if (!bytes)
    return fail("tensor map: expected a data type from 0 to {}, found {}", std::size(elementTypes) - 1,
                dataType);
  if (rank < 1 || rank > 5)
    return fail("tensor map: expected a rank from 1 to 5, found {}", rank);
  if (interleave)
    return fail("tensor map: interleaved layouts are not supported");
  if (swizzle > 3)
    return fail("tensor map: expected a swizzle from 0 to 3, found {}", swizzle);
  if (!address || address % 16)
    return fail("tensor map: expected a global address that is a multiple of 16, found {:#x}", address);
  TensorMap map;
  map.address = address;
  map.rank = static_cast<uint8_t>(rank);
  map.dataType = dataType;
  map.swizzle = static_cast<Swizzle>(swizzle);
  map.nanFill = nanFill;
  if (nanFill && !isFloat(map.elementType()))
    return fail("tensor map: NaN fill expects a floating-point type");
  for (uint32_t d = 0; d < rank; ++d) {
    if (sizes[d] < 1 || sizes[d] > 1ull << 32)
      return fail("tensor map: expected sizes from 1 to 2^32, found {} in dimension {}", sizes[d], d);
    if (box[d] < 1 || box[d] > 256)
      return fail("tensor map: expected boxes from 1 to 256, found {} in dimension {}", box[d], d);
    if (elementStrides[d] < 1 || elementStrides[d] > 8)
      return fail("tensor map: expected element strides from 1 to 8, found {} in dimension {}",
                  elementStrides[d], d);
    if (d > 0 && (strides[d - 1] % 16 || strides[d - 1] >= 1ull << 40))
      return fail(
          "tensor map: expected strides below 2^40 that are multiples of 16, found {} in dimension {}",
          strides[d - 1], d);
    map.sizes[d] = static_cast<uint32_t>(sizes[d] - 1);
    map.box[d] = static_cast<uint16_t>(box[d]);
    map.elementStrides[d] = static_cast<uint8_t>(elementStrides[d]);
    if (d > 0)
      map.strides[d - 1] = strides[d - 1];
  }
  const uint64_t inner = static_cast<uint64_t>(map.count(0)) * bytes;
  constexpr uint64_t spans[] = {~0ull, 32, 64, 128};
  if (inner % 16)
    return fail("tensor map: expected an innermost box of a multiple of 16 bytes, found {}", inner);
  if (inner > spans[swizzle])
    return fail("tensor map: expected an innermost box of at most {} bytes for this swizzle, found {}",
                spans[swizzle], inner);
  return map;
}

Result<> checkMap(const TensorMap &map) {
  std::array<uint64_t, 5> sizes;
  std::array<uint32_t, 5> box, steps;
  for (int d = 0; d < 5; ++d)
    sizes[d] = map.size(d), box[d] = map.box[d], steps[d] = map.elementStrides[d];
  const Result<TensorMap> made =
      encodeTiled(map.dataType, map.rank, map.address, sizes.data(), map.strides.data(), box.data(),
                  steps.data(), 0, static_cast<uint32_t>(map.swizzle), map.nanFill);
  if (!made)
    return tl::unexpected(made.error());
  return {};
}

void eachPartOfBox(const TensorMap &map, const int32_t *coordinates,
                   const std::function<void(uint64_t address, uint64_t bytes)> &body) {
  const uint64_t bytes = map.elementBytes();
  const int64_t first = coordinates[0], size = static_cast<int64_t>(map.size(0)), count = map.count(0);
  eachRow(map, coordinates, [&](uint64_t, uint64_t address) {
    if (!address)
      return;
    if (map.elementStrides[0] == 1) {
      const int64_t begin = std::clamp<int64_t>(first, 0, size),
                    end = std::clamp<int64_t>(first + count, 0, size);
      if (begin < end)
        body(address + static_cast<uint64_t>(begin) * bytes, static_cast<uint64_t>(end - begin) * bytes);
      return;
    }
    for (int64_t i = 0; i < count; ++i)
      if (const int64_t x = first + i * map.elementStrides[0]; x >= 0 && x < size)
        body(address + static_cast<uint64_t>(x) * bytes, bytes);
  });
}

void loadBox(const TensorMap &map, const int32_t *coordinates, uint8_t *shared, uint64_t at) {
  const unsigned bytes = map.elementBytes();
  const uint64_t rowBytes = static_cast<uint64_t>(map.count(0)) * bytes;
  std::vector<uint8_t> row(rowBytes);
  const bool dense = map.elementStrides[0] == 1;
  eachRow(map, coordinates, [&](uint64_t offset, uint64_t address) {
    std::fill(row.begin(), row.end(), map.nanFill ? 0xff : 0);
    if (address) {
      const int64_t first = coordinates[0], size = static_cast<int64_t>(map.size(0)), count = map.count(0);
      if (dense) {
        const int64_t begin = std::clamp<int64_t>(-first, 0, count),
                      end = std::clamp<int64_t>(size - first, 0, count);
        if (begin < end)
          std::memcpy(row.data() + begin * bytes,
                      reinterpret_cast<const uint8_t *>(address) + (first + begin) * bytes,
                      static_cast<size_t>(end - begin) * bytes);
      } else {
        for (int64_t i = 0; i < count; ++i)
          if (const int64_t x = first + i * map.elementStrides[0]; x >= 0 && x < size)
            std::memcpy(row.data() + i * bytes, reinterpret_cast<const uint8_t *>(address) + x * bytes,
                        bytes);
      }
    }
    for (uint64_t chunk = 0; chunk < rowBytes; chunk += 16)
      std::memcpy(shared + (swizzled(at + offset + chunk, map.swizzle) - at), row.data() + chunk, 16);
  });
}

void storeBox(const TensorMap &map, const int32_t *coordinates, const uint8_t *shared, uint64_t at,
              const AtomicOperation *reduce) {
  const unsigned bytes = map.elementBytes();
  const uint64_t rowBytes = static_cast<uint64_t>(map.count(0)) * bytes;
  std::vector<uint8_t> row(rowBytes);
  eachRow(map, coordinates, [&](uint64_t offset, uint64_t address) {
    if (!address)
      return;
    for (uint64_t chunk = 0; chunk < rowBytes; chunk += 16)
      std::memcpy(row.data() + chunk, shared + (swizzled(at + offset + chunk, map.swizzle) - at), 16);
    for (uint32_t i = 0; i < map.count(0); ++i) {
      const int64_t x =
          static_cast<int64_t>(coordinates[0]) + static_cast<int64_t>(i) * map.elementStrides[0];
      if (x < 0 || static_cast<uint64_t>(x) >= map.size(0))
        continue;
      auto *place = reinterpret_cast<uint8_t *>(address) + x * bytes;
      if (!reduce) {
        std::memcpy(place, row.data() + i * bytes, bytes);
        continue;
      }
      uint64_t value = 0;
      std::memcpy(&value, row.data() + i * bytes, bytes);
      atomicUpdate(place, *reduce, map.elementType(), value, 0);
    }
  });
}

} // namespace sinter::emulator
