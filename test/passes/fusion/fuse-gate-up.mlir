// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-fuse-gate-up)" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: %[[H:.*]] = lm.group matmul {
// CHECK-DAG: %[[G:.*]] = lm.linear %{{.*}}, %[[WG:.*]] :
// CHECK-DAG: %[[U:.*]] = lm.linear
// CHECK: %[[A:.*]] = lm.gelu_tanh %[[G]]
// CHECK: lm.mul %[[A]], %[[U]]
// CHECK: return %[[H]]
lm.parameter @gate : tensor<12x8xf32>
lm.parameter @up : tensor<12x8xf32>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x12xf32> {
  %wg = lm.read @gate : tensor<12x8xf32>
  %wu = lm.read @up : tensor<12x8xf32>
  %g = lm.linear %x, %wg : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %u = lm.linear %x, %wu : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %a = lm.gelu_tanh %g : tensor<?x12xf32>
  %h = lm.mul %a, %u : tensor<?x12xf32>
  return %h : tensor<?x12xf32>
}
