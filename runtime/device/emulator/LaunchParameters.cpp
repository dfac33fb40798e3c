// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/emulator/LaunchParameters.h"

#include "runtime/device/emulator/TensorMap.h"

#include <cstring>

namespace sinter::emulator {

Result<std::vector<uint8_t>> launchParameters(std::span<const uint64_t> addresses,
                                              std::span<const sinter_tensor_map> maps,
                                              const device::MapSizes &known) {
  constexpr size_t mapBytes = 128, mapAlignment = 64;
  std::vector<uint8_t> parameters(addresses.size_bytes());
  std::memcpy(parameters.data(), addresses.data(), parameters.size());
  for (const sinter_tensor_map &map : maps) {
    const device::TiledMap tiled = device::tiledMap(map, known);
    const Result<TensorMap> encoded =
        encodeTiled(device::TiledMap::dataType, tiled.rank, addresses[1 + map.buffer], tiled.sizes.data(),
                    tiled.strides.data(), tiled.box.data(), tiled.elementStrides.data(),
                    device::TiledMap::interleave, static_cast<uint32_t>(tiled.swizzle), false);
    if (!encoded)
      return tl::unexpected(encoded.error());
    const size_t at = (parameters.size() + mapAlignment - 1) / mapAlignment * mapAlignment;
    parameters.resize(at + mapBytes);
    std::memcpy(parameters.data() + at, &*encoded, sizeof *encoded);
  }
  return parameters;
}

} // namespace sinter::emulator
