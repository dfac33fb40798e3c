// SPDX-License-Identifier: Apache-2.0
// What the driver is told of a kernel's tensor maps.
#ifndef SINTER_RUNTIME_DEVICE_TENSORMAPS_H
#define SINTER_RUNTIME_DEVICE_TENSORMAPS_H

#include "runtime/abi.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sinter::device {

/// Arguments of cuTensorMapEncodeTiled, in its numbers: CUtensorMapDataType, CUtensorMapSwizzle, ...
struct TiledMap {
  static constexpr int dataType = 6; // f16
  static constexpr int interleave = 0, promotion = 2 /* of loads to 128 bytes of L2 */, fill = 0;
  uint32_t rank;
  int swizzle;
  std::array<uint64_t, 3> sizes;
  std::array<uint64_t, 2> strides;
  std::array<uint32_t, 3> box, elementStrides;
};

/// What is known of a launch's buffers when it is bound.
struct MapSizes {
  int64_t rows;
  int64_t cacheTokens = 0, cacheSlotBytes = 0, cacheSlots = 0; ///< of a launch that reads the cache
};

inline TiledMap tiledMap(const sinter_tensor_map &map, const MapSizes &known) {
  const int swizzle = map.swizzle_bytes == 0 ? 0 : map.swizzle_bytes == 32 ? 1 : 3;
  TiledMap result{map.rank, swizzle, {}, {}, {}, {1, 1, 1}};
  std::copy_n(map.sizes, 3, result.sizes.begin());
  std::copy_n(map.strides, 2, result.strides.begin());
  std::copy_n(map.box, 3, result.box.begin());
  for (uint64_t &size : result.sizes)
    size = size ? size : uint64_t(known.rows);
  if (map.of_cache) {
    result.sizes[1] *= uint64_t(known.cacheTokens);
    result.sizes[2] = uint64_t(known.cacheSlots);
    result.strides[1] = uint64_t(known.cacheSlotBytes);
  }
  return result;
}

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_TENSORMAPS_H
