// What the backward pass can make of rows that it reads anyway is made again where it reads them, and the gradients of
// weights that read it follow; an operand of the head's matmul is kept, and so is what is made of rows that are not.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-repeat-activations) tolerance=0" 2>&1 | FileCheck %s
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-repeat-activations,lm-fuse-rows) tolerance=0" 2>&1 | FileCheck %s --check-prefix=FUSED

// CHECK: remark: same
// CHECK: func.func @train
// CHECK: %[[X:.*]] = lm.embedding
// CHECK: %[[N:.*]] = lm.rms_norm %[[X]], %[[WN:.*]] {
// CHECK: %[[G:.*]] = lm.linear %[[N]]
// CHECK: %[[U:.*]] = lm.linear %[[N]]
// CHECK: %[[T:.*]] = lm.layer_norm
// CHECK: %[[L:.*]] = lm.linear %[[T]]
// CHECK: %[[DL:.*]] = lm.cross_entropy_backward %{{.*}}, %[[L]]
// The head's gradient reads what was kept:
// CHECK: lm.linear_backward_weight %[[DL]], %[[T]]
// CHECK: lm.layer_norm_backward_input
// CHECK: %[[S:.*]] = lm.silu %[[G]]
// CHECK: %[[H:.*]] = lm.mul %[[S]], %[[U]]
// CHECK: lm.mul %{{.*}}, %[[U]]
// CHECK: lm.mul %{{.*}}, %[[S]]
// CHECK: lm.silu_backward
// CHECK: lm.linear_backward_weight %{{.*}}, %[[H]]
// CHECK: lm.rms_norm_backward_input
// CHECK: %[[N2:.*]] = lm.rms_norm %[[X]], %[[WN]]
// CHECK: lm.linear_backward_weight %{{.*}}, %[[N2]]
// CHECK: lm.linear_backward_weight %{{.*}}, %[[N2]]

// One pass over the rows of each place, and none of the forward pass writes what another makes again:
// FUSED: remark: same
// FUSED: lm.cross_entropy_backward
// FUSED: %{{.*}}:3 = lm.group rows {
// FUSED-NEXT: lm.silu
// FUSED-NEXT: lm.mul
// FUSED-NEXT: lm.mul
// FUSED-NEXT: lm.mul
// FUSED-NEXT: lm.silu_backward
// FUSED-NEXT: lm.yield
// FUSED: lm.group rows {
// FUSED-NEXT: lm.add
// FUSED-NEXT: lm.rms_norm_backward_input
// FUSED-NEXT: lm.rms_norm
// FUSED-NEXT: lm.yield
lm.parameter @e : tensor<11x8xf32>
lm.parameter @n : tensor<8xf32>
lm.parameter @gate : tensor<8x8xf32>
lm.parameter @up : tensor<8x8xf32>
lm.parameter @down : tensor<8x8xf32>
lm.parameter @head : tensor<11x8xf32>
func.func @train(%ids: tensor<?xi32>, %targets: tensor<?xi32>) -> (tensor<f32>, tensor<11x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<?x8xf32>) {
  %one = arith.constant dense<1.000000e+00> : tensor<f32>
  %e = lm.read @e : tensor<11x8xf32>
  %wn = lm.read @n : tensor<8xf32>
  %wg = lm.read @gate : tensor<8x8xf32>
  %wu = lm.read @up : tensor<8x8xf32>
  %wd = lm.read @down : tensor<8x8xf32>
  %wh = lm.read @head : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %n = lm.rms_norm %x, %wn : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %g = lm.linear %n, %wg : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %u = lm.linear %n, %wu : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %s = lm.silu %g : tensor<?x8xf32>
  %h = lm.mul %s, %u : tensor<?x8xf32>
  %y = lm.linear %h, %wd : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %t = lm.layer_norm %y {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %l = lm.linear %t, %wh : (tensor<?x8xf32>, tensor<11x8xf32>) -> tensor<?x11xf32>
  %loss = lm.cross_entropy %l, %targets : (tensor<?x11xf32>, tensor<?xi32>) -> tensor<f32>
  %dl = lm.cross_entropy_backward %one, %l, %targets : (tensor<f32>, tensor<?x11xf32>, tensor<?xi32>) -> tensor<?x11xf32>
  %dt = lm.linear_backward_input %dl, %wh : (tensor<?x11xf32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %dwh = lm.linear_backward_weight %dl, %t : (tensor<?x11xf32>, tensor<?x8xf32>) -> tensor<11x8xf32>
  %dy = lm.layer_norm_backward_input %dt, %y {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %dh = lm.linear_backward_input %dy, %wd : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %dwd = lm.linear_backward_weight %dy, %h : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<8x8xf32>
  %ds = lm.mul %dh, %u : tensor<?x8xf32>
  %du = lm.mul %dh, %s : tensor<?x8xf32>
  %dg = lm.silu_backward %ds, %g : tensor<?x8xf32>
  %dnu = lm.linear_backward_input %du, %wu : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %dwu = lm.linear_backward_weight %du, %n : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<8x8xf32>
  %dng = lm.linear_backward_input %dg, %wg : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %dwg = lm.linear_backward_weight %dg, %n : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<8x8xf32>
  %dn = lm.add %dnu, %dng : tensor<?x8xf32>
  %dx = lm.rms_norm_backward_input %dn, %x, %wn : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  return %loss, %dwh, %dwg, %dwu, %dwd, %dx : tensor<f32>, tensor<11x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<?x8xf32>
}
