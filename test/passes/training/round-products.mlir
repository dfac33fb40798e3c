// The products of matrices are marked, and nothing else; what chooses experts stays exact.
// RUN: sinter-opt %s --kernel-round-products | FileCheck %s

// CHECK: kernel.func @router
// CHECK-NOT: bf16
// CHECK: kernel.func @product
// CHECK: kernel.matmul {{.*}} attributes {kernel.bf16} ranges
// CHECK: kernel.func @gradient
// CHECK: kernel.weight_gradient {{.*}} {kernel.bf16}
// CHECK: kernel.func @attention
// CHECK: kernel.self_attention {{.*}} {{{.*}}kernel.bf16
// CHECK: kernel.func @attention_backward
// CHECK: kernel.self_attention_backward {{.*}} {{{.*}}kernel.bf16
// CHECK: kernel.func @sum
// CHECK-NOT: bf16
kernel.func @router(%x: !kernel.rows<8xf32>, %w: !kernel.weight<4x8, f32>, %o: !kernel.rows<4xf32>) {
  kernel.matmul left(%x : !kernel.rows<8xf32>) weights(%w : !kernel.weight<4x8, f32>) over(rows) ranges {
    kernel.range 0 to 4 group 4 {
    ^bb0(%a: vector<4xf32>, %row: index, %column: index):
      kernel.store %a, %o[%row, %column] : vector<4xf32>, !kernel.rows<4xf32>
    }
  }
}
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
kernel.func @attention(%q: !kernel.rows<8xf32>, %o: !kernel.rows<8xf32>, %l: !kernel.rows<2xf32>) {
  kernel.self_attention query(%q : !kernel.rows<8xf32>) key(%q : !kernel.rows<8xf32>) value(%q : !kernel.rows<8xf32>) output(%o : !kernel.rows<8xf32>) log_sum(%l : !kernel.rows<2xf32>) {heads = 2 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 0.5 : f64}
}
kernel.func @attention_backward(%g: !kernel.rows<8xf32>, %q: !kernel.rows<8xf32>, %o: !kernel.rows<8xf32>, %l: !kernel.rows<2xf32>, %a: !kernel.rows<8xf32>, %b: !kernel.rows<8xf32>, %c: !kernel.rows<8xf32>) {
  kernel.self_attention_backward gradient(%g : !kernel.rows<8xf32>) query(%q : !kernel.rows<8xf32>) key(%q : !kernel.rows<8xf32>) value(%q : !kernel.rows<8xf32>) output(%o : !kernel.rows<8xf32>) log_sum(%l : !kernel.rows<2xf32>) gradients(%a, %b, %c : !kernel.rows<8xf32>, !kernel.rows<8xf32>, !kernel.rows<8xf32>) {heads = 2 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 0.5 : f64}
}
kernel.func @sum(%x: !kernel.rows<8xf32>, %o: !kernel.table<1x8xf32>) {
  kernel.column_sum input(%x : !kernel.rows<8xf32>) output(%o : !kernel.table<1x8xf32>)
}
kernel.func @route(%l: !kernel.rows<4xf32>, %w: !kernel.rows<2xf32>, %c: !kernel.rows<2xi32>) {
  kernel.route logits(%l : !kernel.rows<4xf32>) weights(%w : !kernel.rows<2xf32>) chosen(%c : !kernel.rows<2xi32>) over(rows)
}
lm.parameter @r : tensor<4x8xf32>
kernel.entry @step rows 4 selected 4 {
  %x = kernel.buffer arena : !kernel.rows<8xf32>
  %r = kernel.buffer weight @r : !kernel.weight<4x8, f32>
  %l = kernel.buffer arena : !kernel.rows<4xf32>
  %w = kernel.buffer arena : !kernel.rows<2xf32>
  %c = kernel.buffer arena : !kernel.rows<2xi32>
  kernel.launch @router(%x, %r, %l) : !kernel.rows<8xf32>, !kernel.weight<4x8, f32>, !kernel.rows<4xf32>
  kernel.launch @route(%l, %w, %c) : !kernel.rows<4xf32>, !kernel.rows<2xf32>, !kernel.rows<2xi32>
}
