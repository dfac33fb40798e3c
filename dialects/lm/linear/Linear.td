// SPDX-License-Identifier: Apache-2.0
// Embedding lookup and matrix products with weights.
#ifndef SINTER_LM_LINEAR_TD
#define SINTER_LM_LINEAR_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Lm_EmbeddingOp : Lm_Op<"embedding", [Pure, Lm_Differentiable]> {
  let summary = "rows of a table: result[i] = table[ids[i] + offset]";
  let description = [{
    `lm.embedding %tokens, %table : (tensor<?xi32>, tensor<49152x576xf16>) -> tensor<?x576xf32>`.
    Learned positions are the same operation on positions; OPT's table starts at offset 2.
  }];
  let arguments = (ins Lm_Ids:$ids, Lm_Weight:$table, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$ids `,` $table attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_LinearOp : Lm_Op<"linear", [Pure, Lm_Differentiable]> {
  let summary = "result = input * weight^T + bias";
  let description = [{
    input (rows, in), f32 or what a caller has rounded to 8 bits; weight (out, in) of any element type, bias (out), result (rows, out) f32.
    `lm.linear %x, %w bias %b : (tensor<?x576xf32>, tensor<960x576xf16>, tensor<960xf32>) -> tensor<?x960xf32>`

    `fast_accumulation` (weights of 8 bits): tensor cores may keep sums with fewer bits than f32 has, as `kernel.matmul` says.
    Layers that one kernel computes need it all.
  }];
  let arguments = (ins Lm_LinearInput:$input, Lm_Weight:$weight, Optional<Lm_Vector>:$bias, UnitAttr:$fast_accumulation);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `,` $weight (`bias` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===-- Backward ----------------------------------------------------------------------------------------===//

def Lm_EmbeddingBackwardOp : Lm_Op<"embedding_backward", [Pure]> {
  let summary = "gradient of a table: result[ids[i] + offset] += gradient[i], zeros elsewhere";
  let description = "`lm.embedding_backward %dy, %tokens : (tensor<?x576xf32>, tensor<?xi32>) -> tensor<49152x576xf32>`";
  let arguments = (ins Lm_Rows:$gradient, Lm_Ids:$ids, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $ids attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_LinearBackwardInputOp : Lm_Op<"linear_backward_input", [Pure]> {
  let summary = "gradient of lm.linear by its input: gradient * weight";
  let description = "gradient (rows, out), weight (out, in), result (rows, in).";
  let arguments = (ins Lm_Rows:$gradient, Lm_Weight:$weight);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $weight attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_LinearBackwardWeightOp : Lm_Op<"linear_backward_weight", [Pure]> {
  let summary = "gradient of lm.linear by its weight: gradient^T * input";
  let description = "gradient (rows, out), input (rows, in), result (out, in).";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_ColumnSumOp : Lm_Op<"column_sum", [Pure]> {
  let summary = "sums over the rows: the gradient of a bias";
  let description = "The width w of the result divides the input's; column c is added to element c modulo w.";
  let arguments = (ins Lm_Rows:$input);
  let results = (outs 1DTensorOf<[F32]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_LINEAR_TD
