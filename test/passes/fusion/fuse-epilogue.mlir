// Activation and residual go behind their matmuls.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-fuse-epilogue)" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: %[[A:.*]] = lm.group matmul {
// CHECK: %[[U:.*]] = lm.linear
// CHECK: lm.gelu %[[U]]
// CHECK: %[[Z:.*]] = lm.group matmul {
// CHECK: %[[D:.*]] = lm.linear %[[A]]
// CHECK: lm.add {{.*}}%[[D]]
// CHECK: return %[[Z]]
lm.parameter @up : tensor<12x8xf32>
lm.parameter @down : tensor<8x12xf32>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %wu = lm.read @up : tensor<12x8xf32>
  %wd = lm.read @down : tensor<8x12xf32>
  %u = lm.linear %x, %wu : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %a = lm.gelu %u : tensor<?x12xf32>
  %d = lm.linear %a, %wd : (tensor<?x12xf32>, tensor<8x12xf32>) -> tensor<?x8xf32>
  %z = lm.add %x, %d : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
