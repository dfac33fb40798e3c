// Each router votes; without one a balance loss is an error.
// RUN: sinter-opt %s --split-input-file --lm-add-loss=router-coefficient=0.25 --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @train
// CHECK: %[[X:.*]] = lm.embedding %arg0
// CHECK: %{{.*}}, %[[A:.*]] = lm.route %[[X]] {k = 2
// CHECK: %{{.*}}, %[[B:.*]] = lm.route %[[X]] {k = 2
// CHECK: %[[L:.*]] = lm.cross_entropy %[[X]], %arg3
// CHECK: %[[V:.*]] = lm.router_votes logits %[[X]], %[[X]] chosen %[[A]], %[[B]] :
// CHECK: %[[R:.*]] = lm.balance_loss %[[L]], %[[V]], %[[X]], %[[X]] {coefficient = 2.500000e-01 : f64}
// CHECK: return %[[R]] : tensor<f32>
lm.parameter @w : tensor<12x8xf32>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = lm.read @w : tensor<12x8xf32>
  %x = lm.embedding %tokens, %w : (tensor<?xi32>, tensor<12x8xf32>) -> tensor<?x8xf32>
  %p, %a = lm.route %x {k = 2 : i64} : tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %q, %b = lm.route %x {k = 2 : i64, normalise} : tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  return %x : tensor<?x8xf32>
}

// -----
// expected-error @below {{expected a mixture of experts for a balance loss, found no lm.route}}
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
