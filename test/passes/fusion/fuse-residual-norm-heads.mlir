// What works on heads is in no pass over whole rows, and in front of no matmul; slices are not either.
// RUN: sinter-opt %s --lm-compare="pipeline=lm-make-entries,func.func(lm-fuse-residual-norm)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK-LABEL: func.func @prefill
// CHECK: %[[R:.*]] = lm.rope %
// CHECK: lm.group rows {
// CHECK-NEXT: lm.rms_norm %[[R]]
// CHECK-LABEL: func.func @decode
// CHECK: %[[R:.*]] = lm.rope %
// CHECK: %[[S:.*]] = lm.slice %
// CHECK: lm.group matmul {
// CHECK-NEXT: lm.rms_norm %[[R]]
// CHECK-NEXT: lm.linear
// CHECK: lm.linear %[[S]]
lm.parameter @w : tensor<12x8xf32>
lm.parameter @v : tensor<12x4xf32>
func.func @forward(%x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> (tensor<?x12xf32>, tensor<?x12xf32>) {
  %w = lm.read @w : tensor<12x8xf32>
  %v = lm.read @v : tensor<12x4xf32>
  %cos, %sin = lm.rope_angles %positions {frequencies = array<f32: 1.0, 0.1>} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  %r = lm.rope %x, %cos, %sin {head_dim = 4 : i64} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>
  %s = lm.slice %x from 4 : tensor<?x8xf32> -> tensor<?x4xf32>
  %n = lm.rms_norm %r {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %y = lm.linear %n, %w : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %z = lm.linear %s, %v : (tensor<?x4xf32>, tensor<12x4xf32>) -> tensor<?x12xf32>
  return %y, %z : tensor<?x12xf32>, tensor<?x12xf32>
}
