// RUN: sinter-opt %s -split-input-file -verify-diagnostics

func.func @forward(%p: tensor<?xi32>) -> tensor<?x3xf32> {
  // expected-error @below {{lm.rope_angles' op expected the cosines to have rank 2 and last dimension 2, found 'tensor<?x3xf32>'}}
  %c, %s = lm.rope_angles %p {frequencies = array<f32: 1.0, 0.1>} : tensor<?xi32> -> tensor<?x3xf32>, tensor<?x2xf32>
  return %c : tensor<?x3xf32>
}

// -----

func.func @forward(%p: tensor<?xi32>) -> tensor<?x2xf32> {
  // expected-error @below {{expected the sines to have rank 2 and last dimension 2, found 'tensor<?x3xf32>'}}
  %c, %s = lm.rope_angles %p {frequencies = array<f32: 1.0, 0.1>} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x3xf32>
  return %c : tensor<?x2xf32>
}

// -----

func.func @forward(%p: tensor<?xi32>) -> tensor<?x2xf32> {
  // expected-error @below {{expected long_frequencies and long_from together, found one of them}}
  %c, %s = lm.rope_angles %p {frequencies = array<f32: 1.0, 0.1>, long_from = 8 : i64} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  return %c : tensor<?x2xf32>
}

// -----

func.func @forward(%p: tensor<?xi32>) -> tensor<?x2xf32> {
  // expected-error @below {{expected 2 long_frequencies, found 1}}
  %c, %s = lm.rope_angles %p {frequencies = array<f32: 1.0, 0.1>, long_frequencies = array<f32: 1.0>, long_from = 8 : i64} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  return %c : tensor<?x2xf32>
}

// -----

func.func @forward(%p: tensor<?xi32>) -> tensor<?x2xf32> {
  // expected-error @below {{expected dynamic dim 4, found 8}}
  %c, %s = lm.rope_angles %p {frequencies = array<f32: 1.0, 0.1>, dynamic = #lm.dynamic_ntk<base = 1.0e4 : f64, factor = 2.0 : f64, length = 8, dim = 8>} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  return %c : tensor<?x2xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %c: tensor<?x2xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.rope' op expected a head_dim that divides the 8 columns, found 3}}
  %y = lm.rope %x, %c, %c {head_dim = 3 : i64} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>, %c: tensor<?x3xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected equally many cosines and sines, at most 2, found 3 and 3}}
  %y = lm.rope %x, %c, %c {head_dim = 4 : i64} : tensor<?x8xf32>, tensor<?x3xf32>, tensor<?x3xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%p: tensor<?xi32>) -> tensor<?x5xf32> {
  // expected-error @below {{lm.sinusoids' op expected an even width of at least 4, found 5}}
  %y = lm.sinusoids %p : tensor<?xi32> -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}
