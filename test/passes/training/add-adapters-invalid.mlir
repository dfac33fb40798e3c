// Targets that are no linear layers, and ranks that do not fit, are named.
// RUN: sinter-opt %s --split-input-file --lm-add-adapters="rank=9 targets=up_proj" --verify-diagnostics

lm.parameter @up : tensor<12x8xf32> from <tensors = ["l.0.up_proj.weight"]>
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x12xf32> {
  %w = lm.read @up : tensor<12x8xf32>
  // expected-error @below {{--lora: expected a rank from 1 to 8, the inputs of l.0.up_proj, found 9}}
  %y = lm.linear %x, %w : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// -----
lm.parameter @embedding : tensor<12x8xf32> from <tensors = ["wte.weight"]>
lm.parameter @fc : tensor<8x8xf32> from <tensors = ["l.0.c_fc.weight"]>
// expected-error @below {{--lora-targets: expected linear layers of this model (c_fc), found 'up_proj' (the head is the embedding, which gets no adapter)}}
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x12xf32> {
  %w = lm.read @fc : tensor<8x8xf32>
  %y = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %v = lm.read @embedding : tensor<12x8xf32>
  %z = lm.linear %y, %v : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  return %z : tensor<?x12xf32>
}

// -----
lm.parameter @fc : tensor<8x8xf32> from <tensors = ["l.0.c_fc.weight"]>
lm.parameter @layers.0.experts.gate : tensor<4x12x8xf32> from <tensors = ["l.0.experts.up_proj"]>
// expected-error @below {{(c_fc), found 'up_proj', which are experts; only linear layers that every token takes get adapters}}
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = lm.read @fc : tensor<8x8xf32>
  %y = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----
lm.parameter @fc : tensor<8x8xf32> from <tensors = ["l.0.c_fc.weight"]>
lm.parameter @layers.0.experts.router : tensor<8x8xf32> from <tensors = ["l.0.up_proj.weight"]>
// expected-error @below {{(c_fc), found 'up_proj', the router of experts, which gets no adapter}}
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = lm.read @fc : tensor<8x8xf32>
  %y = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----
lm.parameter @fc : tensor<8x8xf32> from <tensors = ["l.0.c_fc.weight"]>
lm.parameter @embedding : tensor<8x8xf32> from <tensors = ["up_proj.weight"]>
// expected-error @below {{(c_fc), found 'up_proj', the embedding, which gets no adapter}}
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = lm.read @fc : tensor<8x8xf32>
  %y = lm.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----
// expected-error @below {{expected a function forward with a body, found none}}
module {}
