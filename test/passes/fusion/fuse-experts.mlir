// Gate and up of a mixture of experts and what follows them become one group; the down layer reads it and stays alone.
// RUN: sinter-opt %s --split-input-file --lm-compare="pipeline=func.func(lm-fuse-experts)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK: %[[W:.*]], %[[C:.*]] = lm.route
// CHECK: %[[H:.*]] = lm.group experts {
// CHECK: %[[G:.*]] = lm.expert_linear %{{.*}}, %{{.*}}, %[[C]]
// CHECK: %[[A:.*]] = lm.silu %[[G]]
// CHECK: lm.expert_linear %{{.*}}, %{{.*}}, %[[C]]
// CHECK: %[[P:.*]] = lm.mul %[[A]]
// CHECK: lm.yield %[[P]]
// CHECK: %[[D:.*]] = lm.expert_linear %[[H]], %{{.*}}, %[[C]]
// CHECK: lm.combine %[[D]], %[[W]]
lm.parameter @router : tensor<5x8xf32>
lm.parameter @gate : tensor<5x12x8xf32>
lm.parameter @up : tensor<5x12x8xf32>
lm.parameter @down : tensor<5x8x12xf32>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %wr = lm.read @router : tensor<5x8xf32>
  %wg = lm.read @gate : tensor<5x12x8xf32>
  %wu = lm.read @up : tensor<5x12x8xf32>
  %wd = lm.read @down : tensor<5x8x12xf32>
  %l = lm.linear %x, %wr : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
  %w, %c = lm.route %l {k = 2 : i64, normalise} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %g = lm.expert_linear %x, %wg, %c : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
  %u = lm.expert_linear %x, %wu, %c : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
  %a = lm.silu %g : tensor<?x2x12xf32>
  %h = lm.mul %a, %u : tensor<?x2x12xf32>
  %d = lm.expert_linear %h, %wd, %c : (tensor<?x2x12xf32>, tensor<5x8x12xf32>, tensor<?x2xi32>) -> tensor<?x2x8xf32>
  %z = lm.combine %d, %w : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

// Layers that read two inputs stay apart: a kernel has one left side.
// CHECK-NOT: lm.group
lm.parameter @router : tensor<3x8xf32>
lm.parameter @gate : tensor<3x4x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x2x4xf32> {
  %wr = lm.read @router : tensor<3x8xf32>
  %wg = lm.read @gate : tensor<3x4x8xf32>
  %l = lm.linear %x, %wr : (tensor<?x8xf32>, tensor<3x8xf32>) -> tensor<?x3xf32>
  %w, %c = lm.route %l {k = 2 : i64} : tensor<?x3xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %a = lm.expert_linear %x, %wg, %c : (tensor<?x8xf32>, tensor<3x4x8xf32>, tensor<?x2xi32>) -> tensor<?x2x4xf32>
  %b = lm.expert_linear %y, %wg, %c : (tensor<?x8xf32>, tensor<3x4x8xf32>, tensor<?x2xi32>) -> tensor<?x2x4xf32>
  %h = lm.mul %a, %b : tensor<?x2x4xf32>
  return %h : tensor<?x2x4xf32>
}
