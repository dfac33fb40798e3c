// RUN: sinter-opt %s -split-input-file -verify-diagnostics

func.func @forward(%x: tensor<4xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  // expected-error @below {{lm.cross_entropy' op expected logits of rank 2, found 'tensor<4xf32>'}}
  %y = lm.cross_entropy %x, %t : (tensor<4xf32>, tensor<?xi32>) -> tensor<f32>
  return %y : tensor<f32>
}

// -----

func.func @forward(%g: tensor<f32>, %x: tensor<4xf32>, %t: tensor<?xi32>) -> tensor<4xf32> {
  // expected-error @below {{lm.cross_entropy_backward' op expected logits of rank 2, found 'tensor<4xf32>'}}
  %y = lm.cross_entropy_backward %g, %x, %t : (tensor<f32>, tensor<4xf32>, tensor<?xi32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @forward() -> tensor<4xf32> {
  // expected-error @below {{lm.router_votes' op expected the logits of a router, found none}}
  %v = lm.router_votes logits chosen : () -> tensor<4xf32>
  return %v : tensor<4xf32>
}

// -----

func.func @forward(%x: tensor<?x3xf32>, %y: tensor<?x4xf32>, %c: tensor<?x2xi32>) -> tensor<6xf32> {
  // expected-error @below {{lm.router_votes' op expected logits of rank 2 and one width, found 'tensor<?x4xf32>'}}
  %v = lm.router_votes logits %x, %y chosen %c, %c : (tensor<?x3xf32>, tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<6xf32>
  return %v : tensor<6xf32>
}

// -----

func.func @forward(%l: tensor<f32>, %v: tensor<4xf32>, %x: tensor<?x3xf32>) -> tensor<f32> {
  // expected-error @below {{lm.balance_loss' op expected 6 votes, found 'tensor<4xf32>'}}
  %y = lm.balance_loss %l, %v, %x {coefficient = 0.1 : f64} : (tensor<f32>, tensor<4xf32>, tensor<?x3xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

// -----

func.func @forward(%l: tensor<f32>, %v: tensor<4xf32>, %x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  // expected-error @below {{lm.balance_loss_backward' op expected 6 votes, found 'tensor<4xf32>'}}
  %y = lm.balance_loss_backward %l, %v, %x {coefficient = 0.1 : f64, routers = 1 : i64} : (tensor<f32>, tensor<4xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
