// RUN: sinter-opt %s -split-input-file -verify-diagnostics

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected kv_heads to divide heads, found 3 and 4}}
  %y = lm.attention %q, %q, %q, %i, %i {heads = 4 : i64, kv_heads = 3 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a query width divisible by 3 heads, found 8}}
  %y = lm.attention %q, %q, %q, %i, %i {heads = 3 : i64, kv_heads = 3 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a window of at least one token, found 0}}
  %y = lm.attention %q, %q, %q, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, window = 0 : i64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected softcap > 0, found 0.0}}
  %y = lm.attention %q, %q, %q, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, softcap = 0.0 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected an alibi slope for each of 2 heads, found 1}}
  %y = lm.attention %q, %q, %q, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, alibi = array<f32: 0.5>} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected the key to have rank 2 and last dimension 4, found 'tensor<?x8xf32>'}}
  %y = lm.attention %q, %q, %q, %i, %i {heads = 2 : i64, kv_heads = 1 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %v: tensor<?x3xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a value width divisible by 2 kv_heads, found 3}}
  %y = lm.attention %q, %q, %v, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x3xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected log_sum_exp to have rank 2 and last dimension 2, found 'tensor<?x3xf32>'}}
  %y, %l = lm.attention %q, %q, %q, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?x3xf32>)
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x6xf32> {
  // expected-error @below {{expected the result to have rank 2 and last dimension 8, found 'tensor<?x6xf32>'}}
  %y = lm.attention %q, %q, %q, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

func.func @forward(%c: !lm.cache, %k: tensor<?x8xf32>, %i: tensor<?xi32>) -> !lm.cache {
  // expected-error @below {{lm.append' op expected a layer >= 0, found}}
  %y = lm.append %c, %k, %k, %i, %i {layer = -1 : i64, kv_heads = 2 : i64} : (!lm.cache, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> !lm.cache
  return %y : !lm.cache
}

// -----

func.func @forward(%c: !lm.cache, %k: tensor<?x8xf32>, %i: tensor<?xi32>) -> !lm.cache {
  // expected-error @below {{expected kv_heads to divide the widths 8 and 8, found 3}}
  %y = lm.append %c, %k, %k, %i, %i {layer = 0 : i64, kv_heads = 3 : i64} : (!lm.cache, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> !lm.cache
  return %y : !lm.cache
}

// -----

func.func @forward(%c: !lm.cache, %q: tensor<?x8xf32>, %i: tensor<?xi32>) -> tensor<?x3xf32> {
  // expected-error @below {{lm.cached_attention' op expected a result width divisible by 2 heads, found 3}}
  %y = lm.cached_attention %q, %c, %i, %i {layer = 0 : i64, heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, !lm.cache, tensor<?xi32>, tensor<?xi32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %l: tensor<?x3xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{lm.attention_backward' op expected log_sum_exp to have rank 2 and last dimension 2, found 'tensor<?x3xf32>'}}
  %a, %b, %c = lm.attention_backward %q, %q, %q, %q, %q, %l, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x3xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>)
  return %a : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %v: tensor<?x4xf32>, %l: tensor<?x2xf32>, %i: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected the output to have rank 2 and last dimension 4, found 'tensor<?x8xf32>'}}
  %a, %b, %c = lm.attention_backward %q, %q, %q, %v, %q, %l, %i, %i {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x8xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x4xf32>)
  return %a : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>, %s: tensor<2xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a seed, dropout and site together or none of them}}
  %y = lm.attention %q, %q, %q, %i, %i seed %s {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, dropout = 0.1 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @forward(%q: tensor<?x8xf32>, %i: tensor<?xi32>, %s: tensor<2xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{expected a rate of dropout above 0 and below 1, found 1.0}}
  %y = lm.attention %q, %q, %q, %i, %i seed %s {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, dropout = 1.0 : f64, site = 0 : i64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
