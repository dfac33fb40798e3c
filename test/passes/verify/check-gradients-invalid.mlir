// What --lm-check-gradients finds: differences (of rounding, with a tolerance below it), and gradients that are zero.
// RUN: sinter-opt %s -split-input-file -verify-diagnostics --lm-check-gradients="tolerance=0"

lm.parameter @e : tensor<11x8xf32>
// expected-error @below {{expected gradient}}
func.func @forward(%ids: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %x, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

lm.parameter @e : tensor<11x8xf32>
// expected-error @below {{expected a loss that changes with e, found a gradient of zeros}}
func.func @forward(%ids: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.scale %x {factor = 0.0 : f64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}
