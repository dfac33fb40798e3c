// RUN: sinter-opt %s --lm-use-cache -split-input-file -verify-diagnostics

// expected-error @below {{expected tokens, positions and sequences as arguments and logits as result}}
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?xi32> {
  return %tokens : tensor<?xi32>
}

// -----

func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %tokens, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  // expected-error @below {{expected no log_sum_exp where a cache is used}}
  %y, %l = lm.attention %x, %x, %x, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?x2xf32>)
  return %y : tensor<?x8xf32>
}
lm.parameter @e : tensor<11x8xf32>
