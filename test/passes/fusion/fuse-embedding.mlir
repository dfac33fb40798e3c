// What scales a looked-up row is done as it is read.
// RUN: sinter-opt %s --split-input-file --lm-compare="pipeline=func.func(lm-fuse-embedding)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK: %[[X:.*]] = lm.group gather {
// CHECK: %[[E:.*]] = lm.embedding
// CHECK: lm.scale %[[E]]
// CHECK: return %[[X]]
lm.parameter @e : tensor<11x8xf32>
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = lm.read @e : tensor<11x8xf32>
  %e = lm.embedding %tokens, %w : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %x = lm.scale %e {factor = 2.5 : f64} : tensor<?x8xf32>
  return %x : tensor<?x8xf32>
}

// -----

// A slice is no operation on the whole row.
// CHECK: %[[X:.*]] = lm.group gather {
// CHECK-NOT: lm.slice
// CHECK: lm.yield
// CHECK: lm.slice %[[X]] from 2
lm.parameter @e : tensor<11x8xf32>
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x4xf32> {
  %w = lm.read @e : tensor<11x8xf32>
  %e = lm.embedding %tokens, %w : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %x = lm.slice %e from 2 : tensor<?x8xf32> -> tensor<?x4xf32>
  return %x : tensor<?x4xf32>
}
