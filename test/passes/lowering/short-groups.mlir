// Groups of a plain epilogue become short ones that tiles of a GPU divide: 319 columns are 5 tiles of 64, not one
// tile of 29 groups of 11 columns and panels of 16; no group of a program that moves columns changes.
// RUN: sinter kernel %s --target=cuda:sm_80 -o %t && FileCheck %s --input-file=%t/short-groups.mlir.tmp.json

// CHECK: "kernel": "plain"
// CHECK: "grid"
// CHECK: "columns": 5
kernel.func @plain(%x: !kernel.rows<60xf32>, %w: !kernel.weight<319x60, f32>, %y: !kernel.rows<319xf32>) {
  kernel.matmul left(%x : !kernel.rows<60xf32>) weights(%w : !kernel.weight<319x60, f32>) over(rows) schedule <rows_per_tile = 96, columns_per_tile = 464> ranges {
    kernel.range 0 to 319 group 29 {
    ^bb0(%sum: vector<29xf32>, %row: index, %column: index):
      %two = arith.constant dense<2.0> : vector<29xf32>
      %twice = arith.mulf %sum, %two : vector<29xf32>
      kernel.store %twice, %y[%row, %column] : vector<29xf32>, !kernel.rows<319xf32>
    }
  }
}
// CHECK: "kernel": "moves"
// CHECK: "grid"
// CHECK: "columns": 1,
kernel.func @moves(%x: !kernel.rows<60xf32>, %w: !kernel.weight<96x60, f32>, %y: !kernel.rows<96xf32>) {
  kernel.matmul left(%x : !kernel.rows<60xf32>) weights(%w : !kernel.weight<96x60, f32>) over(rows) schedule <rows_per_tile = 96, columns_per_tile = 96> ranges {
    kernel.range 0 to 96 group 96 {
    ^bb0(%sum: vector<96xf32>, %row: index, %column: index):
      %high = vector.extract_strided_slice %sum {offsets = [48], sizes = [48], strides = [1]} : vector<96xf32> to vector<48xf32>
      %turned = vector.insert_strided_slice %high, %sum {offsets = [0], strides = [1]} : vector<48xf32> into vector<96xf32>
      kernel.store %turned, %y[%row, %column] : vector<96xf32>, !kernel.rows<96xf32>
    }
  }
}
