// The whole of fusion, in the pipeline's order, on a mixture of experts. Launches in a prompt: a lookup, the angles, 9 a
// layer (norm, query/key/value with the cache, attention, output, norm, router, choice, gate/up, down), the last sum over
// experts, norm, head; in decode the norms are in the matmuls and the experts.
// RUN: sinter-opt %s --lm-compare="pipeline=func.func(lm-use-cache,lm-select-logits,canonicalize,cse),lm-fuse-qkv,lm-make-entries,func.func(lm-fuse-gate-up,lm-fuse-experts,lm-fuse-rope,lm-fuse-append,lm-fuse-epilogue,lm-fuse-embedding,lm-fuse-residual-norm,lm-group-rest)" 2>&1 | FileCheck %s

// CHECK-COUNT-2: remark: same
// CHECK-LABEL: func.func @prefill
// CHECK-COUNT-23: lm.group
// CHECK-NOT: lm.group
// CHECK-LABEL: func.func @decode
// CHECK-COUNT-18: lm.group
// CHECK-NOT: lm.group

// A Mixtral of two layers, four heads of which two share keys, tied embeddings.

lm.parameter @embedding : tensor<19x8xf32>
lm.parameter @layers.0.norm1 : tensor<8xf32>
lm.parameter @layers.0.q : tensor<8x8xf32>
lm.parameter @layers.0.k : tensor<4x8xf32>
lm.parameter @layers.0.v : tensor<4x8xf32>
lm.parameter @layers.0.o : tensor<8x8xf32>
lm.parameter @layers.0.norm2 : tensor<8xf32>
lm.parameter @layers.0.router : tensor<5x8xf32>
lm.parameter @layers.0.gate : tensor<5x12x8xf32>
lm.parameter @layers.0.up : tensor<5x12x8xf32>
lm.parameter @layers.0.down : tensor<5x8x12xf32>
lm.parameter @layers.1.norm1 : tensor<8xf32>
lm.parameter @layers.1.q : tensor<8x8xf32>
lm.parameter @layers.1.k : tensor<4x8xf32>
lm.parameter @layers.1.v : tensor<4x8xf32>
lm.parameter @layers.1.o : tensor<8x8xf32>
lm.parameter @layers.1.norm2 : tensor<8xf32>
lm.parameter @layers.1.router : tensor<5x8xf32>
lm.parameter @layers.1.gate : tensor<5x12x8xf32>
lm.parameter @layers.1.up : tensor<5x12x8xf32>
lm.parameter @layers.1.down : tensor<5x8x12xf32>
lm.parameter @norm : tensor<8xf32>

