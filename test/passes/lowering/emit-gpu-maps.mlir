// RUN: sinter-opt %s --kernel-emit-gpu=architecture=sm_90a | FileCheck %s
// Both sides f16, on sm_90a: tensor maps are parameters behind the buffers. A box of rows is a quarter of a tile's, a box of
// panels half of them, since a cluster of 4 blocks shares both. Tiles with all their rows are stored by boxes of 32 rows and
// 128 columns, two elements of f16 each, from shared memory.

// CHECK-LABEL: llvm.func @matmul(
// CHECK-SAME: %arg3: !llvm.ptr<1> {llvm.noalias}, %arg4: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<16 x i64>, nvvm.grid_constant}
// CHECK-SAME: kernel.cluster = 4
// CHECK-SAME: kernel.tensor_maps = array<i64: 0, 128, 520, 0, 1, 64, 32, 1, 1040, 0, 0, 1, 32, 16, 520, 128, 16, 64, 4, 32, 16640, 0, 2, 0, 4096, 0, 1, 256, 32, 1, 8192, 0, 0>
// CHECK-SAME: nvvm.cluster_dim = array<i32: 4>
// CHECK: mbarrier.try_wait.parity.shared::cta
// CHECK: wgmma.mma_async
// CHECK: fence.proxy.async.shared::cta
// CHECK: cp.async.bulk.wait_group.read 0
// CHECK: nvvm.barrier
// CHECK: cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group
// CHECK: cp.async.bulk.commit_group
// CHECK: mapa.shared::cluster
// CHECK: cp.async.bulk.wait_group 0
// CHECK: cp.async.bulk.tensor.2d{{.*}}multicast::cluster
// CHECK: cp.async.bulk.tensor.3d{{.*}}multicast::cluster
kernel.func @matmul(%x: !kernel.rows<520xf16>, %w: !kernel.weight<2048x520, f16>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<520xf16>) weights(%w : !kernel.weight<2048x520, f16>) over(rows) schedule <rows_per_tile = 128, columns_per_tile = 128> ranges {
    kernel.range 0 to 2048 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<2048xf32>
    }
  }
}

