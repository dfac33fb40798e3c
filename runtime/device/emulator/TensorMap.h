// SPDX-License-Identifier: Apache-2.0
// Tensor maps (PTX ISA 5.5): what cuTensorMapEncodeTiled describes, in an encoding of the emulator's own (the
// object is opaque), and the copies of boxes between global and shared memory with swizzling.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_TENSORMAP_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_TENSORMAP_H

#include "runtime/Result.h"
#include "runtime/device/emulator/Atomics.h"
#include "runtime/device/emulator/Types.h"
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace sinter::emulator {

/// In the driver's order (CUtensorMapSwizzle).
enum class Swizzle : uint8_t { none, bytes32, bytes64, bytes128 };

/// Dimension 0 is the innermost, contiguous one.
struct TensorMap {
  static constexpr uint64_t magicValue = 0x70616d726f736e74;
  uint64_t magic = magicValue;
  uint64_t address = 0;
  std::array<uint64_t, 4> strides{}; // bytes, of dimensions 1 to 4
  std::array<uint32_t, 5> sizes{};   // elements, less one (a size may be 2^32)
  std::array<uint16_t, 5> box{};     // elements
  std::array<uint8_t, 5> elementStrides{};
  uint8_t rank = 0;
  uint8_t dataType = 0; // CUtensorMapDataType
  Swizzle swizzle = Swizzle::none;
  uint8_t nanFill = 0;

  uint64_t size(int dimension) const { return sizes[dimension] + 1ull; }
  unsigned elementBytes() const;
  Type elementType() const;
  /// Elements of the box along a dimension: the box over the stride, rounded up.
  uint32_t count(int dimension) const {
    return (box[dimension] + elementStrides[dimension] - 1u) / elementStrides[dimension];
  }
  uint64_t boxBytes() const;
};
static_assert(sizeof(TensorMap) <= 128);

/// Element size of a CUtensorMapDataType; 0 if there is none such.
unsigned bytesOfTensorType(uint8_t dataType);

/// Builds a map, or says what the driver would refuse: ranks, alignments, sizes of boxes (CUDA driver API,
/// cuTensorMapEncodeTiled).
Result<TensorMap> encodeTiled(uint8_t dataType, uint32_t rank, uint64_t address, const uint64_t *sizes,
                              const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                              uint32_t interleave, uint32_t swizzle, bool nanFill);

/// What encodeTiled would say of a map: a kernel may have made it, or copied it from anywhere.
Result<> checkMap(const TensorMap &map);

/// Where a 16-byte chunk of a box goes: XORs address bits as PTX ISA 5.5.6 draws it (128-byte swizzle: bits 4
/// to 6 with 7 to 9; 64: bits 4, 5 with 7, 8; 32: bit 4 with 7).
constexpr uint64_t swizzled(uint64_t address, Swizzle swizzle) {
  switch (swizzle) {
  case Swizzle::none:
    return address;
  case Swizzle::bytes32:
    return address ^ (address >> 3 & 0x10);
  case Swizzle::bytes64:
    return address ^ (address >> 3 & 0x30);
  case Swizzle::bytes128:
    return address ^ (address >> 3 & 0x70);
  }
  return address;
}

/// Calls body(address, bytes) for the parts of the box in global memory, a row or an element each; what lies
/// outside of the tensor is left out.
void eachPartOfBox(const TensorMap &map, const int32_t *coordinates,
                   const std::function<void(uint64_t address, uint64_t bytes)> &body);

/// Reads the box at `coordinates` into `shared`, which lies at shared address `at`; outside of the tensor:
/// zeros or NaN.
void loadBox(const TensorMap &map, const int32_t *coordinates, uint8_t *shared, uint64_t at);
/// Writes the box, or reduces it into the tensor; what lies outside of the tensor is left out.
void storeBox(const TensorMap &map, const int32_t *coordinates, const uint8_t *shared, uint64_t at,
              const AtomicOperation *reduce);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_TENSORMAP_H
