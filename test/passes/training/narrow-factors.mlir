// Rows that only rounded products read are kept as bf16; what something else reads, or a product that does not round,
// stays f32, and a kernel that is launched on both is there twice.
// RUN: sinter-opt %s --kernel-narrow-factors | FileCheck %s

// CHECK: kernel.func @copy(%{{.*}}: !kernel.rows<8xf32>, %{{.*}}: !kernel.rows<8xbf16>)
// CHECK: kernel.func @product(%{{.*}}: !kernel.rows<8xbf16>, %{{.*}}, %{{.*}}: !kernel.rows<16xbf16>)
// CHECK: kernel.func @exact(%{{.*}}: !kernel.rows<8xf32>,
// CHECK: kernel.func @gradient(%{{.*}}: !kernel.rows<16xbf16>, %{{.*}}: !kernel.rows<8xbf16>,
// CHECK: kernel.entry @step
// CHECK: %[[X:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<8xf32>
// CHECK: %[[H:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<8xbf16>
// CHECK: %[[Y:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<16xbf16>
// CHECK: %[[S:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<8xf32>
// Queries, keys and values of attention, but not its output.
// CHECK: %[[Q:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<8xbf16>
// CHECK: %[[O:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<8xf32>
// CHECK: kernel.launch @copy(%[[X]], %[[H]])
// CHECK: kernel.launch @copy_0(%[[X]], %[[S]])
// CHECK: kernel.launch @product(%[[H]],
// CHECK: kernel.launch @product_1(%[[S]],
// CHECK: kernel.launch @exact(%[[X]],
// CHECK: kernel.launch @copy(%[[X]], %[[Q]])
// CHECK: kernel.launch @attention(%[[Q]], %[[O]],
// CHECK: kernel.func @copy_0(%{{.*}}: !kernel.rows<8xf32>, %{{.*}}: !kernel.rows<8xf32>)
kernel.func @copy(%x: !kernel.rows<8xf32>, %o: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<8xf32>
    kernel.store %a, %o[%row] : vector<8xf32>, !kernel.rows<8xf32>
  }
}
kernel.func @product(%x: !kernel.rows<8xf32>, %w: !kernel.weight<16x8, f32>, %o: !kernel.rows<16xf32>) {
  kernel.matmul left(%x : !kernel.rows<8xf32>) weights(%w : !kernel.weight<16x8, f32>) over(rows) attributes {kernel.bf16} ranges {
    kernel.range 0 to 16 group 16 {
    ^bb0(%a: vector<16xf32>, %row: index, %column: index):
      kernel.store %a, %o[%row, %column] : vector<16xf32>, !kernel.rows<16xf32>
    }
  }
}
kernel.func @exact(%x: !kernel.rows<8xf32>, %w: !kernel.weight<16x8, f32>, %o: !kernel.rows<16xf32>) {
  kernel.matmul left(%x : !kernel.rows<8xf32>) weights(%w : !kernel.weight<16x8, f32>) over(rows) ranges {
    kernel.range 0 to 16 group 16 {
    ^bb0(%a: vector<16xf32>, %row: index, %column: index):
      kernel.store %a, %o[%row, %column] : vector<16xf32>, !kernel.rows<16xf32>
    }
  }
}
kernel.func @gradient(%g: !kernel.rows<16xf32>, %x: !kernel.rows<8xf32>, %w: !kernel.weight<16x8, f32>) {
  kernel.weight_gradient gradient(%g : !kernel.rows<16xf32>) input(%x : !kernel.rows<8xf32>) output(%w : !kernel.weight<16x8, f32>) {kernel.bf16}
}
kernel.func @attention(%q: !kernel.rows<8xf32>, %o: !kernel.rows<8xf32>, %l: !kernel.rows<1xf32>) {
  kernel.self_attention query(%q : !kernel.rows<8xf32>) key(%q : !kernel.rows<8xf32>) value(%q : !kernel.rows<8xf32>)
      output(%o : !kernel.rows<8xf32>) log_sum(%l : !kernel.rows<1xf32>) {heads = 1 : i64, kv_heads = 1 : i64, sequence = 4 : i64, scale = 1.0 : f64, kernel.bf16}
}
kernel.func @sum(%x: !kernel.rows<8xf32>, %o: !kernel.table<1x8xf32>) {
  kernel.column_sum input(%x : !kernel.rows<8xf32>) output(%o : !kernel.table<1x8xf32>)
}
lm.parameter @w : tensor<16x8xf32>
lm.parameter @b : tensor<8xf32>
kernel.entry @step rows 4 selected 4 {
  %w = kernel.buffer weight @w : !kernel.weight<16x8, f32>
  %dw = kernel.buffer gradient @w : !kernel.weight<16x8, f32>
  %db = kernel.buffer gradient @b : !kernel.table<1x8xf32>
  %x = kernel.buffer arena : !kernel.rows<8xf32>
  %h = kernel.buffer arena : !kernel.rows<8xf32>
  %y = kernel.buffer arena : !kernel.rows<16xf32>
  %s = kernel.buffer arena : !kernel.rows<8xf32>
  %q = kernel.buffer arena : !kernel.rows<8xf32>
  %o = kernel.buffer arena : !kernel.rows<8xf32>
  %l = kernel.buffer arena : !kernel.rows<1xf32>
  kernel.launch @copy(%x, %h) : !kernel.rows<8xf32>, !kernel.rows<8xf32>
  kernel.launch @copy(%x, %s) : !kernel.rows<8xf32>, !kernel.rows<8xf32>
  kernel.launch @product(%h, %w, %y) : !kernel.rows<8xf32>, !kernel.weight<16x8, f32>, !kernel.rows<16xf32>
  kernel.launch @product(%s, %w, %y) : !kernel.rows<8xf32>, !kernel.weight<16x8, f32>, !kernel.rows<16xf32>
  kernel.launch @exact(%x, %w, %y) : !kernel.rows<8xf32>, !kernel.weight<16x8, f32>, !kernel.rows<16xf32>
  kernel.launch @gradient(%y, %h, %dw) : !kernel.rows<16xf32>, !kernel.rows<8xf32>, !kernel.weight<16x8, f32>
  kernel.launch @sum(%s, %db) : !kernel.rows<8xf32>, !kernel.table<1x8xf32>
  kernel.launch @copy(%x, %q) : !kernel.rows<8xf32>, !kernel.rows<8xf32>
  kernel.launch @attention(%q, %o, %l) : !kernel.rows<8xf32>, !kernel.rows<8xf32>, !kernel.rows<1xf32>
}
