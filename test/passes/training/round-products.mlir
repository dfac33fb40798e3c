// The products of matrices are marked, and nothing else.
// RUN: sinter-opt %s --kernel-round-products | FileCheck %s

// CHECK: kernel.func @product
// CHECK: kernel.matmul {{.*}} attributes {kernel.bf16} ranges
// CHECK: kernel.func @gradient
// CHECK: kernel.weight_gradient {{.*}} {kernel.bf16}
// CHECK: kernel.func @sum
// CHECK-NOT: bf16
kernel.func @product(%x: !kernel.rows<8xf32>, %w: !kernel.weight<16x8, f32>, %o: !kernel.rows<16xf32>) {
  kernel.matmul left(%x : !kernel.rows<8xf32>) weights(%w : !kernel.weight<16x8, f32>) over(rows) ranges {
    kernel.range 0 to 16 group 16 {
    ^bb0(%a: vector<16xf32>, %row: index, %column: index):
      kernel.store %a, %o[%row, %column] : vector<16xf32>, !kernel.rows<16xf32>
    }
  }
}
kernel.func @gradient(%g: !kernel.rows<16xf32>, %x: !kernel.rows<8xf32>, %w: !kernel.weight<16x8, f32>) {
  kernel.weight_gradient gradient(%g : !kernel.rows<16xf32>) input(%x : !kernel.rows<8xf32>) output(%w : !kernel.weight<16x8, f32>)
}
kernel.func @sum(%x: !kernel.rows<8xf32>, %o: !kernel.table<1x8xf32>) {
  kernel.column_sum input(%x : !kernel.rows<8xf32>) output(%o : !kernel.table<1x8xf32>)
}
