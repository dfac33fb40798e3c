// RUN: sinter-opt %s -split-input-file -verify-diagnostics

func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x5xf32> {
  // expected-error @below {{lm.route' op expected k within [1, 4], found 5}}
  %w, %c = lm.route %x {k = 5 : i64} : tensor<?x4xf32> -> tensor<?x5xf32>, tensor<?x5xi32>
  return %w : tensor<?x5xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  // expected-error @below {{expected the weights to have rank 2 and last dimension 2, found 'tensor<?x3xf32>'}}
  %w, %c = lm.route %x {k = 2 : i64} : tensor<?x4xf32> -> tensor<?x3xf32>, tensor<?x2xi32>
  return %w : tensor<?x3xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x2xf32> {
  // expected-error @below {{expected the chosen experts to have rank 2 and last dimension 2, found 'tensor<?x3xi32>'}}
  %w, %c = lm.route %x {k = 2 : i64} : tensor<?x4xf32> -> tensor<?x2xf32>, tensor<?x3xi32>
  return %w : tensor<?x2xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %w: tensor<6x4xf32>, %c: tensor<?x2xi32>) -> tensor<?x2x6xf32> {
  // expected-error @below {{lm.expert_linear' op expected a weight of rank 3, found 'tensor<6x4xf32>'}}
  %y = lm.expert_linear %x, %w, %c : (tensor<?x4xf32>, tensor<6x4xf32>, tensor<?x2xi32>) -> tensor<?x2x6xf32>
  return %y : tensor<?x2x6xf32>
}

// -----

func.func @forward(%x: tensor<4xf32>, %w: tensor<3x6x4xf32>, %c: tensor<?x2xi32>) -> tensor<?x2x6xf32> {
  // expected-error @below {{expected an input of rank 2 or 3, found 'tensor<4xf32>'}}
  %y = lm.expert_linear %x, %w, %c : (tensor<4xf32>, tensor<3x6x4xf32>, tensor<?x2xi32>) -> tensor<?x2x6xf32>
  return %y : tensor<?x2x6xf32>
}

// -----

func.func @forward(%x: tensor<?x5xf32>, %w: tensor<3x6x4xf32>, %c: tensor<?x2xi32>) -> tensor<?x2x6xf32> {
  // expected-error @below {{expected the input to have rank 2 and last dimension 4, found 'tensor<?x5xf32>'}}
  %y = lm.expert_linear %x, %w, %c : (tensor<?x5xf32>, tensor<3x6x4xf32>, tensor<?x2xi32>) -> tensor<?x2x6xf32>
  return %y : tensor<?x2x6xf32>
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %w: tensor<?x2xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.combine' op expected an input of rank 3, found 'tensor<?x4xf32>'}}
  %y = lm.combine %x, %w : (tensor<?x4xf32>, tensor<?x2xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%x: tensor<?x2x4xf32>, %w: tensor<?x3xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{expected the weights to have rank 2 and last dimension 2, found 'tensor<?x3xf32>'}}
  %y = lm.combine %x, %w : (tensor<?x2x4xf32>, tensor<?x3xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%g: tensor<?x3xf32>, %x: tensor<?x4xf32>, %c: tensor<?x2xi32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.route_backward' op expected the gradient to have rank 2 and last dimension 2, found 'tensor<?x3xf32>'}}
  %y = lm.route_backward %g, %x, %c : (tensor<?x3xf32>, tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%g: tensor<?x5xf32>, %x: tensor<?x4xf32>, %c: tensor<?x5xi32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.route_backward' op expected k within [1, 4], found 5}}
  %y = lm.route_backward %g, %x, %c : (tensor<?x5xf32>, tensor<?x4xf32>, tensor<?x5xi32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%g: tensor<?x2x6xf32>, %w: tensor<6x4xf32>, %c: tensor<?x2xi32>) -> tensor<?x4xf32> {
  // expected-error @below {{lm.expert_linear_backward_input' op expected a weight of rank 3, found 'tensor<6x4xf32>'}}
  %y = lm.expert_linear_backward_input %g, %w, %c : (tensor<?x2x6xf32>, tensor<6x4xf32>, tensor<?x2xi32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @forward(%g: tensor<?x2x6xf32>, %w: tensor<3x6x4xf32>, %c: tensor<?x2xi32>) -> tensor<4xf32> {
  // expected-error @below {{expected a result of rank 2 or 3, found 'tensor<4xf32>'}}
  %y = lm.expert_linear_backward_input %g, %w, %c : (tensor<?x2x6xf32>, tensor<3x6x4xf32>, tensor<?x2xi32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @forward(%g: tensor<?x2x6xf32>, %x: tensor<?x4xf32>, %c: tensor<?x2xi32>) -> tensor<6x4xf32> {
  // expected-error @below {{lm.expert_linear_backward_weight' op expected a result of rank 3 and static shape, found 'tensor<6x4xf32>'}}
  %y = lm.expert_linear_backward_weight %g, %x, %c : (tensor<?x2x6xf32>, tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<6x4xf32>
  return %y : tensor<6x4xf32>
}

// -----

func.func @forward(%g: tensor<?x2x6xf32>, %x: tensor<4xf32>, %c: tensor<?x2xi32>) -> tensor<3x6x4xf32> {
  // expected-error @below {{lm.expert_linear_backward_weight' op expected an input of rank 2 or 3, found 'tensor<4xf32>'}}
  %y = lm.expert_linear_backward_weight %g, %x, %c : (tensor<?x2x6xf32>, tensor<4xf32>, tensor<?x2xi32>) -> tensor<3x6x4xf32>
  return %y : tensor<3x6x4xf32>
}

// -----

func.func @forward(%g: tensor<?x4xf32>, %w: tensor<?x3xf32>) -> tensor<?x2x4xf32> {
  // expected-error @below {{lm.combine_backward_input' op expected the weights to have rank 2 and last dimension 2, found 'tensor<?x3xf32>'}}
  %y = lm.combine_backward_input %g, %w : (tensor<?x4xf32>, tensor<?x3xf32>) -> tensor<?x2x4xf32>
  return %y : tensor<?x2x4xf32>
}

// -----

func.func @forward(%g: tensor<?x4xf32>, %x: tensor<?x4xf32>) -> tensor<?x2xf32> {
  // expected-error @below {{lm.combine_backward_weights' op expected the input to have rank 3 and last dimension 4, found 'tensor<?x4xf32>'}}
  %y = lm.combine_backward_weights %g, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
