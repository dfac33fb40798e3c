// RUN: sinter-opt %s --kernel-emit-gpu=architecture=sm_80 | FileCheck %s
// A kernel becomes one of NVVM's; a block runs every gridDim-th tile. Each thread has 4 neighbouring columns; sums go
// over a warp by shuffles, then between warps through shared memory.

// CHECK: llvm.mlir.global external @shared_memory() {addr_space = 3 : i32, alignment = 1024 : i64}
// CHECK-LABEL: llvm.func @norm(%arg0: !llvm.ptr<1> {llvm.noalias}, %arg1: !llvm.ptr<1> {llvm.noalias}, %arg2: !llvm.ptr<1> {llvm.noalias})
// CHECK-SAME: kernel.blocks_per_sm = 16
// CHECK-SAME: kernel.shared_bytes = 128
// CHECK-SAME: kernel.threads = 64
// CHECK-SAME: nvvm.kernel
// CHECK-SAME: nvvm.reqntid = array<i32: 64>
// CHECK-DAG: nvvm.read.ptx.sreg.ctaid.x
// CHECK-DAG: nvvm.read.ptx.sreg.nctaid.x
// CHECK: scf.for
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: nvvm.barrier
// CHECK: math.rsqrt
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr<1>
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
