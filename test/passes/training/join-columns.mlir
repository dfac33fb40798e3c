// A sum of padded tensors that cover all columns is a concatenation; others stay sums.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-join-columns,canonicalize)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK: module {
// CHECK: %[[C:.*]] = lm.concat %arg0, %arg1, %arg2
// CHECK-NEXT: return %[[C]]
func.func @covers(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>) -> tensor<?x16xf32> {
  %a = lm.pad_columns %q at 0 : tensor<?x8xf32> -> tensor<?x16xf32>
  %b = lm.pad_columns %k at 8 : tensor<?x4xf32> -> tensor<?x16xf32>
  %c = lm.pad_columns %v at 12 : tensor<?x4xf32> -> tensor<?x16xf32>
  %s = lm.add %c, %a : tensor<?x16xf32>
  %t = lm.add %s, %b : tensor<?x16xf32>
  return %t : tensor<?x16xf32>
}
// CHECK-NOT: lm.concat
func.func @overlaps(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>) -> tensor<?x10xf32> {
  %a = lm.pad_columns %q at 0 : tensor<?x8xf32> -> tensor<?x10xf32>
  %b = lm.pad_columns %k at 6 : tensor<?x4xf32> -> tensor<?x10xf32>
  %s = lm.add %a, %b : tensor<?x10xf32>
  return %s : tensor<?x10xf32>
}
