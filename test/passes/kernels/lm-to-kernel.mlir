// Groups become kernels, and equal groups one kernel: two layers launch it twice, on their own weights.
// RUN: sinter-opt %s --lm-to-kernel=cache-types=f32 --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: kernel.entry @decode_f32 rows 16 selected 16 head 3
// CHECK: %[[WA:.*]] = kernel.buffer weight @a : !kernel.weight<24x24, f32>
// CHECK: kernel.launch @[[LAYER:matmul_[0-9]+]](%[[WA]],
// CHECK: %[[WB:.*]] = kernel.buffer weight @b : !kernel.weight<24x24, f32>
// CHECK: kernel.launch @[[LAYER]](%[[WB]],
// CHECK: kernel.buffer logits : !kernel.rows<40xf32>
// CHECK: kernel.func @[[LAYER]]
// CHECK: kernel.matmul
// CHECK: arith.addf
lm.parameter @table : tensor<40x24xf32>
lm.parameter @a : tensor<24x24xf32>
lm.parameter @b : tensor<24x24xf32>
func.func @decode(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                  %selected: tensor<?xi32>, %cache: !lm.cache) -> (tensor<?x40xf32>, !lm.cache)
    attributes {lm.form = "decode"} {
  %table = lm.read @table : tensor<40x24xf32>
  %a = lm.read @a : tensor<24x24xf32>
  %b = lm.read @b : tensor<24x24xf32>
  %x = lm.group gather {
    %0 = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<40x24xf32>) -> tensor<?x24xf32>
    lm.yield %0 : tensor<?x24xf32>
  } : tensor<?x24xf32>
  %y = lm.group matmul {
    %0 = lm.linear %x, %a : (tensor<?x24xf32>, tensor<24x24xf32>) -> tensor<?x24xf32>
    %1 = lm.add %x, %0 : tensor<?x24xf32>
    lm.yield %1 : tensor<?x24xf32>
  } : tensor<?x24xf32>
  %z = lm.group matmul {
    %0 = lm.linear %y, %b : (tensor<?x24xf32>, tensor<24x24xf32>) -> tensor<?x24xf32>
    %1 = lm.add %y, %0 : tensor<?x24xf32>
    lm.yield %1 : tensor<?x24xf32>
  } : tensor<?x24xf32>
  %logits = lm.group matmul {
    %0 = lm.select_rows %z, %selected : (tensor<?x24xf32>, tensor<?xi32>) -> tensor<?x24xf32>
    %1 = lm.linear %0, %table : (tensor<?x24xf32>, tensor<40x24xf32>) -> tensor<?x40xf32>
    lm.yield %1 : tensor<?x40xf32>
  } : tensor<?x40xf32>
  return %logits, %cache : tensor<?x40xf32>, !lm.cache
}

// -----

// A function that is no entry has no kernels.
// expected-error @below {{expected the attribute lm.form (prefill or decode), found none}}
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?xi32> {
  return %tokens : tensor<?xi32>
}

// -----

func.func @decode(%x: tensor<?x24xf32>) -> tensor<?x24xf32> attributes {lm.form = "decode"} {
  // expected-error @below {{expected only groups: run --lm-group-rest first}}
  %0 = lm.silu %x : tensor<?x24xf32>
  return %0 : tensor<?x24xf32>
}

// -----

