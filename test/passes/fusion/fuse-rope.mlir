// The norm of heads and the rotation go behind the matmul.
// RUN: sinter-opt %s --split-input-file --lm-compare="pipeline=func.func(lm-fuse-rope)" 2>&1 | FileCheck %s

// CHECK-COUNT-4: remark: same
// CHECK: %[[Q:.*]] = lm.group matmul {
// CHECK: %[[L:.*]] = lm.linear
// CHECK: %[[N:.*]] = lm.rms_norm %[[L]]
// CHECK: %[[R:.*]] = lm.rope %[[N]]
// CHECK: lm.yield %[[R]]
// CHECK: return %[[Q]]
lm.parameter @q : tensor<8x8xf32>
lm.parameter @norm : tensor<4xf32>
func.func @forward(%x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = lm.read @q : tensor<8x8xf32>
  %norm = lm.read @norm : tensor<4xf32>
  %cos, %sin = lm.rope_angles %positions {frequencies = array<f32: 1.0, 0.1>} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  %q = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %n = lm.rms_norm %q, %norm : tensor<4xf32> {epsilon = 1.0e-5 : f64, group = 4 : i64} : tensor<?x8xf32>
  %r = lm.rope %n, %cos, %sin {head_dim = 4 : i64} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>
  return %r : tensor<?x8xf32>
}

// -----

// So does the limit of queries, keys and values, also where something stands between the slices.
// CHECK: lm.group matmul {
// CHECK: %[[L:.*]] = lm.linear
// CHECK: %[[S:.*]] = lm.slice %[[L]] from 0
// CHECK: %[[T:.*]] = lm.slice %[[L]] from 4
// CHECK: %[[C:.*]] = lm.clamp %[[T]]
// CHECK: lm.yield %[[S]], %[[C]]
// CHECK: %[[G:.*]]:2 = lm.group matmul {
// CHECK: %[[L:.*]] = lm.linear
// CHECK: %[[U:.*]] = lm.slice %[[L]] from 0
// CHECK: %[[V:.*]] = lm.slice %[[L]] from 5
// CHECK: lm.yield %[[U]], %[[V]]
// CHECK: lm.silu %[[G]]#0
lm.parameter @q : tensor<8x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x5xf32>, tensor<?x3xf32>) {
  %w = lm.read @q : tensor<8x8xf32>
  %q = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %s = lm.slice %q from 0 : tensor<?x8xf32> -> tensor<?x4xf32>
  %t = lm.slice %q from 4 : tensor<?x8xf32> -> tensor<?x4xf32>
  %c = lm.clamp %t {limit = 0.3 : f64} : tensor<?x4xf32>
  %p = lm.linear %y, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %u = lm.slice %p from 0 : tensor<?x8xf32> -> tensor<?x5xf32>
  %a = lm.silu %u : tensor<?x5xf32>
  %v = lm.slice %p from 5 : tensor<?x8xf32> -> tensor<?x3xf32>
  return %s, %c, %a, %v : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x5xf32>, tensor<?x3xf32>
}

// -----

// Slices that leave columns out, or a product that is read whole, too, are no ranges of a matmul.
// CHECK-NOT: lm.group
lm.parameter @q : tensor<8x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) {
  %w = lm.read @q : tensor<8x8xf32>
  %p = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %a = lm.slice %p from 5 : tensor<?x8xf32> -> tensor<?x3xf32>
  %q = lm.linear %y, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %s = lm.slice %q from 0 : tensor<?x8xf32> -> tensor<?x4xf32>
  %t = lm.slice %q from 4 : tensor<?x8xf32> -> tensor<?x4xf32>
  return %a, %q, %s, %t : tensor<?x3xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// Heads of two sizes are not one epilogue's.
// CHECK: %[[G:.*]] = lm.group matmul {
// CHECK: lm.rms_norm
// CHECK-NOT: lm.rope
// CHECK: lm.yield
// CHECK: lm.rope %[[G]]
lm.parameter @q : tensor<8x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = lm.read @q : tensor<8x8xf32>
  %cos, %sin = lm.rope_angles %positions {frequencies = array<f32: 1.0, 0.1>} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  %q = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %n = lm.rms_norm %q {epsilon = 1.0e-5 : f64, group = 2 : i64} : tensor<?x8xf32>
  %r = lm.rope %n, %cos, %sin {head_dim = 4 : i64} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>
  return %r : tensor<?x8xf32>
}
