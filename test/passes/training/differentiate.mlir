// The loss comes first, then a gradient for each trained parameter, in the order of the parameters.
// RUN: sinter-opt %s --lm-differentiate -split-input-file -verify-diagnostics | FileCheck %s

lm.parameter @head : tensor<11x32xf32>
lm.parameter @frozen : tensor<32x32x!lm.block<q8_0>> {trainable = false}
lm.parameter @table : tensor<11x32xbf16>

// CHECK-LABEL: func.func @forward
// CHECK-SAME: -> (tensor<f32>, tensor<11x32xf32> {lm.gradient = @head}, tensor<11x32xf32> {lm.gradient = @table})
// CHECK: %[[LOSS:.*]] = lm.cross_entropy
// CHECK-NOT: lm.linear_backward_weight {{.*}} -> tensor<32x32xf32>
// CHECK: %[[TABLE:.*]] = lm.embedding_backward
// CHECK: return %[[LOSS]], %{{.*}}, %[[TABLE]]
func.func @forward(%ids: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @table : tensor<11x32xbf16>
  %f = lm.read @frozen : tensor<32x32x!lm.block<q8_0>>
  %h = lm.read @head : tensor<11x32xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x32xbf16>) -> tensor<?x32xf32>
  %y = lm.linear %x, %f : (tensor<?x32xf32>, tensor<32x32x!lm.block<q8_0>>) -> tensor<?x32xf32>
  %z = lm.linear %y, %h : (tensor<?x32xf32>, tensor<11x32xf32>) -> tensor<?x11xf32>
  %loss = lm.cross_entropy %z, %targets : (tensor<?x11xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// Nothing before the attention is trained: it gives its log_sum_exp all the same, as every one of a training step.
lm.parameter @frozen : tensor<8x8xf32> {trainable = false}
lm.parameter @head : tensor<11x8xf32>

// CHECK-LABEL: func.func @forward
// CHECK: lm.attention {{.*}} -> (tensor<?x8xf32>, tensor<?x2xf32>)
// CHECK-NOT: lm.attention
// CHECK: lm.linear_backward_weight
func.func @forward(%x: tensor<?x8xf32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %f = lm.read @frozen : tensor<8x8xf32>
  %h = lm.read @head : tensor<11x8xf32>
  %q = lm.linear %x, %f : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %y = lm.attention %q, %x, %x, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %z = lm.linear %y, %h : (tensor<?x8xf32>, tensor<11x8xf32>) -> tensor<?x11xf32>
  %loss = lm.cross_entropy %z, %targets : (tensor<?x11xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// A parameter that is read twice: the gradients of both reads are added. Attention gives its log_sum_exp.
lm.parameter @w : tensor<8x8xf32>

// CHECK-LABEL: func.func @forward
// CHECK: lm.attention {{.*}} -> (tensor<?x8xf32>, tensor<?x2xf32>)
// CHECK-NOT: lm.attention {{.*}} -> tensor<?x8xf32>
// CHECK: lm.attention_backward
// CHECK: %[[A:.*]] = lm.linear_backward_weight
// CHECK: lm.add {{.*}} : tensor<8x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %a = lm.read @w : tensor<8x8xf32>
  %b = lm.read @w : tensor<8x8xf32>
  %q = lm.linear %x, %a : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %k = lm.linear %x, %b : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %y = lm.attention %q, %k, %x, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}
