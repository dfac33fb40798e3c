// Keys and values go from their matmul into the cache.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-use-cache),lm-fuse-qkv,func.func(lm-fuse-rope,lm-fuse-append)" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: %[[G:.*]]:2 = lm.group matmul {
// CHECK: lm.linear
// CHECK: lm.rope
// CHECK: lm.append
// CHECK: lm.yield
// CHECK: lm.cached_attention %[[G]]#0, %[[G]]#1
lm.parameter @l.e : tensor<11x8xf32>
lm.parameter @l.q : tensor<8x8xf32>
lm.parameter @l.k : tensor<4x8xf32>
lm.parameter @l.v : tensor<4x8xf32>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = lm.read @l.e : tensor<11x8xf32>
  %x = lm.embedding %tokens, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %wq = lm.read @l.q : tensor<8x8xf32>
  %wk = lm.read @l.k : tensor<4x8xf32>
  %wv = lm.read @l.v : tensor<4x8xf32>
  %cos, %sin = lm.rope_angles %positions {frequencies = array<f32: 1.0>} : tensor<?xi32> -> tensor<?x1xf32>, tensor<?x1xf32>
  %ql = lm.linear %x, %wq : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %kl = lm.linear %x, %wk : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %v = lm.linear %x, %wv : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %q = lm.rope %ql, %cos, %sin {head_dim = 2 : i64} : tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  %k = lm.rope %kl, %cos, %sin {head_dim = 2 : i64} : tensor<?x4xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  %y = lm.attention %q, %k, %v, %positions, %sequences {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.7 : f64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