func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x19xf32> {
  %table = lm.read @embedding : tensor<19x8xf32>
  %x0 = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<19x8xf32>) -> tensor<?x8xf32>
  %cos, %sin = lm.rope_angles %positions {frequencies = array<f32: 1.0>} : tensor<?xi32> -> tensor<?x1xf32>, tensor<?x1xf32>
  %norm10 = lm.read @layers.0.norm1 : tensor<8xf32>
  %q0 = lm.read @layers.0.q : tensor<8x8xf32>
  %k0 = lm.read @layers.0.k : tensor<4x8xf32>
  %v0 = lm.read @layers.0.v : tensor<4x8xf32>
  %o0 = lm.read @layers.0.o : tensor<8x8xf32>
  %norm20 = lm.read @layers.0.norm2 : tensor<8xf32>
  %router0 = lm.read @layers.0.router : tensor<5x8xf32>
  %gate0 = lm.read @layers.0.gate : tensor<5x12x8xf32>
  %up0 = lm.read @layers.0.up : tensor<5x12x8xf32>
  %down0 = lm.read @layers.0.down : tensor<5x8x12xf32>
  %a0 = lm.rms_norm %x0, %norm10 : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %qa0 = lm.linear %a0, %q0 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %ka0 = lm.linear %a0, %k0 : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %va0 = lm.linear %a0, %v0 : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %qr0 = lm.rope %qa0, %cos, %sin {head_dim = 2 : i64} : tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  %kr0 = lm.rope %ka0, %cos, %sin {head_dim = 2 : i64} : tensor<?x4xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  %t0 = lm.attention %qr0, %kr0, %va0, %positions, %sequences {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.7 : f64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %ot0 = lm.linear %t0, %o0 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %r0 = lm.add %x0, %ot0 : tensor<?x8xf32>
  %b0 = lm.rms_norm %r0, %norm20 : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %l0 = lm.linear %b0, %router0 : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
  %w0, %c0 = lm.route %l0 {k = 2 : i64, normalise} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %ga0 = lm.expert_linear %b0, %gate0, %c0 : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
  %ua0 = lm.expert_linear %b0, %up0, %c0 : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
  %ac0 = lm.silu %ga0 : tensor<?x2x12xf32>
  %gu0 = lm.mul %ac0, %ua0 : tensor<?x2x12xf32>
  %da0 = lm.expert_linear %gu0, %down0, %c0 : (tensor<?x2x12xf32>, tensor<5x8x12xf32>, tensor<?x2xi32>) -> tensor<?x2x8xf32>
  %d0 = lm.combine %da0, %w0 : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %x1 = lm.add %r0, %d0 : tensor<?x8xf32>
  %norm11 = lm.read @layers.1.norm1 : tensor<8xf32>
  %q1 = lm.read @layers.1.q : tensor<8x8xf32>
  %k1 = lm.read @layers.1.k : tensor<4x8xf32>
  %v1 = lm.read @layers.1.v : tensor<4x8xf32>
  %o1 = lm.read @layers.1.o : tensor<8x8xf32>
  %norm21 = lm.read @layers.1.norm2 : tensor<8xf32>
  %router1 = lm.read @layers.1.router : tensor<5x8xf32>
  %gate1 = lm.read @layers.1.gate : tensor<5x12x8xf32>
  %up1 = lm.read @layers.1.up : tensor<5x12x8xf32>
  %down1 = lm.read @layers.1.down : tensor<5x8x12xf32>
  %a1 = lm.rms_norm %x1, %norm11 : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %qa1 = lm.linear %a1, %q1 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %ka1 = lm.linear %a1, %k1 : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %va1 = lm.linear %a1, %v1 : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %qr1 = lm.rope %qa1, %cos, %sin {head_dim = 2 : i64} : tensor<?x8xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  %kr1 = lm.rope %ka1, %cos, %sin {head_dim = 2 : i64} : tensor<?x4xf32>, tensor<?x1xf32>, tensor<?x1xf32>
  %t1 = lm.attention %qr1, %kr1, %va1, %positions, %sequences {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.7 : f64} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>
  %ot1 = lm.linear %t1, %o1 : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %r1 = lm.add %x1, %ot1 : tensor<?x8xf32>
  %b1 = lm.rms_norm %r1, %norm21 : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %l1 = lm.linear %b1, %router1 : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
  %w1, %c1 = lm.route %l1 {k = 2 : i64, normalise} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %ga1 = lm.expert_linear %b1, %gate1, %c1 : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
  %ua1 = lm.expert_linear %b1, %up1, %c1 : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
  %ac1 = lm.silu %ga1 : tensor<?x2x12xf32>
  %gu1 = lm.mul %ac1, %ua1 : tensor<?x2x12xf32>
  %da1 = lm.expert_linear %gu1, %down1, %c1 : (tensor<?x2x12xf32>, tensor<5x8x12xf32>, tensor<?x2xi32>) -> tensor<?x2x8xf32>
  %d1 = lm.combine %da1, %w1 : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
  %x2 = lm.add %r1, %d1 : tensor<?x8xf32>
  %norm = lm.read @norm : tensor<8xf32>
  %last = lm.rms_norm %x2, %norm : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
  %head = lm.read @embedding : tensor<19x8xf32>
  %logits = lm.linear %last, %head : (tensor<?x8xf32>, tensor<19x8xf32>) -> tensor<?x19xf32>
  return %logits : tensor<?x19xf32>
}
