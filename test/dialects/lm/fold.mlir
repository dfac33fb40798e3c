// RUN: sinter-opt %s -canonicalize | FileCheck %s

// Operations that change nothing go.
// CHECK-LABEL: @forward
// CHECK-NEXT: return %arg0
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %a = lm.scale %x {factor = 1.0 : f64} : tensor<?x8xf32>
  %b = lm.slice %a from 0 : tensor<?x8xf32> -> tensor<?x8xf32>
  %c = lm.pad_columns %b at 0 : tensor<?x8xf32> -> tensor<?x8xf32>
  return %c : tensor<?x8xf32>
}
