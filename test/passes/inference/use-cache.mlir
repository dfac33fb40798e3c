// Two steps over a cache compute what one step over all rows does.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-use-cache)" 2>&1 | FileCheck %s

// CHECK: remark: same
// CHECK: func.func @forward({{.*}}, %[[SELECTED:.*]]: tensor<?xi32>, %[[CACHE:.*]]: !lm.cache) -> (tensor<?x8xf32>, !lm.cache)
// CHECK: %[[FULL:.*]] = lm.append %[[CACHE]], {{.*}}layer = 0
// CHECK: %[[Y:.*]] = lm.cached_attention %{{.*}}, %[[FULL]], {{.*}}layer = 0{{.*}}window = 3
// CHECK: %[[OUT:.*]] = lm.select_rows %[[Y]], %[[SELECTED]]
// CHECK: return %[[OUT]], %[[FULL]]
lm.parameter @e : tensor<11x8xf32>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %tokens, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.attention %x, %x, %x, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, window = 3 : i64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
