// The norm of heads and the rotation go behind the matmul.
// RUN: sinter-opt %s --split-input-file --lm-compare="pipeline=func.func(lm-fuse-rope)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
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

// So does the limit of queries, keys and values.
// CHECK: lm.group matmul {
// CHECK: %[[L:.*]] = lm.linear
// CHECK: %[[S:.*]] = lm.slice %[[L]] from 4
// CHECK: %[[C:.*]] = lm.clamp %[[S]]
// CHECK: lm.yield %[[C]]
lm.parameter @q : tensor<8x8xf32>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x4xf32> {
  %w = lm.read @q : tensor<8x8xf32>
  %q = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %s = lm.slice %q from 4 : tensor<?x8xf32> -> tensor<?x4xf32>
  %c = lm.clamp %s {limit = 0.3 : f64} : tensor<?x4xf32>
  return %c : tensor<?x4xf32>
}
