// The pass says what it found, and leaves the module as the pipeline made it.
// RUN: sinter-opt %s --lm-compare="pipeline=canonicalize" 2>&1 | FileCheck %s

// CHECK: remark: same: 1, 3 and 17 rows, greatest relative difference 0
// CHECK: lm.linear
// CHECK-NOT: lm.scale
lm.parameter @w : tensor<5x4xf32>
func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x5xf32> {
  %w = lm.read @w : tensor<5x4xf32>
  %y = lm.linear %x, %w : (tensor<?x4xf32>, tensor<5x4xf32>) -> tensor<?x5xf32>
  %z = lm.scale %y {factor = 1.0 : f64} : tensor<?x5xf32>
  return %z : tensor<?x5xf32>
}
