// SPDX-License-Identifier: Apache-2.0
// Field by field in the order of runtime/abi.h.
#include "compiler/GpuTable.h"

namespace sinter {

llvm::Constant *GpuConstantBuilder::gpuLaunch(llvm::StringRef name, const CudaKernel &code,
                                              llvm::ArrayRef<llvm::Constant *> buffers, uint64_t weightBytes,
                                              uint64_t rowFlops) {
  llvm::SmallVector<llvm::Constant *> maps;
  for (const sinter_tensor_map &map : code.maps)
    maps.push_back(
        structure({i32(map.buffer), i32(map.swizzle_bytes), i32(map.rank), i32(map.box[0]), i32(map.box[1]),
                   i32(map.box[2]), i64(map.sizes[0]), i64(map.sizes[1]), i64(map.sizes[2]),
                   i64(map.strides[0]), i64(map.strides[1]), i64(map.of_cache)}));
  return structure({text(name), text(code.function), grid(code.grid), array(buffers), i64(buffers.size()),
                    i32(code.threads), i32(code.sharedBytes), i32(code.cluster), i32(code.blocksPerSm),
                    i64(weightBytes), i64(rowFlops), array(maps), i64(maps.size())});
}

llvm::SmallVector<llvm::Constant *> GpuConstantBuilder::gpuImages(llvm::ArrayRef<GpuCode> all) {
  llvm::SmallVector<llvm::Constant *> images;
  auto add = [&](gpu::Architecture architecture, uint32_t code, llvm::ArrayRef<uint8_t> data, uint64_t size) {
    images.push_back(structure(
        {i32(static_cast<uint32_t>(architecture)), i32(code), structure({bytes(data, 64), i64(size)})}));
  };
  for (const GpuCode &each : all) {
    const std::string &ptx = each.kernels.ptx;
    add(each.architecture, SINTER_GPU_PTX, {reinterpret_cast<const uint8_t *>(ptx.c_str()), ptx.size() + 1},
        ptx.size());
    if (each.cubin)
      add(each.architecture, SINTER_GPU_CUBIN, each.cubin->bytes, each.cubin->bytes.size());
  }
  return images;
}

} // namespace sinter
