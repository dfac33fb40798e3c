// RUN: sinter-opt %s --split-input-file --lm-add-loss --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @train(%arg0: tensor<?xi32>, %arg1: tensor<?xi32>, %arg2: tensor<?xi32>, %arg3: tensor<?xi32>) -> tensor<f32> attributes {lm.form = "train"}
// CHECK: %[[X:.*]] = lm.embedding %arg0
// CHECK: %[[L:.*]] = lm.cross_entropy %[[X]], %arg3
// CHECK: return %[[L]] : tensor<f32>
lm.parameter @w : tensor<12x8xf32>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = lm.read @w : tensor<12x8xf32>
  %x = lm.embedding %tokens, %w : (tensor<?xi32>, tensor<12x8xf32>) -> tensor<?x8xf32>
  return %x : tensor<?x8xf32>
}

// -----
// expected-error @below {{expected a function forward with a body, found none}}
module {}

// -----
func.func @forward(%x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  // expected-error @below {{expected logits, one tensor of two dimensions, found 'tensor<?x8xf32>', 'tensor<?x8xf32>'}}
  return %x, %x : tensor<?x8xf32>, tensor<?x8xf32>
}
