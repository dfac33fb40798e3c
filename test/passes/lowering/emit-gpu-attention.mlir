// RUN: split-file %s %t
// RUN: sinter-opt %t/turns.mlir --kernel-emit-gpu=architecture=sm_90a | FileCheck %t/turns.mlir
// RUN: sinter-opt %t/shared.mlir --kernel-emit-gpu=architecture=sm_90a | FileCheck %t/shared.mlir
// RUN: sinter-opt %t/one.mlir --kernel-emit-gpu=architecture=sm_90a | FileCheck %t/one.mlir

//--- turns.mlir
// Two warpgroups that take turns, and a producer: queries, keys (lines of 16, 4 panels a box) and values come by tensor maps, those
// of the cache as large as the step's. In the loop over blocks the products with the next keys are asked for, then those with the
// values before; the turn goes to the other warpgroup; the first are waited for while the second are under way. Heads have keys of
// their own: two tiles of rows are a cluster, each block of which copies half of the keys and values of every stage to both.

// CHECK-LABEL: llvm.func @attention(
// CHECK-SAME: kernel.cluster = 2
// CHECK-SAME: kernel.tensor_maps = array<i64: 0, 128, 256, 0, 1, 64, 128, 1, 512, 0, 0, 1, 32, 16, 16, 1, 16, 256, 1, 32, 0, 1, 2, 128, 64, 4, 1, 64, 64, 1, 128, 0, 1>
// CHECK-SAME: kernel.threads = 384
// CHECK: mbarrier.init
// CHECK: setmaxnreg.inc.sync.aligned.u32 240
// CHECK: bar.arrive $0, 256
// The first block.
// CHECK: bar.sync $0, 256
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16
// CHECK: bar.arrive $0, 256
// CHECK: wgmma.wait_group.sync.aligned 0
// CHECK: ex2.approx
// The others.
// CHECK: scf.for
// CHECK: bar.sync $0, 256
// CHECK: wgmma.fence
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k16
// CHECK: wgmma.commit_group
// CHECK: mbarrier.try_wait
// CHECK: wgmma.fence
// CHECK-COUNT-8: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: wgmma.commit_group
// CHECK: bar.arrive $0, 256
// CHECK: wgmma.wait_group.sync.aligned 1
// CHECK: ex2.approx
// CHECK: wgmma.wait_group.sync.aligned 0
// The last values.
// CHECK-COUNT-8: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: wgmma.wait_group.sync.aligned 0
// CHECK: bar.sync $0, 256
// The producer, which makes values behind the last one zeros.
// CHECK: setmaxnreg.dec.sync.aligned.u32 24
// CHECK: cp.async.bulk.tensor.2d
// CHECK: mbarrier.arrive.expect_tx
// CHECK: cp.async.bulk.tensor.3d{{.*}}multicast::cluster
// CHECK: mbarrier.arrive.expect_tx
// CHECK: cp.async.bulk.tensor.3d{{.*}}multicast::cluster
// CHECK: fence.proxy.async.shared::cta
kernel.func @attention(%q: !kernel.rows<256xf16>, %k: !kernel.cache_k<4x64xf16>, %v: !kernel.cache_v<4x64xf16>, %y: !kernel.rows<256xf32>) {
  kernel.attention prefill heads 4 scale 0.125 query(%q : !kernel.rows<256xf16>) keys(%k : !kernel.cache_k<4x64xf16>)
    values(%v : !kernel.cache_v<4x64xf16>) output(%y : !kernel.rows<256xf32>) schedule <rows_per_tile = 128>
}

//--- shared.mlir
// Two query heads share keys: they are the cluster, with the same rows each. Stages are given back to both.

// CHECK-LABEL: llvm.func @attention(
// CHECK-SAME: kernel.cluster = 2
// CHECK-SAME: kernel.tensor_maps = array<i64: 0, 128, 256, 0, 1, 64, 128, 1, 512, 0, 0, 1, 32, 16, 8, 1, 16, 256, 1, 32, 0, 1, 2, 128, 64, 2, 1, 64, 64, 1, 128, 0, 1>
// CHECK-SAME: nvvm.cluster_dim = array<i32: 2>
// CHECK: mbarrier.init
// CHECK: barrier.cluster.arrive.release; barrier.cluster.wait.acquire
// CHECK: wgmma.mma_async
// CHECK: mapa.shared::cluster
// CHECK: setmaxnreg.dec
// CHECK: try_wait.parity.acquire.cluster
// CHECK: cp.async.bulk.tensor.3d{{.*}}multicast::cluster
// CHECK: try_wait.parity.acquire.cluster
// CHECK: cp.async.bulk.tensor.3d{{.*}}multicast::cluster
// CHECK: barrier.cluster.arrive.release; barrier.cluster.wait.acquire
kernel.func @attention(%q: !kernel.rows<256xf16>, %k: !kernel.cache_k<2x64xf16>, %v: !kernel.cache_v<2x64xf16>, %y: !kernel.rows<256xf32>) {
  kernel.attention prefill heads 4 scale 0.125 query(%q : !kernel.rows<256xf16>) keys(%k : !kernel.cache_k<2x64xf16>)
    values(%v : !kernel.cache_v<2x64xf16>) output(%y : !kernel.rows<256xf32>) schedule <rows_per_tile = 128>
}

//--- one.mlir
// By schedule: warpgroups that copy and multiply, without a producer.

// CHECK-LABEL: llvm.func @attention(
// CHECK-SAME: kernel.tensor_maps = array<i64>
// CHECK-SAME: kernel.threads = 256
// CHECK-NOT: setmaxnreg
// CHECK: nvvm.cp.async.shared.global
// CHECK: wgmma.mma_async
kernel.func @attention(%q: !kernel.rows<256xf16>, %k: !kernel.cache_k<2x64xf16>, %v: !kernel.cache_v<2x64xf16>, %y: !kernel.rows<256xf32>) {
  kernel.attention prefill heads 4 scale 0.125 query(%q : !kernel.rows<256xf16>) keys(%k : !kernel.cache_k<2x64xf16>)
    values(%v : !kernel.cache_v<2x64xf16>) output(%y : !kernel.rows<256xf32>) schedule <rows_per_tile = 128, streams = 1>
}
