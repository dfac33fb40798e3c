// What the backward pass can make of rows that it reads anyway is made again, not kept; what others read, or what is made
// of other rows, is kept.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-fuse-rows,lm-repeat-activations) tolerance=0" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: func.func @gated
// CHECK: %[[G:.*]] = lm.linear
// CHECK: %[[H:.*]] = lm.group rows {
// CHECK-NEXT: lm.silu %[[G]]
// CHECK-NEXT: %[[P:.*]] = lm.mul
// CHECK-NEXT: lm.yield %[[P]] :
// CHECK: lm.linear %[[H]]
// CHECK: lm.group rows {
// CHECK-NEXT: %[[AGAIN:.*]] = lm.silu %[[G]]
// CHECK-NEXT: lm.mul %{{.*}}, %[[AGAIN]]
lm.parameter @gate : tensor<8x8xf32>
lm.parameter @up : tensor<8x8xf32>
lm.parameter @down : tensor<8x8xf32>
func.func @gated(%x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %wg = lm.read @gate : tensor<8x8xf32>
  %wu = lm.read @up : tensor<8x8xf32>
  %wd = lm.read @down : tensor<8x8xf32>
  %g = lm.linear %x, %wg : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %u = lm.linear %x, %wu : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %s = lm.silu %g : tensor<?x8xf32>
  %h = lm.mul %s, %u : tensor<?x8xf32>
  %y = lm.linear %h, %wd : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %dh = lm.linear_backward_input %y, %wd : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %du = lm.mul %dh, %s : tensor<?x8xf32>
  %ds = lm.mul %dh, %u : tensor<?x8xf32>
  %dg = lm.silu_backward %ds, %g : tensor<?x8xf32>
  return %y, %du, %dg : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}

// The activation is an input of a matmul, too:
// CHECK: func.func @others
// CHECK: %[[S:.*]] = lm.group rows {
// CHECK-NEXT: lm.silu
// CHECK-NEXT: lm.yield
// CHECK: lm.linear %[[S]]
// CHECK-NOT: lm.silu %
// CHECK: return
func.func @others(%g: tensor<?x8xf32>, %d: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %wd = lm.read @down : tensor<8x8xf32>
  %s = lm.silu %g : tensor<?x8xf32>
  %y = lm.linear %s, %wd : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %m = lm.mul %y, %s : tensor<?x8xf32>
  %dg = lm.silu_backward %m, %g : tensor<?x8xf32>
  return %y, %dg : tensor<?x8xf32>, tensor<?x8xf32>
}

// The reader does not read what the activation is made of:
// CHECK: func.func @elsewhere
// CHECK: lm.group rows {
// CHECK-NEXT: lm.silu
// CHECK-NEXT: lm.yield
// CHECK-NOT: lm.silu %
// CHECK: return
func.func @elsewhere(%g: tensor<?x8xf32>, %d: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %wd = lm.read @down : tensor<8x8xf32>
  %s = lm.silu %g : tensor<?x8xf32>
  %n = lm.rms_norm %d {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %y = lm.linear %n, %wd : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %m = lm.mul %y, %n : tensor<?x8xf32>
  %t = lm.add %m, %s : tensor<?x8xf32>
  return %t : tensor<?x8xf32>
}
