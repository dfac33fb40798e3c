// In a prompt, addition and norm are one pass over the rows; in decode they go in front of the matmul.
// RUN: sinter-opt %s --split-input-file --lm-compare="pipeline=lm-make-entries,func.func(lm-fuse-residual-norm)" 2>&1 | FileCheck %s

// CHECK-COUNT-4: remark: same
// CHECK-LABEL: func.func @prefill
// CHECK: lm.group rows {
// CHECK: %[[Y:.*]] = lm.add
// CHECK: %[[N:.*]] = lm.rms_norm %[[Y]]
// CHECK-NEXT: lm.yield
// CHECK-LABEL: func.func @decode
// CHECK: lm.group matmul {
// CHECK: lm.rms_norm
// CHECK: lm.linear
// CHECK-NEXT: lm.yield
lm.parameter @norm : tensor<8xf32>
lm.parameter @w : tensor<12x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %o: tensor<?x8xf32>) -> (tensor<?x12xf32>, tensor<?x8xf32>) {
  %norm = lm.read @norm : tensor<8xf32>
  %w = lm.read @w : tensor<12x8xf32>
  %y = lm.add %x, %o : tensor<?x8xf32>
  %n = lm.rms_norm %y, %norm : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %z = lm.linear %n, %w : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  return %z, %y : tensor<?x12xf32>, tensor<?x8xf32>
}

// -----

// Experts: the norm goes in front of them in decode; the sum over a row's experts joins the residual and the next norm,
// or where no norm reads it, the residual alone.
// CHECK-LABEL: func.func @prefill
// CHECK: lm.group rows {
// CHECK: lm.combine
// CHECK: lm.add
// CHECK: lm.yield
// CHECK-LABEL: func.func @decode
// CHECK: lm.group experts {
// CHECK: lm.rms_norm
// CHECK: lm.expert_linear
// CHECK-NEXT: lm.yield
// CHECK: lm.group matmul {
// CHECK: lm.combine
// CHECK: lm.add
// CHECK: lm.rms_norm
// CHECK: lm.linear
lm.parameter @norm : tensor<8xf32>
lm.parameter @w : tensor<3x8x8xf32>
lm.parameter @q : tensor<12x8xf32>
func.func @forward(%x: tensor<?x8xf32>, %weights: tensor<?x2xf32>, %chosen: tensor<?x2xi32>)
    -> (tensor<?x12xf32>, tensor<?x8xf32>, tensor<?x8xf32>) {
  %norm = lm.read @norm : tensor<8xf32>
  %w = lm.read @w : tensor<3x8x8xf32>
  %q = lm.read @q : tensor<12x8xf32>
  %n = lm.rms_norm %x, %norm : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %d = lm.expert_linear %n, %w, %chosen : (tensor<?x8xf32>, tensor<3x8x8xf32>, tensor<?x2xi32>) -> tensor<?x2x8xf32>
  %s = lm.combine %d, %weights : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %y = lm.add %x, %s : tensor<?x8xf32>
  %m = lm.rms_norm %y, %norm : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %z = lm.linear %m, %q : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %t = lm.combine %d, %weights : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %u = lm.add %y, %t : tensor<?x8xf32>
  return %z, %y, %u : tensor<?x12xf32>, tensor<?x8xf32>, tensor<?x8xf32>
}
