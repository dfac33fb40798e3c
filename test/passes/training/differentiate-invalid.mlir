// RUN: sinter-opt %s --lm-differentiate -split-input-file -verify-diagnostics

// expected-error @below {{expected a function forward with a body, found none}}
module {
  func.func @other() { return }
}

// -----

func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a loss, one 'tensor<f32>', found 'tensor<?x8xf32>'}}
  return %x : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %loss = lm.cross_entropy %x, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  // expected-error @below {{expected a loss that depends on a parameter that is trained}}
  return %loss : tensor<f32>
}

// -----

lm.parameter @w : tensor<32x32x!lm.block<q8_0>>
func.func @forward(%x: tensor<?x32xf32>, %targets: tensor<?xi32>) -> tensor<f32> {
  // expected-error @below {{expected a parameter of f32, f16 or bf16 to train, found 'tensor<32x32x!lm.block<q8_0>>'; mark it {trainable = false}}}
  %w = lm.read @w : tensor<32x32x!lm.block<q8_0>>
  %y = lm.linear %x, %w : (tensor<?x32xf32>, tensor<32x32x!lm.block<q8_0>>) -> tensor<?x32xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x32xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

lm.parameter @w : tensor<8x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %w = lm.read @w : tensor<8x8xf32>
  // expected-error @below {{expected an operation with a rule of differentiation, found lm.group}}
  %y = lm.group matmul {
    %z = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    lm.yield %z : tensor<?x8xf32>
  } : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

lm.parameter @w : tensor<8x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %i: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %w = lm.read @w : tensor<8x8xf32>
  %q = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  // expected-error @below {{expected a loss that does not depend on log_sum_exp}}
  %y, %l = lm.attention %q, %q, %q, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?x2xf32>)
  %loss = lm.cross_entropy %l, %targets : (tensor<?x2xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}
