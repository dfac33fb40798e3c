// RUN: sinter-opt %s --kernel-emit-gpu=architecture=sm_80 | FileCheck %s
// Emitters promise LLVM that sums and differences do not overflow (nsw). Those that do wrap around must not: packed bytes of a
// weight minus its format's zero, the keys of the random numbers, and differences of candidates, which use all 64 bits.

// CHECK-LABEL: llvm.func @packed
// CHECK: %[[ZEROS:.*]] = arith.constant 134744072 : i32
// CHECK: arith.subi %{{.*}}, %[[ZEROS]] : i32
kernel.func @packed(%x: !kernel.rows<64xq8>, %w: !kernel.weight<64x64, q4_0>, %y: !kernel.rows<64xf32>) {
  kernel.matmul left(%x : !kernel.rows<64xq8>) weights(%w : !kernel.weight<64x64, q4_0>) over(rows) schedule <rows_per_tile = 64, columns_per_tile = 64> ranges {
    kernel.range 0 to 64 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<64xf32>
    }
  }
}

// CHECK-LABEL: llvm.func @sample
// CHECK: scf.while
// CHECK: scf.condition
// CHECK: ^bb0(%[[LEAST:.*]]: i64, %[[MOST:.*]]: i64, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i1):
// CHECK-NEXT: %[[WIDTH:.*]] = arith.subi %[[MOST]], %[[LEAST]] : i64
// CHECK-NEXT: "llvm.intr.ctlz"(%[[WIDTH]])
// CHECK: %[[FIRST:.*]] = arith.constant -1640531527 : i32
// CHECK-NEXT: arith.addi %{{.*}}, %[[FIRST]] : i32
// CHECK: %[[SECOND:.*]] = arith.constant -1150833019 : i32
// CHECK-NEXT: arith.addi %{{.*}}, %[[SECOND]] : i32
kernel.func @sample(%l: !kernel.rows<300xf32>, %p: !kernel.rows<2xf32>, %t: !kernel.rows<1xi32>) {
  kernel.sample logits(%l : !kernel.rows<300xf32>) peaks(%p : !kernel.rows<2xf32>) drawn(%t : !kernel.rows<1xi32>)
}
