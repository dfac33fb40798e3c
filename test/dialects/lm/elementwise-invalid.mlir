// RUN: sinter-opt %s -split-input-file -verify-diagnostics

func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.softcap' op expected cap > 0, found 0.0}}
  %y = lm.softcap %x {cap = 0.0 : f64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.softcap_backward' op expected cap > 0, found -1.0}}
  %y = lm.softcap_backward %x, %x {cap = -1.0 : f64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.silu' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.silu %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.silu_backward' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.silu_backward %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.relu' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.relu %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.relu_backward' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.relu_backward %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.sigmoid' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.sigmoid %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.sigmoid_backward' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.sigmoid_backward %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.tanh' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.tanh %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.tanh_backward' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.tanh_backward %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.gelu' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.gelu %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.gelu_backward' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.gelu_backward %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.gelu_tanh' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.gelu_tanh %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.gelu_tanh_backward' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.gelu_tanh_backward %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.quick_gelu' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.quick_gelu %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.quick_gelu_backward' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.quick_gelu_backward %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.add' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.add %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.mul' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.mul %x, %x : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf16>) -> tensor<?x8xf16> {
  // expected-error @below {{lm.scale' op operand #0 must be tensor of 32-bit float values}}
  %y = lm.scale %x {factor = 2.0 : f64} : tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.clamp' op expected limit >= 0, found -1.0}}
  %y = lm.clamp %x {limit = -1.0 : f64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.clamp_backward' op expected limit >= 0, found nan}}
  %y = lm.clamp_backward %x, %x {limit = 0x7FF8000000000000 : f64} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %s: tensor<2xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a rate of dropout above 0 and below 1, found 0.0}}
  %y = lm.dropout %x seed %s {rate = 0.0 : f64, site = 0 : i64} : tensor<?x8xf32>, tensor<2xi32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %s: tensor<3xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a seed of two numbers, found 'tensor<3xi32>'}}
  %y = lm.dropout %x seed %s {rate = 0.1 : f64, site = 0 : i64} : tensor<?x8xf32>, tensor<3xi32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %s: tensor<2xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a site >= 0, found -1}}
  %y = lm.dropout %x seed %s {rate = 0.1 : f64, site = -1 : i64} : tensor<?x8xf32>, tensor<2xi32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x2x8xf32>, %s: tensor<2xi32>) -> tensor<?x2x8xf32> {
  // expected-error @below {{expected the input to have rank 2 and last dimension 8, found 'tensor<?x2x8xf32>'}}
  %y = lm.dropout %x seed %s {rate = 0.1 : f64, site = 0 : i64} : tensor<?x2x8xf32>, tensor<2xi32>
  return %y : tensor<?x2x8xf32>
}
