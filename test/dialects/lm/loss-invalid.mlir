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
