// RUN: sinter-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{expected a static shape, found 'tensor<?x4xf32>'}}
lm.parameter @w : tensor<?x4xf32>

// -----

// expected-error @below {{expected a last dimension divisible by the block of 32 elements, found 48}}
lm.parameter @w : tensor<8x48x!lm.block<q4_1>>

// -----

func.func @forward() -> tensor<8x4xf32> {
  // expected-error @below {{expected the symbol of an lm.parameter, found @w}}
  %w = lm.read @w : tensor<8x4xf32>
  return %w : tensor<8x4xf32>
}

// -----

lm.parameter @w : tensor<8x4xf16>
func.func @forward() -> tensor<8x4xf32> {
  // expected-error @below {{expected the parameter's type 'tensor<8x4xf16>', found 'tensor<8x4xf32>'}}
  %w = lm.read @w : tensor<8x4xf32>
  return %w : tensor<8x4xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %rows: tensor<?xi32>) -> tensor<?x5xf32> {
  // expected-error @below {{expected the result to have rank 2 and last dimension 4, found 'tensor<?x5xf32>'}}
  %y = lm.select_rows %x, %rows : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  // expected-error @below {{expected columns within [0, 4), found [2, 5)}}
  %y = lm.slice %x from 2 : tensor<?x4xf32> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x7xf32> {
  // expected-error @below {{expected the result to have rank 2 and last dimension 8, found 'tensor<?x7xf32>'}}
  %y = lm.concat %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x7xf32>
  return %y : tensor<?x7xf32>
}

// -----

func.func @forward(%g: tensor<?x3xf32>, %rows: tensor<?xi32>, %x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.select_rows_backward' op expected the gradient to have rank 2 and last dimension 4, found 'tensor<?x3xf32>'}}
  %y = lm.select_rows_backward %g, %rows like %x : (tensor<?x3xf32>, tensor<?xi32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%x: tensor<?x3xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.pad_columns' op expected columns within [0, 4), found [2, 5)}}
  %y = lm.pad_columns %x at 2 : tensor<?x3xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.group' op expected lm.yield of 'tensor<?x4xf32>', found 'tensor<?x2xf32>'}}
  %y = lm.group rows {
    %s = lm.slice %x from 0 : tensor<?x4xf32> -> tensor<?x2xf32>
    lm.yield %s : tensor<?x2xf32>
  } : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.group' op expected lm.yield at the end of the body}}
  %y = "lm.group"() <{kind = #lm<kind rows>}> ({
    %s = lm.silu %x : tensor<?x4xf32>
  }) : () -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // expected-error @below {{expected at least one rank, found 0}}
  %y = lm.all_reduce %x {ranks = 0 : i64} : tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
