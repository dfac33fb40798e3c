// What the epilogue of a matmul reads is not made in its prologue, which keeps nothing for it.
// RUN: sinter-opt %s --lm-compare="pipeline=lm-make-entries,func.func(lm-fuse-epilogue,lm-fuse-residual-norm)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK-LABEL: func.func @decode
// CHECK: %[[A:.*]] = lm.silu %
// CHECK: lm.group matmul {
// CHECK-NEXT: lm.mul %[[A]], %[[A]]
// CHECK-NEXT: lm.linear
// CHECK-NEXT: lm.add %{{.*}}, %[[A]]
// CHECK: %[[N:.*]] = lm.group rows {
// CHECK-NEXT: lm.rms_norm
// CHECK: lm.group matmul {
// CHECK-NEXT: lm.linear %[[N]]
// CHECK-NEXT: lm.mul %{{.*}}, %[[N]]
lm.parameter @w : tensor<8x8xf32>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = lm.read @w : tensor<8x8xf32>
  %a = lm.silu %x : tensor<?x8xf32>
  %b = lm.mul %a, %a : tensor<?x8xf32>
  %c = lm.linear %b, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %d = lm.add %c, %a : tensor<?x8xf32>
  %n = lm.rms_norm %d {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %e = lm.linear %n, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %y = lm.mul %e, %n : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
