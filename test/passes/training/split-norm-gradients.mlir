// The gradients stay what they were; programs on rows share what normalises.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-split-norm-gradients)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK: %[[N:.*]] = lm.rms_norm %arg1
// CHECK: %[[P:.*]] = lm.mul %arg0, %[[N]]
// CHECK: lm.column_sum %[[P]]
// CHECK-NOT: backward_weight
func.func @rms(%g: tensor<?x8xf32>, %x: tensor<?x8xf32>) -> tensor<4xf32> {
  %d = lm.rms_norm_backward_weight %g, %x {epsilon = 1.0e-5 : f64, group = 4 : i64} : tensor<?x8xf32> -> tensor<4xf32>
  return %d : tensor<4xf32>
}
func.func @layer(%g: tensor<?x8xf32>, %x: tensor<?x8xf32>) -> tensor<8xf32> {
  %d = lm.layer_norm_backward_weight %g, %x {epsilon = 1.0e-5 : f64} : tensor<?x8xf32> -> tensor<8xf32>
  return %d : tensor<8xf32>
}
