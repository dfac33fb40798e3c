// RUN: sinter-opt %s --kernel-emit-gpu=architecture=sm_80 | FileCheck %s
// A kernel becomes one of NVVM's; a block runs every gridDim-th tile. A short row is held in the registers of one warp, 4
// neighbouring columns at once: it is read once, and sums go over the warp by shuffles.

// CHECK: llvm.mlir.global external @shared_memory() {addr_space = 3 : i32, alignment = 1024 : i64}
// CHECK-LABEL: llvm.func @norm(%arg0: !llvm.ptr<1> {llvm.noalias}, %arg1: !llvm.ptr<1> {llvm.noalias}, %arg2: !llvm.ptr<1> {llvm.noalias})
// CHECK-SAME: kernel.blocks_per_sm = 32
// CHECK-SAME: kernel.shared_bytes = 0
// CHECK-SAME: kernel.threads = 32
// CHECK-SAME: nvvm.kernel
// CHECK-SAME: nvvm.reqntid = array<i32: 32>
// CHECK-DAG: nvvm.read.ptx.sreg.ctaid.x
// CHECK-DAG: nvvm.read.ptx.sreg.nctaid.x
// CHECK: scf.for
// CHECK-COUNT-2: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK-NOT: llvm.load
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.barrier
// CHECK: math.rsqrt
// CHECK-COUNT-2: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr<1>
// CHECK-NOT: kernel.func
kernel.func @norm(%x: !kernel.rows<256xf32>, %y: !kernel.rows<256xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<256xf32>, vector<256xf32>
    %s = arith.mulf %a, %a : vector<256xf32>
    %sum = vector.reduction <add>, %s : vector<256xf32> into f32
    %inv = math.rsqrt %sum : f32
    %iv = vector.broadcast %inv : f32 to vector<256xf32>
    %o = arith.mulf %a, %iv : vector<256xf32>
    kernel.store %o, %y[%row] : vector<256xf32>, !kernel.rows<256xf32>
  }
}

// A row of several warps: sums go between them through shared memory.
// CHECK-LABEL: llvm.func @wide
// CHECK-SAME: kernel.shared_bytes = 128
// CHECK-SAME: kernel.threads = 128
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: nvvm.barrier
// CHECK: math.rsqrt
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr<1>
kernel.func @wide(%x: !kernel.rows<4096xf32>, %y: !kernel.rows<4096xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<4096xf32>, vector<4096xf32>
    %s = arith.mulf %a, %a : vector<4096xf32>
    %sum = vector.reduction <add>, %s : vector<4096xf32> into f32
    %inv = math.rsqrt %sum : f32
    %iv = vector.broadcast %inv : f32 to vector<4096xf32>
    %o = arith.mulf %a, %iv : vector<4096xf32>
    kernel.store %o, %y[%row] : vector<4096xf32>, !kernel.rows<4096xf32>
  }
}
