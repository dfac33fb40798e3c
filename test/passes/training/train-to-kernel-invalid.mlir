// RUN: sinter-opt %s --split-input-file --lm-train-to-kernel --verify-diagnostics

// expected-error @below {{expected a function train with a body, found none}}
module {}

// -----
module {
  // expected-error @below {{expected one lm.cross_entropy to train by}}
  func.func @train(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    return %x : tensor<?x8xf32>
  }
}

// -----
lm.parameter @w : tensor<4x8xf32>
func.func @train(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %x: tensor<?x8xf32>, %targets: tensor<?xi32>) -> (tensor<f32>, tensor<4x8xf32> {lm.gradient = @w}) attributes {lm.form = "train"} {
  %one = arith.constant dense<1.000000e+00> : tensor<f32>
  %w = lm.read @w : tensor<4x8xf32>
  %y = lm.group matmul {
    %z = lm.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
    lm.yield %z : tensor<?x4xf32>
  } : tensor<?x4xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<f32>
  %dy = lm.cross_entropy_backward %one, %y, %targets : (tensor<f32>, tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  %dw = lm.linear_backward_weight %dy, %x : (tensor<?x4xf32>, tensor<?x8xf32>) -> tensor<4x8xf32>
  // expected-error @below {{expected one rank, found 2: kernels of several do not exchange gradients yet}}
  %s = lm.all_reduce %dw {ranks = 2 : i64} : tensor<4x8xf32>
  return %loss, %s : tensor<f32>, tensor<4x8xf32>
}
