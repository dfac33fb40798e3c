// Of each layer but the last only what later layers read is kept: the backward pass computes the rest again.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-recompute) tolerance=0" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: module {
// CHECK: %[[E:.*]] = lm.embedding
// CHECK: lm.linear %[[E]]
// CHECK: lm.silu
// CHECK: %[[X0:.*]] = lm.add
// CHECK: lm.linear %[[X0]]
// CHECK: %[[S1:.*]] = lm.silu
// CHECK: lm.cross_entropy
// The last layer's activation was kept:
// CHECK: lm.cross_entropy_backward
// CHECK: lm.silu_backward %{{.*}}, %[[U1:.*]] :
// The first one's is made again, from what was kept:
// CHECK: %[[U0:.*]] = lm.linear %[[E]]
// CHECK: lm.silu_backward %{{.*}}, %[[U0]]
// CHECK-NOT: lm.silu %
// CHECK: return
lm.parameter @e : tensor<11x8xf32>
lm.parameter @layers.0.up : tensor<8x8xf32>
lm.parameter @layers.1.up : tensor<8x8xf32>
func.func @train(%ids: tensor<?xi32>, %targets: tensor<?xi32>) -> (tensor<f32>, tensor<11x8xf32> {lm.gradient = @e}, tensor<8x8xf32> {lm.gradient = @layers.0.up}, tensor<8x8xf32> {lm.gradient = @layers.1.up}) attributes {lm.form = "train"} {
  %one = arith.constant dense<1.000000e+00> : tensor<f32>
  %e = lm.read @e : tensor<11x8xf32>
  %w0 = lm.read @layers.0.up : tensor<8x8xf32>
  %w1 = lm.read @layers.1.up : tensor<8x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %u0 = lm.linear %x, %w0 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %s0 = lm.silu %u0 : tensor<?x8xf32>
  %x0 = lm.add %x, %s0 : tensor<?x8xf32>
  %u1 = lm.linear %x0, %w1 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %s1 = lm.silu %u1 : tensor<?x8xf32>
  %x1 = lm.add %x0, %s1 : tensor<?x8xf32>
  %loss = lm.cross_entropy %x1, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  %d1 = lm.cross_entropy_backward %one, %x1, %targets : (tensor<f32>, tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %du1 = lm.silu_backward %d1, %u1 : tensor<?x8xf32>
  %dx1 = lm.linear_backward_input %du1, %w1 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %dw1 = lm.linear_backward_weight %du1, %x0 : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<8x8xf32>
  %d0 = lm.add %d1, %dx1 : tensor<?x8xf32>
  %du0 = lm.silu_backward %d0, %u0 : tensor<?x8xf32>
  %dx0 = lm.linear_backward_input %du0, %w0 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %dw0 = lm.linear_backward_weight %du0, %x : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<8x8xf32>
  %de = lm.add %d0, %dx0 : tensor<?x8xf32>
  %dt = lm.embedding_backward %de, %ids : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<11x8xf32>
  return %loss, %dt, %dw0, %dw1 : tensor<f32>, tensor<11x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>
}
