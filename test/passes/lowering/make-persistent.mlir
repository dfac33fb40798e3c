// RUN: sinter-opt %s --kernel-emit-gpu=architecture=sm_80 --kernel-make-persistent=architecture=sm_80 | FileCheck %s
// RUN: sinter-opt %s --kernel-emit-gpu=architecture=sm_90a --kernel-make-persistent=architecture=sm_90a | FileCheck %s
// Two kernels become functions of one that walks a table of tasks. A block of 384 threads holds twelve blocks of one warp,
// or three of 128 threads, each with its part of the shared memory and a barrier of its own. Addresses of the step and of
// buffers are loaded from shared memory, behind the barriers of the phases before.

// CHECK-NOT: kernel.persistent
module attributes {kernel.persistent = [{name = "step", tasks = 40 : i64, kernels = ["norm", "wide"]}]} {

// CHECK-LABEL: llvm.func @norm(
// CHECK-SAME: nvvm.kernel
// CHECK-LABEL: llvm.func internal @norm.task(%arg0: i32
// CHECK-SAME: {llvm.range = #llvm.constant_range<i32, 0, 32>}, %[[FIRST:[^:]*]]: i32)
// CHECK-SAME: no_inline
// CHECK-NOT: nvvm.kernel
// CHECK: %[[ALL:.*]] = nvvm.read.ptx.sreg.tid.x
// CHECK: %[[GROUP:.*]] = arith.divui %[[ALL]]
// CHECK: %[[GRID:.*]] = nvvm.read.ptx.sreg.nctaid.x
// CHECK: %[[FURTHER:.*]] = arith.muli %[[GROUP]], %[[GRID]]
// CHECK: %[[BLOCK:.*]] = arith.addi %[[FIRST]], %[[FURTHER]]
// CHECK: %[[BLOCKS:.*]] = arith.muli %[[GRID]]
// CHECK-NOT: nvvm.read.ptx.sreg
// CHECK: scf.for %{{.*}} = %[[BLOCK]] to %{{.*}} step %[[BLOCKS]]
// CHECK-NOT: nvvm.barrier
// CHECK: nvvm.bar.warp.sync
kernel.func @norm(%x: !kernel.rows<256xf32>, %y: !kernel.rows<256xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<256xf32>, vector<256xf32>
    %sum = vector.reduction <add>, %a : vector<256xf32> into f32
    %iv = vector.broadcast %sum : f32 to vector<256xf32>
    %o = arith.mulf %a, %iv : vector<256xf32>
    kernel.store %o, %y[%row] : vector<256xf32>, !kernel.rows<256xf32>
  }
}

// CHECK-LABEL: llvm.func @wide(
// CHECK-SAME: kernel.shared_bytes = 128
// CHECK: nvvm.barrier{{$}}
// CHECK-LABEL: llvm.func internal @wide.task(%arg0: i32
// CHECK-SAME: {llvm.range = #llvm.constant_range<i32, 0, 128>}, %{{[^:]*}}: i32)
// CHECK: %[[GROUP:.*]] = arith.divui
// CHECK: %[[BARRIER:.*]] = arith.addi %[[GROUP]], %{{.*}} : i32
// CHECK-NOT: nvvm.barrier{{$}}
// CHECK: nvvm.barrier id = %[[BARRIER]] number_of_threads = %{{.*}}
// The address of what is stored to is loaded behind the reduction's barriers.
// CHECK: nvvm.barrier id
// CHECK: llvm.load %{{.*}} : !llvm.ptr<3> -> !llvm.ptr<1>
// CHECK: llvm.store %{{.*}} : vector<4xf32>, !llvm.ptr<1>
// CHECK-NOT: nvvm.barrier{{$}}
kernel.func @wide(%x: !kernel.rows<4096xf32>, %y: !kernel.rows<4096xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<4096xf32>, vector<4096xf32>
    %sum = vector.reduction <add>, %a : vector<4096xf32> into f32
    %iv = vector.broadcast %sum : f32 to vector<4096xf32>
    %o = arith.mulf %a, %iv : vector<4096xf32>
    kernel.store %o, %y[%row] : vector<4096xf32>, !kernel.rows<4096xf32>
  }
}

// What only a persistent kernel runs has no other form.
// CHECK-NOT: @narrow
// 40 counts of tiles, the place in the loop, 3 addresses (256 bytes), then three times what @wide takes.
// CHECK-LABEL: llvm.func @step(
// CHECK-SAME: kernel.shared_bytes = 640
// CHECK-SAME: kernel.threads = 384
// CHECK-SAME: nvvm.kernel, nvvm.minctasm = 1 : i32, nvvm.reqntid = array<i32: 384>
// CHECK: nvvm.barrier
// Tasks; a task's waits, polled by a thread each.
// CHECK: scf.while
// CHECK: scf.while
// CHECK: llvm.inline_asm has_side_effects {{.*}}ld.acquire.gpu.global.u32
// CHECK: nvvm.barrier
// CHECK: scf.index_switch
// CHECK: case 0
// CHECK: llvm.call @norm.task(%{{[^,]*}}, %{{[^,]*}}) : (i32, i32) -> ()
// CHECK: case 1
// CHECK: llvm.call @wide.task
// CHECK: nvvm.barrier
// CHECK: llvm.inline_asm has_side_effects {{.*}}red.release.gpu.global.add.u32
// Lanes that wait for that number do not keep the warp from adding it.
// CHECK: nvvm.bar.warp.sync
kernel.func @narrow(%l: !kernel.rows<256xf32>, %p: !kernel.rows<1xf32>) attributes {kernel.most_threads = 256 : i64} {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %l[%row] : !kernel.rows<256xf32>, vector<256xf32>
    %sum = vector.reduction <add>, %a : vector<256xf32> into f32
    %s = vector.broadcast %sum : f32 to vector<1xf32>
    kernel.store %s, %p[%row] : vector<1xf32>, !kernel.rows<1xf32>
  }
}
}
