// RUN: sinter-opt %s --kernel-emit-gpu=architecture=sm_80 | FileCheck %s
// RUN: sinter-opt %s --kernel-emit-gpu=architecture=sm_90a | FileCheck %s --check-prefix=CLUSTER
// K in four parts. sm_80: the last parameter is where their sums go, which other blocks write, too. 4 parts, tiles of 64 rows, 2
// tiles of columns, 16 KiB a part and tile. A block stores its sums, counts them behind a barrier, and has the epilogue if it is
// the fourth.

// CHECK-LABEL: llvm.func @matmul(
// CHECK-SAME: %arg3: !llvm.ptr<1> {llvm.noalias}, %arg4: !llvm.ptr<1>)
// CHECK-SAME: kernel.split_k = array<i64: 4, 64, 2, 16384>
// CHECK: llvm.store %{{.*}} : vector<4xf32>, !llvm.ptr<1>
// CHECK: nvvm.barrier
// CHECK: llvm.inline_asm has_side_effects {{.*}}atom.acq_rel.gpu.global.add.u32
// CHECK: nvvm.barrier
// CHECK: %[[NUMBER:.*]] = llvm.load %{{.*}} : !llvm.ptr<3> -> i32
// CHECK: %[[LAST:.*]] = arith.cmpi eq, %[[NUMBER]],
// CHECK: scf.if %[[LAST]]
// CHECK-COUNT-4: llvm.load %{{.*}} : !llvm.ptr<1> -> vector<4xf32>
// CHECK: nvvm.barrier
// CHECK: llvm.store %{{.*}} !llvm.ptr<1>

// sm_90a: a cluster of eight, two tiles of four parts. Each block tells the others of its tile that its sums are there, waits for
// theirs, adds those of its 16 rows, one load a block, tells the others that it has read them, and has the epilogue of these rows.

// CLUSTER-LABEL: llvm.func @matmul(
// CLUSTER-SAME: kernel.cluster = 8
// CLUSTER-NOT: kernel.split_k
// CLUSTER: barrier.cluster.arrive
// CLUSTER: nvvm.read.ptx.sreg.cluster.ctarank
// CLUSTER: wgmma.wait_group
// CLUSTER: mbarrier.arrive.release.cluster
// CLUSTER: mbarrier.try_wait.parity.acquire.cluster
// CLUSTER-COUNT-4: nvvm.mapa %{{.*}} : !llvm.ptr<3> -> !llvm.ptr<7>
// CLUSTER-COUNT-4: llvm.load %{{.*}} : !llvm.ptr<7> -> vector<4xf32>
// CLUSTER: llvm.store %{{.*}} : vector<4xf32>, !llvm.ptr<3>
// CLUSTER: nvvm.barrier
// CLUSTER: mbarrier.arrive.release.cluster
// CLUSTER: llvm.store %{{.*}} !llvm.ptr<1>
// CLUSTER: mbarrier.try_wait.parity.acquire.cluster
kernel.func @matmul(%x: !kernel.rows<1024xf16>, %w: !kernel.weight<128x1024, f16>, %y: !kernel.rows<128xf32>) {
  kernel.matmul left(%x : !kernel.rows<1024xf16>) weights(%w : !kernel.weight<128x1024, f16>) over(rows) schedule <rows_per_tile = 64, columns_per_tile = 64> attributes {kernel.split_k = 4 : i64} ranges {
    kernel.range 0 to 128 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<128xf32>
    }
  }
}
