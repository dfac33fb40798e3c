// The backward pass of attention with rounded factors is two launches, of which the first one prepares what the other one
// reads; exact attention stays one.
// RUN: sinter-opt %s --kernel-prepare-gradients | FileCheck %s

// CHECK: kernel.func @backward(
// CHECK: kernel.self_attention_backward {{.*}} prepared(%[[R:.*]], %[[D:.*]] : !kernel.rows<8xbf16>, !kernel.rows<2xf32>)
// CHECK-NOT: prepares
// CHECK: kernel.func @exact(
// CHECK-NOT: prepared
// CHECK: kernel.entry @step
// CHECK: %[[X:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<8xf32>
// CHECK-DAG: %[[ROUNDED:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<8xbf16>
// CHECK-DAG: %[[DOTS:.*]] = kernel.buffer{{ *}}arena : !kernel.rows<2xf32>
// CHECK: kernel.launch @backward_queries(%[[X]], %{{.*}}, %{{.*}}, %[[ROUNDED]], %[[DOTS]])
// CHECK-NEXT: kernel.launch @backward(%[[X]], %{{.*}}, %{{.*}}, %[[ROUNDED]], %[[DOTS]])
// CHECK-NEXT: kernel.launch @exact(%[[X]],
// CHECK: kernel.func @backward_queries(
// CHECK: kernel.self_attention_backward {{.*}} prepared({{.*}}prepares
kernel.func @backward(%x: !kernel.rows<8xf32>, %l: !kernel.rows<2xf32>, %a: !kernel.rows<8xf32>) {
  kernel.self_attention_backward gradient(%x : !kernel.rows<8xf32>) query(%x : !kernel.rows<8xf32>) key(%x : !kernel.rows<8xf32>) value(%x : !kernel.rows<8xf32>)
      output(%x : !kernel.rows<8xf32>) log_sum(%l : !kernel.rows<2xf32>) gradients(%a, %a, %a : !kernel.rows<8xf32>, !kernel.rows<8xf32>, !kernel.rows<8xf32>)
      {heads = 2 : i64, kv_heads = 2 : i64, sequence = 16 : i64, scale = 1.0 : f64, kernel.bf16}
}
kernel.func @exact(%x: !kernel.rows<8xf32>, %l: !kernel.rows<2xf32>, %a: !kernel.rows<8xf32>) {
  kernel.self_attention_backward gradient(%x : !kernel.rows<8xf32>) query(%x : !kernel.rows<8xf32>) key(%x : !kernel.rows<8xf32>) value(%x : !kernel.rows<8xf32>)
      output(%x : !kernel.rows<8xf32>) log_sum(%l : !kernel.rows<2xf32>) gradients(%a, %a, %a : !kernel.rows<8xf32>, !kernel.rows<8xf32>, !kernel.rows<8xf32>)
      {heads = 2 : i64, kv_heads = 2 : i64, sequence = 16 : i64, scale = 1.0 : f64}
}
kernel.entry @step rows 16 selected 16 {
  %x = kernel.buffer arena : !kernel.rows<8xf32>
  %l = kernel.buffer arena : !kernel.rows<2xf32>
  %a = kernel.buffer arena : !kernel.rows<8xf32>
  kernel.launch @backward(%x, %l, %a) : !kernel.rows<8xf32>, !kernel.rows<2xf32>, !kernel.rows<8xf32>
  kernel.launch @exact(%x, %l, %a) : !kernel.rows<8xf32>, !kernel.rows<2xf32>, !kernel.rows<8xf32>
}
