// Layers that let tensor cores keep all sums become one, which does; one that does not stays by itself.
// RUN: sinter-opt %s --lm-fuse-qkv | FileCheck %s

// CHECK: lm.parameter @[[STACKED:.*]] : tensor<12x8xf8E4M3FN> parts [@l.q, @l.k]
// CHECK: %[[W:.*]] = lm.read @[[STACKED]]
// CHECK: %[[ALL:.*]] = lm.linear %{{.*}}, %[[W]] {fast_accumulation} :
// CHECK: lm.slice %[[ALL]] from 0 :
// CHECK: lm.slice %[[ALL]] from 8 :
// CHECK: lm.linear %{{.*}}, %{{.*}} :
lm.parameter @l.q : tensor<8x8xf8E4M3FN>
lm.parameter @l.k : tensor<4x8xf8E4M3FN>
lm.parameter @l.v : tensor<4x8xf8E4M3FN>
func.func @forward(%x: tensor<?x8xf32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x8xf32> {
  %wq = lm.read @l.q : tensor<8x8xf8E4M3FN>
  %wk = lm.read @l.k : tensor<4x8xf8E4M3FN>
  %wv = lm.read @l.v : tensor<4x8xf8E4M3FN>
  %q = lm.linear %x, %wq {fast_accumulation} : (tensor<?x8xf32>, tensor<8x8xf8E4M3FN>) -> tensor<?x8xf32>
  %k = lm.linear %x, %wk {fast_accumulation} : (tensor<?x8xf32>, tensor<4x8xf8E4M3FN>) -> tensor<?x4xf32>
  %v = lm.linear %x, %wv : (tensor<?x8xf32>, tensor<4x8xf8E4M3FN>) -> tensor<?x4xf32>
  %y = lm.attention %q, %k, %v, %positions, %sequences {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.7 : f64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
