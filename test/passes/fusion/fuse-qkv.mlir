// Three layers become one over a parameter made of parts, with their biases.
// RUN: sinter-opt %s --lm-compare="pipeline=lm-fuse-qkv" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK-DAG: lm.parameter @{{.*}} : tensor<16x8xf32> parts [@l.q, @l.k, @l.v]
// CHECK-DAG: lm.parameter @{{.*}} : tensor<16xf32> parts [@l.qb, @l.kb, @l.vb]
// CHECK: %[[ALL:.*]] = lm.linear %{{.*}}, %{{.*}} bias
// CHECK: lm.slice %[[ALL]] from 0 :
// CHECK: lm.slice %[[ALL]] from 8 :
// CHECK: lm.slice %[[ALL]] from 12 :
// CHECK-NOT: lm.linear
lm.parameter @l.q : tensor<8x8xf32>
lm.parameter @l.k : tensor<4x8xf32>
lm.parameter @l.v : tensor<4x8xf32>
lm.parameter @l.qb : tensor<8xf32>
lm.parameter @l.kb : tensor<4xf32>
lm.parameter @l.vb : tensor<4xf32>
func.func @forward(%x: tensor<?x8xf32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x8xf32> {
  %wq = lm.read @l.q : tensor<8x8xf32>
  %wk = lm.read @l.k : tensor<4x8xf32>
  %wv = lm.read @l.v : tensor<4x8xf32>
  %bq = lm.read @l.qb : tensor<8xf32>
  %bk = lm.read @l.kb : tensor<4xf32>
  %bv = lm.read @l.vb : tensor<4xf32>
  %q = lm.linear %x, %wq bias %bq : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %k = lm.linear %x, %wk bias %bk : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %v = lm.linear %x, %wv bias %bv : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %c = lm.clamp %q {limit = 0.5 : f64} : tensor<?x8xf32>
  %y = lm.attention %c, %k, %v, %positions, %sequences {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.7 : f64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
