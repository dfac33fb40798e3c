// Linear layers get adapters, and nothing else is trained any more.
// RUN: sinter-opt %s --lm-add-adapters="rank=2 factor=1.5" | FileCheck %s
// RUN: sinter-opt %s --lm-add-adapters="rank=2 factor=1 targets=c_fc prefix=transformer." | FileCheck %s --check-prefix=ONE
// RUN: sinter-opt %s --lm-add-adapters="rank=2 factor=1.5" --lm-add-loss --lm-differentiate=function=train | FileCheck %s --check-prefix=GRADIENTS

// The two halves of a matrix share A, and have the rows of B that the file keeps for them. The head has no adapter.
// CHECK-DAG: lm.parameter @embedding : tensor<16x8xf32> {{.*}}trainable = false
// CHECK-DAG: lm.parameter @gate : {{.*}}lm.adapters = [@gate.lora_a, @gate.lora_b], trainable = false
// CHECK-DAG: lm.parameter @up : {{.*}}lm.adapters = [@gate.lora_a, @up.lora_b], trainable = false
// CHECK-DAG: lm.parameter @gate.lora_a : tensor<2x8xf32> from <tensors = ["base_model.model.l.0.gate_up.lora_A.weight"]> {lm.adapter}
// CHECK-DAG: lm.parameter @gate.lora_b : tensor<12x2xf32> from <tensors = ["base_model.model.l.0.gate_up.lora_B.weight"]> {lm.adapter}
// CHECK-DAG: lm.parameter @up.lora_b : tensor<12x2xf32> from <tensors = ["base_model.model.l.0.gate_up.lora_B.weight"], firstRow = 12> {lm.adapter}
// CHECK-DAG: lm.parameter @h.lora_b : tensor<12x2xf32> from <tensors = ["base_model.model.l.0.c_fc.lora_B.weight"], order = qkv_by_head, heads = 2> {lm.adapter}
// CHECK-LABEL: func.func @forward
// CHECK: %[[W:.*]] = lm.read @gate
// CHECK: %[[G:.*]] = lm.linear %[[X:.*]], %[[W]]
// CHECK: %[[A:.*]] = lm.read @gate.lora_a : tensor<2x8xf32>
// CHECK: %[[H:.*]] = lm.linear %[[X]], %[[A]]
// CHECK: %[[S:.*]] = lm.scale %[[H]] {factor = 1.500000e+00 : f64}
// CHECK: %[[B:.*]] = lm.read @gate.lora_b : tensor<12x2xf32>
// CHECK: %[[D:.*]] = lm.linear %[[S]], %[[B]]
// CHECK: lm.add %[[G]], %[[D]]
// CHECK: lm.read @gate.lora_a
// CHECK: lm.read @up.lora_b
// CHECK: lm.read @h.lora_a
// CHECK: lm.read @head
// CHECK-NOT: lora
// CHECK: return

// A module by the end of its name; a factor of 1 is none.
// ONE-NOT: @gate.lora_a
// ONE: lm.parameter @h.lora_a : tensor<2x8xf32> from <tensors = ["base_model.model.transformer.l.0.c_fc.lora_A.weight"]>
// ONE-NOT: lm.scale
// ONE: return

// GRADIENTS: func.func @train
// GRADIENTS-SAME: tensor<2x8xf32> {lm.gradient = @gate.lora_a}
// GRADIENTS-NOT: lm.linear_backward_weight {{.*}}tensor<12x8xf32>
// GRADIENTS-NOT: lm.embedding_backward
// GRADIENTS: return
lm.parameter @embedding : tensor<16x8xf32> from <tensors = ["wte.weight"]>
lm.parameter @gate : tensor<12x8xf32> from <tensors = ["l.0.gate_up.weight"]>
lm.parameter @up : tensor<12x8xf32> from <tensors = ["l.0.gate_up.weight"], firstRow = 12>
lm.parameter @h : tensor<12x8xf32> from <tensors = ["l.0.c_fc.weight"], transposed = true, order = qkv_by_head, heads = 2>
lm.parameter @head : tensor<16x12xf32> from <tensors = ["lm_head.weight"]>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x16xf32> {
  %e = lm.read @embedding : tensor<16x8xf32>
  %x = lm.embedding %tokens, %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %w = lm.read @gate : tensor<12x8xf32>
  %g = lm.linear %x, %w : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %v = lm.read @up : tensor<12x8xf32>
  %u = lm.linear %x, %v : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %k = lm.read @h : tensor<12x8xf32>
  %h = lm.linear %x, %k : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  %p = lm.mul %g, %u : tensor<?x12xf32>
  %q = lm.mul %p, %h : tensor<?x12xf32>
  %t = lm.read @head : tensor<16x12xf32>
  %y = lm.linear %q, %t : (tensor<?x12xf32>, tensor<16x12xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
