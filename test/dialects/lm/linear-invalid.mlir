// RUN: sinter-opt %s -split-input-file -verify-diagnostics

func.func @forward(%ids: tensor<?xi32>, %w: tensor<2x8x4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{expected a table of rank 2, found 'tensor<2x8x4xf32>'}}
  %y = lm.embedding %ids, %w : (tensor<?xi32>, tensor<2x8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%ids: tensor<?xi32>, %w: tensor<8x4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{expected an offset within the table's 8 rows, found 8}}
  %y = lm.embedding %ids, %w {offset = 8 : i64} : (tensor<?xi32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%ids: tensor<?xi32>, %w: tensor<8x4xf32>) -> tensor<?x5xf32> {
  // expected-error @below {{expected the result to have rank 2 and last dimension 4, found 'tensor<?x5xf32>'}}
  %y = lm.embedding %ids, %w : (tensor<?xi32>, tensor<8x4xf32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %w: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.linear' op expected a weight of rank 2, found 'tensor<4xf32>'}}
  %y = lm.linear %x, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%x: tensor<?x72xf32>, %w: tensor<10x72x!lm.block<q8_0>>) -> tensor<?x10xf32> {
  // expected-error @below {{expected rows of whole blocks of 32 numbers, found 'tensor<10x72x!lm.block<q8_0>>'}}
  %y = lm.linear %x, %w : (tensor<?x72xf32>, tensor<10x72x!lm.block<q8_0>>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %w: tensor<0x4xf32>) -> tensor<?x0xf32> {
  // expected-error @below {{expected at least one row and one column, found 'tensor<0x4xf32>'}}
  %y = lm.linear %x, %w : (tensor<?x4xf32>, tensor<0x4xf32>) -> tensor<?x0xf32>
  return %y : tensor<?x0xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %w: tensor<8x5xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected the input to have rank 2 and last dimension 5, found 'tensor<?x4xf32>'}}
  %y = lm.linear %x, %w : (tensor<?x4xf32>, tensor<8x5xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>) -> tensor<?x7xf32> {
  // expected-error @below {{expected the result to have rank 2 and last dimension 8, found 'tensor<?x7xf32>'}}
  %y = lm.linear %x, %w : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x7xf32>
  return %y : tensor<?x7xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %w: tensor<8x4xf16>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a weight of 8 bits for fast_accumulation, found 'tensor<8x4xf16>'}}
  %y = lm.linear %x, %w {fast_accumulation} : (tensor<?x4xf32>, tensor<8x4xf16>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>, %b: tensor<4xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected the bias to have rank 1 and last dimension 8, found 'tensor<4xf32>'}}
  %y = lm.linear %x, %w bias %b : (tensor<?x4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%g: tensor<?x4xf32>, %ids: tensor<?xi32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.embedding_backward' op expected a result of static shape, found 'tensor<?x4xf32>'}}
  %y = lm.embedding_backward %g, %ids : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%g: tensor<?x4xf32>, %ids: tensor<?xi32>) -> tensor<8x4xf32> {
  // expected-error @below {{expected an offset within the table's 8 rows, found 9}}
  %y = lm.embedding_backward %g, %ids {offset = 9 : i64} : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @forward(%g: tensor<?x4xf32>, %ids: tensor<?xi32>) -> tensor<8x5xf32> {
  // expected-error @below {{expected the result to have rank 2 and last dimension 4, found 'tensor<8x5xf32>'}}
  %y = lm.embedding_backward %g, %ids : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<8x5xf32>
  return %y : tensor<8x5xf32>
}

// -----

func.func @forward(%g: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.linear_backward_input' op expected a weight of rank 2, found 'tensor<8xf32>'}}
  %y = lm.linear_backward_input %g, %w : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%g: tensor<?x7xf32>, %w: tensor<8x4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{expected the gradient to have rank 2 and last dimension 8, found 'tensor<?x7xf32>'}}
  %y = lm.linear_backward_input %g, %w : (tensor<?x7xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%g: tensor<?x8xf32>, %x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.linear_backward_weight' op expected a result of rank 2 and static shape, found 'tensor<?x4xf32>'}}
  %y = lm.linear_backward_weight %g, %x : (tensor<?x8xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%g: tensor<?x8xf32>, %x: tensor<?x4xf32>) -> tensor<8x5xf32> {
  // expected-error @below {{expected the input to have rank 2 and last dimension 5, found 'tensor<?x4xf32>'}}
  %y = lm.linear_backward_weight %g, %x : (tensor<?x8xf32>, tensor<?x4xf32>) -> tensor<8x5xf32>
  return %y : tensor<8x5xf32>
}

// -----

func.func @forward(%x: tensor<?x8xf32>) -> tensor<3xf32> {
  // expected-error @below {{lm.column_sum' op expected a result whose width divides the 8 columns, found 'tensor<3xf32>'}}
  %y = lm.column_sum %x : tensor<?x8xf32> -> tensor<3xf32>
  return %y : tensor<3xf32>
}
