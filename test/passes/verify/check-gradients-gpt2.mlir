// RUN: sinter-opt %s -verify-diagnostics --lm-check-gradients

// A GPT-2 of two layers: learned positions, layer norm with bias, one matrix for query, key and value.

lm.parameter @tokens : tensor<19x8xf32>
lm.parameter @positions : tensor<17x8xf32>
lm.parameter @layers.0.norm1 : tensor<8xf32>
lm.parameter @layers.0.norm1b : tensor<8xf32>
lm.parameter @layers.0.qkv : tensor<24x8xf32>
lm.parameter @layers.0.qkvb : tensor<24xf32>
lm.parameter @layers.0.o : tensor<8x8xf32>
lm.parameter @layers.0.ob : tensor<8xf32>
lm.parameter @layers.0.norm2 : tensor<8xf32>
lm.parameter @layers.0.norm2b : tensor<8xf32>
lm.parameter @layers.0.up : tensor<16x8xf32>
lm.parameter @layers.0.upb : tensor<16xf32>
lm.parameter @layers.0.down : tensor<8x16xf32>
lm.parameter @layers.0.downb : tensor<8xf32>
lm.parameter @layers.1.norm1 : tensor<8xf32>
lm.parameter @layers.1.norm1b : tensor<8xf32>
lm.parameter @layers.1.qkv : tensor<24x8xf32>
lm.parameter @layers.1.qkvb : tensor<24xf32>
lm.parameter @layers.1.o : tensor<8x8xf32>
lm.parameter @layers.1.ob : tensor<8xf32>
lm.parameter @layers.1.norm2 : tensor<8xf32>
lm.parameter @layers.1.norm2b : tensor<8xf32>
lm.parameter @layers.1.up : tensor<16x8xf32>
lm.parameter @layers.1.upb : tensor<16xf32>
lm.parameter @layers.1.down : tensor<8x16xf32>
lm.parameter @layers.1.downb : tensor<8xf32>
lm.parameter @norm : tensor<8xf32>
lm.parameter @normb : tensor<8xf32>

// expected-remark @below {{gradients of 28 parameters agree}}
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %table = lm.read @tokens : tensor<19x8xf32>
  %places = lm.read @positions : tensor<17x8xf32>
  %e = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<19x8xf32>) -> tensor<?x8xf32>
  %p = lm.embedding %positions, %places : (tensor<?xi32>, tensor<17x8xf32>) -> tensor<?x8xf32>
  %x0 = lm.add %e, %p : tensor<?x8xf32>
  %norm10 = lm.read @layers.0.norm1 : tensor<8xf32>
  %norm1b0 = lm.read @layers.0.norm1b : tensor<8xf32>
  %qkv0 = lm.read @layers.0.qkv : tensor<24x8xf32>
  %qkvb0 = lm.read @layers.0.qkvb : tensor<24xf32>
  %o0 = lm.read @layers.0.o : tensor<8x8xf32>
  %ob0 = lm.read @layers.0.ob : tensor<8xf32>
  %norm20 = lm.read @layers.0.norm2 : tensor<8xf32>
  %norm2b0 = lm.read @layers.0.norm2b : tensor<8xf32>
  %up0 = lm.read @layers.0.up : tensor<16x8xf32>
  %upb0 = lm.read @layers.0.upb : tensor<16xf32>
  %down0 = lm.read @layers.0.down : tensor<8x16xf32>
  %downb0 = lm.read @layers.0.downb : tensor<8xf32>
  %a0 = lm.layer_norm %x0 weight %norm10 : tensor<8xf32> bias %norm1b0 : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %w0 = lm.linear %a0, %qkv0 bias %qkvb0 : (tensor<?x8xf32>, tensor<24x8xf32>, tensor<24xf32>) -> tensor<?x24xf32>
  %q0 = lm.slice %w0 from 0 : tensor<?x24xf32> -> tensor<?x8xf32>
  %k0 = lm.slice %w0 from 8 : tensor<?x24xf32> -> tensor<?x8xf32>
  %v0 = lm.slice %w0 from 16 : tensor<?x24xf32> -> tensor<?x8xf32>
  %t0 = lm.attention %q0, %k0, %v0, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %ot0 = lm.linear %t0, %o0 bias %ob0 : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %r0 = lm.add %x0, %ot0 : tensor<?x8xf32>
  %b0 = lm.layer_norm %r0 weight %norm20 : tensor<8xf32> bias %norm2b0 : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %ua0 = lm.linear %b0, %up0 bias %upb0 : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %ac0 = lm.gelu_tanh %ua0 : tensor<?x16xf32>
  %d0 = lm.linear %ac0, %down0 bias %downb0 : (tensor<?x16xf32>, tensor<8x16xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %x1 = lm.add %r0, %d0 : tensor<?x8xf32>
  %norm11 = lm.read @layers.1.norm1 : tensor<8xf32>
  %norm1b1 = lm.read @layers.1.norm1b : tensor<8xf32>
  %qkv1 = lm.read @layers.1.qkv : tensor<24x8xf32>
  %qkvb1 = lm.read @layers.1.qkvb : tensor<24xf32>
  %o1 = lm.read @layers.1.o : tensor<8x8xf32>
  %ob1 = lm.read @layers.1.ob : tensor<8xf32>
  %norm21 = lm.read @layers.1.norm2 : tensor<8xf32>
  %norm2b1 = lm.read @layers.1.norm2b : tensor<8xf32>
  %up1 = lm.read @layers.1.up : tensor<16x8xf32>
  %upb1 = lm.read @layers.1.upb : tensor<16xf32>
  %down1 = lm.read @layers.1.down : tensor<8x16xf32>
  %downb1 = lm.read @layers.1.downb : tensor<8xf32>
  %a1 = lm.layer_norm %x1 weight %norm11 : tensor<8xf32> bias %norm1b1 : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %w1 = lm.linear %a1, %qkv1 bias %qkvb1 : (tensor<?x8xf32>, tensor<24x8xf32>, tensor<24xf32>) -> tensor<?x24xf32>
  %q1 = lm.slice %w1 from 0 : tensor<?x24xf32> -> tensor<?x8xf32>
  %k1 = lm.slice %w1 from 8 : tensor<?x24xf32> -> tensor<?x8xf32>
  %v1 = lm.slice %w1 from 16 : tensor<?x24xf32> -> tensor<?x8xf32>
  %t1 = lm.attention %q1, %k1, %v1, %positions, %sequences {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %ot1 = lm.linear %t1, %o1 bias %ob1 : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %r1 = lm.add %x1, %ot1 : tensor<?x8xf32>
  %b1 = lm.layer_norm %r1 weight %norm21 : tensor<8xf32> bias %norm2b1 : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %ua1 = lm.linear %b1, %up1 bias %upb1 : (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %ac1 = lm.gelu_tanh %ua1 : tensor<?x16xf32>
  %d1 = lm.linear %ac1, %down1 bias %downb1 : (tensor<?x16xf32>, tensor<8x16xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %x2 = lm.add %r1, %d1 : tensor<?x8xf32>
  %norm = lm.read @norm : tensor<8xf32>
  %normb = lm.read @normb : tensor<8xf32>
  %last = lm.layer_norm %x2 weight %norm : tensor<8xf32> bias %normb : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %logits = lm.linear %last, %table : (tensor<?x8xf32>, tensor<19x8xf32>) -> tensor<?x19xf32>
  %loss = lm.cross_entropy %logits, %targets : (tensor<?x19xf32>, tensor<?xi32>) -> tensor<f32>
  return %loss : tensor<f32>
}