// Where what the epilogue keeps leaves no room for 32 rows of 256 columns, boxes have 16; where it leaves none for 16, threads
// store themselves: no map of the output.
// CHECK-LABEL: llvm.func @few_rows(
// CHECK-SAME: kernel.tensor_maps = array<i64: 0, 128, 520, 0, 1, 64, 32, 1, 1040, 0, 0, 1, 32, 16, 520, 128, 16, 64, 8, 32, 16640, 0, 2, 0, 4096, 0, 1, 256, 16, 1, 8192, 0, 0>
kernel.func @few_rows(%x: !kernel.rows<520xf16>, %w: !kernel.weight<2048x520, f16>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<520xf16>) weights(%w : !kernel.weight<2048x520, f16>) over(rows) schedule <rows_per_tile = 128, columns_per_tile = 256> ranges {
    kernel.range 0 to 2048 group 256 {
    ^bb0(%e0: vector<256xf32>, %row: index, %column: index):
      %e1 = math.exp %e0 : vector<256xf32>
      %e2 = math.exp %e1 : vector<256xf32>
      %e3 = math.exp %e2 : vector<256xf32>
      %e4 = math.exp %e3 : vector<256xf32>
      %e5 = math.exp %e4 : vector<256xf32>
      %sum = vector.reduction <add>, %e5 : vector<256xf32> into f32
      %s0 = vector.broadcast %sum : f32 to vector<256xf32>
      %s1 = arith.mulf %s0, %e1 : vector<256xf32>
      %s2 = arith.mulf %s1, %e2 : vector<256xf32>
      %s3 = arith.mulf %s2, %e3 : vector<256xf32>
      %s4 = arith.mulf %s3, %e4 : vector<256xf32>
      %s5 = arith.mulf %s4, %e5 : vector<256xf32>
      %lo = vector.extract_strided_slice %s5 {offsets = [0], sizes = [128], strides = [1]} : vector<256xf32> to vector<128xf32>
      %hi = vector.extract_strided_slice %s5 {offsets = [128], sizes = [128], strides = [1]} : vector<256xf32> to vector<128xf32>
      %t0 = vector.insert_strided_slice %hi, %s5 {offsets = [0], strides = [1]} : vector<128xf32> into vector<256xf32>
      %t = vector.insert_strided_slice %lo, %t0 {offsets = [128], strides = [1]} : vector<128xf32> into vector<256xf32>
      kernel.store %t, %y[%row, %column] : vector<256xf32>, !kernel.rows<2048xf32>
    }
  }
}
// CHECK-LABEL: llvm.func @no_rows(
// CHECK-SAME: kernel.tensor_maps = array<i64: 0, 128, 520, 0, 1, 64, 32, 1, 1040, 0, 0, 1, 32, 16, 520, 128, 16, 64, 8, 32, 16640, 0>
kernel.func @no_rows(%x: !kernel.rows<520xf16>, %w: !kernel.weight<2048x520, f16>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<520xf16>) weights(%w : !kernel.weight<2048x520, f16>) over(rows) schedule <rows_per_tile = 128, columns_per_tile = 256> ranges {
    kernel.range 0 to 2048 group 256 {
    ^bb0(%e0: vector<256xf32>, %row: index, %column: index):
      %e1 = math.exp %e0 : vector<256xf32>
      %e2 = math.exp %e1 : vector<256xf32>
      %e3 = math.exp %e2 : vector<256xf32>
      %e4 = math.exp %e3 : vector<256xf32>
      %e5 = math.exp %e4 : vector<256xf32>
      %e6 = math.exp %e5 : vector<256xf32>
      %e7 = math.exp %e6 : vector<256xf32>
      %e8 = math.exp %e7 : vector<256xf32>
      %sum = vector.reduction <add>, %e8 : vector<256xf32> into f32
      %s0 = vector.broadcast %sum : f32 to vector<256xf32>
      %s1 = arith.mulf %s0, %e1 : vector<256xf32>
      %s2 = arith.mulf %s1, %e2 : vector<256xf32>
      %s3 = arith.mulf %s2, %e3 : vector<256xf32>
      %s4 = arith.mulf %s3, %e4 : vector<256xf32>
      %s5 = arith.mulf %s4, %e5 : vector<256xf32>
      %s6 = arith.mulf %s5, %e6 : vector<256xf32>
      %s7 = arith.mulf %s6, %e7 : vector<256xf32>
      %s8 = arith.mulf %s7, %e8 : vector<256xf32>
      %lo = vector.extract_strided_slice %s8 {offsets = [0], sizes = [128], strides = [1]} : vector<256xf32> to vector<128xf32>
      %hi = vector.extract_strided_slice %s8 {offsets = [128], sizes = [128], strides = [1]} : vector<256xf32> to vector<128xf32>
      %t0 = vector.insert_strided_slice %hi, %s8 {offsets = [0], strides = [1]} : vector<128xf32> into vector<256xf32>
      %t = vector.insert_strided_slice %lo, %t0 {offsets = [128], strides = [1]} : vector<128xf32> into vector<256xf32>
      kernel.store %t, %y[%row, %column] : vector<256xf32>, !kernel.rows<2048xf32>
    }
  }
}

// Weights in registers: the only map is the output's, 16 rows of 128 columns beside four stages of bf16; of 4 bits there is room
// for 32.
// CHECK-LABEL: llvm.func @pairs(
// CHECK-SAME: kernel.tensor_maps = array<i64: 2, 0, 4096, 0, 1, 256, 16, 1, 8192, 0, 0>
// CHECK: cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group
kernel.func @pairs(%x: !kernel.rows<520xf32>, %w: !kernel.weight<2048x520, bf16>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<520xf32>) weights(%w : !kernel.weight<2048x520, bf16>) over(rows) schedule <rows_per_tile = 128, columns_per_tile = 128> ranges {
    kernel.range 0 to 2048 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<2048xf32>
    }
  }
}
// CHECK-LABEL: llvm.func @blocks(
// CHECK-SAME: kernel.tensor_maps = array<i64: 2, 0, 4096, 0, 1, 256, 32, 1, 8192, 0, 0>
kernel.func @blocks(%x: !kernel.rows<512xq8>, %w: !kernel.weight<2048x512, q4_1>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<512xq8>) weights(%w : !kernel.weight<2048x512, q4_1>) over(rows) schedule <rows_per_tile = 128, columns_per_tile = 128> ranges {
    kernel.range 0 to 2048 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<2048xf32>
    }
  }
}

