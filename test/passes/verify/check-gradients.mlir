// Every rule against central differences: an operation between an embedding, which is trained, and the loss.
// RUN: sinter-opt %s -split-input-file -verify-diagnostics --lm-check-gradients

// lm.silu.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.silu %x : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.relu.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.relu %x : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.clamp, with elements on both sides of the limit.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.clamp %x {limit = 0.4 : f64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.sigmoid.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.sigmoid %x : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.tanh.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.tanh %x : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.gelu.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.gelu %x : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.gelu_tanh.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.gelu_tanh %x : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.quick_gelu.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.quick_gelu %x : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.add and lm.mul, of values used twice.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %a = lm.mul %x, %x : tensor<?x8xf32>
  %b = lm.add %a, %x : tensor<?x8xf32>
  %y = lm.mul %b, %a : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.scale.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.scale %x {factor = -1.7 : f64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.softcap.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.softcap %x {cap = 0.8 : f64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.slice and lm.concat.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %a = lm.slice %x from 1 : tensor<?x8xf32> -> tensor<?x3xf32>
  %b = lm.slice %x from 2 : tensor<?x8xf32> -> tensor<?x5xf32>
  %y = lm.concat %b, %a : (tensor<?x5xf32>, tensor<?x3xf32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.select_rows, of rows that several results share.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %c, %s = lm.rope_angles %positions {frequencies = array<f32: 1.0>} : tensor<?xi32> -> tensor<?x1xf32>, tensor<?x1xf32>
  %a = lm.select_rows %x, %positions : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %y = lm.rope %a, %c, %s {head_dim = 4 : i64} : tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.linear with a bias.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @w : tensor<8x8xf32>
lm.parameter @b : tensor<8xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %w = lm.read @w : tensor<8x8xf32>
  %b = lm.read @b : tensor<8xf32>
  %y = lm.linear %x, %w bias %b : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.rms_norm of rows, weight + 1.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @w : tensor<8xf32>
// expected-remark @below {{gradients of 2 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %w = lm.read @w : tensor<8xf32>
  %y = lm.rms_norm %x, %w : tensor<8xf32> {epsilon = 1.0e-3 : f64, offset = 1.0 : f64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.rms_norm of heads.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @w : tensor<4xf32>
// expected-remark @below {{gradients of 2 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %w = lm.read @w : tensor<4xf32>
  %y = lm.rms_norm %x, %w : tensor<4xf32> {epsilon = 1.0e-3 : f64, group = 4 : i64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.rms_norm without a weight.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %y = lm.rms_norm %x {epsilon = 1.0e-3 : f64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.layer_norm of rows.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @w : tensor<8xf32>
lm.parameter @b : tensor<8xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %w = lm.read @w : tensor<8xf32>
  %b = lm.read @b : tensor<8xf32>
  %y = lm.layer_norm %x weight %w : tensor<8xf32> bias %b : tensor<8xf32> {epsilon = 1.0e-3 : f64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.layer_norm of heads that share their weights.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @w : tensor<4xf32>
lm.parameter @b : tensor<4xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %w = lm.read @w : tensor<4xf32>
  %b = lm.read @b : tensor<4xf32>
  %y = lm.layer_norm %x weight %w : tensor<4xf32> bias %b : tensor<4xf32> {epsilon = 1.0e-3 : f64, group = 4 : i64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.layer_norm of heads with weights of their own, no bias.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @w : tensor<8xf32>
// expected-remark @below {{gradients of 2 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %w = lm.read @w : tensor<8xf32>
  %y = lm.layer_norm %x weight %w : tensor<8xf32> {epsilon = 1.0e-3 : f64, group = 4 : i64} : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.rope of halves.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %c, %s = lm.rope_angles %positions {frequencies = array<f32: 1.0, 0.3>, factor = 1.2 : f64} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  %y = lm.rope %x, %c, %s {head_dim = 4 : i64} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.rope of neighbours, half of the head.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %c, %s = lm.rope_angles %positions {frequencies = array<f32: 1.0, 0.3>, factor = 1.2 : f64} : tensor<?xi32> -> tensor<?x2xf32>, tensor<?x2xf32>
  %y = lm.rope %x, %c, %s {head_dim = 8 : i64, interleaved} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.attention.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @k : tensor<8x8xf32>
lm.parameter @v : tensor<8x8xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %wk = lm.read @k : tensor<8x8xf32>
  %wv = lm.read @v : tensor<8x8xf32>
  %k = lm.linear %x, %wk : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v = lm.linear %x, %wv : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %y = lm.attention %x, %k, %v, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.9 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.attention with grouped queries and a window.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @k : tensor<4x8xf32>
lm.parameter @v : tensor<4x8xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %wk = lm.read @k : tensor<4x8xf32>
  %wv = lm.read @v : tensor<4x8xf32>
  %k = lm.linear %x, %wk : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %v = lm.linear %x, %wv : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %y = lm.attention %x, %k, %v, %positions, %sequences {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.9 : f64, window = 3 : i64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.attention with softcap.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @k : tensor<8x8xf32>
lm.parameter @v : tensor<8x8xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %wk = lm.read @k : tensor<8x8xf32>
  %wv = lm.read @v : tensor<8x8xf32>
  %k = lm.linear %x, %wk : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v = lm.linear %x, %wv : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %y = lm.attention %x, %k, %v, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.9 : f64, softcap = 1.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.attention with slopes.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @k : tensor<8x8xf32>
lm.parameter @v : tensor<8x8xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %wk = lm.read @k : tensor<8x8xf32>
  %wv = lm.read @v : tensor<8x8xf32>
  %k = lm.linear %x, %wk : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v = lm.linear %x, %wv : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %y = lm.attention %x, %k, %v, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.9 : f64, alibi = array<f32: 0.5, 0.25>} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.route, lm.expert_linear and lm.combine; weights normalised.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @r : tensor<5x8xf32>
lm.parameter @u : tensor<5x6x8xf32>
lm.parameter @d : tensor<5x8x6xf32>
// expected-remark @below {{gradients of 4 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %wr = lm.read @r : tensor<5x8xf32>
  %wu = lm.read @u : tensor<5x6x8xf32>
  %wd = lm.read @d : tensor<5x8x6xf32>
  %l = lm.linear %x, %wr : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
  %p, %n = lm.route %l {k = 2 : i64, normalise} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %u = lm.expert_linear %x, %wu, %n : (tensor<?x8xf32>, tensor<5x6x8xf32>, tensor<?x2xi32>) -> tensor<?x2x6xf32>
  %a = lm.silu %u : tensor<?x2x6xf32>
  %d = lm.expert_linear %a, %wd, %n : (tensor<?x2x6xf32>, tensor<5x8x6xf32>, tensor<?x2xi32>) -> tensor<?x2x8xf32>
  %y = lm.combine %d, %p : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.balance_loss of two routers beside what they choose.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @r : tensor<5x8xf32>
lm.parameter @s : tensor<5x8xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %wr = lm.read @r : tensor<5x8xf32>
  %ws = lm.read @s : tensor<5x8xf32>
  %l = lm.linear %x, %wr : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
  %m = lm.linear %x, %ws : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
  %p, %n = lm.route %l {k = 2 : i64, normalise} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %q, %o = lm.route %m {k = 2 : i64} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %c = lm.cross_entropy %x, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  %v = lm.router_votes logits %l, %m chosen %n, %o : (tensor<?x5xf32>, tensor<?x5xf32>, tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<10xf32>
  %loss = lm.balance_loss %c, %v, %l, %m {coefficient = 0.5 : f64} : (tensor<f32>, tensor<10xf32>, tensor<?x5xf32>, tensor<?x5xf32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.route without normalising.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @r : tensor<5x8xf32>
lm.parameter @u : tensor<5x8x8xf32>
// expected-remark @below {{gradients of 3 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %wr = lm.read @r : tensor<5x8xf32>
  %wu = lm.read @u : tensor<5x8x8xf32>
  %l = lm.linear %x, %wr : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
  %p, %n = lm.route %l {k = 3 : i64} : tensor<?x5xf32> -> tensor<?x3xf32>, tensor<?x3xi32>
  %u = lm.expert_linear %x, %wu, %n : (tensor<?x8xf32>, tensor<5x8x8xf32>, tensor<?x3xi32>) -> tensor<?x3x8xf32>
  %y = lm.combine %u, %p : (tensor<?x3x8xf32>, tensor<?x3xf32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.dropout, twice.
lm.parameter @e : tensor<11x8xf32>
// expected-remark @below {{gradients of 1 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %seed: tensor<2xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %d = lm.dropout %x seed %seed {rate = 0.4 : f64, site = 0 : i64} : tensor<?x8xf32>, tensor<2xi32>
  %s = lm.silu %d : tensor<?x8xf32>
  %f = lm.dropout %s seed %seed {rate = 0.25 : f64, site = 1 : i64} : tensor<?x8xf32>, tensor<2xi32>
  %y = lm.add %f, %x : tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// -----

// lm.attention with dropout of its probabilities, grouped queries and a soft cap.
lm.parameter @e : tensor<11x8xf32>
lm.parameter @q : tensor<8x8xf32>
lm.parameter @k : tensor<4x8xf32>
lm.parameter @v : tensor<4x8xf32>
// expected-remark @below {{gradients of 4 parameters agree}}
func.func @forward(%ids: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %seed: tensor<2xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %e = lm.read @e : tensor<11x8xf32>
  %wq = lm.read @q : tensor<8x8xf32>
  %wk = lm.read @k : tensor<4x8xf32>
  %wv = lm.read @v : tensor<4x8xf32>
  %x = lm.embedding %ids, %e : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %q = lm.linear %x, %wq : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %k = lm.linear %x, %wk : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %v = lm.linear %x, %wv : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %y = lm.attention %q, %k, %v, %positions, %sequences seed %seed {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.7 : f64, softcap = 2.0 : f64, dropout = 0.3 : f64, site = 2 : i64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>) -> tensor<?x8xf32>
  %loss = lm.cross_entropy %y, %targets : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}