func.func @decode(%x: tensor<?x4xf32>) -> tensor<?x2xf32> attributes {lm.form = "decode"} {
  // expected-error @below {{expected lm.route or lm.expert_linear in a group of experts}}
  %w = lm.group experts {
    %0 = lm.slice %x from 0 : tensor<?x4xf32> -> tensor<?x2xf32>
    lm.yield %0 : tensor<?x2xf32>
  } : tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----

// What the fusion passes do not make, but IR may say.
lm.parameter @w : tensor<8x4xf32>
func.func @decode(%x: tensor<?x4xf32>) -> (tensor<?x8xf32>, tensor<?x4xf32>) attributes {lm.form = "decode"} {
  %w = lm.read @w : tensor<8x4xf32>
  %y:2 = lm.group matmul {
    %0 = lm.linear %x, %w : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
    %1 = lm.slice %0 from 0 : tensor<?x8xf32> -> tensor<?x4xf32>
    // expected-error @below {{expected slices alone of a product that is sliced in its kernel}}
    lm.yield %0, %1 : tensor<?x8xf32>, tensor<?x4xf32>
  } : tensor<?x8xf32>, tensor<?x4xf32>
  return %y#0, %y#1 : tensor<?x8xf32>, tensor<?x4xf32>
}

// -----

lm.parameter @w : tensor<8x4xf32>
func.func @decode(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {lm.form = "decode"} {
  %w = lm.read @w : tensor<8x4xf32>
  %y = lm.group matmul {
    %0 = lm.linear %x, %w : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
    %1 = lm.slice %0 from 0 : tensor<?x8xf32> -> tensor<?x4xf32>
    // expected-error @below {{expected what reads it to be in the same program of its kernel}}
    %2 = lm.slice %0 from 4 : tensor<?x8xf32> -> tensor<?x4xf32>
    %3 = lm.mul %1, %2 : tensor<?x4xf32>
    lm.yield %3 : tensor<?x4xf32>
  } : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

lm.parameter @w : tensor<8x4xf32>
func.func @decode(%x: tensor<?x4xf32>) -> tensor<?x8xf32> attributes {lm.form = "decode"} {
  %w = lm.read @w : tensor<8x4xf32>
  %y = lm.group matmul {
    %0 = lm.linear %x, %w : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
    // expected-error @below {{expected a program as wide as the norm's group}}
    %1 = lm.rms_norm %0 {epsilon = 1.0e-5 : f64, group = 4 : i64} : tensor<?x8xf32>
    // expected-error @below {{expected heads of 4 columns, as other ones in its kernel have}}
    %2 = lm.rms_norm %1 {epsilon = 1.0e-5 : f64, group = 2 : i64} : tensor<?x8xf32>
    lm.yield %2 : tensor<?x8xf32>
  } : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @decode(%x: tensor<?x8xf32>, %cos: tensor<?x2xf32>, %sin: tensor<?x2xf32>) -> tensor<?x8xf32> attributes {lm.form = "decode"} {
  %y = lm.group rows {
    // expected-error @below {{expected a program as wide as a head}}
    %0 = lm.rope %x, %cos, %sin {head_dim = 4 : i64} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>
    %1 = lm.rms_norm %0 {epsilon = 1.0e-5 : f64, group = 2 : i64} : tensor<?x8xf32>
    lm.yield %1 : tensor<?x8xf32>
  } : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Activations that a caller brings are marked, and quantised first where a matmul over many rows wants them so.
// CHECK-LABEL: kernel.entry @prefill_f32
// CHECK: %[[X:.*]] = kernel.buffer arena {argument = 0 : i64} : !kernel.rows<64xf32>
// CHECK: %[[Q:.*]] = kernel.buffer arena : !kernel.rows<64xq8>
// CHECK: kernel.launch @{{.*}}(%[[X]], %[[Q]])
// CHECK: %[[W:.*]] = kernel.buffer weight @w
// CHECK: %[[H:.*]] = kernel.buffer arena {result = 1 : i64} : !kernel.rows<32xf32>
// CHECK: kernel.launch @{{.*}}(%[[W]], %[[Q]], %[[H]])
// CHECK: %[[Y:.*]] = kernel.buffer logits
// CHECK: kernel.launch @{{.*}}(%[[H]], %[[Y]])
lm.parameter @w : tensor<32x64x!lm.block<q8_0>>
func.func @prefill(%x: tensor<?x64xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) attributes {lm.form = "prefill"} {
  %w = lm.read @w : tensor<32x64x!lm.block<q8_0>>
  %h = lm.group matmul {
    %0 = lm.linear %x, %w : (tensor<?x64xf32>, tensor<32x64x!lm.block<q8_0>>) -> tensor<?x32xf32>
    lm.yield %0 : tensor<?x32xf32>
  } : tensor<?x32xf32>
  %y = lm.group rows {
    %0 = lm.silu %h : tensor<?x32xf32>
    lm.yield %0 : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y, %h : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// Threads of GPUs round blocks of quads: what comes in other pieces is stored as it is, and rounded by the next kernel.
// CHECK-LABEL: kernel.entry @prefill_f32
// CHECK: %[[X:.*]] = kernel.buffer arena {argument = 0 : i64} : !kernel.rows<80xf32>
// CHECK: %[[S:.*]] = kernel.buffer arena : !kernel.rows<64xf32>
// CHECK: %[[Q:.*]] = kernel.buffer arena : !kernel.rows<64xq8>
// CHECK: kernel.launch @{{.*}}(%[[X]], %[[S]])
// CHECK: kernel.launch @{{.*}}(%[[S]], %[[Q]])
// CHECK: kernel.launch @{{.*}}(%{{.*}}, %[[Q]], %{{.*}})
lm.parameter @w : tensor<32x64x!lm.block<q8_0>>
func.func @prefill(%x: tensor<?x80xf32>) -> tensor<?x32xf32> attributes {lm.form = "prefill"} {
  %w = lm.read @w : tensor<32x64x!lm.block<q8_0>>
  %s = lm.group rows {
    %0 = lm.slice %x from 10 : tensor<?x80xf32> -> tensor<?x64xf32>
    lm.yield %0 : tensor<?x64xf32>
  } : tensor<?x64xf32>
  %y = lm.group matmul {
    %0 = lm.linear %s, %w : (tensor<?x64xf32>, tensor<32x64x!lm.block<q8_0>>) -> tensor<?x32xf32>
    lm.yield %0 : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// CHECK-LABEL: kernel.entry @prefill_f32
// CHECK: %[[X:.*]] = kernel.buffer arena {argument = 0 : i64} : !kernel.rows<64xf32>
// CHECK: %[[T:.*]] = kernel.buffer arena : !kernel.rows<64xf32>
// CHECK: %[[Q:.*]] = kernel.buffer arena : !kernel.rows<64xq8>
// CHECK: kernel.launch @{{.*}}(%[[X]], {{.*}}%[[T]])
// CHECK: kernel.launch @{{.*}}(%[[T]], %[[Q]])
lm.parameter @w : tensor<32x64x!lm.block<q8_0>>
func.func @prefill(%x: tensor<?x64xf32>, %cos: tensor<?x16xf32>, %sin: tensor<?x16xf32>) -> tensor<?x32xf32>
    attributes {lm.form = "prefill"} {
  %w = lm.read @w : tensor<32x64x!lm.block<q8_0>>
  %t = lm.group rows {
    %0 = lm.rope %x, %cos, %sin {head_dim = 32 : i64, interleaved} : tensor<?x64xf32>, tensor<?x16xf32>, tensor<?x16xf32>
    lm.yield %0 : tensor<?x64xf32>
  } : tensor<?x64xf32>
  %y = lm.group matmul {
    %0 = lm.linear %t, %w : (tensor<?x64xf32>, tensor<32x64x!lm.block<q8_0>>) -> tensor<?x32xf32>
    lm.yield %0 : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// Tensor cores may keep the sums of a kernel whose layers all let them.
// CHECK-LABEL: kernel.entry @prefill_f32
// CHECK: kernel.func
// CHECK: kernel.matmul {{.*}} over( rows) fast_accumulation
// CHECK: kernel.func
// CHECK: kernel.matmul {{.*}} over( rows) ranges
lm.parameter @a : tensor<32x64xf8E5M2>
lm.parameter @b : tensor<32x64xf8E5M2>
func.func @prefill(%x: tensor<?x64xf8E5M2>) -> (tensor<?x32xf32>, tensor<?x32xf32>) attributes {lm.form = "prefill"} {
  %a = lm.read @a : tensor<32x64xf8E5M2>
  %b = lm.read @b : tensor<32x64xf8E5M2>
  %y = lm.group matmul {
    %0 = lm.linear %x, %a {fast_accumulation} : (tensor<?x64xf8E5M2>, tensor<32x64xf8E5M2>) -> tensor<?x32xf32>
    %1 = lm.linear %x, %b {fast_accumulation} : (tensor<?x64xf8E5M2>, tensor<32x64xf8E5M2>) -> tensor<?x32xf32>
    %2 = lm.mul %0, %1 : tensor<?x32xf32>
    lm.yield %2 : tensor<?x32xf32>
  } : tensor<?x32xf32>
  %z = lm.group matmul {
    %0 = lm.linear %x, %a {fast_accumulation} : (tensor<?x64xf8E5M2>, tensor<32x64xf8E5M2>) -> tensor<?x32xf32>
    %1 = lm.linear %x, %b : (tensor<?x64xf8E5M2>, tensor<32x64xf8E5M2>) -> tensor<?x32xf32>
    %2 = lm.mul %0, %1 : tensor<?x32xf32>
    lm.yield %2 : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y, %z : tensor<?x32xf32>, tensor<?x32xf32>
}
