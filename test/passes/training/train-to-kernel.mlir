// The head runs chunk by chunk on one buffer of logits; the second gradient of a tied parameter is added.
// RUN: sinter-opt %s --pass-pipeline="builtin.module(lm-add-loss,lm-differentiate{function=train},func.func(lm-group-rest),lm-train-to-kernel{batch=2 sequence=32 chunk-bytes=1536})" | FileCheck %s

// CHECK-LABEL: kernel.entry @train rows 64
// CHECK-DAG: kernel.buffer gradient @w : !kernel.weight<12x8, f32>
// CHECK-DAG: kernel.buffer arena rows 32 : !kernel.rows<12xf32>
// CHECK: kernel.launch @gather_{{.*}} {in_loss}
// CHECK: kernel.launch @matmul_{{.*}} {fills_logits, first_row = 0 : i64, in_loss, row_count = 32 : i64}
// CHECK: kernel.launch @cross_entropy_{{.*}} {first_row = 0 : i64, in_loss, row_count = 32 : i64}
// CHECK: kernel.launch @linear_backward_weight_{{.*}} {first_row = 0 : i64, row_count = 32 : i64}
// CHECK: kernel.launch @matmul_{{.*}} {fills_logits, first_row = 32 : i64, in_loss, row_count = 32 : i64}
// CHECK: kernel.launch @linear_backward_weight_{{.*}} {adds, first_row = 32 : i64, row_count = 32 : i64}
// CHECK: kernel.launch @embedding_backward_{{.*}} {adds}
lm.parameter @w : tensor<12x8xf32>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x12xf32> {
  %w = lm.read @w : tensor<12x8xf32>
  %x = lm.embedding %tokens, %w : (tensor<?xi32>, tensor<12x8xf32>) -> tensor<?x8xf32>
  %y = lm.linear %x, %w : (tensor<?x8xf32>, tensor<12x8xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}
