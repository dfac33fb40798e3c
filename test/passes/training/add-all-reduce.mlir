// Every gradient is summed over the ranks, the loss is not; with one rank nothing changes.
// RUN: sinter-opt %s --lm-add-all-reduce | FileCheck %s
// RUN: sinter-opt %s --lm-add-all-reduce="ranks=4" | FileCheck %s --check-prefix=FOUR
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-add-all-reduce)" -o /dev/null 2>&1 | FileCheck %s --check-prefix=SAME

// SAME: remark: same
// CHECK: %[[S:.*]] = lm.all_reduce %[[W:.*]] {ranks = 1 : i64} : tensor<4x8xf32>
// CHECK: return %{{.*}}, %[[S]]
// FOUR: lm.all_reduce %{{.*}} {ranks = 4 : i64} : tensor<4x8xf32>
lm.parameter @w : tensor<4x8xf32>
func.func @train(%x: tensor<?x8xf32>, %targets: tensor<?xi32>) -> (tensor<f32>, tensor<4x8xf32> {lm.gradient = @w}) {
  %one = arith.constant dense<1.000000e+00> : tensor<f32>
  %w = lm.read @w : tensor<4x8xf32>
  %y = lm.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<f32>
  %dy = lm.cross_entropy_backward %one, %y, %targets : (tensor<f32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %dw = lm.linear_backward_weight %dy, %x : (tensor<?x4xf32>, tensor<?x8xf32>) -> tensor<4x8xf32>
  return %loss, %dw : tensor<f32>, tensor<4x8xf32>
}
