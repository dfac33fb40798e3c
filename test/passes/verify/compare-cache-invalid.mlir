// A pass that does change the numbers is found: with frequencies that depend on the longest sequence of the step, keys
// of the first of two steps are turned otherwise than in one step. (That is how transformers computes, too.)
// RUN: sinter-opt %s -verify-diagnostics --lm-compare="pipeline=func.func(lm-use-cache)"

lm.parameter @e : tensor<11x8xf32>
// expected-error @below {{of result 0 with 17 rows, found}}
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %tokens, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %c, %s = lm.rope_angles %positions {frequencies = array<f32: 1.0, 0.01>, dynamic = #lm.dynamic_ntk<base = 1.0e4 : f64, factor = 8.0 : f64, length = 4, dim = 4>} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  %q = lm.rope %x, %c, %s {head_dim = 4 : i64} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>
  %y = lm.attention %q, %q, %x, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
