// RUN: sinter-opt %s --kernel-emit-cpu=isa=avx2 | FileCheck %s
// RUN: sinter-opt %s --kernel-emit-cpu=isa=avx512 | FileCheck %s --check-prefix=WIDE
// A kernel becomes a C function that reads the call, and a function that runs the tiles; a row is one loop over
// chunks for the reduction and one for what needs it. The tail is a vector of the size that is left.

// CHECK-LABEL: llvm.func @norm.avx2(%arg0: !llvm.ptr, %arg1: i64, %arg2: i64)
// CHECK-SAME: kernel.scratch_bytes = 448
// CHECK: llvm.call @norm.avx2.tiles(
// CHECK-LABEL: llvm.func internal @norm.avx2.tiles(
// CHECK-SAME: llvm.noalias
// CHECK: scf.for
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}) -> (vector<32xf32>)
// CHECK: llvm.load {{.*}} -> vector<32xf32>
// CHECK: vector.reduction <add>, {{.*}} fastmath<reassoc,nnan> : vector<32xf32>
// CHECK: llvm.load {{.*}} -> vector<4xf32>
// CHECK: vector.reduction <add>, {{.*}} : vector<4xf32>
// CHECK: math.rsqrt
// CHECK: scf.for
// CHECK: llvm.store {{.*}} vector<32xf32>
// CHECK: llvm.store {{.*}} vector<4xf32>
// CHECK-NOT: kernel.func

// WIDE-LABEL: llvm.func @norm.avx512(
// WIDE: scf.for {{.*}} -> (vector<64xf32>)
kernel.func @norm(%x: !kernel.rows<100xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<100xf32>, vector<100xf32>
    %s = arith.mulf %a, %a : vector<100xf32>
    %sum = vector.reduction <add>, %s : vector<100xf32> into f32
    %r = math.rsqrt %sum : f32
    %rv = vector.broadcast %r : f32 to vector<100xf32>
    %o = arith.mulf %a, %rv : vector<100xf32>
    kernel.store %o, %x[%row] : vector<100xf32>, !kernel.rows<100xf32>
  }
}