// Of 8 bits a chunk has 128 columns, and 32 a product. Maps are of f16, so two numbers are one element: tiles of 16 rows x 16
// columns are 128 of them, of which a box has those of all panels and of a half of the chunk. Each chunk's products begin anew;
// those of the first one are the sums, to which others are added in f32.
// CHECK-LABEL: llvm.func @eight_bits(
// CHECK-SAME: kernel.tensor_maps = array<i64: 0, 128, 520, 0, 1, 64, 32, 1, 1040, 0, 0, 1, 0, 128, 128, 65, 128, 8, 4, 16640, 256, 0, 2, 0, 4096, 0, 1, 256, 32, 1, 8192, 0, 0>
// CHECK: setmaxnreg.inc
// CHECK: scf.for
// CHECK: wgmma.fence
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3
// CHECK: wgmma.commit_group
// CHECK: wgmma.wait_group
// CHECK: mapa.shared::cluster
// CHECK-NOT: arith.addf
// CHECK: scf.for
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3
// CHECK: wgmma.wait_group
// CHECK-COUNT-64: arith.addf
// CHECK-NOT: arith.addf
// CHECK: cp.async.bulk.tensor.2d{{.*}}multicast::cluster
// CHECK: cp.async.bulk.tensor.3d{{.*}}multicast::cluster
kernel.func @eight_bits(%x: !kernel.rows<1040xf8E4M3FN>, %w: !kernel.weight<2048x1040, f8E4M3FN>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<1040xf8E4M3FN>) weights(%w : !kernel.weight<2048x1040, f8E4M3FN>) over(rows) schedule <rows_per_tile = 128, columns_per_tile = 128> ranges {
    kernel.range 0 to 2048 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<2048xf32>
    }
  }
}

// With fast_accumulation tensor cores sum all of K: a loop of products alone, and registers for 256 columns.
// CHECK-LABEL: llvm.func @eight_bits_fast(
// CHECK-SAME: kernel.tensor_maps = array<i64: 0, 128, 520, 0, 1, 64, 32, 1, 1040, 0, 0, 1, 0, 128, 128, 65, 128, 16, 4, 16640, 256, 0, 2, 0, 4096, 0, 1, 256, {{16|32}}, 1, 8192, 0, 0>
// CHECK: setmaxnreg.inc
// CHECK: wgmma.fence
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n256k32.f32.e4m3.e4m3
// CHECK: wgmma.commit_group
// CHECK-NOT: arith.addf
// CHECK: setmaxnreg.dec
kernel.func @eight_bits_fast(%x: !kernel.rows<1040xf8E4M3FN>, %w: !kernel.weight<2048x1040, f8E4M3FN>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<1040xf8E4M3FN>) weights(%w : !kernel.weight<2048x1040, f8E4M3FN>) over(rows) fast_accumulation schedule <rows_per_tile = 128, columns_per_tile = 256> ranges {
    kernel.range 0 to 2048 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<2048xf32>
    }
  }
}

// Where rows are no whole pieces of 16 bytes both sides become f16: the only map is the output's.
// CHECK-LABEL: llvm.func @odd_rows(
// CHECK-SAME: kernel.tensor_maps = array<i64: 2, 0, 4096, 0, 1, 256, {{16|32}}, 1, 8192, 0, 0>
// CHECK: cvt.rn.f16x2.e5m2x2
// CHECK: wgmma.mma_async.sync.aligned.m64n{{.*}}k16.f32.f16.f16
kernel.func @odd_rows(%x: !kernel.rows<1032xf8E5M2>, %w: !kernel.weight<2048x1032, f8E5M2>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<1032xf8E5M2>) weights(%w : !kernel.weight<2048x1032, f8E5M2>) over(rows) schedule <rows_per_tile = 128, columns_per_tile = 128> ranges {
    kernel.range 0 to 2048 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<2048xf32>
    }
  }
}
