// RUN: sinter-opt %s -split-input-file -verify-diagnostics

func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.rms_norm' op expected epsilon >= 0, found -1.0}}
  %y = lm.rms_norm %x {epsilon = -1.0 : f64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a group that divides the 8 columns, found 3}}
  %y = lm.rms_norm %x {epsilon = 1.0e-5 : f64, group = 3 : i64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected the weight to have rank 1 and last dimension 4, found 'tensor<8xf32>'}}
  %y = lm.rms_norm %x, %w : tensor<8xf32> {epsilon = 1.0e-5 : f64, group = 4 : i64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %w: tensor<8xf32>, %b: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.layer_norm' op expected the bias to have rank 1 and last dimension 4, found 'tensor<2xf32>'}}
  %y = lm.layer_norm %x weight %w : tensor<8xf32> bias %b : tensor<2xf32> {epsilon = 1.0e-5 : f64, group = 4 : i64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %w: tensor<2xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.layer_norm' op expected the weight to have rank 1 and last dimension 8, found 'tensor<2xf32>'}}
  %y = lm.layer_norm %x weight %w : tensor<2xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%g: tensor<?x8xf32>, %w: tensor<4xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.rms_norm_backward_input' op expected the weight to have rank 1 and last dimension 8, found 'tensor<4xf32>'}}
  %y = lm.rms_norm_backward_input %g, %g, %w : tensor<4xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%g: tensor<?x8xf32>) -> tensor<4xf32> {
  // expected-error @below {{lm.rms_norm_backward_weight' op expected the weight to have rank 1 and last dimension 8, found 'tensor<4xf32>'}}
  %y = lm.rms_norm_backward_weight %g, %g {epsilon = 1.0e-5 : f64} : tensor<?x8xf32> -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @forward(%g: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.layer_norm_backward_input' op expected a group that divides the 8 columns, found 0}}
  %y = lm.layer_norm_backward_input %g, %g {epsilon = 1.0e-5 : f64, group = 0 : i64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%g: tensor<?x8xf32>) -> tensor<4xf32> {
  // expected-error @below {{lm.layer_norm_backward_weight' op expected the result to have rank 1 and last dimension 8, found 'tensor<4xf32>'}}
  %y = lm.layer_norm_backward_weight %g, %g {epsilon = 1.0e-5 : f64} : tensor<?x8xf32> -> tensor<4xf32>
  return %y : tensor<4xf32>
}
