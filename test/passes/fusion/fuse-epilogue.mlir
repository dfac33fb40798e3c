// Activation and residual go behind their matmuls.
// RUN: sinter-opt %s --split-input-file --lm-compare="pipeline=func.func(lm-fuse-rope,lm-fuse-epilogue)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK: %[[A:.*]] = lm.group matmul {
// CHECK: %[[U:.*]] = lm.linear
// CHECK: lm.gelu %[[U]]
// CHECK: %[[Z:.*]] = lm.group matmul {
// CHECK: %[[D:.*]] = lm.linear %[[A]]
// CHECK: lm.add {{.*}}%[[D]]
// CHECK: return %[[Z]]
lm.parameter @up : tensor<12x8xf32>
lm.parameter @down : tensor<8x12xf32>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %wu = lm.read @up : tensor<12x8xf32>
  %wd = lm.read @down : tensor<8x12xf32>
  %u = lm.linear %x, %wu : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %a = lm.gelu %u : tensor<?x12xf32>
  %d = lm.linear %a, %wd : (tensor<?x12xf32>, tensor<8x12xf32>) -> tensor<?x8xf32>
  %z = lm.add %x, %d : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

// What reads two ranges of a product that slices cut stays outside: a kernel has one of them at a time.
// CHECK: %[[G:.*]]:2 = lm.group matmul {
// CHECK: %[[L:.*]] = lm.linear
// CHECK: %[[A:.*]] = lm.slice %[[L]] from 0
// CHECK: %[[B:.*]] = lm.slice %[[L]] from 6
// CHECK: %[[S:.*]] = lm.silu %[[A]]
// CHECK: lm.yield %[[B]], %[[S]]
// CHECK: lm.mul %[[G]]#1, %[[G]]#0
lm.parameter @gate_up : tensor<12x8xf32>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x6xf32> {
  %w = lm.read @gate_up : tensor<12x8xf32>
  %y = lm.linear %x, %w : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %a = lm.slice %y from 0 : tensor<?x12xf32> -> tensor<?x6xf32>
  %b = lm.slice %y from 6 : tensor<?x12xf32> -> tensor<?x6xf32>
  %s = lm.silu %a : tensor<?x6xf32>
  %h = lm.mul %s, %b : tensor<?x6xf32>
  return %h : tensor<?x6xf32>
}
