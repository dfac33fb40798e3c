// Biases that are added up have equal gradients, which CSE makes one value: each still gets its own.
// RUN: sinter-opt %s --pass-pipeline="builtin.module(lm-add-loss,lm-differentiate{function=train},func.func(cse,lm-group-rest),lm-train-to-kernel{batch=2 sequence=32})" | FileCheck %s

// CHECK-LABEL: kernel.entry @train rows 64
// CHECK-DAG: %[[A:.*]] = kernel.buffer gradient @a
// CHECK-DAG: %[[B:.*]] = kernel.buffer gradient @b
// CHECK-DAG: kernel.launch @column_sum_{{[0-9]+}}({{.*}}, %[[A]]
// CHECK-DAG: kernel.launch @column_sum_{{[0-9]+}}({{.*}}, %[[B]]
lm.parameter @w : tensor<12x8xf32>
lm.parameter @u : tensor<12x8xf32>
lm.parameter @a : tensor<12xf32>
lm.parameter @b : tensor<12xf32>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>) -> tensor<?x12xf32> {
  %w = lm.read @w : tensor<12x8xf32>
  %u = lm.read @u : tensor<12x8xf32>
  %a = lm.read @a : tensor<12xf32>
  %b = lm.read @b : tensor<12xf32>
  %x = lm.embedding %tokens, %w : (tensor<?xi32>, tensor<12x8xf32>) -> tensor<?x8xf32>
  %p = lm.linear %x, %w bias %a : (tensor<?x8xf32>, tensor<12x8xf32>, tensor<12xf32>) -> tensor<?x12xf32>
  %q = lm.linear %x, %u bias %b : (tensor<?x8xf32>, tensor<12x8xf32>, tensor<12xf32>) -> tensor<?x12xf32>
  %y = lm.add %p, %q : tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}
