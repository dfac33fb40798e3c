// The last norm and the head run on the selected rows.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-select-logits)" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: func.func @forward
// CHECK: lm.select_rows
// CHECK: %[[N:.*]] = lm.rms_norm
// CHECK: %[[L:.*]] = lm.linear %[[N]]
// CHECK: %[[C:.*]] = lm.softcap %[[L]]
// CHECK-NOT: lm.select_rows
// CHECK: return %[[C]]
lm.parameter @norm : tensor<8xf32>
lm.parameter @head : tensor<11x8xf32>
func.func @forward(%a: tensor<?x8xf32>, %b: tensor<?x8xf32>, %rows: tensor<?xi32>) -> tensor<?x11xf32> {
  %norm = lm.read @norm : tensor<8xf32>
  %head = lm.read @head : tensor<11x8xf32>
  %x = lm.add %a, %b : tensor<?x8xf32>
  %n = lm.rms_norm %x, %norm : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %l = lm.linear %n, %head : (tensor<?x8xf32>, tensor<11x8xf32>) -> tensor<?x11xf32>
  %c = lm.softcap %l {cap = 2.0 : f64} : tensor<?x11xf32>
  %s = lm.select_rows %c, %rows : (tensor<?x11xf32>, tensor<?xi32>) -> tensor<?x11xf32>
  return %s : tensor<?x11xf32>
}
