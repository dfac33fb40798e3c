// RUN: sinter-opt %s --lm-compare="pipeline=lm-make-entries" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK: module {
// CHECK-NOT: @forward
// CHECK: func.func @prefill({{.*}} attributes {lm.form = "prefill"}
// CHECK: func.func @decode({{.*}} attributes {lm.form = "decode"}
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = lm.silu %x : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
