// Every operation gets a group.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-group-rest)" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: lm.group matmul {
// CHECK-NEXT: lm.linear
// CHECK: lm.group rows {
// CHECK-NEXT: lm.rms_norm
lm.parameter @w : tensor<12x8xf32>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x12xf32> {
  %w = lm.read @w : tensor<12x8xf32>
  %z = lm.linear %x, %w : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %n = lm.rms_norm %z {epsilon = 1.0e-5 : f64} : tensor<?x12xf32>
  return %n : tensor<?x12xf32>
}
