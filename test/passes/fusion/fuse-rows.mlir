// Backward programs on the same rows become one pass over them; what others read is still there.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-fuse-rows)" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: %[[R:.*]]:2 = lm.group rows {
// CHECK-NEXT: lm.rms_norm_backward_input
// CHECK-NEXT: lm.rms_norm
// CHECK-NEXT: lm.mul
// CHECK-NEXT: lm.yield
// CHECK: lm.column_sum %[[R]]#1
lm.parameter @w : tensor<8xf32>
func.func @forward(%g: tensor<?x8xf32>, %x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<8xf32>) {
  %w = lm.read @w : tensor<8xf32>
  %d = lm.rms_norm_backward_input %g, %x, %w : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %n = lm.rms_norm %x {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %p = lm.mul %g, %n : tensor<?x8xf32>
  %s = lm.column_sum %p : tensor<?x8xf32> -> tensor<8xf32>
  return %d, %s : tensor<?x8xf32>, tensor<8xf32>
}
